"""Weights as the chain counts them: u16 numbers of which only the ratios matter. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from subnet.types import U16


def normalise_u16(weights: Mapping[int, float], *, max_weight_limit: int = U16) -> dict[int, int]:
    """Weights by uid in u16: the largest becomes 65535, each value is round(w / max * 65535), zeros drop out.

    This is what a validator's client submits and what then stands on chain, so it can be compared for equality.
    `max_weight_limit` (u16; 65535 is off) is the largest share of the sum that one uid may have: see `clip`.
    Raises ValueError for weights that are negative, not finite, or all zero, and for uids outside u16.
    """
    for uid, weight in weights.items():
        if not 0 <= uid <= U16:
            raise ValueError(f"uid {uid} is outside 0..65535")
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"the weight of uid {uid} must be finite and not negative, not {weight}")
    top = max(weights.values(), default=0.0)
    if top <= 0:
        raise ValueError("all weights are zero: at least one uid needs a positive weight")
    clipped = clip({uid: weight / top for uid, weight in weights.items()}, max_weight_limit / U16)
    top = max(clipped.values())
    rounded = {uid: round(weight / top * U16) for uid, weight in sorted(clipped.items())}
    return {uid: value for uid, value in rounded.items() if value > 0}


def clip(weights: Mapping[int, float], limit: float) -> dict[int, float]:
    """Lower the largest weights to one common cut-off so that none exceeds `limit` (0..1) of the new sum.

    With too few uids for that (n * limit <= 1) all become equal. Weights must be in [0, 1], the largest 1.
    A single uid has always all of the sum and is left alone, as the chain does with a self-weight.
    """
    count = len(weights)
    total = math.fsum(weights.values())
    if count <= 1 or limit >= 1 or max(weights.values()) <= limit * total:
        return dict(weights)
    if count * limit <= 1:
        return dict.fromkeys(weights, 1.0)
    ordered = sorted(weights.values(), reverse=True)
    for cut in range(1, count + 1):  # the `cut` largest share one value c with c = limit * (cut * c + the rest)
        if cut * limit >= 1:
            break
        cutoff = limit * math.fsum(ordered[cut:]) / (1 - cut * limit)
        if cut == count or ordered[cut] <= cutoff:
            return {uid: min(weight, cutoff) for uid, weight in weights.items()}
    return {uid: 1.0 if weight > 0 else 0.0 for uid, weight in weights.items()}  # too few above zero for the limit
