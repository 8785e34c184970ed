"""Both classes equally often in what is trained on. Split first: copies on both sides of a split would tell answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from detectors.dataset.items import DatasetItem, both_classes
from subnet.types import Label


def counts(records: Sequence[DatasetItem]) -> Mapping[Label, int]:
    """Items of each label."""
    there = Counter(record.label for record in records)
    return {label: there[label] for label in Label}


def upsampled(records: Sequence[DatasetItem], rng: np.random.Generator) -> list[DatasetItem]:
    """`records`, followed by copies of the rarer class until both are as many; for training items alone.

    Every item of that class is copied equally often, save for the rest, which is drawn without replacement. The loop
    (`detectors.training.batches`) needs no such list: it draws a real and a fake for every pair, which shows each item
    as often, on average, as one pass after another over this list would. Raises DataError where a class is missing.
    """
    both_classes(records, "the training set")
    many = counts(records)
    rare = min(Label, key=lambda label: many[label])
    items = [record for record in records if record.label is rare]
    missing = max(many.values()) - len(items)
    whole, rest = divmod(missing, len(items))
    drawn = sorted(rng.permutation(len(items))[:rest].tolist())
    return [*records, *items * whole, *(items[number] for number in drawn)]
