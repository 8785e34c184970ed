"""What a detector accuses wrongly: the share of real pictures called synthetic, by kind, and whether it is consistent.

Within a kind (the origin) every picture shows something else, so that the exact interval of Clopper & Pearson (1934)
holds. Pictures of the kind RESAVED are the same photographs at several sizes and qualities: what counts is whether a
photograph gets one verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import betaincinv

from detectors.evaluation.intervals import DIGITS, measure
from detectors.evaluation.metrics import Metric, type_1_error
from detectors.evaluation.summary import Answers, Findings
from subnet.media.everyday import RESAVED
from subnet.types import THRESHOLD

ALARMS: Mapping[str, Metric] = {"type_1_error": type_1_error}


def exact(count: int, pictures: int) -> dict[str, Any]:
    """The share `count` of independent `pictures` (at least one) with its exact 95 % interval, as JSON."""
    low = float(betaincinv(count, pictures - count + 1, 0.025)) if count else 0.0
    high = float(betaincinv(count + 1, pictures - count, 0.975)) if count < pictures else 1.0
    ends = {"value": count / pictures, "low": low, "high": high}
    return {"pictures": pictures, "count": count, **{name: round(end, DIGITS) for name, end in ends.items()}}


def alarms(given: Answers, *, seed: int = 0) -> Findings:
    """The findings of an exam of reals: `type_1_error` of all kinds together, by level, by kind, and consistency.

    The first two are over all pictures but RESAVED ones, resampled by what they show.
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
