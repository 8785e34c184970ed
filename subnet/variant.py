"""Every miner's own variant of a challenge.

Same level, own random parameters: answers cannot be shared by hash, and a variant can be made again from
(challenge seed, hotkey, level). Both classes pass through here and nowhere else on their way out.
"""

from __future__ import annotations

import numpy as np

from subnet.augment import augment
from subnet.media import codec
from subnet.sampling import derive
from subnet.types import Challenge, Media, Modality, Query

JPEG_QUALITY = range(85, 98)
H264_CRF = range(15, 27)
CONTENT_TYPES = {Modality.IMAGE: "image/jpeg", Modality.VIDEO: "video/mp4"}


def variant(challenge: Challenge, hotkey: str) -> Query:
    """What this hotkey is sent: augmented at the challenge's level, then encoded without any metadata."""
    rng = np.random.default_rng(derive(challenge.seed, hotkey))
    media = challenge.sample.media
    return Query(media.modality, render(media, challenge.level, rng), CONTENT_TYPES[media.modality])


def render(media: Media, level: int, rng: np.random.Generator) -> bytes:
    """Augment and encode: JPEG of quality 85..97 for an image, H.264 of CRF 15..26 in MP4 for a video."""
    video = media.modality is Modality.VIDEO
    frames = augment(media.frames, level, rng, video=video)
    media = Media(frames, media.fps)
    if video:
        return codec.encode_video(media, int(rng.choice(H264_CRF)))
    return codec.encode_image(media, int(rng.choice(JPEG_QUALITY)))


def variant_frames(media: Media, level: int, rng: np.random.Generator) -> Media:
    """What a miner sees after decoding: the transform to train and evaluate detectors with."""
    data = render(media, level, rng)
    return codec.decode_video(data) if media.modality is Modality.VIDEO else codec.decode_image(data)
