"""Is motion used? A detector of clips, shown the same frames in another order, or one frame again and again.

All forms are asked about the very same variants, so that their differences are paired. A detector that answers as well
either way looks at single frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from detectors.dataset.contents import numbers_of
from detectors.evaluation.compare import differences
from detectors.evaluation.intervals import distributions, fewest, interval, measure
from detectors.evaluation.metrics import METRICS, UNIT, Floats
from detectors.evaluation.summary import CHANCE, Answers, Findings
from subnet.types import Media

FORMS = {
    "shuffled": "its frames in another order",
    "reversed": "its frames from the last to the first",
    "still": "its middle frame alone, repeated",
}
MOST = 200  # clips that are shown in all FORMS: each takes as many answers again
AUC = {"auc": METRICS["auc"]}


@dataclass(frozen=True, eq=False)
class Orders:
    """Answers to clips with their frames in another order: `p` (M,) by form, to the M entries True in `asked` (N,)."""

    asked: NDArray[np.bool_]
    p: Mapping[str, Floats]


def places(count: int, form: str, seed: int = 0) -> list[int]:
    """Which of `count` frames are shown, in which order; "shuffled" follows `seed`."""
    if form == "still":
        return [count // 2] * count
    if form == "reversed":
        return list(range(count))[::-1]
    return [int(place) for place in np.random.default_rng(seed).permutation(count)]


def reordered(media: Media, form: str) -> Media:
    """The clip in the form `form` of FORMS; "" is as it is.

    Every clip is shuffled in an order of its own, by its pixels: one order for all would be as steady for each, and a
    clip that was in disorder before would still differ from one that was not.
    """
    if not form:
        return media
    seed = crc32(media.frames.tobytes())
    return Media(media.frames[places(len(media.frames), form, seed)], media.fps)


def order_findings(whole: Answers, orders: Orders, *, seed: int = 0) -> Findings:
    """`controls`, for each form the AUC with its interval, and the AUC of the same clips as they are minus it, paired;
    and `temporal_share`.
    """
    plain = whole.where(orders.asked)
    plain = replace(plain, cluster=numbers_of(plain.cluster.tolist()))
    controls = {
        form: {
            "auc": measure(p, plain.y, plain.cluster, AUC, seed=seed)["auc"].to_json(),
            "plain_minus_this": differences(plain, p, AUC, seed=seed)["auc"],
        }
        for form, p in orders.p.items()
    }
    if "shuffled" not in orders.p:
        return {"controls": controls}
    clips = len(plain.p) // len(set(plain.level.tolist()))
    return {
        "controls": controls,
        "temporal_share": {**temporal_share(plain, orders.p["shuffled"], seed=seed), "clips": clips},
    }


def temporal_share(plain: Answers, shuffled: Floats, *, seed: int = 0) -> dict[str, Any]:
    """The share of the evidence that is temporal: (AUC - AUC shuffled) / (AUC - 1/2), kept within 0..1.

    What is left of the AUC above chance when only the order of the frames is gone is no evidence of motion. Null, with
    the AUC beside it, where its interval does not lie above one half: of no evidence there is no share.
    """
    whole = measure(plain.p, plain.y, plain.cluster, AUC, seed=seed)["auc"]
    found: dict[str, Any] = {"auc": whole.to_json()}
    if whole.low is None or whole.low <= CHANCE:
        return {"value": None, "low": None, "high": None, **found}
    value, after = (float(AUC["auc"](p, plain.y, np.ones((1, len(p))))[0]) for p in (plain.p, shuffled))
    spreads = (distributions(p, plain.y, plain.cluster, AUC, seed=seed)["auc"] for p in (plain.p, shuffled))
    share = np.clip(_share(*spreads), *UNIT)
    here = float(np.clip(_share(np.array(value), np.array(after)), *UNIT))
    return {**interval(here, share, fewest(plain.y, plain.cluster, "auc"), UNIT).to_json(), **found}


def _share(auc: Floats, shuffled: Floats) -> Floats:
    """NaN where nothing is told apart."""
    above = np.where(auc > CHANCE, auc - CHANCE, np.nan)
    share: Floats = (auc - shuffled) / above
    return share
