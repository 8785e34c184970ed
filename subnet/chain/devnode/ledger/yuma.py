"""Yuma consensus as the chain computes it: from validators' stakes and weights to incentive, dividends and bonds.

Numbers are the chain's I32F32: integers that count 2**-32, products and quotients rounded down, so that what is stored
here is what the chain would store, to the last bit. Source: `epoch_mechanism` of the subtensor pallet (2026), original
Yuma with bonds penalty 1 and fixed alpha, the runtime's defaults. Left out: Yuma 3, liquid alpha, several mechanisms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from subnet.types import U16

ONE: Final = 1 << 32
KAPPA: Final = 32767  # u16: the share of stake that sets the consensus, one half
BONDS_MOVING_AVERAGE: Final = 900_000  # millionths of the old bonds that an epoch keeps

Vector = Sequence[int]
Rows = Sequence[Mapping[int, int]]  # per validator: miner -> value; what is not there is zero


@dataclass(frozen=True)
class Yuma:
    """Per uid, all I32F32 in 0..1; `incentive` and `dividends` sum to 1 but for rounding, or are all zero.

    `bonds` holds per validator {miner: bond}, each miner's largest bond being 1.
    """

    consensus: Vector
    incentive: Vector
    dividends: Vector
    validator_trust: Vector
    bonds: Rows


def yuma(
    stake: Vector, weights: Rows, bonds: Rows, *, kappa: int = KAPPA, bonds_moving_average: int = BONDS_MOVING_AVERAGE
) -> Yuma:
    """One epoch over n neurons.

    `stake` (n,) I32F32: zero for who may not vote, else shares of one. `weights` and `bonds` (n rows): u16 or any other
    scale, normalised here per validator and per miner. Each weight is clipped to its miner's consensus; incentive is
    the stake-weighted sum of the clipped weights. Bonds move towards the stake-weighted clipped weights by
    1 - `bonds_moving_average` (in millionths); dividends pay validators for bonds in miners with incentive.
    """
    count = len(stake)
    weights = [_normal_row(row) for row in weights]
    consensus = _consensus(stake, weights, divided(kappa, U16))
    clipped = [{uid: min(value, consensus[uid]) for uid, value in row.items()} for row in weights]
    incentive = normal(_columns_sum(_times_rows(clipped, stake), count))
    fresh = _columns_normal(_times_rows(clipped, stake), count)
    kept = divided(bonds_moving_average, 1_000_000)
    moved = _columns_normal(_average(fresh, _columns_normal(bonds, count), kept), count)
    return Yuma(
        consensus=consensus,
        incentive=incentive,
        dividends=normal([sum(times(bond, incentive[uid]) for uid, bond in row.items()) for row in moved]),
        validator_trust=[sum(row.values()) for row in clipped],
        bonds=_columns_upscaled(moved, count),
    )


def divided(value: int, by: int) -> int:
    """value / by in I32F32, rounded down; zero when `by` is."""
    return (value << 32) // by if by else 0


def times(left: int, right: int) -> int:
    """The product of two I32F32, rounded down."""
    return left * right >> 32


def u16(value: int) -> int:
    """An I32F32 in 0..1 as the chain stores it: rounded down to 65535ths."""
    return min(U16, value * U16 >> 32)


def normal(values: Vector) -> list[int]:
    """Shares of the sum as I32F32; all zero stays so."""
    total = sum(values)
    return [divided(value, total) for value in values] if total else list(values)


def _normal_row(row: Mapping[int, int]) -> dict[int, int]:
    total = sum(row.values())
    return {uid: divided(value, total) for uid, value in row.items()} if total else dict(row)


def _consensus(stake: Vector, weights: Rows, kappa: int) -> list[int]:
    """Per miner the largest weight that validators with at least `kappa` of the stake give: their weighted median."""
    voters = [validator for validator, share in enumerate(stake) if share > 0]
    shares = normal([stake[validator] for validator in voters])
    minority = sum(shares) - kappa
    return [
        _median(sorted(zip((weights[validator].get(uid, 0) for validator in voters), shares, strict=True)), minority)
        for uid in range(len(stake))
    ]


def _median(ascending: Sequence[tuple[int, int]], minority: int) -> int:
    """The first of (weight, share) in ascending order with which the shares exceed `minority`; 0 without votes."""
    below = 0
    for weight, share in ascending:
        below += share
        if below > minority:
            return weight
    return 0


def _times_rows(rows: Rows, by: Vector) -> list[dict[int, int]]:
    return [{uid: times(by[validator], value) for uid, value in row.items()} for validator, row in enumerate(rows)]


def _columns_sum(rows: Rows, count: int) -> list[int]:
    sums = [0] * count
    for row in rows:
        for uid, value in row.items():
            sums[uid] += value
    return sums


def _columns_divided(rows: Rows, by: Vector) -> list[dict[int, int]]:
    return [{uid: divided(value, by[uid]) if by[uid] else value for uid, value in row.items()} for row in rows]


def _columns_normal(rows: Rows, count: int) -> list[dict[int, int]]:
    return _columns_divided(rows, _columns_sum(rows, count))


def _columns_upscaled(rows: Rows, count: int) -> list[dict[int, int]]:
    """Divided by the largest of the column."""
    largest = [0] * count
    for row in rows:
        for uid, value in row.items():
            largest[uid] = max(largest[uid], value)
    return _columns_divided(rows, largest)


def _average(fresh: Rows, old: Rows, kept: int) -> list[dict[int, int]]:
    """(1 - kept) * fresh + kept * old, without what is zero."""
    rows = []
    for fresh_row, old_row in zip(fresh, old, strict=True):
        uids = sorted(fresh_row.keys() | old_row.keys())
        row = {uid: times(ONE - kept, fresh_row.get(uid, 0)) + times(kept, old_row.get(uid, 0)) for uid in uids}
        rows.append({uid: value for uid, value in row.items() if value > 0})
    return rows
