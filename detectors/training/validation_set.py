"""A fixed set of validation variants, drawn once: the yardstick of a training run and the data for its calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detectors.dataset.cuts import challenge_media
from detectors.dataset.items import DatasetItem, Tell
from detectors.torch_detector import TorchDetector
from subnet.game.augment import LEVELS
from subnet.game.variant import variant_frames
from subnet.media.leak.roc import plain_auc
from subnet.types import Label, Media

FEWEST = 20  # validation items of a class below which what is fitted on them is uncertain


@dataclass(frozen=True)
class Examples:
    """Variants as a miner would see them, with labels 0 or 1, levels, origins and the items shown, in one order."""

    media: list[Media]
    labels: list[int]
    levels: list[int]
    origins: list[str]
    records: list[DatasetItem] = field(default_factory=list)


def examples(records: Sequence[DatasetItem], limit: int, *, seed: int, levels: Sequence[int] = LEVELS) -> Examples:
    """At most `limit` items, half of them real and origins of fakes equally often, at levels in turn."""
    result = Examples([], [], [], [])
    for chosen in _classes(records, limit, seed):
        for number, record in enumerate(chosen):
            level = levels[number % len(levels)]
            media = challenge_media(record, record.path.name, seed)
            variant = variant_frames(media, level, np.random.default_rng([seed, 2, number]))
            result.media.append(variant)
            result.labels.append(int(record.label))
            result.levels.append(level)
            result.origins.append(record.origin)
            result.records.append(record)
    return result


def some(records: Sequence[DatasetItem], limit: int, *, seed: int) -> list[DatasetItem]:
    """At most `limit` items, half of them real and origins of fakes equally often."""
    return [record for chosen in _classes(records, limit, seed) for record in chosen]


def _classes(
    records: Sequence[DatasetItem], limit: int, seed: int
) -> tuple[Sequence[DatasetItem], Sequence[DatasetItem]]:
    """Reals and fakes in the order in which they are taken, at most half of `limit` of each."""
    rng = np.random.default_rng([seed, 1])
    reals = [record for record in records if record.label is Label.REAL]
    groups: dict[str, list[DatasetItem]] = {}
    for record in records:
        if record.label is Label.SYNTHETIC:
            groups.setdefault(record.origin, []).append(record)
    reals = [reals[i] for i in rng.permutation(len(reals))]
    queues = [[group[i] for i in rng.permutation(len(group))] for _, group in sorted(groups.items())]
    fakes = [queue[i] for i in range(max(map(len, queues), default=0)) for queue in queues if i < len(queue)]
    count = max(1, limit // 2)
    return reals[:count], fakes[:count]


def tell_few(records: Sequence[DatasetItem], held: Path, tell: Tell) -> None:
    """Tell where validation has too few items of a class for a threshold and a calibration."""
    reals = sum(record.label is Label.REAL for record in records)
    if min(reals, len(records) - reals) < FEWEST:
        tell(
            f"{held} holds {reals} real and {len(records) - reals} synthetic items: below {FEWEST} of a class the "
            "threshold and the calibration are uncertain; give more with --validation"
        )


def auc(detector: TorchDetector, judged: Examples) -> float:
    """Area under the ROC curve of the detector's log-odds, 0..1."""
    return plain_auc(detector.logits(judged.media).double().numpy(), np.array(judged.labels))
