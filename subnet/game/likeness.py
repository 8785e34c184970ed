"""Which miners answer more alike than their skill explains: copies of one model, and relays of another miner. Pure.

Two kinds of evidence for every pair of miners, both conditioned on the items they shared:

Values: probabilities are turned into normal scores within each miner, modality and label, so that any monotone change
of a copied answer leaves them as they were. What the other miners of the round said of the item (its difficulty, and
with it its level and origin) is taken out by regression. The correlation of what remains is tested by Fisher's z
(Fisher 1921).

Errors: the number of common errors against its expectation from both error rates and the difficulty of the items, by
the Poisson upper tail. This is the idea of the K-index (Holland 1996, ETS RR-96-07; van der Linden & Sotaridona 2006,
"Detecting answer copying when the regular response process follows a known response model"). It needs labels only, and
so works on miners that round their answers to 0 and 1.

Honest miners are not independent given the difficulty either, so both tests are widened by the spread that most pairs
show (the empirical null of Efron 2004, doi:10.1198/016214504000000089). Over all pairs the false discovery rate is kept
by Benjamini & Hochberg (1995, doi:10.1111/j.2517-6161.1995.tb02031.x); pairs share miners, so that its guarantee holds
only as far as such dependence is benign, and the realised rate is measured in the tests and in the laboratory.

Sums over items are of whole numbers (`_dyadic`), so that they are exact in any order: whether a variance is zero, and
with it a cluster that weights depend on, is the same on every machine.

What the test can tell: that two hotkeys answer as if by one model. It cannot tell why. Two honest miners that run the
same public detector look the same as one operator with two hotkeys. And it cannot tell that miners are apart: who
rounds to 0 and 1 leaves only errors as evidence, and who adds enough noise pays for it with accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.special import gammainc, ndtr, ndtri, stdtr

from subnet.game.answer_table import KINDS, AnswerTable, Floats, Ints

RATE = 0.01  # false discovery rate: expected share of wrong links among those reported
LEAST_SHARED = 12  # items that two miners must have in common
LEAST_OF_A_KIND = 10  # answers of one modality and label whose ranks mean something
MOST_TIED = 0.2  # share of one value among the answers of a kind, above which they are labels rather than values
_GRAIN = 2.0**-14  # sums over 10,000 items of products of two values of at most 32 are below 2**53 squares of it: exact
_FINE = 2.0**-19  # the same for values of at most 1
_QUARTILE = float(ndtri(0.75))


@dataclass(frozen=True, eq=False)
class PairEvidence:
    """For every pair, arrays (N, N), symmetric: `p_values` of "no more alike than skill explains", NaN if untested."""

    hotkeys: tuple[str, ...]
    shared: Ints  # items that both answered
    correlation: Floats  # of answers given the items' difficulty, NaN where values say nothing
    errors: Ints  # common ones
    expected: Floats  # common errors that skill and difficulty explain
    p_values: Floats


@dataclass(frozen=True)
class Link:
    """Two miners that answer more alike than they should."""

    first: str
    second: str
    shared: int
    correlation: float | None
    errors: int
    expected: float
    p_value: float


@dataclass(frozen=True)
class Likeness:
    """Links at the false discovery rate `rate` among `pairs` tested ones, and the groups that they join.

    `partners` says with how many others each hotkey was compared; with fewer than `LEAST_SHARED` items there is none.
    """

    rate: float
    pairs: int
    links: tuple[Link, ...]  # most alike first
    clusters: tuple[tuple[str, ...], ...]  # largest first, hotkeys in order
    partners: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def cluster_of(self) -> dict[str, tuple[str, ...]]:
        """The cluster of each linked hotkey."""
        return {hotkey: cluster for cluster in self.clusters for hotkey in cluster}


def likeness(table: AnswerTable, rate: float = RATE) -> Likeness:
    """All links between miners of a table. Raises ValueError for a rate outside (0, 1)."""
    if not 0 < rate < 1:
        raise ValueError(f"the false discovery rate must be in (0, 1), not {rate}")
    evidence = compare(table)
    firsts, seconds = np.triu_indices(len(table.hotkeys), 1)
    p_values = evidence.p_values[firsts, seconds]
    tested = ~np.isnan(p_values)
    firsts, seconds, p_values = firsts[tested], seconds[tested], p_values[tested]
    chosen = np.flatnonzero(discoveries(p_values, rate))
    chosen = chosen[np.argsort(p_values[chosen], kind="stable")]
    pairs = [(int(firsts[at]), int(seconds[at])) for at in chosen]
    links = tuple(_link(evidence, first, second) for first, second in pairs)
    partners = np.bincount(np.concatenate([firsts, seconds]), minlength=len(table.hotkeys)).tolist()
    counts = dict(zip(table.hotkeys, partners, strict=True))
    return Likeness(rate, len(p_values), links, _clusters(table.hotkeys, pairs), counts)


def discoveries(p_values: Floats, rate: float) -> NDArray[np.bool_]:
    """Which hypotheses fall at the false discovery rate `rate`: the step-up rule of Benjamini & Hochberg (1995)."""
    order = np.argsort(p_values, kind="stable")
    below = np.flatnonzero(p_values[order] <= rate * np.arange(1, len(order) + 1) / max(1, len(order)))
    rejected = np.zeros(len(order), bool)
    rejected[order[: below[-1] + 1 if below.size else 0]] = True
    return rejected


def compare(table: AnswerTable) -> PairEvidence:
    """Both tests for every pair. Where both apply the smaller p-value counts twice (Bonferroni)."""
    answered = (~np.isnan(table.p)).astype(float)
    shared = answered @ answered.T
    correlation, by_values = _values(table)
    errors, expected, by_errors = _errors(table, answered)
    tests = (~np.isnan(by_values)).astype(int) + ~np.isnan(by_errors)
    p_values = np.minimum(1.0, tests * np.fmin(by_values, by_errors))
    untested = (shared < LEAST_SHARED) | np.eye(len(table.hotkeys), dtype=bool)
    p_values[untested] = np.nan
    return PairEvidence(
        table.hotkeys, shared.astype(np.int64), correlation, errors.astype(np.int64), expected, p_values
    )


def _values(table: AnswerTable) -> tuple[Floats, Floats]:
    """Correlation of answers given the items, and its p-value, for every pair; NaN where values say nothing."""
    scores = normal_scores(table)
    has = (~np.isnan(scores)).astype(float)
    residual = _dyadic(_without_items(np.nan_to_num(scores), has), _GRAIN)
    n = has @ has.T
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = residual @ has.T  # of the row's miner over what both answered
        squares = (residual**2) @ has.T - sums**2 / n
        r = (residual @ residual.T - sums * sums.T / n) / np.sqrt(squares * squares.T)
    r[(n < LEAST_SHARED) | ~np.isfinite(r)] = np.nan
    np.fill_diagonal(r, np.nan)
    z = np.arctanh(np.clip(r, -0.999999, 0.999999))
    if np.isnan(z).all():
        return r, np.full_like(r, np.nan)
    z -= np.nanmedian(z)
    noise = 1 / np.maximum(n - 3, 1)
    return r, stdtr(len(z) - 1, -z / np.sqrt(noise + _honest_spread(z, noise)))


def _dyadic(values: Floats, grain: float) -> Floats:
    """Values in [-32, 32], rounded to multiples of `grain`."""
    rounded: Floats = np.rint(np.clip(values, -32.0, 32.0) / grain) * grain
    return rounded


def _honest_spread(z: Floats, noise: Floats) -> Floats:
    """The variance of honest pairs' z beyond its `noise`, (N, N), from how far each miner stands from most others.

    Pairs with a common leaning are as far apart as both lean (a factor model has z_ij = l_i l_j), hence the product.
    """
    pooled = float(_extra_spread(z.reshape(1, -1), noise.reshape(1, -1))[0])
    own = _extra_spread(z, noise)
    return np.maximum(pooled, np.outer(own, own) / pooled) if pooled > 0 else np.zeros_like(z)


def normal_scores(table: AnswerTable) -> Floats:
    """Van der Waerden's scores of each miner's answers of one kind, (N, R); NaN where there are too few, or too tied.

    Equal answers have equal scores, from the mean of their ranks.
    """
    scores = np.full(table.p.shape, np.nan)
    for kind in range(len(KINDS)):
        columns = np.flatnonzero(table.kinds == kind)
        for row in range(len(table.hotkeys)):
            at = columns[~np.isnan(table.p[row, columns])]
            if len(at) < LEAST_OF_A_KIND:
                continue
            _, which, counts = np.unique(table.p[row, at], return_inverse=True, return_counts=True)
            if counts.max() > MOST_TIED * len(at):
                continue
            ranks = np.cumsum(counts) - (counts - 1) / 2
            scores[row, at] = ndtri((ranks - 0.5) / len(at))[which]
    return scores


def _without_items(scores: Floats, has: Floats) -> Floats:
    """What remains of each miner's scores when the mean of the others' on the same item is regressed out."""
    others = (scores.sum(0) - scores) / np.maximum(has.sum(0) - has, 1) * has
    slope = (scores * others).sum(1) / np.maximum((others**2).sum(1), 1e-12)
    rest: Floats = scores - slope[:, None] * others
    return rest


def _extra_spread(deviations: Floats, noise: Floats) -> Floats:
    """For each row the variance beyond `noise` that makes its middle half as wide as a normal one's; 0 or more.

    NaN is left out. Up to half of a row's values may be anything without carrying it away.
    """
    known = ~np.isnan(deviations).all(1)
    squares, limit = deviations[known] ** 2, _QUARTILE**2
    low = np.zeros(len(squares))
    high = np.nanmax(squares, axis=1, initial=0.0) / limit
    for _ in range(30):
        middle = (low + high) / 2
        wide = np.nanmedian(squares / (noise[known] + middle[:, None]), axis=1) > limit
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    spread = np.zeros(len(deviations))
    spread[known] = high
    return spread


def _errors(table: AnswerTable, answered: Floats) -> tuple[Floats, Floats, Floats]:
    """Common errors, their expectation, and the p-value, for every pair."""
    wrong = table.wrong.astype(float)
    chance = _dyadic(_error_chances(table.kinds, wrong, answered), _FINE)
    common, expected = wrong @ wrong.T, chance @ chance.T
    pairs = np.triu_indices(len(table.hotkeys), 1)
    expected = expected * max(1.0, common[pairs].sum() / max(expected[pairs].sum(), 1e-12))
    tail = np.where(common > 0, gammainc(np.maximum(common, 1), np.maximum(expected, 1e-12)), 1.0)
    enough = expected[pairs] >= 1
    roots = 2 * (np.sqrt(common + 0.375) - np.sqrt(expected + 0.375))[pairs][enough]  # Anscombe (1948): variance 1
    spread = float(np.median(np.abs(roots)) / _QUARTILE) if roots.size else 1.0
    widened = ndtr(ndtri(np.maximum(tail, 1e-300)) / max(1.0, spread))
    return common, expected, np.where(tail < 0.5, widened, tail)


def _error_chances(kinds: Ints, wrong: Floats, answered: Floats) -> Floats:
    """How likely each miner errs on each item it answered, (N, R): its errors of the kind shared out by difficulty."""
    difficulty = wrong.sum(0) / np.maximum(answered.sum(0), 1)
    chances = np.zeros_like(wrong)
    for kind in range(len(KINDS)):
        at = kinds == kind
        load = answered[:, at] * difficulty[at]
        own = wrong[:, at].sum(1) / np.maximum(load.sum(1), 1e-12)
        chances[:, at] = np.minimum(1.0, own[:, None] * load)
    return chances


def _link(evidence: PairEvidence, first: int, second: int) -> Link:
    correlation = float(evidence.correlation[first, second])
    return Link(
        evidence.hotkeys[first],
        evidence.hotkeys[second],
        int(evidence.shared[first, second]),
        None if np.isnan(correlation) else correlation,
        int(evidence.errors[first, second]),
        float(evidence.expected[first, second]),
        float(evidence.p_values[first, second]),
    )


def _clusters(hotkeys: tuple[str, ...], pairs: list[tuple[int, int]]) -> tuple[tuple[str, ...], ...]:
    """Groups of miners that links join, directly or by way of others."""
    graph = np.zeros((len(hotkeys), len(hotkeys)), bool)
    for first, second in pairs:
        graph[first, second] = True
    _, groups = connected_components(graph, directed=False)
    members = [tuple(sorted(hotkeys[at] for at in np.flatnonzero(groups == group))) for group in np.unique(groups)]
    return tuple(sorted((group for group in members if len(group) > 1), key=lambda group: (-len(group), group)))
