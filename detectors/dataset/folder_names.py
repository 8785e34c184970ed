"""What the folders and names of a data set say: the label, the origin, and which files are of one clip.

The tables stand in docs/data.md, too. Sources: the layouts of ForenSynths (0_real, 1_fake), GenImage (ai, nature),
CIFAKE (REAL, FAKE), FaceForensics++ (original_sequences/.../frames/000_003/0001.png) and Celeb-DF (Celeb-real).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from subnet.media.folder import modality_of
from subnet.types import Label

NAMES = {
    Label.REAL: "real authentic genuine natural nature original pristine original_sequence celeb_real youtube_real",
    Label.SYNTHETIC: "fake synthetic synthesis synthesized generated ai ai_generated artificial deepfake manipulated "
    "manipulated_sequence celeb_synthesis",
}
_LABELS = {name: label for label, names in NAMES.items() for name in names.split()}
_KIND = re.compile(r"_(images?|imgs?|pictures?|photos?|videos?|clips?|faces?|frames?)$")

_WORD = r"(?:clip|video|vid|scene|shot|seq|sequence|movie|take|id)"
_CLIP_FOLDER = re.compile(rf"(?:{_WORD}[\s_.-]?)?\d+(?:[\s_-](?:id)?\d+)*|.+\.(?:mp4|m4v|mov|avi|mkv|webm)", re.I)
_FRAME = re.compile(r"(?:(?P<clip>.*?)[\s_.-]*)??(?:frame|(?:(?<=[\s_.-])|(?<![^/]))(?:frm|fr|f))[\s_.-]*\d+", re.I)
_NUMBERED = re.compile(rf"(?P<clip>.*{_WORD}[\s_-]?\d+|.+\.(?:mp4|m4v|mov|avi|mkv|webm))[\s_.-]+\d+", re.I)
_CUT = re.compile(
    r"(?P<file>.*[^ _.-])[ _.-]+"
    r"(?:frame|frm|fr|f|face|crop|tile|patch|clip|cut|part|segment|seg|scene|shot|chunk)[ _.-]*\d+",
    re.IGNORECASE,
)
_HOLDERS = {"frames", "faces", "images", "imgs"}  # folders between a clip's and its frames


@dataclass(frozen=True)
class Place:
    """What the way to a file says. Files of one `content` belong together: frames of a clip, twins by name."""

    label: Label
    origin: str
    content: str


def label_of(folder: str) -> Label | None:
    """The label that the name of a folder gives: case, leading numbers, kinds of media and a plural do not count."""
    name = re.sub(r"[\s.-]+", "_", re.sub(r"^\d+[\s_.-]+", "", folder.lower()))
    for form in (name, name.removesuffix("s"), short := _KIND.sub("", name), short.removesuffix("s")):
        if form in _LABELS:
            return _LABELS[form]
    return None


def place_of(way: PurePath) -> Place | None:
    """What `way`, relative to the data set, says; None where no folder gives a label.

    The first folder with a label counts. The origin is the folder below that, or else (also where that is a clip's)
    its own name.
    """
    folders = way.parts[:-1]
    at, label = next(((i, hit) for i, name in enumerate(folders) if (hit := label_of(name)) is not None), (0, None))
    if label is None:
        return None
    rest = folders[at + 1 :]
    named = bool(rest) and rest[0].lower() not in _HOLDERS and not _CLIP_FOLDER.fullmatch(rest[0])
    origin = rest[0] if named else folders[at].lower()
    return Place(label, origin, content_of((*folders[:at], *rest[named:]), way.stem, deep=len(rest) > 1))


def content_of(folders: Sequence[str], stem: str, *, deep: bool = False) -> str:
    """A name for what a file shows: that of the clip for a frame, else the file's own, without its suffix.

    Files named by bare numbers are frames where their folder is named like a clip, or lies `deep`: below an origin.
    """
    for pattern in (_FRAME, _NUMBERED):
        if match := pattern.fullmatch(stem):
            return "/".join((*folders, match["clip"])) if match["clip"] else "/".join((*folders, "frames"))
    holders = [name for name in folders if name.lower() not in _HOLDERS]
    if stem.isdecimal() and holders and (deep or _CLIP_FOLDER.fullmatch(holders[-1])):
        return "/".join(holders)
    return "/".join((*folders, stem))


def file_of(item: str) -> str:
    """The file that an item was cut from, by its name: "a/clip3_part1.mp4" and "a/clip3_part2.mp4" are of "a/clip3".

    Ends that count are taken off where the word before the number says so (frame, crop, clip, part and the like): bare
    numbers may as well count photographs.
    """
    way = PurePath(item)
    name = way.name if modality_of(way) is None else way.stem
    while (match := _CUT.fullmatch(name)) is not None:
        name = match["file"]
    return str(way.with_name(name)) if name else item
