"""The control that tells whether motion is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from detectors.evaluation.evaluation import Task, evaluate, items
from detectors.evaluation.frame_order import FORMS, places, reordered, temporal_share
from detectors.evaluation.summary import Answers
from subnet.media.leak.roc import plain_auc
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


@dataclass
class Counts:
    """A detector that answers the first pixels, and counts what it is asked."""

    answered: int = 0
    name: str = "counts"
    modality: Modality = Modality.VIDEO
    weights_hash: str = ""

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        self.answered += len(batch)
        return [Prediction(float(m.frames[0, :8].mean()) / 255) for m in batch]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "set", 3)


def test_motion_is_told_from_looks(folder: Path) -> None:
    """Who uses motion loses everything on a clip that repeats one frame; who does not answers the same."""
    task = Task("clips", folder, (0,), in_forms=10)
    records = items(task, Modality.VIDEO)
    moves, looks = (each.findings for each in evaluate([Moves(), Looks()], task, records))
    for found in (moves, looks):
        assert set(found["controls"]) == set(FORMS)
        assert found["controls"]["reversed"]["auc"]["value"] == pytest.approx(found["auc"]["value"])
        for cells in found["controls"].values():
            lost = found["auc"]["value"] - cells["auc"]["value"]
            assert cells["plain_minus_this"]["value"] == pytest.approx(lost, abs=1e-6)
    assert moves["auc"]["value"] == 1.0
    assert moves["controls"]["still"]["auc"]["value"] == 0.5


def test_at_most_so_many_clips_are_shown_in_another_order(folder: Path) -> None:
    """The bound holds in clips of both classes; the plain AUC beside them is of the same clips, and all are answered."""
    detector = Counts()
    task = Task("clips", folder, (0, 1), in_forms=4)
    (found,) = evaluate([detector], task, items(task, Modality.VIDEO))
    assert detector.answered == 6 * 2 + 4 * 2 * len(FORMS)
    assert found.findings["answers"] == 12
    assert found.findings["temporal_share"]["clips"] == 4
    assert found.orders is not None
    few = found.answers.where(found.orders.asked)
    assert sorted(few.y.tolist()) == [0] * 4 + [1] * 4
    for form, p in found.orders.p.items():
        plain = found.findings["temporal_share"]["auc"]["value"]
        lost = found.findings["controls"][form]["plain_minus_this"]["value"]
        assert plain == pytest.approx(plain_auc(few.p, few.y), abs=1e-6)
        assert lost == pytest.approx(plain - plain_auc(p, few.y), abs=1e-6)


def judged(p: np.ndarray) -> Answers:
    """Answers to as many clips, each of its own content, reals first."""
    count = len(p)
    names = np.array([""] * count)
    zeros = np.zeros(count, dtype=np.int64)
    return Answers(p, np.repeat([0, 1], count // 2), zeros, np.arange(count), names, names, zeros, zeros)


@pytest.mark.parametrize(
    ("plain", "shuffled", "share"),
    [
        ("order", "chance", 1.0),  # all is lost
        ("order", "order", 0.0),  # nothing is
        ("order", "half", 0.25),
        ("order", "wrong", 1.0),  # more than all cannot be lost
        ("half", "order", 0.0),  # nor can less than nothing
        ("chance", "order", None),  # there is nothing to share
        ("wrong", "order", None),
    ],
)
def test_the_share_of_the_evidence_that_is_temporal(plain: str, shuffled: str, share: float | None) -> None:
    """What is lost of the AUC above one half when frames are shuffled; none where the AUC is not surely above it."""
    order = np.linspace(0, 1, 40)
    half = np.where(np.arange(40) % 20 < 10, 0.5, order)
    p = {"order": order, "chance": np.full(40, 0.5), "wrong": 1 - order, "half": half}
    given = judged(p[plain])
    found = temporal_share(given, p[shuffled])
    assert found["auc"]["value"] == pytest.approx(plain_auc(given.p, given.y), abs=1e-6)
    if share is None:
        assert found["value"] is found["low"] is found["high"] is None
        return
    assert found["value"] == pytest.approx(share, abs=1e-6)
    assert found["low"] <= found["value"] <= found["high"]


def test_few_clips_have_no_share() -> None:
    """Without an interval of the AUC it is not known whether there is evidence at all."""
    assert temporal_share(judged(np.array([0.1, 0.2, 0.8, 0.9])), np.full(4, 0.5))["value"] is None


def test_places() -> None:
    """All frames once in another order; backwards; or the middle one as often as there were frames."""
    assert sorted(places(16, "shuffled")) == list(range(16))
    assert places(16, "shuffled") == places(16, "shuffled") != list(range(16))
    assert places(16, "shuffled") != places(16, "shuffled", 1)
    assert places(4, "reversed") == [3, 2, 1, 0]
    assert places(5, "still") == [2] * 5
    assert places(1, "shuffled") == places(1, "still") == places(1, "reversed") == [0]


def test_each_clip_is_shuffled_in_an_order_of_its_own() -> None:
    """By its pixels, and so the same again; one order for all would leave a difference between clips in order and in
    disorder, since of a few steps it is an even one or not."""
    rng = np.random.default_rng(0)
    clips = [Media(rng.integers(0, 256, (8, 4, 4, 3), dtype=np.uint8), 8.0) for _ in range(20)]
    orders = set()
    for clip in clips:
        shown = reordered(clip, "shuffled").frames
        assert np.array_equal(shown, reordered(clip, "shuffled").frames)
        order = tuple(next(at for at in range(8) if np.array_equal(clip.frames[at], frame)) for frame in shown)
        assert sorted(order) == list(range(8))
        orders.add(order)
    assert len(orders) > 15
    assert reordered(clips[0], "") is clips[0]
