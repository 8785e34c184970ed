"""People's files: found in folders, recognised by what they hold, decoded at the sizes that phones and cameras make.

Images are decoded in this process by allow-listed decoders, clips in a child process that may be killed.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from subnet.codec.image import FILE_IMAGES, ImageLimits, decode_image
from subnet.codec.sandbox import VideoDecoder
from subnet.codec.still import format_of, readable
from subnet.codec.video import FILE_CLIPS, Clip
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.types import Media, Modality

IMAGES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp")
CLIPS = (".mp4", ".m4v", ".mov", ".3gp", ".avi", ".mkv", ".webm")
RAW = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf")
_LITTER = frozenset({"__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini"})
_BY_START = {b"\xff\xd8\xff": Modality.IMAGE, b"\x89PNG": Modality.IMAGE, b"GIF8": Modality.IMAGE,
             b"II*\0": Modality.IMAGE, b"MM\0*": Modality.IMAGE, b"\x1aE\xdf\xa3": Modality.VIDEO}  # fmt: skip
CONVERT = {
    "HEIC": "convert it first, for example `heif-convert photo.heic photo.png` or `magick photo.heic photo.png`",
    "AVIF": "convert it first, for example `magick picture.avif picture.png`",
    "JPEG XL": "convert it first, for example `djxl picture.jxl picture.png`",
    "raw camera": "develop it first, for example `darktable-cli photo.dng photo.png`",
}
INSTALL = {"HEIC": "run `pip install 'assay-subnet[heic]'`, or ", "AVIF": "install Pillow from PyPI, or "}


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
    if suffix not in IMAGES + CLIPS and _foreign(suffix, b"") is None:
        return f"not media ({suffix or 'no suffix'})"
    return "" if path.stat().st_size else "empty"


def _foreign(suffix: str, start: bytes) -> str | None:
    """The name of a format that we have no safe decoder for."""
    if (still := format_of(start)) is not None:
        return {"HEIF": "HEIC"}.get(still, still)
    if suffix in (".heic", ".heif", ".avif"):
        return "AVIF" if suffix == ".avif" else "HEIC"
    if suffix == ".jxl" or start[:12] == b"\0\0\0\x0cJXL \r\n\x87\n":
        return "JPEG XL"
    return "raw camera" if suffix in RAW else None


def modality(path: Path, start: bytes, taken: Collection[str] | None = None, *, wanted: str = "") -> Modality:
    """What a file holds by its first bytes, else by its suffix. Raises MediaUnreadable, with the way out.

    `taken` are the keys of CONVERT that the caller can decode; None for one that never does. `wanted` are the formats
    that it names instead of our suffixes.
    """
    suffix = path.suffix.lower()
    foreign = _foreign(suffix, start)
    if foreign in (taken or ()):
        return Modality.IMAGE
    if foreign is not None:
        fix = INSTALL.get(foreign, "") if taken is not None else ""
        raise MediaUnreadable(f"{foreign} files are not taken: {fix}{CONVERT[foreign]}")
    kinds = [kind for head, kind in _BY_START.items() if start.startswith(head)]
    if start[:4] == b"RIFF":
        kinds = [Modality.VIDEO if start[8:12] == b"AVI " else Modality.IMAGE]
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        kinds = [Modality.VIDEO]
    if kinds:
        return kinds[0]
    if suffix not in IMAGES + CLIPS:
        raise MediaUnreadable(f"give {wanted or f'an image ({_list(IMAGES)}) or a clip ({_list(CLIPS)})'}")
    return Modality.IMAGE if suffix in IMAGES else Modality.VIDEO


def read(path: Path, clips: VideoDecoder) -> Media | Clip:
    """Decode a file that nobody vouches for. Raises MediaError saying what to do; the caller names the file."""
    return decoded(load(path), clips, path.suffix)


def load(path: Path) -> bytes:
    """The bytes of a file that may be a picture or a clip, and is no larger than either may be. Raises MediaError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a device or a pipe has no end
            raise MediaUnreadable("it is no file of bytes; name an image or a clip")
        with path.open("rb") as file:
            kind = modality(path, file.read(16), readable())
            size, most = path.stat().st_size, FILE_IMAGES.bytes if kind is Modality.IMAGE else FILE_CLIPS.bytes
            if size > most:
                raise MediaTooLarge(
                    f"{size} bytes are more than the {most} allowed; give a smaller copy or a cut of it"
                )
            file.seek(0)
            return file.read()
    except OSError as error:
        raise MediaUnreadable(f"it cannot be read: {error.strerror}") from error


def decoded(data: bytes, clips: VideoDecoder, suffix: str = "", images: ImageLimits = FILE_IMAGES) -> Media | Clip:
    """Decode the bytes of a file whose name ends with `suffix`. Raises MediaError saying what to do."""
    kind = modality(Path(f"file{suffix}"), data[:16], readable())
    try:
        return decode_image(data, images) if kind is Modality.IMAGE else clips.read(data)
    except MediaTooLarge as error:
        raise MediaTooLarge(f"{error}; give a smaller copy or a cut of it") from error
    except MediaError as error:
        way = "" if "send JPEG" in str(error) else "; export it again as JPEG, PNG, WebP or MP4"
        raise MediaUnreadable(f"{error}{way}") from error


def _list(suffixes: Sequence[str]) -> str:
    return ", ".join(suffix.removeprefix(".") for suffix in suffixes)
