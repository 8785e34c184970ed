"""AVIF and HEIC, whose decoders are large and native, in a process of their own that may die: `as_png` is its parent.

The child (`python -m subnet.codec.still FORMAT`) reads a file from its input and prints it as PNG, with what EXIF and
XMP it has; before it looks at a byte it gives up address space, processor time, and writing files.
"""

from __future__ import annotations

import io
import sys
import warnings
from importlib.util import find_spec
from typing import Final

from PIL import Image, PngImagePlugin, features

from subnet.confined import ask, confine
from subnet.errors import MediaTooLarge, MediaUnreadable

FORMATS: Final = ("AVIF", "HEIF")
PIXELS: Final = 89_000_000
SECONDS: Final = 60.0
_BRANDS: Final = {b"avif": "AVIF", **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1"), "HEIF")}
_CPU_SECONDS: Final = 45
_MEMORY: Final = 4 * 2**30  # bytes of address space
_TOO_LARGE: Final = 3  # exit status


def format_of(data: bytes) -> str | None:
    """AVIF or HEIF by the first bytes, None for anything else."""
    return _BRANDS.get(bytes(data[8:12])) if data[4:8] == b"ftyp" else None


def readable() -> frozenset[str]:
    """Which of both can be read on this machine: "AVIF", "HEIC"."""
    there = {"AVIF": features.check("avif"), "HEIC": find_spec("pillow_heif") is not None}
    return frozenset(name for name, can in there.items() if can)


def as_png(data: bytes, format: str) -> bytes:
    """The picture as PNG. Raises MediaTooLarge, and MediaUnreadable for what cannot be decoded, within bounds, here."""
    if {"HEIF": "HEIC"}.get(format, format) not in readable():
        fix = "`pip install 'assay-subnet[heic]'`" if format == "HEIF" else "a build of Pillow that reads it"
        raise MediaUnreadable(f"{format} files are not read here; that needs {fix}")
    answer = ask(__name__, [format], data, SECONDS)
    if answer is None:
        raise MediaUnreadable(f"decoding the {format} file took longer than {SECONDS:g} s")
    status, png = answer
    if status == _TOO_LARGE:
        raise MediaTooLarge(f"the picture has more than {PIXELS} pixels")
    if status or not png:
        raise MediaUnreadable(f"the {format} file cannot be decoded")
    return png


def main(format: str) -> None:
    """Read standard input, print PNG."""
    if format == "HEIF":
        from pillow_heif import register_heif_opener

        register_heif_opener(thumbnails=False)
    Image.init()
    data = sys.stdin.buffer.read()
    confine(_MEMORY, _CPU_SECONDS)
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=(format,)) as image:
        if image.width * image.height > PIXELS:
            sys.exit(_TOO_LARGE)
        texts = PngImagePlugin.PngInfo()
        if xmp := image.info.get("xmp"):
            texts.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        exif = image.info.get("exif") or b""
        mode = image.mode if image.mode in ("L", "LA", "RGB", "RGBA") else "RGB"
        whole = image.convert(mode)
        whole.info.clear()
        written = io.BytesIO()
        whole.save(written, "PNG", compress_level=1, pnginfo=texts, exif=exif)
    sys.stdout.buffer.write(written.getvalue())


if __name__ == "__main__":
    main(*sys.argv[1:])
