"""A folder of the user's media: what lies in it, and the same as a source.

Folders of people hold more than media. What is left out is counted by its reason, so that a program can tell it; links
are followed, also out of the folder (caches of hubs and of version control are made of them), but never in circles.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from subnet.codec import image as codec
from subnet.errors import MediaError, SettingsError, SourceEmpty
from subnet.media.cutting import Decode, cut, decode_clip
from subnet.types import Label, Media, Modality, Provenance, Sample

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
OWN_IMAGE_SUFFIXES = (*IMAGE_SUFFIXES, ".tif", ".tiff")  # of files that people have themselves, as satellites give them
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
# Folders that desktops, NAS boxes, notebooks and file systems leave behind, in small letters; hidden ones go anyway.
_LITTER = """__macosx/__pycache__/@eadir/@__thumb/@recycle/@recently-snapshot/@tmp/#recycle/#snapshot/$recycle.bin
/recycler/lost+found/system volume information/thumbs.db/ehthumbs.db/desktop.ini"""
LITTER = frozenset(name.strip() for name in _LITTER.split("/"))
HIDDEN = "hidden, or left by a desktop, a NAS or a notebook"


@dataclass(frozen=True)
class Inventory:
    """Media files below a folder in the order of their names, and by reason what was left out."""

    root: Path
    files: tuple[Path, ...]
    rest: Mapping[str, tuple[Path, ...]]

    def of(self, modality: Modality) -> list[Path]:
        """The files of one modality."""
        return [path for path in self.files if modality_of(path) is modality]

    def notes(self) -> list[str]:
        """What was left out, in a line for each reason: how many, why, and one of them."""
        return [
            f"left out {len(paths):,} in {self.root}: {reason} ({paths[0].relative_to(self.root)})"
            for reason, paths in sorted(self.rest.items())
        ]


def modality_of(path: PurePath) -> Modality | None:
    """What a file holds by its suffix; None for what is not read."""
    suffix = path.suffix.lower()
    return Modality.IMAGE if suffix in OWN_IMAGE_SUFFIXES else Modality.VIDEO if suffix in VIDEO_SUFFIXES else None


def take_inventory(root: Path) -> Inventory:
    """All of `root` at any depth. Nothing is opened."""
    files: list[Path] = []
    rest: dict[str, list[Path]] = defaultdict(list)
    for path, reason in _walk(root, set()):
        if reason:
            rest[reason].append(path)
        else:
            files.append(path)
    return Inventory(root, tuple(sorted(files)), {reason: tuple(sorted(paths)) for reason, paths in rest.items()})


def _walk(folder: Path, visited: set[tuple[int, int]]) -> Iterator[tuple[Path, str]]:
    """Every file with "" or the reason why it is left out; a folder that is left out counts as one."""
    try:
        here = folder.stat()
        names = sorted(os.listdir(folder))
    except OSError as error:
        yield folder, f"a folder that cannot be read: {error.strerror}"
        return
    if (here.st_dev, here.st_ino) in visited:
        yield folder, "a link to a folder that is read already"
        return
    visited.add((here.st_dev, here.st_ino))
    links = [name for name in names if (folder / name).is_symlink()]
    for name in [*(name for name in names if name not in set(links)), *links]:  # the folder itself before links to it
        path = folder / name
        try:
            facts = path.stat()
        except OSError:
            yield path, "a link that leads nowhere"
            continue
        if name.startswith(".") or name.lower() in LITTER:
            yield path, HIDDEN
        elif stat.S_ISDIR(facts.st_mode):
            yield from _walk(path, visited)
        else:
            yield path, _flaw(path, facts)


def _flaw(path: Path, facts: os.stat_result) -> str:
    """Why a file cannot be media by its name and size; "" when it can."""
    if not stat.S_ISREG(facts.st_mode):
        return "neither a file nor a folder"
    if modality_of(path) is None:
        return f"files with the suffix {path.suffix.lower()} are not read" if path.suffix else "a file without a suffix"
    return "" if facts.st_size else "empty files"


def _decode_image(data: bytes) -> Media:
    """An image of the user's own, of any camera's size."""
    return codec.decode_image(data, codec.FILE_IMAGES)


class FolderSource:
    """Images and clips of one label below a folder. `bad` holds the files that could not be used, with the reason.

    For files that are not trusted give `decode_video=VideoDecoder(CLIP_LIMITS).decode`. `on_bad` is told once per file,
    `inventory` says what was left out unopened.
    """

    def __init__(
        self,
        root: Path,
        label: Label,
        name: str | None = None,
        *,
        licence: str = "unknown",
        decode_video: Decode = decode_clip,
        on_bad: Callable[[Path, str], None] = lambda path, reason: None,
    ) -> None:
        """Raises SettingsError when `root` is not a folder."""
        if not root.is_dir():
            raise SettingsError(f"the media folder {root} does not exist or is not a folder")
        self.root, self.label, self.licence = root, label, licence
        self.name = name or root.resolve().name
        self.bad: dict[Path, str] = {}
        self.inventory = take_inventory(root)
        self._on_bad = on_bad
        self._decode: dict[Modality, Decode] = {Modality.IMAGE: _decode_image, Modality.VIDEO: decode_video}
        self._files = {modality: self.inventory.of(modality) for modality in Modality}

    def draw(self, modality: Modality, label: Label, rng: np.random.Generator) -> Sample:
        """A random file. Raises SourceEmpty, naming the folder, for another label or when no file can be used."""
        files: Sequence[Path] = self._files[modality] if label is self.label else []
        while files:
            path = files[int(rng.integers(len(files)))]
            try:
                taken = cut(self._decode[modality](path.read_bytes()), rng)
            except (MediaError, OSError) as error:
                self._set_aside(path, str(error))
                continue
            item = os.fsencode(path.relative_to(self.root)).decode(errors="backslashreplace")
            return Sample(taken.media, label, Provenance(self.name, item, self.licence, parameters=taken.place))
        raise SourceEmpty(
            f"the folder {self.root} has no usable {modality} of {label.name.lower()} media{self._lost()}"
        )

    def _lost(self) -> str:
        rest = sum(map(len, self.inventory.rest.values()))
        counts = {"could not be used": len(self.bad), "left out": rest}
        lost = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        return f" ({lost})" if lost else ""

    def _set_aside(self, path: Path, reason: str) -> None:
        self.bad[path] = reason
        for files in self._files.values():
            if path in files:
                files.remove(path)
        self._on_bad(path, reason)
