"""Is motion used? A detector of clips, shown the same frames in another order, or one frame again and again.

All forms are asked about the very same variants, so that their differences are paired. A detector that answers as well
either way looks at single frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detectors.evaluation.compare import differences
from detectors.evaluation.evaluation import Evaluation
from detectors.evaluation.intervals import measure
from detectors.evaluation.summary import Answers
from subnet.errors import SettingsError
from subnet.media.leak.roc import auc
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
    """`order_findings` of one evaluation and those in FORMS, of the same items."""
    given = {form: each.answers for form, each in zip(FORMS, others, strict=True)}
    return order_findings(plain.answers, given, seed=plain.task.seed)


def order_findings(plain: Answers, others: Mapping[str, Answers], *, seed: int = 0) -> Mapping[str, Mapping[str, Any]]:
    """For each form the AUC with its interval, and the AUC of `plain` minus it, which is paired."""
    return {
        form: {
            "auc": measure(each.p, each.y, each.cluster, {"auc": auc}, seed=seed)["auc"].to_json(),
            "plain_minus_this": differences(plain, each.p, seed=seed)["auc"],
        }
        for form, each in others.items()
    }
