"""No pixel is made up: halves that are missing, keys of transparency, deep samples, and the formats of people's files."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from subnet.codec.image import FILE_IMAGES, decode_image
from subnet.codec.image_header import read_header
from subnet.errors import MediaTooLarge, MediaUnreadable
from subnet.types import Frames

WHITE = [255, 255, 255]


def picture(height: int = 96, width: int = 128) -> Frames:
    """Coarse noise, so that every part of the file holds a part of the picture: (H, W, 3)."""
    noise = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *, extra: bytes = b"", lace: int = 0) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, lace))
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + chunk(b"IEND", b"")


JPEGS: dict[str, Callable[[], bytes]] = {
    "baseline": lambda: saved(Image.fromarray(picture()), "JPEG"),
    "progressive": lambda: saved(Image.fromarray(picture()), "JPEG", progressive=True),
    "grey": lambda: saved(Image.fromarray(picture()).convert("L"), "JPEG"),
    "cmyk": lambda: saved(Image.fromarray(picture()).convert("CMYK"), "JPEG"),
    "restarts": lambda: saved(Image.fromarray(picture()), "JPEG", restart_marker_rows=1),
}


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("closed", [True, False])
def test_a_part_of_a_jpeg_is_refused(kind: str, closed: bool) -> None:
    """Cut at any sixteenth, closed by an end marker or not: truncated, never a picture with grey parts."""
    data = JPEGS[kind]()
    decode_image(data)
    for part in range(1, 16):
        with pytest.raises(MediaUnreadable, match=r"truncated|damaged|no picture|ends within"):
            decode_image(data[: len(data) * part // 16] + (b"\xff\xd9" if closed else b""))


@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"progressive": True}, {"quality": 90}])
def test_a_hole_of_zeros_in_a_jpeg_is_refused(options: dict[str, object]) -> None:
    """Blocks that a download or a disk left out, at the end or before it: zeros are grey blocks to every decoder."""
    data = saved(Image.fromarray(picture(384, 512)), "JPEG", **({"quality": 100} | options))
    decode_image(data)
    for first, last in ((4, 16), (10, 16), (15, 16), (4, 8), (9, 11)):
        start, end = len(data) * first // 16, min(len(data) * last // 16, len(data) - 2)
        with pytest.raises(MediaUnreadable, match=r"truncated|damaged"):
            decode_image(data[:start] + bytes(end - start) + data[end:])


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    """Cut between two scans nothing in it is broken, and yet it is only a sketch of the picture."""
    data = JPEGS["progressive"]()
    scans = [place for place in range(len(data)) if data[place : place + 2] == b"\xff\xda"]
    assert len(scans) > 4
    for place in scans[1:]:
        with pytest.raises(MediaUnreadable, match="last scans are missing"):
            decode_image(data[:place] + b"\xff\xd9")


def test_a_jpeg_without_its_colours_is_refused() -> None:
    """The scans of the chroma left out, one component after another as some cameras store them."""
    import simplejpeg

    grey = read_header(simplejpeg.encode_jpeg(picture(), 90, "RGB", "444", False)).body
    start = grey.index(b"\xff\xda")
    only_luma = grey[: start + 2] + struct.pack(">H", 8) + b"\x01" + grey[start + 5 : start + 7] + b"\0\x3f\0"
    with pytest.raises(MediaUnreadable, match="last scans are missing"):
        decode_image(only_luma + grey[start + 14 :])


def test_harmless_oddities_of_cameras_are_taken() -> None:
    """Bytes between scan and end marker, few or many, and nonsense in a field that baseline files do not use."""
    data = JPEGS["baseline"]()
    for padding in (1, 40, 4000):
        padded = data[:-2] + bytes(padding) + b"\xff\xd9"
        assert np.array_equal(decode_image(padded).frames, decode_image(data).frames)
    start = data.index(b"\xff\xda") + 4 + data[data.index(b"\xff\xda") + 4] * 2 + 1
    odd = data[:start] + b"\0\0\0" + data[start + 3 :]
    assert np.array_equal(decode_image(odd).frames, decode_image(data).frames)


@pytest.mark.parametrize("factors", [0x22, 0x14])
def test_unusual_sampling_is_no_way_around(factors: int) -> None:
    """A grey file with odd factors of sampling is taken whole and refused in parts, as is one with harmless oddities."""
    data = JPEGS["grey"]()
    place = data.index(b"\xff\xc0") + 11
    odd = data[:place] + bytes([factors]) + data[place + 1 :]
    assert np.array_equal(decode_image(odd).frames, decode_image(data).frames)
    extra = bytes(40) + b"\xff\xd9"
    assert np.array_equal(decode_image(odd[:-2] + extra).frames, decode_image(data).frames)
    for part in range(8, 16):
        with pytest.raises(MediaUnreadable, match=r"truncated|damaged"):
            decode_image(odd[: len(odd) * part // 16] + b"\xff\xd9")


def test_cmyk_looks_as_pillow_shows_it() -> None:
    """CMYK and YCCK become RGB as the library with the most users does it."""
    data = JPEGS["cmyk"]()
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(decode_image(data).frames[0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("lace", [0, 1])
@pytest.mark.parametrize(
    ("depth", "colour"), [(1, 0), (2, 0), (8, 0), (16, 0), (8, 2), (16, 2), (4, 3), (8, 4), (16, 6)]
)
def test_rows_that_are_nowhere_are_refused(depth: int, colour: int, lace: int) -> None:
    """A PNG whose stream ends before its last row, of any depth and colour, interlaced or not; whole it is taken."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = [(13, 11)] if not lace else [(2, 2), (2, 2), (4, 1), (3, 3), (7, 3), (6, 6), (13, 5)]
    rows = b"".join((b"\0" + bytes(-(-wide * channels * depth // 8))) * high for wide, high in passes)
    extra = chunk(b"PLTE", bytes(48)) if colour == 3 else b""
    decode_image(png(13, 11, depth, colour, rows, extra=extra, lace=lace))
    for part in range(16):
        with pytest.raises(MediaUnreadable, match="truncated"):
            decode_image(png(13, 11, depth, colour, rows[: len(rows) * part // 16], extra=extra, lace=lace))


@pytest.mark.parametrize("lossless", [True, False])
def test_a_part_of_a_webp_is_refused(lossless: bool) -> None:
    """Cut at any sixteenth, with sizes that claim that this was all."""
    data = saved(Image.fromarray(picture()), "WEBP", lossless=lossless, quality=90)
    for part in range(1, 16):
        cut = data[: len(data) * part // 16 // 2 * 2]
        patched = cut[:4] + struct.pack("<I", len(cut) - 8) + cut[8:16] + struct.pack("<I", len(cut) - 20) + cut[20:]
        with pytest.raises(MediaUnreadable, match="cannot be decoded"):
            decode_image(patched)


FILES: dict[str, tuple[str, dict[str, object]]] = {
    "JPEG": ("JPEG", {}),
    "progressive JPEG": ("JPEG", {"progressive": True}),
    "PNG": ("PNG", {}),
    "WebP": ("WEBP", {}),
    "lossless WebP": ("WEBP", {"lossless": True}),
    "GIF": ("GIF", {}),
    "packed TIFF": ("TIFF", {"compression": "tiff_lzw"}),
}


@pytest.mark.parametrize("kept", [0, 64], ids=["to the end", "but for the end"])
@pytest.mark.parametrize("kind", FILES)
def test_halves_that_are_zero_are_refused(kind: str, kept: int) -> None:
    """A download or a disk that broke off leaves zeros: no compressed format has them for pixels."""
    name, options = FILES[kind]
    data = saved(Image.fromarray(picture(480, 640)), name, **options)
    half = len(data) // 2
    for zero in (len(data) - half - kept, len(data) // 4):
        place = len(data) - kept - zero
        with pytest.raises(MediaUnreadable):
            decode_image(data[:place] + bytes(zero) + data[place + zero :], FILE_IMAGES)


@pytest.mark.parametrize("kind", [*FILES, "BMP", "TIFF"])
@pytest.mark.parametrize("rows", [0, 240, 470])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_parts_are_no_damage(kind: str, rows: int, level: int) -> None:
    """Pictures that are black, grey or white below some row, or all over, are taken; in BMP their bytes are zeros."""
    name, options = FILES.get(kind, (kind, {}))
    frame = picture(480, 640).copy()
    frame[rows:] = level
    decode_image(saved(Image.fromarray(frame), name, **options), FILE_IMAGES)


@pytest.mark.parametrize("quality", [1, 50, 100])
@pytest.mark.parametrize("method", [0, 6])
def test_big_flat_webp_is_no_damage(quality: int, method: int) -> None:
    """The arithmetic coder writes zeros for what it expects: the more pixels are flat, the more of them."""
    frame = np.zeros((1500, 2000, 3), np.uint8)
    decode_image(saved(Image.fromarray(frame), "WEBP", quality=quality, method=method))


def key(*values: int) -> bytes:
    return chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


def test_keys_of_grey_files() -> None:
    """1, 2, 4, 8 and 16 bits: the sample that equals the key is white, its neighbours keep their grey."""
    cases = [
        (1, b"\0\x40", 1, [0, 255, 0, 0]), (2, b"\0\x1b", 1, [0, 255, 170, 255]), (4, b"\0\x0f\x3c", 3, [0, 255, 255, 204]),
        (8, b"\0\x00\x07\x08\xff", 7, [0, 255, 8, 255]),
        (16, b"\0" + struct.pack(">4H", 0, 257, 32768, 65535), 257, [0, 255, 128, 255]),
        (16, b"\0" + struct.pack(">4H", 0x80FF, 0x8000, 0x80FE, 0), 0x80FF, [255, 128, 128, 0]),
    ]  # fmt: skip
    for depth, row, value, expected in cases:
        frame = decode_image(png(4, 1, depth, 0, row, extra=key(value))).frames[0, 0]
        assert frame.tolist() == [[level] * 3 for level in expected], depth


@pytest.mark.parametrize("lace", [0, 1])
def test_keys_of_true_colour_files(lace: int) -> None:
    """8 bits, and 16 bits that are compared whole: the same upper bytes with other lower ones stay as they are."""
    row = struct.pack(">12H", *[0x80FF, 0x8000, 0xFFFF] * 2, *[0x80FE, 0x8000, 0xFFFF] * 2)
    rows = b"\0" + row if not lace else b"\0" + row[:6] + b"\0" + row[12:18] + b"\0" + row[6:12] + row[18:]
    frame = decode_image(png(4, 1, 16, 2, rows, extra=key(0x80FF, 0x8000, 0xFFFF), lace=lace)).frames[0, 0]
    assert frame.tolist() == [WHITE, WHITE, [128, 128, 255], [128, 128, 255]]
    frame = decode_image(png(2, 1, 8, 2, b"\0\x05\x06\x07\x05\x06\x08", extra=key(5, 6, 7))).frames[0, 0]
    assert frame.tolist() == [WHITE, [5, 6, 8]]


def test_keys_that_mean_nothing() -> None:
    """Bits above the depth are ignored, and a key that is cut short is damage."""
    assert decode_image(png(4, 1, 2, 0, b"\0\x1b", extra=key(0xFF01))).frames[0, 0, 1].tolist() == WHITE
    short = chunk(b"tRNS", b"\0\1")
    with pytest.raises(MediaUnreadable, match="tRNS"):
        decode_image(png(1, 1, 16, 2, b"\0" + bytes(6), extra=short))


def test_half_transparent_pixels_are_mixed_with_white() -> None:
    """Alpha of 128 over white, in RGBA, grey with alpha, a palette, and 16 bits."""
    colours = Image.new("RGBA", (4, 4), (0, 100, 200, 128))
    expected = [round((255 * 127 + level * 128) / 255) for level in (0, 100, 200)]
    assert np.abs(decode_image(saved(colours, "PNG")).frames[0, 0, 0].astype(int) - expected).max() <= 1
    assert abs(int(decode_image(saved(Image.new("LA", (4, 4), (0, 128)), "PNG")).frames[0, 0, 0, 0]) - 127) <= 1
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 100, 200] * 256)
    data = saved(palette, "PNG", transparency=b"\x80" * 256)
    assert np.abs(decode_image(data).frames[0, 0, 0].astype(int) - expected).max() <= 1
    deep = png(1, 1, 16, 6, b"\0" + struct.pack(">4H", 0, 25700, 51400, 32896))
    assert np.abs(decode_image(deep).frames[0, 0, 0].astype(int) - expected).max() <= 1


def exif(orientation: int) -> bytes:
    return b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + struct.pack("<HH", orientation, 0) + bytes(4)


def test_of_conflicting_turns_the_first_exif_counts() -> None:
    """Two EXIF blocks, and XMP that says another: the first block that names a turn wins, in JPEG and PNG."""
    upright = picture()

    def segment(payload: bytes) -> bytes:
        return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload

    xmp = segment(b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='3'/>")
    blocks = [segment(b"Exif\0\0" + block) for block in (b"II*\0", exif(1), exif(6))]
    data = JPEGS["baseline"]()
    for order, turned in (((1, 2), False), ((2, 1), True), ((0, 2), True)):
        both = data[:2] + xmp + b"".join(blocks[number] for number in order) + data[2:]
        assert decode_image(both).frames.shape[1:3] == ((128, 96) if turned else (96, 128))
    plain = saved(Image.fromarray(upright), "PNG")
    text = chunk(b"tEXt", b"Raw profile type exif\0" + exif(3).hex().encode())
    twice = plain[:33] + text + chunk(b"eXIf", exif(6)) + chunk(b"eXIf", exif(1)) + plain[33:]
    assert np.array_equal(decode_image(twice).frames[0], np.rot90(upright, 3))


def others() -> Iterator[tuple[str, bytes, int]]:
    image = Image.fromarray(picture())
    yield "bmp", saved(image, "BMP"), 0
    yield "gif", saved(image.convert("P"), "GIF"), 80
    yield "tiff", saved(image, "TIFF"), 0
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg"):
        yield compression, saved(image, "TIFF", compression=compression), 20 if compression == "jpeg" else 0
    yield "grey16.tiff", saved(Image.fromarray(picture()[..., 0].astype(np.uint16) * 257), "TIFF"), 255
    yield "cmyk.tiff", saved(image.convert("CMYK"), "TIFF"), 255


@pytest.mark.parametrize(
    ("name", "data", "tolerance"), list(others()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_formats_of_peoples_files(name: str, data: bytes, tolerance: int) -> None:
    """GIF, TIFF and BMP decode where people's files are meant, are refused on the wire, and refused in parts."""
    frame = decode_image(data, FILE_IMAGES).frames[0]
    assert frame.shape == (96, 128, 3)
    assert np.abs(frame.astype(int) - picture()).max() <= tolerance
    with pytest.raises(MediaUnreadable, match="send JPEG, PNG or WebP"):
        decode_image(data)
    for part in range(1, 16):
        with pytest.raises(MediaUnreadable, match=r"cannot be decoded|pixels"):
            decode_image(data[: len(data) * part // 16], FILE_IMAGES)


def grey_tiff(samples: list[int], bits: int, packed: bytes) -> bytes:
    """One uncompressed row of grey samples."""
    tags = {256: len(samples), 257: 1, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 1, 279: len(packed)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHI", b"II", 42, 8 + len(packed)) + packed + struct.pack("<H", len(tags)) + entries + bytes(4)


def test_tiff_depths_and_turns() -> None:
    """12 and 16 bits keep their upper 8; a turn is applied once; 32 bits are refused, with what to do."""
    twelve = grey_tiff([0x123, 0xFED], 12, b"\x12\x3f\xed")
    assert decode_image(twelve, FILE_IMAGES).frames[0, 0, :, 0].tolist() == [0x12, 0xFE]
    sixteen = grey_tiff([0x1234, 0xFEDC], 16, struct.pack("<2H", 0x1234, 0xFEDC))
    assert decode_image(sixteen, FILE_IMAGES).frames[0, 0, :, 0].tolist() == [0x12, 0xFE]
    image = Image.fromarray(picture())
    turned = saved(image, "TIFF", tiffinfo={274: 6})
    assert np.array_equal(decode_image(turned, FILE_IMAGES).frames[0], np.rot90(picture(), 3))
    with pytest.raises(MediaUnreadable, match="32 bits"):
        decode_image(saved(Image.new("F", (4, 4)), "TIFF"), FILE_IMAGES)


def test_a_picture_that_its_animation_leaves_out_is_not_judged() -> None:
    """Browsers show the animation; the picture beside it, which only old viewers show, would be another file's answer."""
    frames = [Image.fromarray(picture()), Image.fromarray(255 - picture())]
    shown = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert np.array_equal(decode_image(shown).frames[0], picture())
    hidden = saved(frames[0], "PNG", save_all=True, append_images=frames[1:], default_image=True)
    with pytest.raises(MediaUnreadable, match="save the frame as PNG"):
        decode_image(hidden)


def test_animations_give_their_first_frame_over_white() -> None:
    """A GIF with a transparent first frame, in front of others."""
    frames = [Image.new("P", (20, 20), level) for level in (0, 1)]
    for frame in frames:
        frame.putpalette([10, 20, 30, 200, 100, 50])
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], transparency=0, duration=50, loop=0)
    assert decode_image(data, FILE_IMAGES).frames.shape == (1, 20, 20, 3)
    assert decode_image(data, FILE_IMAGES).frames.min() == 255


def test_photographs_of_fifty_megapixels_are_for_people_only() -> None:
    """8160x6144 decodes at full size with the limits for people's files, and is too large on the wire."""
    data = saved(Image.new("L", (8160, 6144), 90), "JPEG", quality=30)
    frames = decode_image(data, FILE_IMAGES).frames
    assert frames.shape == (1, 6144, 8160, 3)
    assert np.abs(frames[0, ::999, ::999].astype(int) - 90).max() <= 1
    with pytest.raises(MediaTooLarge, match="over the cap of 50,000,000"):
        decode_image(data)
    with pytest.raises(MediaTooLarge, match="over the cap of 89,000,000"):
        decode_image(png(10_000, 9_000, 8, 2, b""), FILE_IMAGES)
