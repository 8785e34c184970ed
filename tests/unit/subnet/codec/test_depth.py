"""Samples of more than 8 bits in people's own files keep the upper bits that they use."""

from __future__ import annotations

import io
import itertools

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from subnet.codec.depth import eight_bits
from subnet.codec.image import FILE_IMAGES, decode_image, stored_size
from subnet.errors import MediaUnreadable

HEIGHT, WIDTH = 24, 36


def values(bits: int, channels: int = 3) -> NDArray[np.uint16]:
    """Noise that uses all `bits` bits: (H, W, channels)."""
    noise = np.random.default_rng(bits).integers(0, 1 << bits, (HEIGHT, WIDTH, channels)).astype(np.uint16)
    noise[0, 0] = (1 << bits) - 1
    return noise


def pillow(grey: NDArray[np.uint16], format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, format, **options)
    return buffer.getvalue()


def tiff(samples: NDArray[np.generic], **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


def read(data: bytes) -> NDArray[np.uint8]:
    return decode_image(data, FILE_IMAGES).frames[0]


@pytest.mark.parametrize(("bits", "format"), list(itertools.product((12, 14, 16), ("PNG", "TIFF"))))
def test_grey_keeps_the_upper_bits_that_it_uses(bits: int, format: str) -> None:
    """Files of Pillow with 12, 14 and 16 bits of grey in samples of 16: white is white, and no shade is lost."""
    grey = values(bits, 1)[..., 0]
    frame = read(pillow(grey, format))
    assert np.array_equal(frame, np.repeat((grey >> (bits - 8))[..., None], 3, axis=-1))
    assert frame.max() == 255
    assert len(np.unique(frame)) > 200


def test_compressed_tiff_of_pillow() -> None:
    """Deflated and LZW files of 12 bits come out the same as plain ones."""
    grey = values(12, 1)[..., 0]
    for compression in ("tiff_adobe_deflate", "tiff_lzw"):
        assert np.array_equal(read(pillow(grey, "TIFF", compression=compression))[..., 0], grey >> 4)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("bits", [12, 16])
def test_colours_of_a_png(bits: int, channels: int) -> None:
    """RGB, and RGB with an alpha that hides nothing."""
    colours = values(bits, channels)
    colours[..., 3:] = (1 << bits) - 1
    encoded = cv2.imencode(".png", colours[..., [2, 1, 0, 3][:channels]])[1].tobytes()
    assert np.array_equal(read(encoded), colours[..., :3] >> (bits - 8))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"compression": "zlib"},
        {"compression": "zlib", "byteorder": ">"},
        {"tile": (16, 16)},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "byteorder": ">"},
    ],
    ids=str,
)
@pytest.mark.parametrize("near_infrared", [False, True])
def test_colours_of_a_tiff(options: dict[str, object], near_infrared: bool) -> None:
    """RGB of 12 bits, pixel by pixel or band by band, with or without a fourth band, in either order of bytes."""
    bands = values(12, 4 if near_infrared else 3)
    laid = np.moveaxis(bands, -1, 0).copy() if "planarconfig" in options else bands
    extra = {"extrasamples": ["unspecified"]} if near_infrared else {}
    assert np.array_equal(read(tiff(laid, photometric="rgb", **options, **extra)), bands[..., :3] >> 4)


def test_a_file_that_says_its_range_is_believed() -> None:
    """`MaxSampleValue` counts where all samples are below it, and the values decide where they are not."""
    dark = values(10, 1)[..., 0]
    assert read(pillow(dark, "TIFF", tiffinfo={281: 4095})).max() == 1023 >> 4
    assert read(pillow(dark, "TIFF", tiffinfo={281: 1023})).max() == 255
    assert read(pillow(values(12, 1)[..., 0], "TIFF", tiffinfo={281: 1023})).max() == 255


def test_signed_samples() -> None:
    """Heights and temperatures below zero are black; 15 bits are the most there is above it."""
    signed = np.array([[-5, 0, 16384, 32767]], dtype=np.int16)
    assert read(tiff(signed, photometric="minisblack"))[0, :, 0].tolist() == [0, 0, 128, 255]


def test_eight_bits_stay_as_they_are() -> None:
    """Dark pictures of 8 bits are not made brighter."""
    dark = (values(8) // 4).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(dark).save(buffer, "TIFF")
    assert np.array_equal(read(buffer.getvalue()), dark)
    assert np.array_equal(read(cv2.imencode(".png", dark[..., ::-1])[1].tobytes()), dark)


def test_the_wire_scales_nothing() -> None:
    """Of a validator's 16-bit PNG the upper byte counts, whatever the values: both sides must see one picture."""
    grey = values(12, 1)[..., 0]
    assert np.array_equal(decode_image(pillow(grey, "PNG")).frames[0, ..., 0], grey >> 8)
    with pytest.raises(MediaUnreadable, match="send JPEG, PNG or WebP"):
        decode_image(pillow(grey, "TIFF"))


def test_layouts_that_are_not_read_say_what_would_help() -> None:
    """Compressed bands that lie apart, grey of three bands, and 32 bits are refused, with a way out."""
    apart = np.moveaxis(values(12), -1, 0).copy()
    with pytest.raises(MediaUnreadable, match="pixel by pixel"):
        read(tiff(apart, photometric="rgb", planarconfig="separate", compression="zlib"))
    with pytest.raises(MediaUnreadable, match="save it as grey or RGB"):
        read(tiff(values(12), photometric="minisblack", planarconfig="contig"))
    with pytest.raises(MediaUnreadable, match="32 bits"):
        read(tiff(values(12, 1)[..., 0].astype(np.float32), photometric="minisblack"))


def test_damaged_files_are_refused() -> None:
    """Any part of a wide file is refused with a typed error."""
    for data in (tiff(values(12), photometric="rgb"), cv2.imencode(".png", values(12))[1].tobytes()):
        for part in range(1, 16):
            with pytest.raises(MediaUnreadable):
                read(data[: len(data) * part // 16])


def test_stored_size_opens_no_pixels() -> None:
    """Height and width of TIFF and PNG by their headers; what is none is refused."""
    grey = values(12, 1)[..., 0]
    assert stored_size(pillow(grey, "TIFF")) == stored_size(pillow(grey, "PNG")) == (HEIGHT, WIDTH)
    for data in (b"II*\0 no", b"no"):
        with pytest.raises(MediaUnreadable):
            stored_size(data)


@given(st.integers(8, 16), st.integers(0, 65535))
def test_scaling_keeps_order_and_ends(bits: int, value: int) -> None:
    """0 stays 0, the largest sample becomes 255, and nothing wraps around."""
    shades = eight_bits(np.array([0, value, (1 << bits) - 1], dtype=np.uint16), bits)
    assert shades[0] == 0
    assert shades[2] == 255
    assert shades[1] == min(255, value >> (bits - 8))
