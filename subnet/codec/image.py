"""Bytes to pixels and back, the one path that real and synthetic media share: images here, clips in `video`.

`decode_image` is safe for untrusted bytes: the header is checked and all metadata cut away before a decoder runs.
`decode_video` is for our own files only; untrusted video goes through `subnet.codec.sandbox`.
"""

from __future__ import annotations

import io
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from subnet.codec import depth, jpeg, png, still
from subnet.codec.image_header import FORMATS, Header, read_header
from subnet.codec.video import Limits, decode_video, encode_lossless_video, encode_video
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.types import Frames, Media, Modality

__all__ = [
    "FILE_IMAGES",
    "MAX_BYTES",
    "MAX_PIXELS",
    "TARGET_SIZE",
    "Box",
    "ImageLimits",
    "Limits",
    "crop_box",
    "cropped",
    "decode_image",
    "decode_video",
    "encode_image",
    "encode_lossless_video",
    "encode_png",
    "encode_video",
    "normalise",
    "opened",
    "stored_size",
]

TARGET_SIZE = (256, 256)  # height, width
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000
MAX_SCANNED = 600_000_000  # JPEG pixels times scans: a thousand scans of a big frame take minutes
MIN_CROP = 0.5  # of the largest crop, along each side
Box = tuple[int, int, int, int]  # of a crop in pixels: top, left, height, width

_OTHER_FORMATS = {b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"BM": "BMP"}
_ORIENTATION = 0x0112  # tag of EXIF
_LAYOUT = "it is damaged, or its layout of bands or samples is not read here; save it as grey or RGB with 8 or 16 bits"
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


@dataclass(frozen=True)
class ImageLimits:
    """What an image may have: `pixels` in a JPEG file apart from those in all others, whose decoders need more memory.

    `formats` beyond `image_header.FORMATS` go to Pillow as they are, metadata and all: GIF, TIFF and BMP in this
    process, AVIF and HEIF in one of their own (`subnet.codec.still`).
    `true_range` scales samples of more than 8 bits by the range that they use (`subnet.codec.depth`): the 12 bits of a
    satellite's sensor would be black otherwise.
    """

    bytes: int = MAX_BYTES
    pixels: int = MAX_PIXELS
    jpeg_pixels: int = MAX_PIXELS
    scanned: int = MAX_SCANNED
    formats: tuple[str, ...] = FORMATS
    true_range: bool = False


# For people's own files: JPEG up to the 200 megapixels of phones, decoded whole and at full size. Memory: 3 bytes a
# pixel, as much again where it is turned, and 3 more where it is progressive (measured for 200 megapixels: 0.6 GB, 1.2
# GB turned); for other formats up to 13 bytes a pixel (1.1 GB for 89 megapixels), and 24 with samples of 16 bits.
FILE_IMAGES = ImageLimits(
    256 * 2**20,
    89_000_000,
    210_000_000,
    2_200_000_000,
    (*FORMATS, "GIF", "TIFF", "BMP", "AVIF", "HEIF"),
    true_range=True,
)


def decode_image(data: bytes, limits: ImageLimits = ImageLimits()) -> Media:
    """JPEG, PNG or WebP as one RGB frame (1, H, W, 3), upright; of an animation the first frame.

    The EXIF turn is applied: of several the first that names one, and never what XMP says. Alpha, and pixels of a
    transparency key, are laid over white; more than 8 bits keep their upper 8, of 16 or
    with `true_range` of those that are used; colour profiles are ignored.
    Raises MediaTooLarge over `limits`, and MediaUnreadable for other formats and for files that are broken or
    truncated, or hold zeros where pixels were: no pixel is made up. In BMP and uncompressed TIFF zero bytes are black
    pixels, and taken as such: nothing in these files tells a lost half from a black one.
    """
    if len(data) > limits.bytes:
        raise MediaTooLarge(f"{len(data)} bytes are more than the {limits.bytes} that an image may have")
    other = _other_format(data)
    if other in limits.formats and other in still.FORMATS:
        return decode_image(still.as_png(data, str(other)), limits)
    if other in limits.formats:
        return Media(_decode_other(data, str(other), limits)[None])
    header = read_header(data)
    _check_size(header, limits)
    if header.format == "JPEG":
        return Media(_turned(jpeg.decode(header.body, header.width, header.height), header.orientation)[None])
    if header.format == "PNG":
        png.check_rows(header.body, header.width, header.height)
    try:
        with Image.open(io.BytesIO(header.body), formats=(header.format,)) as image:
            hidden = png.keyed_out(image, header.body) if header.format == "PNG" else None
            whole = depth.scaled(image, header.body) if limits.true_range else image
            frame = _turned(_rgb(whole, hidden), header.orientation)
    except _BROKEN as error:
        name = header.format.replace("WEBP", "WebP")
        raise MediaUnreadable(f"the {name} file cannot be decoded: {_reason(error)}") from error
    return Media(frame[None])


def stored_size(data: bytes) -> tuple[int, int]:
    """Height and width in pixels of an image as its header says, before any turn; nothing is decoded.

    Raises MediaUnreadable for what is no image that `FILE_IMAGES` takes.
    """
    name = _other_format(data)
    if name is None:
        header = read_header(data)
        return header.height, header.width
    try:
        with warnings.catch_warnings(action="ignore"), opened(data) as image:
            return image.height, image.width
    except _BROKEN as error:
        raise MediaUnreadable(f"the {name} file cannot be read: {_reason(error)}") from error


def opened(data: bytes) -> Image.Image:
    """An image file that `FILE_IMAGES` takes as Pillow opens it, metadata and all; no pixel is decoded.

    AVIF and HEIC come as PNG, decoded in a process of their own. Raises MediaError for these and for other files, and
    what Pillow does for broken ones.
    """
    name = _other_format(data) or read_header(data).format
    if name in still.FORMATS:
        data, name = still.as_png(data, name), "PNG"
    return Image.open(io.BytesIO(data), formats=(name,))


def _other_format(data: bytes) -> str | None:
    """Pillow's name for a format beyond `image_header.FORMATS`, by the first bytes."""
    return still.format_of(data) or next((n for start, n in _OTHER_FORMATS.items() if data.startswith(start)), None)


def _check_size(header: Header, limits: ImageLimits) -> None:
    width, height = header.width, header.height
    if not width or not height:
        raise MediaUnreadable(f"the {header.format.replace('WEBP', 'WebP')} file says it is {width}x{height} pixels")
    most = limits.jpeg_pixels if header.format == "JPEG" else limits.pixels
    if width * height > most:
        raise MediaTooLarge(f"{width}x{height} pixels are over the cap of {most:,}")
    if width * height * header.scans > limits.scanned:
        raise MediaTooLarge(f"{header.scans} scans of {width}x{height} pixels would take too long to decode")


def _decode_other(data: bytes, name: str, limits: ImageLimits) -> Frames:
    try:
        with warnings.catch_warnings(action="ignore"), opened(data) as image:
            _check_size(Header(name, *image.size), limits)
            if name == "TIFF" and image.mode in ("I", "F") and not depth.is_sixteen(image):
                raise MediaUnreadable("samples of 32 bits do not say what is white; save it with 8 or 16")
            whole = depth.scaled(image, data) if limits.true_range else image
            whole.load()
            turn = 1 if name == "TIFF" else image.getexif().get(_ORIENTATION, 1)  # Pillow turns TIFF by itself
            return _turned(_rgb(whole, None), turn)
    except MediaError:
        raise
    except _BROKEN as error:
        unknown = name == "TIFF" and isinstance(error, UnidentifiedImageError)
        raise MediaUnreadable(f"the {name} file cannot be decoded: {_LAYOUT if unknown else _reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its contents are not what its first bytes promise"
    return str(error) or type(error).__name__


def _rgb(image: Image.Image, hidden: NDArray[np.bool_] | None) -> Frames:
    """(H, W, 3) over white."""
    if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip at 255
        grey = depth.eight_bits(np.clip(np.asarray(image).astype(np.int64), 0, 65535).astype(np.uint16), 16)
        frame = np.repeat(grey[..., None], 3, axis=-1)
    elif hidden is None and image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGB", layer.size, "white")
        ground.paste(layer, mask=layer.getchannel("A"))
        return np.asarray(ground)
    else:
        image.info.pop("transparency", None)
        frame = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    return frame if hidden is None else np.where(hidden[..., None], np.uint8(255), frame)


def _turned(frame: Frames, orientation: int) -> Frames:
    """Stored pixels (H, W, 3) as they are to be seen, by an EXIF orientation of 1..8."""
    if orientation >= 5:
        frame = frame.swapaxes(0, 1)
    down, right = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}.get(orientation, (1, 1))
    return np.ascontiguousarray(frame[::down, ::right])


def encode_image(media: Media, quality: int) -> bytes:
    """JPEG (baseline, 4:2:0, JFIF, no metadata) at quality 1..100.

    Raises ValueError for a video or a wrong quality, and MediaError for what no JPEG can hold (over 65,500 a side).
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be in 1..100, not {quality}")
    frame = _frame(media)
    try:
        encoded: bytes = simplejpeg.encode_jpeg(frame, quality, "RGB", "420", False)
    except ValueError as error:
        raise MediaError(f"{frame.shape[1]}x{frame.shape[0]} pixels cannot be written as JPEG: {error}") from error
    return encoded


def encode_png(media: Media) -> bytes:
    """Lossless PNG without metadata. Raises ValueError for a video.

    Filtered pixels repeat in runs and little else, so only runs are looked for: half the time, the same size.
    """
    buffer = io.BytesIO()
    Image.fromarray(_frame(media)).save(buffer, "PNG", compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def _frame(media: Media) -> Frames:
    if media.modality is not Modality.IMAGE:
        raise ValueError("a video cannot be encoded as an image: use encode_video")
    frame: Frames = media.frames[0]
    return frame


def normalise(media: Media, rng: np.random.Generator | None, size: tuple[int, int] = TARGET_SIZE) -> Media:
    """Crop to the aspect of `size` (height, width), the same crop in every frame, then resize by Lanczos.

    The crop is that of `crop_box`.
    """
    return cropped(media, crop_box(media.frames.shape[1], media.frames.shape[2], rng, size), size)


def crop_box(height: int, width: int, rng: np.random.Generator | None, size: tuple[int, int] = TARGET_SIZE) -> Box:
    """Where a picture of `height` x `width` is cut.

    Without `rng` the largest centred crop. With it, a crop at a random place whose sides are a uniform share in
    [MIN_CROP, 1] of the largest crop's, yet not below `size` while the source is larger (so nothing is blown up that
    need not be).
    """
    largest = min(height / size[0], width / size[1])  # crop sides in units of `size`
    scale, across, down = largest, 0.5, 0.5
    if rng is not None:
        scale = float(rng.uniform(max(MIN_CROP * largest, min(1.0, largest)), largest))
        across, down = rng.random(2)
    tall, wide = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    return round((height - tall) * down), round((width - wide) * across), tall, wide


def cropped(media: Media, box: Box, size: tuple[int, int] = TARGET_SIZE) -> Media:
    """What stands in `box` of every frame, resized to `size` by Lanczos."""
    top, left, height, width = box
    return Media(resize(media.frames[:, top : top + height, left : left + width], size), media.fps)


def resize(frames: Frames, size: tuple[int, int]) -> Frames:
    """(T, H, W, 3) to (T, *size, 3) by Lanczos, after a box reduction where the source is over 3 times larger."""
    if frames.shape[1:3] == size:
        return frames
    target = (size[1], size[0])
    images = (Image.fromarray(frame) for frame in np.ascontiguousarray(frames))
    return np.stack([np.asarray(image.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)) for image in images])
