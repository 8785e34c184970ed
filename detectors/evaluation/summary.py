"""Answers become findings: the numbers of a report, overall and by level, generator, source and size. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.dataset.contents import clusters
from detectors.dataset.items import DatasetItem
from detectors.evaluation.intervals import RESAMPLES, exact, measure, with_thresholds
from detectors.evaluation.metrics import METRICS, RATES, Floats, Ints, Metric, mcc, recall, type_1_error, type_2_error
from detectors.evaluation.selection import sources
from subnet.game.history import Window
from subnet.game.scoring import modality_reward
from subnet.media.everyday import RESAVED
from subnet.media.leak.roc import auc, plain_auc
from subnet.types import THRESHOLD, Label

WINDOWS = 200
CHANCE = 0.5
ALARMS: Mapping[str, Metric] = {"type_1_error": type_1_error}
FOUND_AT = {name: METRICS[name] for name in RATES}


@dataclass(frozen=True, eq=False)
class Answers:
    """One detector's answers, one entry for each item at each level: all arrays (N,).

    Of the item on disk `size` is the shorter side in pixels, `stored` the bytes; 0 where it is not known.
    """

    p: Floats
    y: Ints
    level: Ints
    cluster: Ints
    origin: NDArray[np.str_]
    source: NDArray[np.str_]
    size: Ints
    stored: Ints

    def where(self, kept: NDArray[np.bool_]) -> Answers:
        """Only the entries that are True in `kept`."""
        return Answers(**{name: values[kept] for name, values in vars(self).items()})


def answers(
    records: Sequence[DatasetItem],
    levels: Sequence[int],
    p: Floats,
    sizes: Sequence[int] = (),
    stored: Sequence[int] = (),
) -> Answers:
    """`p` (records, levels) with what is known of the items."""
    times = len(levels)
    return Answers(
        p.reshape(-1),
        np.repeat([int(record.label) for record in records], times),
        np.tile(np.array(levels), len(records)),
        np.repeat(clusters(records), times),
        np.repeat([record.origin for record in records], times),
        np.repeat(sources(records), times),
        np.repeat(np.array(sizes or [0] * len(records)), times),
        np.repeat(np.array(stored or [0] * len(records)), times),
    )


Findings = dict[str, Any]


def summarise(given: Answers, *, times: int = RESAMPLES, seed: int = 0) -> Findings:
    """All metrics, overall and by level, generator, source and size, ready for JSON."""
    overall = _measured(given, times, seed)
    rewarded = {**overall.pop("reward"), "windows": reward_windows(given, seed)}
    by_level = {str(level): _measured(given.where(given.level == level), times, seed) for level in _kinds(given.level)}
    return {
        **overall,
        "reward": rewarded,
        "by_level": by_level,
        "by_generator": by_generator(given, times, seed),
        "by_source": by_source(given, times, seed),
        "by_size": by_size(given, times, seed),
    }


def _kinds(values: NDArray[Any]) -> list[Any]:
    return sorted(set(values.tolist()))


def _measured(given: Answers, times: int, seed: int, metrics: Mapping[str, Metric] = METRICS) -> Findings:
    return with_thresholds(given.p, given.y, given.cluster, metrics, times=times, seed=seed)


def by_generator(given: Answers, times: int, seed: int) -> Findings:
    """For each origin of fakes: share found, and AUC against all reals."""
    result = {}
    for name in _kinds(given.origin[given.y == Label.SYNTHETIC]):
        fakes = given.where((given.y == Label.SYNTHETIC) & (given.origin == name))
        both = given.where((given.y == Label.REAL) | (given.origin == name))
        found = _measured(fakes, times, seed, {"recall": recall})
        found |= _measured(both, times, seed, {"auc": auc, "mcc": mcc, **FOUND_AT})
        result[name] = {"answers": len(fakes.p), **found}
    return result


def by_source(given: Answers, times: int, seed: int) -> Findings:
    """For each source of reals: share called synthetic; and where twins were judged too, AUC against them."""
    result = {}
    for name in _kinds(given.source[given.y == Label.REAL]):
        part = given.where(given.source == name)
        metrics: dict[str, Metric] = {"type_1_error": type_1_error}
        if (part.y == Label.SYNTHETIC).any():
            metrics |= {"type_2_error": type_2_error, "auc": auc, **FOUND_AT}
        found = _measured(part, times, seed, metrics)
        counts = {"real": int((part.y == Label.REAL).sum()), "synthetic": int((part.y == Label.SYNTHETIC).sum())}
        result[name] = {**counts, **found}
    return result


SIZES = (("below 128", 0, 128), ("128 to 255", 128, 256), ("256 to 511", 256, 512), ("from 512", 512, 1 << 30))


def by_size(given: Answers, times: int, seed: int) -> Findings:
    """By the shorter side in pixels before anything was done to the item; empty where all items fall together."""
    result = {}
    for name, low, high in SIZES:
        part = given.where((given.size >= low) & (given.size < high))
        if len(part.p) and len(set(part.y.tolist())) == 2:
            result[name] = {"answers": len(part.p), **_measured(part, times, seed)}
    return result if len(result) > 1 else {}


def reward_windows(given: Answers, seed: int) -> dict[str, float]:
    """What a miner would see: the rewards of WINDOWS rolling windows of 100 answers, both labels equally likely.

    Played with the validator's own windows; `low` and `high` hold nine in ten of them.
    """
    rng = np.random.default_rng([seed, 4])
    wrong = (given.p > THRESHOLD) != (given.y == 1)
    by_label = [wrong[given.y == int(label)] for label in Label]
    rewards = []
    for _ in range(WINDOWS):
        window = Window()
        for coin, place in zip(rng.integers(2, size=100), rng.random(100), strict=True):
            pool = by_label[int(coin)]
            window = window.push(Label(int(coin)), not pool[int(place * len(pool))])
        rewards.append(modality_reward(window))
    low, high = np.quantile(rewards, [0.05, 0.95])
    return {"mean": round(float(np.mean(rewards)), 6), "low": round(float(low), 6), "high": round(float(high), 6)}


def null_findings(blank: Answers, *, seed: int = 0) -> Findings:
    """The zero-pixel null: the same evaluation with every pixel black, so that what is told apart is not in the pixels.

    Files, sizes, numbers of frames, order and the parameters of the augmentation are those of the items. Beside it
    stands how far the stored files tell the classes apart by their size, which no detector is shown.

    Given are `auc` and `by_level` of the answers to black media, `leaks`, and `files`. `leaks` is true where the
    interval of the AUC does not hold one half, null where there is none. Whether larger files are taken for synthetic
    ones or smaller is chosen on the items that are judged.
    """
    overall = _auc(blank, seed)
    low, high = overall["low"], overall["high"]
    levels = sorted(set(blank.level.tolist()))
    once = blank.where(blank.level == levels[0])
    stored = {"bytes": once.stored, "shorter_side": once.size}
    files = {name: toward(values.astype(np.float64), once) for name, values in stored.items() if values.any()}
    return {
        "auc": overall,
        "leaks": None if low is None or high is None else not low <= CHANCE <= high,
        "by_level": {str(level): {"auc": _auc(blank.where(blank.level == level), seed)} for level in levels},
        "files": {name: _auc(each, seed) for name, each in files.items()},
    }


def toward(values: Floats, given: Answers) -> Answers:
    """`given` with `values` for answers, turned round where the synthetic items have the smaller ones."""
    return replace(given, p=values if plain_auc(values, given.y) >= 0.5 else -values)


def _auc(given: Answers, seed: int) -> Findings:
    found: Findings = _measured(given, RESAMPLES, seed, {"auc": auc})["auc"]
    return found


def alarms(given: Answers, *, seed: int = 0) -> Findings:
    """The findings of an exam of reals: `type_1_error` of all kinds together, by level, by kind, and consistency.

    Kinds are origins. Within one every picture shows something else, so that exact intervals hold; together they are
    resampled by what they show. Those of the kind RESAVED are the same photographs at several sizes and qualities: of
    them counts alone whether a photograph gets one verdict.
    """
    plain, again = given.where(given.origin != RESAVED), given.where(given.origin == RESAVED)
    levels = sorted(set(given.level.tolist()))
    return {
        **_together(plain, seed),
        "by_level": {str(level): _together(plain.where(plain.level == level), seed) for level in levels},
        "by_kind": {kind: _by_level(plain.where(plain.origin == kind)) for kind in sorted(set(plain.origin.tolist()))},
        "consistency": {
            str(level): each for level in levels if (each := consistency(again.where(again.level == level)))
        },
    }


def _together(given: Answers, seed: int) -> Findings:
    if not len(given.p):
        return {}
    return {name: each.to_json() for name, each in measure(given.p, given.y, given.cluster, ALARMS, seed=seed).items()}


def _by_level(given: Answers) -> Findings:
    called = given.p > THRESHOLD
    return {
        str(level): exact(int(called[given.level == level].sum()), int((given.level == level).sum()))
        for level in sorted(set(given.level.tolist()))
    }


def consistency(given: Answers) -> Findings:
    """Of photographs shown several times each the share with `one_verdict`, and with any `accused`; {} without any."""
    called = given.p > THRESHOLD
    shares = np.array([called[given.cluster == photo].mean() for photo in sorted(set(given.cluster.tolist()))])
    if not len(shares):
        return {}
    return {
        "times": round(len(given.p) / len(shares)),
        "one_verdict": exact(int(np.isin(shares, (0.0, 1.0)).sum()), len(shares)),
        "accused": exact(int((shares > 0).sum()), len(shares)),
    }
