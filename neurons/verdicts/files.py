"""People's files: found in folders, recognised by what they hold, decoded at the sizes that phones and cameras make.

Images are decoded in this process by allow-listed decoders, clips in a child process that may be killed.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL.TiffImagePlugin import TiffImageFile

from neurons.provenance.metadata import container
from neurons.verdicts.kinds import RAW, START, modality, read_here, told
from subnet.codec.image import FILE_IMAGES, ImageLimits, decode_image
from subnet.codec.sandbox import VideoDecoder
from subnet.codec.video import FILE_CLIPS, Clip
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.types import Media, Modality

IMAGES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp")
FOREIGN = (".heic", ".heif", ".avif", ".jxl", *RAW)  # whose refusal says what to do
CLIPS = (".mp4", ".m4v", ".mov", ".3gp", ".avi", ".mkv", ".webm")
_SEQUENCES = frozenset((b"avis", b"msf1", b"hevc", b"hevx"))  # brands of files that have a track of pictures
_KIND, _SMALLER = 254, 1  # NewSubfileType of TIFF 6.0: a copy in a lower resolution
_LOOKED_AT = 16  # pictures of a TIFF file
_LITTER = frozenset({"__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini"})


def decoder() -> VideoDecoder:
    """A decoder of clips of up to 8K for people's files: two minutes and three gigabytes of memory each."""
    return VideoDecoder(FILE_CLIPS, timeout=120.0, memory=3 * 2**30)


@dataclass
class Found:
    """Files to judge in a stable order, and how many were passed over, by reason."""

    files: list[Path] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def find(paths: Iterable[Path]) -> Found:
    """The files that are named, and all media at any depth of folders that are named.

    In folders what is hidden, litter of desktops, empty, or not media by its suffix is skipped and counted.
    """
    found = Found()
    for path in paths:
        if not path.is_dir():
            found.files.append(path)
            continue
        for inner in sorted(_below(path, found.skipped)):
            reason = _reason_to_skip(inner, inner.relative_to(path).parts)
            if reason:
                found.skipped[reason] += 1
            else:
                found.files.append(inner)
    return found


def _below(folder: Path, skipped: Counter[str]) -> Iterator[Path]:
    """Regular files at any depth; folders that may not be read are counted and passed over."""
    for place, _, names in os.walk(folder, onerror=lambda error: skipped.update(["in folders that cannot be read"])):
        yield from (path for name in names if (path := Path(place, name)).is_file())


def _reason_to_skip(path: Path, parts: Sequence[str]) -> str:
    if any(part.startswith(".") or part in _LITTER for part in parts):
        return "hidden or litter"
    suffix = path.suffix.lower()
    if suffix not in IMAGES + CLIPS + FOREIGN:
        return f"not media ({suffix or 'no suffix'})"
    return "" if path.stat().st_size else "empty"


def read(path: Path, clips: VideoDecoder) -> Media | Clip:
    """Decode a file that nobody vouches for. Raises MediaError saying what to do; the caller names the file."""
    return decoded(load(path), clips, path.suffix)


def load(path: Path) -> bytes:
    """The bytes of a file that may be a picture or a clip, and is no larger than either may be. Raises MediaError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a device or a pipe has no end
            raise MediaUnreadable("this is no plain file (a folder, a device or a pipe); name a picture or a clip")
        with path.open("rb") as file:
            kind = modality(file.read(START), path.suffix, read_here(installs=True))
            size, most = path.stat().st_size, FILE_IMAGES.bytes if kind is Modality.IMAGE else FILE_CLIPS.bytes
            if size > most:
                raise MediaTooLarge(f"{size:,} bytes are more than the {most:,} allowed; give a smaller copy or a cut")
            file.seek(0)
            return file.read()
    except OSError as error:
        raise MediaUnreadable(f"it cannot be read: {error.strerror}") from error


def several_in(data: bytes) -> bool:
    """Whether the file of a picture has more of them than the one that is decoded: an animation, or pages.

    Smaller copies of one picture in a TIFF file, and what phones put behind a JPEG (maps of gain, of depth), are none.
    """
    if data[4:8] == b"ftyp":
        return any(data[at : at + 4] in _SEQUENCES for at in range(8, min(int.from_bytes(data[:4]), START), 4))
    try:
        with container(data) as image:
            if isinstance(image, TiffImageFile):
                return _pages(image)
            return image.format in ("GIF", "PNG", "WEBP") and bool(getattr(image, "is_animated", False))
    except MediaError:
        return False


def _pages(image: TiffImageFile) -> bool:
    for number in range(1, _LOOKED_AT):
        try:
            image.seek(number)
        except EOFError:
            return False
        if not image.tag_v2.get(_KIND, 0) & _SMALLER:
            return True
    return False


def decoded(data: bytes, clips: VideoDecoder, suffix: str = "", images: ImageLimits = FILE_IMAGES) -> Media | Clip:
    """Decode the bytes of a file whose name ends with `suffix`. Raises MediaError saying what to do."""
    kind = modality(data[:START], suffix, read_here())
    try:
        return decode_image(data, images) if kind is Modality.IMAGE else clips.read(data)
    except MediaError as error:
        raise told(error, kind) from error
