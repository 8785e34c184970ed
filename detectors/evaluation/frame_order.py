"""Is motion used? A detector of clips, shown the same frames in another order, or one frame again and again.

All forms are asked about the very same variants, so that their differences are paired. A detector that answers as well
either way looks at single frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detectors.evaluation.compare import compare
from detectors.evaluation.evaluation import Evaluation
from subnet.errors import SettingsError
from subnet.protocols import Detector
from subnet.types import Media, Modality, Prediction

FORMS = {"shuffled": "its frames in another order", "still": "its middle frame alone, repeated"}


def places(count: int, form: str) -> list[int]:
    """Which of `count` frames are shown, in which order; the order of "shuffled" is the same for every such clip."""
    if form == "still":
        return [count // 2] * count
    return [int(place) for place in np.random.default_rng(count).permutation(count)]


class Reordered:
    """`detector`, which is shown every clip in the form `form` of FORMS."""

    def __init__(self, detector: Detector, form: str) -> None:
        self.name, self.modality, self.weights_hash = detector.name, detector.modality, detector.weights_hash
        self.detector, self.form = detector, form

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        """Its answers to the clips in their new form, in order."""
        return self.detector.predict(
            [Media(media.frames[places(len(media.frames), self.form)], media.fps) for media in batch]
        )


def forms(detector: Detector) -> list[Detector]:
    """The detector in each of FORMS. Raises SettingsError for one of images."""
    if detector.modality is not Modality.VIDEO:
        raise SettingsError(
            f"--controls: {detector.name} judges images, which have no order of frames; name one of clips"
        )
    return [Reordered(detector, form) for form in FORMS]


def controls(plain: Evaluation, others: Sequence[Evaluation]) -> Mapping[str, Mapping[str, Any]]:
    """For each of FORMS the AUC with its interval, and the AUC of `plain` minus it, which is paired."""
    return {
        form: {"auc": each.findings["auc"], "plain_minus_this": compare(plain, each)["differences"]["auc"]}
        for form, each in zip(FORMS, others, strict=True)
    }
