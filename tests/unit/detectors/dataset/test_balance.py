"""The rarer class is copied in training alone, and the loop shows both classes as often without a copy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.dataset.balance import counts, upsampled
from detectors.dataset.contents import clusters
from detectors.dataset.items import DatasetItem, read_folder
from detectors.studies.aerial import loop_draws
from neurons.datasets.split import split
from subnet.errors import DataError
from subnet.types import Label, Modality
from tests.unit.detectors.dataset.preset_trees import picture


def records(reals: int, fakes: int) -> list[DatasetItem]:
    made = [(Label.REAL, number) for number in range(reals)] + [(Label.SYNTHETIC, number) for number in range(fakes)]
    return [
        DatasetItem(
            Path(f"{label}-{number}.png"), label, Modality.IMAGE, ("camera", "gan")[label], item=f"{label}{number}"
        )
        for label, number in made
    ]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_both_classes_are_as_many_and_copies_even(reals: int, fakes: int, seed: int) -> None:
    """All items stay, the rarer class alone is copied, and no item of it more than once more often than another."""
    given_items = records(reals, fakes)
    evened = upsampled(given_items, np.random.default_rng(seed))
    assert evened[: len(given_items)] == given_items
    assert set(counts(evened).values()) == {max(reals, fakes)}
    times = Counter(item.path for item in evened)
    for label in Label:
        of_label = [times[item.path] for item in given_items if item.label is label]
        assert max(of_label) - min(of_label) <= 1
        assert len(of_label) < max(reals, fakes) or set(of_label) == {1}


def test_one_class_is_an_error() -> None:
    """Nothing to copy."""
    with pytest.raises(DataError, match="no synthetic items"):
        upsampled(records(3, 0), np.random.default_rng(0))


def test_copies_come_after_the_split(tmp_path: Path) -> None:
    """One real for eight fakes: no content lies on both sides, training holds copies, and what judges holds none."""
    for number in range(20):
        picture(tmp_path / "data" / "real" / "camera" / f"photo{number}.png", number)
    for number in range(160):
        picture(tmp_path / "data" / "fake" / "gan" / f"made{number}.png", 100 + number)
    train, validation = (read_folder(side) for side in split(tmp_path / "data", tmp_path / "out", seed=1))
    evened = upsampled(train, np.random.default_rng(0))
    assert len(evened) > len(train)
    both = [*evened, *validation]
    numbers = clusters(both).tolist()
    assert not set(numbers[: len(evened)]) & set(numbers[len(evened) :])
    assert len({item.path for item in validation}) == len(validation)


def test_the_loop_draws_as_the_list_with_copies_does() -> None:
    """Of 5 reals and 40 fakes the loop shows each real eight times as often as a fake, as one pass over the list."""
    uneven = records(5, 40)
    drawn = loop_draws(uneven, seed=0)
    shown, listed = (
        Counter(item.path for item in drawn),
        Counter(item.path for item in upsampled(uneven, np.random.default_rng(0))),
    )
    assert counts(drawn)[Label.REAL] == counts(drawn)[Label.SYNTHETIC]
    for item in uneven:
        expected = listed[item.path] / sum(listed.values()) * len(drawn)
        assert abs(shown[item.path] - expected) < 5 * np.sqrt(expected)
