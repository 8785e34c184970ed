"""What a replica says of its detector for verdicts: everything that is read off a network, and not off an answer.

The questions are those of `neurons.cluster.questions`. They are answered by the detector as it was trained, which is
opened beside an export of it when the first one comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from detectors.calibration import Calibration
from detectors.claims.features import listening
from detectors.claims.shelf import Claims, claims_of
from detectors.cluster.elsewhere import Way
from detectors.explain.account import account
from detectors.explain.maps import explainable
from detectors.explain.occlusion import log_odds
from detectors.explain.timeline import moments
from detectors.loading import open_detector
from neurons.cluster.questions import Account, LogOdds, Moments, Nature, Parts, Told
from subnet.errors import MediaUnreadable, SettingsError
from subnet.protocols import Detector
from subnet.types import Media


class Telling:
    """Answers for the detector that is called `text`: the one that is `served` where that runs as it was trained, else
    one that is opened on `device`."""

    def __init__(self, text: str, device: str, served: Detector | None) -> None:
        self._text, self._device, self._served = text, device, served
        self._ways: Mapping[str, Callable[[Sequence[Media]], Told]] = {
            Nature.question: self._nature,
            Parts.question: self._parts,
            LogOdds.question: self._log_odds,
            Moments.question: self._moments,
            Account.question: self._account,
        }

    def answer(self, question: str, batch: Sequence[Media]) -> dict[str, Any]:
        """As JSON. Raises MediaUnreadable for a question that is none, or not one about such a batch; and as opening
        a detector and asking it does."""
        if question not in self._ways:
            raise MediaUnreadable(f"ask for one of {', '.join(self._ways)}, not {question!r}")
        return self._ways[question](batch).model_dump(mode="json", exclude_unset=True)

    @cached_property
    def _detector(self) -> Detector:
        return self._served or open_detector(self._text, device=self._device)

    @cached_property
    def _claims(self) -> Claims:
        return claims_of(self._text, self._detector)

    def _nature(self, batch: Sequence[Media]) -> Nature:
        calibration = getattr(self._detector, "calibration", Calibration())
        return Nature(
            modality=self._detector.modality, calibration=calibration, card=self._claims.card, way=self._way()
        )

    def _way(self) -> Way:
        try:
            return "layer" if explainable(self._detector).layer else "occlusion"
        except SettingsError:
            return ""

    def _parts(self, batch: Sequence[Media]) -> Parts:
        with listening(self._detector) as heard:
            answers = self._detector.predict(batch)
            features = heard.take(len(batch))
        density = self._claims.density
        distances = None if density is None or features is None else density.distances(features).tolist()
        return Parts(p_synthetic=[answer.p_synthetic for answer in answers], distances=distances)

    def _log_odds(self, batch: Sequence[Media]) -> LogOdds:
        return LogOdds(values=log_odds(explainable(self._detector).detector, batch).tolist())

    def _moments(self, batch: Sequence[Media]) -> Moments:
        return Moments(values=moments(self._detector, _one(batch)))

    def _account(self, batch: Sequence[Media]) -> Account:
        return Account.model_validate(account(self._detector, _one(batch)))


def _one(batch: Sequence[Media]) -> Media:
    if len(batch) != 1:
        raise MediaUnreadable(f"this is asked about one item, not {len(batch)}")
    return batch[0]
