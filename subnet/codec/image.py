"""Bytes to pixels and back, the one path that real and synthetic media share: images here, video from `clip`.

`decode_image` is safe for untrusted bytes: the header is checked and all metadata cut away before a decoder runs.
`decode_video` is for our own files only; untrusted video goes through `subnet.codec.sandbox`.
"""

from __future__ import annotations

import io
import zlib

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from subnet.codec.image_header import Header, read_header
from subnet.codec.video import Limits, decode_video, encode_lossless_video, encode_video
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable
from subnet.types import Frames, Media, Modality

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "TARGET_SIZE",
    "Limits",
    "decode_image",
    "decode_video",
    "encode_image",
    "encode_lossless_video",
    "encode_png",
    "encode_video",
    "normalise",
]

TARGET_SIZE = (256, 256)  # height, width
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000
MAX_SCANNED = 600_000_000  # JPEG pixels times scans: a thousand scans of a big frame take minutes
MIN_CROP = 0.5  # of the largest crop, along each side

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_image(data: bytes) -> Media:
    """JPEG, PNG or WebP as one RGB frame (1, H, W, 3), upright; of an animation the first frame.

    The EXIF turn is applied; alpha is laid over white; 16 bits keep their upper 8; colour profiles are ignored.
    Raises MediaTooLarge over MAX_BYTES, MAX_PIXELS or MAX_SCANNED, and MediaUnreadable for other formats and
    for files that are broken or truncated.
    """
    if len(data) > MAX_BYTES:
        raise MediaTooLarge(f"{len(data)} bytes are more than the {MAX_BYTES} that an image may have")
    header = read_header(data)
    _check_size(header)
    try:
        with Image.open(io.BytesIO(header.body), formats=(header.format,)) as image:
            frame = np.asarray(_turned(_rgb(image), header.orientation))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise MediaUnreadable(f"the {header.format} file cannot be decoded: {_reason(error)}") from error
    return Media(frame[None])


def _check_size(header: Header) -> None:
    width, height = header.width, header.height
    if not width or not height:
        raise MediaUnreadable(f"the {header.format} file says it is {width}x{height} pixels")
    if width * height > MAX_PIXELS:
        raise MediaTooLarge(f"{width}x{height} pixels are over the cap of {MAX_PIXELS}")
    if width * height * header.scans > MAX_SCANNED:
        raise MediaTooLarge(f"{header.scans} scans of {width}x{height} pixels would take too long to decode")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its contents are not what its first bytes promise"
    return str(error) or type(error).__name__


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip at 255
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGB", layer.size, "white")
        ground.paste(layer, mask=layer.getchannel("A"))
        return ground
    return image.convert("RGB")


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


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

    Without `rng` the largest centred crop. With it, a crop at a random place whose sides are a uniform share in
    [MIN_CROP, 1] of the largest crop's, yet not below `size` while the source is larger (so nothing is blown up that
    need not be).
    """
    (height, width), (_, full_height, full_width, _) = size, media.frames.shape
    largest = min(full_height / height, full_width / width)  # crop sides in units of `size`
    scale, across, down = largest, 0.5, 0.5
    if rng is not None:
        scale = float(rng.uniform(max(MIN_CROP * largest, min(1.0, largest)), largest))
        across, down = rng.random(2)
    crop_height, crop_width = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = round((full_height - crop_height) * down), round((full_width - crop_width) * across)
    crop = media.frames[:, top : top + crop_height, left : left + crop_width]
    return Media(resize(crop, size), media.fps)


def resize(frames: Frames, size: tuple[int, int]) -> Frames:
    """(T, H, W, 3) to (T, *size, 3) by Lanczos, after a box reduction where the source is over 3 times larger."""
    if frames.shape[1:3] == size:
        return frames
    target = (size[1], size[0])
    images = (Image.fromarray(frame) for frame in np.ascontiguousarray(frames))
    return np.stack([np.asarray(image.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)) for image in images])
