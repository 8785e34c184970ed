"""A detector's answer over the time of a clip: which seconds look synthetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from detectors.npr.frames import even_spacing
from detectors.rows import Clips
from detectors.tall.network import BLANK, clip_frames
from detectors.torch_detector import TorchDetector
from subnet.protocols import Detector
from subnet.types import Media


@dataclass(frozen=True)
class Moment:
    """P(synthetic) around one frame; `seconds` from the start of the clip."""

    frame: int
    seconds: float
    p_synthetic: float


def timeline(detector: Detector, media: Media, times: Sequence[float] | None = None) -> tuple[Moment, ...]:
    """One moment for each frame that was judged; for detectors of clips, frames share the mean of clips that hold them.

    `times` of all frames in seconds, else they follow each other at the rate of the clip. Empty for an image, and for a
    detector without a network.
    """
    if not isinstance(detector, TorchDetector) or media.fps is None:
        return ()
    views, (logits,) = detector.views(media), detector.view_logits([media])
    count, clips = len(media.frames), detector.preprocess.clips
    by_frame = _by_clips(logits, count, clips) if views.ndim == 5 else _by_frames(logits, count)
    probability = detector.calibration.probability
    at = times or [frame / media.fps for frame in range(count)]
    return tuple(Moment(frame, round(at[frame], 3), probability(value)) for frame, value in sorted(by_frame.items()))


def _by_frames(logits: Tensor, count: int) -> dict[int, float]:
    return dict(zip(even_spacing(count, len(logits)), logits.tolist(), strict=True))


def _by_clips(logits: Tensor, count: int, clips: Clips) -> dict[int, float]:
    judged = clip_frames(count, clips)
    values = logits.reshape(len(judged), -1).mean(dim=1).tolist()
    held: dict[int, list[float]] = {}
    for frames, value in zip(judged, values, strict=True):
        for frame in set(frames) - {BLANK}:
            held.setdefault(frame, []).append(value)
    return {frame: float(np.mean(values)) for frame, values in held.items()}
