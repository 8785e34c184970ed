"""The control that tells whether motion is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from detectors import load_detector
from detectors.evaluation.evaluation import Task, evaluate, items
from detectors.evaluation.frame_order import FORMS, controls, forms, places
from subnet.errors import SettingsError
from subnet.types import Media, Modality, Prediction
from tests.unit.detectors.folders import write_clips


@dataclass(frozen=True)
class Moves:
    """A detector that answers how little one frame differs from the next."""

    name: str = "moves"
    modality: Modality = Modality.VIDEO
    weights_hash: str = ""

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        return [Prediction(1 / (1 + float(np.abs(np.diff(m.frames.astype(float), axis=0)).mean()))) for m in batch]


@dataclass(frozen=True)
class Looks(Moves):
    """A detector that answers the spread of all pixels together."""

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        return [Prediction(1 / (1 + float(m.frames.std()))) for m in batch]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "set", 3)


def test_motion_is_told_from_looks(folder: Path) -> None:
    """Who uses motion loses everything on a clip that repeats one frame; who does not answers the same."""
    task = Task("clips", folder, (0,))
    records = items(task, Modality.VIDEO)
    for detector, still in ((Moves(), 0.5), (Looks(), None)):
        plain, *others = evaluate([detector, *forms(detector)], task, records)
        found = controls(plain, others)
        assert set(found) == set(FORMS)
        assert found["shuffled"]["auc"]["value"] == pytest.approx(plain.findings["auc"]["value"])
        lost = found["still"]["plain_minus_this"]["value"]
        assert lost == pytest.approx(plain.findings["auc"]["value"] - found["still"]["auc"]["value"], abs=1e-6)
        if still is not None:
            assert plain.findings["auc"]["value"] == 1.0
            assert found["still"]["auc"]["value"] == still


def test_places() -> None:
    """All frames once in another order, always the same; or the middle one, as often as there were frames."""
    assert sorted(places(16, "shuffled")) == list(range(16))
    assert places(16, "shuffled") == places(16, "shuffled") != list(range(16))
    assert places(5, "still") == [2] * 5
    assert places(1, "shuffled") == places(1, "still") == [0]


def test_images_have_no_order() -> None:
    """A detector of images is refused."""
    with pytest.raises(SettingsError, match="npr judges images"):
        forms(load_detector("npr"))
