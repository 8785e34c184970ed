"""What a file is by its first bytes, and what is said, in plain words, of one that cannot be judged.

Every refusal says what is wrong, and after a semicolon what to do.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from subnet.codec.still import format_of, readable
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.types import Modality

START: Final = 512  # bytes of a file that say what it is
CLIPS: Final = "MP4, QuickTime, Matroska, WebM or AVI"
RAW: Final = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf")
CONVERT: Final = {
    "HEIC": "save it as JPEG or PNG first, for example by `heif-convert photo.heic photo.png`",
    "AVIF": "save it as JPEG or PNG first, for example by `magick picture.avif picture.png`",
    "JPEG XL": "save it as JPEG or PNG first, for example by `djxl picture.jxl picture.png`",
    "raw camera": "develop it first, for example by `darktable-cli photo.dng photo.png`",
}
INSTALL: Final = {
    "HEIC": ", or run `pip install 'assay-subnet[heic]'`",
    "AVIF": ", or install Pillow from PyPI",
}
_SAVE, _EXPORT = "save it as JPEG or PNG first", "export it as MP4 first"
_PICTURES: Final = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF",
                    b"BM": "BMP", b"\0\0\0\x0cJXL ": "JPEG XL", b"\xff\x0a": "JPEG XL"}  # fmt: skip
_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")  # that a clip may begin with, behind 4 bytes
_OTHERS: Final[tuple[tuple[bytes, str, str], ...]] = (  # first bytes, what that is, and what to do
    (b"%PDF", "a PDF document", ""),
    (b"%!PS", "a PostScript document", ""),
    (b"PK\x03\x04", "an archive or an office document", ""),
    (b"\x1f\x8b", "an archive", ""),
    (b"7z\xbc\xaf", "an archive", ""),
    (b"Rar!", "an archive", ""),
    (b"\xd0\xcf\x11\xe0", "an office document", ""),
    (b"MZ", "a program", ""),
    (b"\x7fELF", "a program", ""),
    (b"ID3", "a sound file", ""),
    (b"OggS", "a sound file", ""),
    (b"fLaC", "a sound file", ""),
    (b"8BPS", "a Photoshop picture", _SAVE),
    (b"\0\0\x01\0", "an icon", _SAVE),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture", _SAVE),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture", _SAVE),
    (b"SIMPLE  =", "a FITS picture", _SAVE),
    (b"\0\0\x01\xba", "an MPEG-2 clip", _EXPORT),
    (b"\0\0\x01\xb3", "an MPEG-2 clip", _EXPORT),
    (b"\x30\x26\xb2\x75", "a Windows Media clip", _EXPORT),
    (b"FLV", "a Flash clip", _EXPORT),
)
_MP3: Final = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
_CONTROL: Final = re.compile(r"[\0-\x08\x0e-\x1f]")


@dataclass(frozen=True)
class Formats:
    """What a program takes: names of formats of pictures, and whether who asks could install more of them."""

    pictures: tuple[str, ...]
    installs: bool = False

    def __str__(self) -> str:
        return f"give a picture ({', '.join(self.pictures[:-1])} or {self.pictures[-1]}) or a clip ({CLIPS})"


def read_here(*, installs: bool = False) -> Formats:
    """What is read of people's own files on this machine."""
    return Formats(("JPEG", "PNG", "WebP", "GIF", "TIFF", "BMP", *sorted(readable())), installs)


def modality(start: bytes, suffix: str, taken: Formats) -> Modality:
    """What a file is that begins with `start`, START bytes or all that it has. Raises MediaUnreadable.

    Contents alone count; the suffix tells raw pictures of cameras, which begin as TIFF or clips do.
    """
    if not start:
        raise MediaUnreadable("the file is empty (0 bytes); copy or download it again")
    name = _picture(start, suffix.lower())
    if name in taken.pictures:
        return Modality.IMAGE
    if name is not None:
        fix = INSTALL.get(name, "") if taken.installs else ""
        raise MediaUnreadable(f"{name} files are not taken here; {CONVERT.get(name, _SAVE)}{fix}")
    sound = start[4:8] == b"ftyp" and start[8:11] in (b"M4A", b"M4B")
    if not sound and (start[4:8] in _BOXES or start[:4] == b"\x1aE\xdf\xa3" or _riff(start) == b"AVI "):
        return Modality.VIDEO
    what, way = ("a sound file", "") if sound else _other(start)
    raise MediaUnreadable(f"{what}; {way or taken}")


def told(error: MediaError, kind: Modality) -> MediaError:
    """The same with what to do, where a decoder did not say that."""
    text = str(error)
    if "; " in text:
        return error
    if isinstance(error, MediaTooLarge):
        return MediaTooLarge(f"{text}; give a smaller copy or a cut of it")
    way = "save it anew as JPEG or PNG" if kind is Modality.IMAGE else "export it anew as MP4"
    return MediaUnreadable(f"{text}; copy or download it again, or {way}")


def _picture(start: bytes, suffix: str) -> str | None:
    """The name of a format of pictures."""
    if suffix in RAW or start[4:11] == b"ftypcrx":
        return "raw camera"
    if (still := format_of(start)) is not None:
        return {"HEIF": "HEIC"}.get(still, still)
    if _riff(start) == b"WEBP":
        return "WebP"
    return next((name for head, name in _PICTURES.items() if start.startswith(head)), None)


def _riff(start: bytes) -> bytes:
    return start[8:12] if start[:4] == b"RIFF" else b""


def _other(start: bytes) -> tuple[str, str]:
    """What a file is that is neither a picture nor a clip that anything here reads, and what to do about it."""
    for head, what, way in _OTHERS:
        if start.startswith(head):
            return f"this is {what}, which is not taken here", way
    if _riff(start) == b"WAVE" or _MP3.match(start):
        return "this is a sound file, which is not taken here", ""
    for text in _texts(start):
        words = text.lstrip().lower()
        page = words.startswith(("<!doctype html", "<html"))
        if "<svg" in words and not page:
            return "this is a drawing (SVG), which is not taken here", _SAVE
        return f"this is a {'web page' if page else 'text'}, no picture or clip", ""
    return "this is no picture or clip that is known here, or it is damaged", ""


def _texts(start: bytes) -> Iterator[str]:
    """The beginning as a text, where it is one."""
    encoding = "utf-16" if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start)
    except UnicodeDecodeError:
        return
    if not _CONTROL.search(text):
        yield text
