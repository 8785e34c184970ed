"""Every miner's own variant of a challenge.

Same level, own random parameters: answers cannot be shared by hash, and a variant can be made again from
(challenge seed, hotkey, level). Both classes pass through here and nowhere else on their way out. Since level 0 changes
no pixel, every variant is also moved by a few whole pixels, its border mirrored: that keeps all traces of how pixels
were made, and with the quality of the encoder gives over two thousand variants of one item.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from subnet.codec import image as codec
from subnet.game.augment import augment
from subnet.game.sampling import derive
from subnet.types import Challenge, Frames, Media, Modality, Query

JPEG_QUALITY = range(85, 98)
H264_CRF = range(15, 27)
MOVE = 6  # pixels, each way
CONTENT_TYPES = {Modality.IMAGE: "image/jpeg", Modality.VIDEO: "video/mp4"}


def variant(challenge: Challenge, hotkey: str) -> Query:
    """What this hotkey is sent: augmented at the challenge's level, then encoded without any metadata."""
    rng = np.random.default_rng(derive(challenge.seed, hotkey))
    media = challenge.sample.media
    return Query(media.modality, render(media, challenge.level, rng), CONTENT_TYPES[media.modality])


def render(media: Media, level: int, rng: np.random.Generator) -> bytes:
    """Augment, move and encode: JPEG of quality 85..97 for an image, H.264 of CRF 15..26 in MP4 for a video."""
    video = media.modality is Modality.VIDEO
    frames = augment(media.frames, level, rng, video=video)
    media = Media(move(frames, *rng.integers(-MOVE, MOVE + 1, size=2).tolist()), media.fps)
    if video:
        return codec.encode_video(media, int(rng.choice(H264_CRF)))
    return codec.encode_image(media, int(rng.choice(JPEG_QUALITY)))


def move(frames: Frames, down: int, right: int) -> Frames:
    """Frames (T, H, W, 3) moved by whole pixels, at most half their sides; what comes in at the border is mirrored."""
    height, width = frames.shape[1:3]
    rows, columns = (_mirrored(np.arange(size) - by, size) for size, by in ((height, down), (width, right)))
    return frames[:, rows][:, :, columns]


def _mirrored(at: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Positions outside 0..size-1 reflected at the first and last pixel, which are not repeated."""
    period = max(1, 2 * (size - 1))
    folded = np.abs(at) % period
    return np.where(folded < size, folded, period - folded)


def variant_frames(media: Media, level: int, rng: np.random.Generator) -> Media:
    """What a miner sees after decoding: the transform to train and evaluate detectors with."""
    data = render(media, level, rng)
    return codec.decode_video(data) if media.modality is Modality.VIDEO else codec.decode_image(data)
