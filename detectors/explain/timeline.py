"""A detector's answer over the time of a clip: which seconds look synthetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from detectors.cluster.elsewhere import Elsewhere
from detectors.pixels.clips import BLANK, clip_frames, even_spacing
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
    if media.fps is None:
        return ()
    at = times or [frame / media.fps for frame in range(len(media.frames))]
    found = detector.moments(media) if isinstance(detector, Elsewhere) else moments(detector, media)
    return tuple(Moment(frame, round(at[frame], 3), p_synthetic) for frame, p_synthetic in found)


def moments(detector: Detector, media: Media) -> list[tuple[int, float]]:
    """The frames of a clip that were judged, in order, and P(synthetic) around each."""
    if not isinstance(detector, TorchDetector):
        return []
    views, (logits,) = detector.views(media), detector.view_logits([media])
    count = len(media.frames)
    if views.ndim == 5:
        by_frame = _by_clips(logits, clip_frames(count, detector.preprocess.clips, views.shape[1]))
    else:
        by_frame = _by_frames(logits, count)
    return [(frame, detector.calibration.probability(value)) for frame, value in sorted(by_frame.items())]


def _by_frames(logits: Tensor, count: int) -> dict[int, float]:
    return dict(zip(even_spacing(count, len(logits)), logits.tolist(), strict=True))


def _by_clips(logits: Tensor, judged: Sequence[Sequence[int]]) -> dict[int, float]:
    values = logits.reshape(len(judged), -1).mean(dim=1).tolist()
    held: dict[int, list[float]] = {}
    for frames, value in zip(judged, values, strict=True):
        for frame in set(frames) - {BLANK}:
            held.setdefault(frame, []).append(value)
    return {frame: float(np.mean(values)) for frame, values in held.items()}
