"""Bytes to pixels and back, for good files and for a corpus of bad ones."""

from __future__ import annotations

import io
import random
import struct
import time
import warnings
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from subnet.codec import image as codec
from subnet.codec.image import decode_image, decode_video, encode_image, encode_png, encode_video, normalise
from subnet.codec.image_header import read_header
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.types import Frames, Media


def picture(height: int = 48, width: int = 64) -> Frames:
    """Smooth and colourful, another colour in each corner, (H, W, 3)."""
    y, x = np.mgrid[:height, :width]
    rows = [255 * x / width, 255 * y / height, 255 - 255 * x / width]
    return np.stack(rows, axis=-1).astype(np.uint8)


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def photo(format: str = "JPEG", **options: object) -> bytes:
    return saved(Image.fromarray(picture()), format, **options)


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(width: int, height: int, pixels: bytes, *, depth: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def with_exif(jpeg: bytes, exif: bytes) -> bytes:
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif + jpeg[2:]


def close_to(media: Media, expected: Frames, tolerance: float = 6.0) -> bool:
    return media.frames.shape == (1, *expected.shape) and bool(
        np.abs(media.frames[0].astype(float) - expected).mean() < tolerance
    )


def decoded_or_refused(data: bytes) -> str:
    """The reason of a typed refusal, or "" after a decode. Anything else that is raised fails the test."""
    try:
        decode_image(data)
    except MediaError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("format", "options"), [
    ("JPEG", {"quality": 90}), ("JPEG", {"quality": 90, "progressive": True}), ("PNG", {}),
    ("WEBP", {"quality": 90}), ("WEBP", {"lossless": True}),
])  # fmt: skip
def test_the_three_formats_decode(format: str, options: dict[str, object]) -> None:
    """JPEG, PNG and WebP give the picture as one RGB frame."""
    assert close_to(decode_image(photo(format, **options)), picture())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK", "YCbCr"])
def test_all_modes_become_rgb(mode: str) -> None:
    """Bilevel, grey, palette, alpha, 16-bit and CMYK pictures become RGB of the same content."""
    grey = np.asarray(Image.fromarray(picture()).convert("L"))
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
        expected = np.repeat(grey[..., None], 3, axis=-1)
    else:
        image = Image.fromarray(picture()).convert(mode)
        expected = np.asarray(image.convert("RGB"))
    data = saved(image, "JPEG" if mode in ("CMYK", "YCbCr") else "PNG")
    assert close_to(decode_image(data), expected, tolerance=4)


def test_sixteen_bit_colour_keeps_its_upper_byte() -> None:
    """A 16-bit RGB PNG comes out as its upper 8 bits."""
    values = picture(4, 6).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    assert np.array_equal(decode_image(png(6, 4, zlib.compress(rows), depth=16)).frames[0], picture(4, 6))


def test_alpha_is_laid_over_white() -> None:
    """What is fully transparent is white, in RGBA and in a palette with transparency."""
    layer = Image.fromarray(picture()).convert("RGBA")
    layer.putalpha(0)
    assert decode_image(saved(layer, "PNG")).frames.min() == 255
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([10, 20, 30] * 256)
    assert decode_image(saved(palette, "PNG", transparency=b"\0" * 256)).frames.min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_exif_turns_are_applied(orientation: int, format: str) -> None:
    """A picture stored turned by any of the eight EXIF orientations comes out upright."""
    upright = picture(40, 56)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.swapaxes(0, 1), 6: np.rot90(upright, 1),
        7: np.rot90(upright.swapaxes(0, 1), 2), 8: np.rot90(upright, 3),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if format == "JPEG" else {"lossless": True}
    data = saved(Image.fromarray(np.ascontiguousarray(stored)), format, exif=exif, **options)
    assert close_to(decode_image(data), upright)
    assert close_to(decode_image(bytearray(data)), upright)  # as an upload is held


@pytest.mark.parametrize("exif", [
    b"", b"II", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"XX*\0\x08\0\0\0",
    b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0",
    b"II*\0\x08\0\0\0\x01\0\x1a\x01\x05\0\xff\xff\xff\xff\xff\xff\xff\xff",
])  # fmt: skip
def test_broken_exif_is_upright_and_silent(exif: bytes) -> None:
    """EXIF that makes no sense neither turns, nor fails, nor warns."""
    for hold in (bytes, bytearray):
        assert close_to(decode_image(hold(with_exif(photo(), exif))), picture())


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF"])
def test_of_an_animation_the_first_frame(format: str) -> None:
    """Animated PNG and WebP give their first frame; GIF is not taken at all."""
    frames = [Image.fromarray(np.full((20, 20, 3), level, np.uint8)) for level in (30, 200, 250)]
    data = saved(frames[0], format, save_all=True, append_images=frames[1:], duration=50, loop=0)
    if format == "GIF":
        with pytest.raises(MediaUnreadable, match="JPEG, PNG or WebP"):
            decode_image(data)
    else:
        assert abs(int(decode_image(data).frames.mean()) - 30) <= 2


FOREIGN: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "one byte": lambda: b"\xff",
    "text": lambda: b"hello, I am a picture",
    "html": lambda: b"<html><img src=file:///etc/passwd></html>",
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "pdf": lambda: b"%PDF-1.7\n1 0 obj\n",
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "fits": lambda: b"SIMPLE  =                    T".ljust(2880),
    "psd": lambda: b"8BPS\0\x01".ljust(64, b"\0"),
    "fpx": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(512, b"\0"),
    "tiff": lambda: photo("TIFF"),
    "bmp": lambda: photo("BMP"),
    "ico": lambda: photo("ICO"),
    "avif": lambda: photo("AVIF"),
    "jpeg 2000": lambda: photo("JPEG2000"),
    "mp4": lambda: b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2",
    "riff that is sound": lambda: b"RIFF\x24\0\0\0WAVEfmt ",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_formats_are_refused(name: str) -> None:
    """Only the three formats reach a decoder, and the message says what to send."""
    with pytest.raises(MediaUnreadable, match="send JPEG, PNG or WebP"):
        decode_image(FOREIGN[name]())


def jpeg_with_scans(count: int, side: int) -> bytes:
    """A progressive JPEG whose scans after the first are repeated to make `count`; `side` is only claimed."""
    data = photo(progressive=True)
    sof = data.index(b"\xff\xc2")
    data = data[: sof + 5] + struct.pack(">HH", side, side) + data[sof + 9 :]
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    third = data.index(b"\xff\xda", second + 2)
    return data[:second] + data[second:third] * count + data[second:]


LARGE: dict[str, Callable[[], bytes]] = {
    "png bomb": lambda: png(30000, 30000, zlib.compress(bytes(1000))),
    "png of 2^31": lambda: png(2**31 - 1, 2**31 - 1, b""),
    "webp canvas": lambda: b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\x3f\0" * 2,
    "jpeg 65500x65500": lambda: jpeg_with_scans(0, 65500),
    "jpeg of 1000 scans": lambda: jpeg_with_scans(1000, 6000),
    "too many bytes": lambda: b"\xff\xd8\xff" + bytes(codec.MAX_BYTES),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_bombs_are_too_large(name: str) -> None:
    """What would take too much memory or time is refused from its header, at once and by its own error."""
    data, start = LARGE[name](), time.perf_counter()
    with pytest.raises(MediaTooLarge):
        decode_image(data)
    assert time.perf_counter() - start < 1


ODD: dict[str, Callable[[], bytes]] = {
    "0x0": lambda: png(0, 0, zlib.compress(b"")),
    "0x9": lambda: png(0, 9, zlib.compress(bytes(9))),
    "no pixels": lambda: png(9, 9, zlib.compress(b"")),
    "half the pixels": lambda: png(8, 8, zlib.compress(bytes(100))),
    "not deflate": lambda: png(8, 8, b"garbage"),
    "wrong crc": lambda: photo("PNG")[:-20] + b"\0\0\0\0" + photo("PNG")[-16:],
    "chunk of 2^32": lambda: photo("PNG")[:33] + b"\xff\xff\xff\xffIDAT",
    "header not first": lambda: b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b"") + photo("PNG")[8:],
    "bad colour type": lambda: png(8, 8, zlib.compress(bytes(200)), colour=5),
    "soi and eoi": lambda: b"\xff\xd8\xff\xd9",
    "no tables": lambda: b"\xff\xd8" + photo()[photo().index(b"\xff\xc0") :],
    "segment of length 0": lambda: b"\xff\xd8\xff\xdb\0\0" + photo()[2:],
    "frame of length 2": lambda: b"\xff\xd8\xff\xc0\0\x02\xff\xda\0\x02\xff\xd9",
    "lossless jpeg": lambda: photo().replace(b"\xff\xc0", b"\xff\xc3"),
    "webp without frame": lambda: photo("WEBP")[:20],
    "webp huffman": lambda: photo("WEBP", lossless=True)[:25] + b"\xff" * (len(photo("WEBP", lossless=True)) - 25),
    "jpeg 65500x1 claimed": lambda: jpeg_with_scans(0, 1),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_files_end_in_media_or_a_typed_error(name: str) -> None:
    """Malformed files of the right format are unreadable (or, where harmless, read), soon and without a warning."""
    start = time.perf_counter()
    decoded_or_refused(ODD[name]())
    assert time.perf_counter() - start < 5


def test_long_thin_pictures_are_fine() -> None:
    """65500x1 is within the cap, and a crop of it can be made."""
    media = decode_image(saved(Image.new("RGB", (65500, 1), "red"), "JPEG"))
    assert media.frames.shape == (1, 1, 65500, 3)
    assert normalise(media, np.random.default_rng(0)).frames.shape == (1, 256, 256, 3)


def test_a_hundred_megabytes_of_zeros() -> None:
    """A PNG of 33 Mpx that packs into half a megabyte decodes in time: below the cap, size alone is no crime."""
    data = png(6000, 5500, zlib.compress(bytes(5500 * 18001), 1))
    start = time.perf_counter()
    media = decode_image(data)
    assert media.frames.shape == (1, 5500, 6000, 3)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_truncation_is_noticed_everywhere(format: str) -> None:
    """Cut at every sixteenth, a file is refused with a text that says so."""
    data = photo(format)
    for part in range(16):
        with pytest.raises(MediaUnreadable, match=r".{10}"):
            decode_image(data[: len(data) * part // 16])


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_what_trails_is_ignored(format: str) -> None:
    """Garbage, a ZIP or HTML after the picture changes nothing and reaches no decoder."""
    data = photo(format)
    for tail in (b"PK\x03\x04" + bytes(50), b"<script>", bytes(range(256)) * 40):
        assert np.array_equal(decode_image(data + tail).frames, decode_image(data).frames)
        assert tail not in read_header(data + tail).body


def test_metadata_never_reaches_the_decoder() -> None:
    """Broken ICC, ten megabytes of EXIF, comments and text chunks are cut away; the picture is the same."""
    plain = photo(quality=90)
    junk = (b"\xff\xe2\xff\xffICC_PROFILE\0" + bytes(65521)) * 160 + b"\xff\xfe\0\x06\xff\xda\xff\xd9"
    assert len(junk) > 10 * 2**20
    assert np.array_equal(decode_image(plain[:2] + junk + plain[2:]).frames, decode_image(plain).frames)
    body = read_header(photo("PNG", icc_profile=b"secret")).body
    assert b"iCCP" not in body
    assert b"IDAT" in body


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_mutated_files_end_in_media_or_a_typed_error(format: str, seed: int, changes: int) -> None:
    """Whatever bytes are changed, cut or doubled: valid media or a MediaError, never a warning or another error."""
    chance, data = random.Random(seed), bytearray(photo(format))
    for _ in range(changes):
        place = chance.randrange(len(data))
        data[place : place + chance.choice([0, 1, 1, 1, 4])] = chance.randbytes(chance.choice([0, 1, 1, 1, 4]))
    decoded_or_refused(bytes(data))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBPVP8X"]), st.binary(max_size=200))
def test_noise_behind_a_signature(signature: bytes, noise: bytes) -> None:
    """The header walk ends, and in a typed error, for any bytes."""
    decoded_or_refused(signature + noise)


def test_warnings_never_leak() -> None:
    """Decoding sets no warning filter and emits no warning, even where Pillow alone would."""
    filters = list(warnings.filters)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        decode_image(with_exif(photo(), b"II*\0\x08\0\0\0\x01\0\x1a\x01\x05\0\xff\xff\xff\xff\xff\xff\xff\xff"))
    assert not seen
    assert list(warnings.filters) == filters


def image_media(height: int = 48, width: int = 64) -> Media:
    return Media(picture(height, width)[None])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_png_is_lossless(height: int, width: int, seed: int) -> None:
    """Any pixels come back from PNG as they were."""
    frames = np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    assert np.array_equal(decode_image(encode_png(Media(frames))).frames, frames)


def test_jpeg_carries_nothing_but_the_picture() -> None:
    """Our JPEG is baseline 4:2:0 with a JFIF header and no other segment, and equal for equal input."""
    data = encode_image(image_media(), 90)
    assert data == encode_image(image_media(), 90)
    assert read_header(data).body == data
    with Image.open(io.BytesIO(data)) as image:
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert image.layer[0][1:3] == (2, 2)
    assert len(encode_image(image_media(), 30)) < len(encode_image(image_media(), 95))


def clip(frames: int = 6, fps: float = 24.0, height: int = 48, width: int = 64) -> Media:
    rolled = [np.roll(picture(height, width), 2 * shift, axis=1) for shift in range(frames)]
    return Media(np.stack(rolled), fps)


@pytest.mark.parametrize("fps", [1.0, 12.5, 24000 / 1001, 25.0, 29.97, 60.0])
def test_lossless_video_is_lossless(fps: float) -> None:
    """Frames and rate come back from the pool's format as they were, odd sizes included."""
    for media in (clip(5, fps), clip(3, fps, 33, 47), clip(1, fps)):
        again = decode_video(codec.encode_lossless_video(media))
        assert np.array_equal(again.frames, media.frames)
        assert again.fps == pytest.approx(fps, rel=1e-4)


def test_video_is_made_again_bit_for_bit() -> None:
    """Equal frames give equal MP4 bytes, with no time and no muxer's name in them; crf sets the loss."""
    media = clip(16)
    data = encode_video(media, 20)
    assert data == encode_video(media, 20)
    assert b"Lav" not in data
    again = decode_video(data)
    assert (again.frames.shape, again.fps) == (media.frames.shape, 24.0)
    assert np.abs(again.frames.astype(float) - media.frames).mean() < 4
    grain = np.random.default_rng(0).integers(0, 256, (4, 48, 64, 3), dtype=np.uint8)
    assert len(encode_video(Media(grain, 25.0), 40)) < len(encode_video(Media(grain, 25.0), 20))


def test_video_colours_are_not_shifted() -> None:
    """Flat colours come back from H.264 within one level: no range or matrix is mistaken."""
    for colour in ((0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (120, 130, 140)):
        flat = np.zeros((2, 32, 32, 3), np.uint8) + np.array(colour, np.uint8)
        again = decode_video(encode_video(Media(flat, 25.0), 12)).frames
        assert np.abs(again.astype(int) - flat).max() <= 2


@pytest.mark.parametrize(("call", "field"), [
    (lambda: encode_image(image_media(), 0), "quality"),
    (lambda: encode_image(clip(), 90), "encode_video"),
    (lambda: encode_png(clip()), "encode_video"),
    (lambda: encode_video(image_media(), 20), "encode_image"),
    (lambda: encode_video(clip(), 52), "crf"),
    (lambda: encode_video(clip(2, 25, 33, 64), 20), "even"),
])  # fmt: skip
def test_wrong_calls_are_told_what_is_wrong(call: Callable[[], bytes], field: str) -> None:
    """A ValueError names the field or the right function."""
    with pytest.raises(ValueError, match=field):
        call()


def test_normalise_without_chance_is_the_centred_square() -> None:
    """The largest centred square, and pixels untouched where no resize is needed."""
    media = image_media(40, 100)
    assert np.array_equal(normalise(media, None, (40, 40)).frames, media.frames[:, :, 30:70])
    assert normalise(media, None).frames.shape == (1, 256, 256, 3)
    assert normalise(clip(), None, (32, 48)).frames.shape == (6, 32, 48, 3)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 90))
def test_normalise_fits_any_source(height: int, width: int, seed: int, to_height: int, to_width: int) -> None:
    """Every source and target size works, and the same seed gives the same crop."""
    media = image_media(height, width)
    first = normalise(media, np.random.default_rng(seed), (to_height, to_width))
    assert first.frames.shape == (1, to_height, to_width, 3)
    assert np.array_equal(first.frames, normalise(media, np.random.default_rng(seed), (to_height, to_width)).frames)


def test_normalise_crops_all_frames_alike_and_at_random() -> None:
    """Equal frames stay equal; other seeds give other crops; the rate stays."""
    media = Media(np.repeat(picture(300, 400)[None], 3, axis=0), 12.0)
    crops = [normalise(media, np.random.default_rng(seed), (64, 64)) for seed in range(8)]
    assert all(np.array_equal(crop.frames[0], crop.frames[2]) and crop.fps == 12.0 for crop in crops)
    assert len({crop.frames.tobytes() for crop in crops}) == 8
