"""What an image's container holds beside its pixels: EXIF texts, an XMP packet, texts of PNG, tables of JPEG.

Pillow reads the container, and no pixel. Everything is bounded: a packet of XMP by 1 MiB, texts by number and length.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from PIL import ExifTags, Image

from subnet.codec.image import opened
from subnet.errors import MediaError, MediaUnreadable

MOST_XMP: Final = 2**20  # bytes
MOST_TEXTS: Final = 64
LONGEST: Final = 2**16  # characters of a text that is looked through
_BROKEN: Final = (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error, Image.DecompressionBombError)
_TEXTS: Final = {
    ExifTags.Base.Make: "Make",
    ExifTags.Base.Model: "Model",
    ExifTags.Base.Software: "Software",
    ExifTags.Base.ImageDescription: "ImageDescription",
    ExifTags.Base.Artist: "Artist",
    ExifTags.Base.DateTime: "DateTime",
    ExifTags.Base.DateTimeOriginal: "DateTimeOriginal",
    ExifTags.Base.LensModel: "LensModel",
    ExifTags.Base.UserComment: "UserComment",
}
_ENCODINGS: Final = {b"ASCII": "ascii", b"UNICODE": "utf-16-be", b"JIS": "shift-jis"}  # of a UserComment


@dataclass(frozen=True)
class Metadata:
    """`exif` and `texts` by name, as strangers wrote them; `tables` are JPEG's (64 steps each, row by row), by number.

    `complete` is false where something of it could not be read, or is more than is looked through.
    """

    format: str = ""
    exif: tuple[tuple[str, str], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    xmp: bytes = b""
    tables: tuple[tuple[int, ...], ...] = ()
    complete: bool = True


@contextmanager
def container(data: bytes) -> Iterator[Image.Image]:
    """An image file as Pillow opens it, without its warnings. Raises MediaError for one that it cannot read."""
    try:
        with warnings.catch_warnings(action="ignore"), opened(data) as image:
            yield image
    except _BROKEN as error:
        raise MediaUnreadable("the container cannot be read") from error


def metadata(data: bytes) -> Metadata:
    """Of an image file; an empty one that is not complete where the container cannot be read."""
    try:
        with container(data) as image:
            tables = getattr(image, "quantization", None) or {}
            xmp = image.info.get("xmp") or b""
            exif, sound = _exif(image)
            texts = _texts(image.info)
            return Metadata(
                image.format or "",
                exif,
                tuple((name[:64], text[:LONGEST]) for name, text in texts[:MOST_TEXTS]),
                (xmp.encode() if isinstance(xmp, str) else bytes(xmp))[:MOST_XMP],
                tuple(tuple(map(int, tables[number])) for number in sorted(tables)),
                sound and len(texts) <= MOST_TEXTS and all(len(text) <= LONGEST for _, text in texts),
            )
    except MediaError:
        return Metadata(complete=False)


def _exif(image: Image.Image) -> tuple[tuple[tuple[str, str], ...], bool]:
    """Texts of the first directory and of the one below it, and whether all of them could be read."""
    try:
        tags = image.getexif()
        found = {**dict(tags), **dict(tags.get_ifd(ExifTags.IFD.Exif))}
        values = [(name, found[tag]) for tag, name in _TEXTS.items() if tag in found]
        texts = ((name, _text(value)) for name, value in values)
        whole = all(len(value) <= LONGEST for _, value in values if isinstance(value, str | bytes))
        return tuple((name, text) for name, text in texts if text), whole
    except _BROKEN:
        return (), False


def _text(value: object) -> str:
    """A tag's text; a comment says in its first eight bytes how it is written."""
    if isinstance(value, bytes):
        named = _ENCODINGS.get(value[:8].rstrip(b"\0"))
        body = value[8:] if named or value[:8] == bytes(8) else value
        if named == "utf-16-be" and body[1:2] == b"\0":
            named = "utf-16-le"
        value = body[:LONGEST].decode(named or "utf-8", "replace")
    return value[:LONGEST].replace("\0", " ").strip() if isinstance(value, str) else ""


def _texts(info: dict[str | tuple[int, int], object]) -> list[tuple[str, str]]:
    """Chunks of PNG, comments of JPEG and GIF."""
    found = []
    for key, value in info.items():
        if not isinstance(key, str) or key in ("exif", "xmp", "icc_profile", "XML:com.adobe.xmp"):
            continue
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if isinstance(text, str) and text.strip():
            found.append((key, text))
    return found
