"""Yuma consensus: from validators' weights and stakes to incentive and dividends.

Source: "Yuma Consensus" (docs.learnbittensor.org; subtensor repository, docs/consensus.md), written down here from the
formulas. Left out, as a development chain does not need them: liquid alpha, the bonds penalty, commit-reveal masks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Yuma:
    """Per uid: all in 0..1; `incentive` and `dividends` sum to 1 (or are all zero); `bonds` has columns of sum 1."""

    consensus: Vector
    incentive: Vector
    dividends: Vector
    trust: Vector
    validator_trust: Vector
    bonds: Matrix  # (n, n): validator, miner


def yuma(stake: Vector, weights_VM: Matrix, bonds_VM: Matrix, *, kappa: float = 0.5, bonds_rate: float = 0.1) -> Yuma:
    """One epoch over n neurons.

    `stake` (n,): zero for who may not vote. `weights_VM` (n, n): row v is what validator v gives; normalised here.
    Each column is clipped to its consensus: the largest weight that validators with at least `kappa` of the stake
    support. Incentive is the stake-weighted sum of clipped weights. Bonds move by `bonds_rate` towards the
    stake-weighted clipped weights; dividends pay validators for bonds in miners with incentive.
    """
    share = _normal(stake)
    weights_VM = _rows_normal(weights_VM)
    consensus = np.array([_weighted_median(share, column, kappa) for column in weights_VM.T])
    clipped_VM = np.minimum(weights_VM, consensus)
    ranks = share @ clipped_VM
    before = share @ weights_VM
    incentive = _normal(ranks)
    fresh_VM = _columns_normal(clipped_VM * share[:, None])
    bonds_VM = _columns_normal(bonds_rate * fresh_VM + (1 - bonds_rate) * _columns_normal(bonds_VM))
    return Yuma(
        consensus=consensus,
        incentive=incentive,
        dividends=_normal(bonds_VM @ incentive),
        trust=np.divide(ranks, before, out=np.zeros_like(ranks), where=before > 0),
        validator_trust=clipped_VM.sum(axis=1),
        bonds=bonds_VM,
    )


def _weighted_median(share: Vector, scores: Vector, kappa: float) -> float:
    """The largest score that at least `kappa` of the stake supports: argmax_w(sum of S_i with W_ij >= w) >= kappa."""
    order = np.argsort(-scores, kind="stable")
    support = np.cumsum(share[order])
    reached = np.flatnonzero(support >= kappa - 1e-12)
    return float(scores[order[reached[0]]]) if len(reached) else 0.0


def _normal(values: Vector) -> Vector:
    total = values.sum()
    return values / total if total > 0 else np.zeros_like(values)


def _rows_normal(matrix: Matrix) -> Matrix:
    sums = matrix.sum(axis=1, keepdims=True)
    normal: Matrix = np.divide(matrix, sums, out=np.zeros_like(matrix), where=sums > 0)
    return normal


def _columns_normal(matrix: Matrix) -> Matrix:
    return _rows_normal(matrix.T).T
