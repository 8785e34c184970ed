"""Detectors that ship answer on a card what they answer on a processor, plainly and as a miner serves them."""

from __future__ import annotations

import pytest

from detectors import TABLE, load_detector
from detectors.acceleration.accelerate import accelerated
from detectors.acceleration.benchmark import examples
from subnet.types import Modality

NAMES = [row.name for row in TABLE.values() if row.weights]
pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_the_processor(name: str) -> None:
    """The same P(synthetic) to two hundredths, with the sums of a card's convolutions (TF32)."""
    plain = load_detector(name)
    media = examples(plain.modality, 6 if plain.modality is Modality.IMAGE else 2)
    there = load_detector(name, device="cuda")
    expected = [each.p_synthetic for each in plain.predict(media)]
    assert [each.p_synthetic for each in there.predict(media)] == pytest.approx(expected, abs=0.02)
    assert [each.p_synthetic for each in accelerated(there).predict(media)] == pytest.approx(expected, abs=0.02)
