"""The zero-pixel null: the same evaluation with every pixel black, so that whatever is told apart is not in the pixels.

Files, sizes, numbers of frames, order and the parameters of the augmentation are those of the items. Beside it stands
how far the stored files tell the classes apart by their size alone, which a detector never sees, since validators cut
and encode anew.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detectors.evaluation.intervals import measure
from detectors.evaluation.metrics import Floats
from detectors.evaluation.summary import Answers, Findings
from subnet.media.leak.roc import auc, plain_auc

CHANCE = 0.5


def null_findings(blank: Answers, *, seed: int = 0) -> Findings:
    """`auc` and `by_level` of the answers to black media, `leaks`, and `files`: the AUC of what is known of files.

    `leaks` is true where the interval of the AUC does not hold one half, null where there is no interval. Whether
    larger files are taken for synthetic ones or smaller is chosen on the items that are judged.
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


def _auc(given: Answers, seed: int) -> dict[str, float | None]:
    return measure(given.p, given.y, given.cluster, {"auc": auc}, seed=seed)["auc"].to_json()
