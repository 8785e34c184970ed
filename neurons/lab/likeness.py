"""Copies, relays and memories, measured: who is recognised after how many shared rounds, and what twin rounds cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from neurons.lab.arena import Arena, field_of
from neurons.lab.experiments import Extent, play_field
from neurons.lab.rules import LabRules
from neurons.lab.strategies import GUESS, HONEST, TRICKS, Key, Strategy
from neurons.lab.validators import HONEST as UPRIGHT
from subnet.game.answer_table import tabulate
from subnet.game.canaries import Hits
from subnet.game.likeness import likeness
from subnet.game.scoring import payment
from subnet.types import Outcome

COPIES = ("ten keys, one model", "relays", "copies by look", "copies with delay", "copies five with delay")
RECALLED = COPIES[:-1]  # with everybody asked, five sources are as one
MODELS, KEYS, COPIES_EACH = 3, 4, 8  # models of several keys, keys of each, and copycats of one kind, in one run
MODEL = " of model "  # in the name of a row that has several
_ROWS = {strategy.name: strategy for strategy in (*HONEST, *TRICKS)}


@dataclass(frozen=True)
class Recall:
    """After so many shared rounds: of the pairs that share answers those that are linked, and of links the wrong ones.

    Intervals are Wilson's of 95 %, as if no two pairs had a key in common.
    """

    shared: int  # rounds
    pairs: dict[str, Hits]  # by strategy
    wrong: Hits  # of all links


def measure_recall(rules: LabRules, shared: Sequence[int], seed: int) -> list[Recall]:
    """Everybody is asked in every round, so that all pairs share each; several models, since keys of one go alike."""
    rows = [replace(row, keys=18) for row in HONEST]
    for name in RECALLED:
        models = MODELS if _ROWS[name].one_model else 1
        rows += [
            replace(_ROWS[name], name=f"{name}{MODEL}{n}", keys=KEYS if models > 1 else COPIES_EACH)
            for n in range(models)
        ]
    everybody = sum(row.keys for row in rows)
    arena = Arena(replace(rules, miners=everybody, sample_size=everybody), rows, [UPRIGHT], seed)
    stream: list[list[Outcome]] = []
    arena.record = stream
    truth, found = related(arena.keys), []
    for rounds in shared:
        arena.play(rounds - len(stream))
        links = {frozenset((link.first, link.second)) for link in likeness(tabulate(stream)).links}
        found.append(_recall(rounds, truth, links))
    return found


def mean_recall(runs: Sequence[Sequence[Recall]]) -> list[Recall]:
    """Runs of the same numbers of rounds together."""
    return [
        Recall(
            same[0].shared,
            {name: _sum([each.pairs[name] for each in same]) for name in same[0].pairs},
            _sum([each.wrong for each in same]),
        )
        for same in zip(*runs, strict=True)
    ]


def _sum(counts: Sequence[Hits]) -> Hits:
    return Hits(sum(each.right for each in counts), sum(each.asked for each in counts))


def related(keys: Sequence[Key]) -> dict[frozenset[str], str]:
    """Pairs whose answers come of one source, each with the strategy whose recall it counts for.

    A copy and its source count for the copy's strategy, two keys of one model for theirs. Two copies of one source,
    which are alike too, count for none ("").
    """
    origins = {key.hotkey: _origin(key) for key in keys}
    named = {key.hotkey: key for key in keys}
    pairs = {}
    for first, second in combinations(origins, 2):
        if origins[first] == origins[second]:
            copies = [named[hotkey] for hotkey in (first, second) if named[hotkey].sources]
            shady = named[first] if not copies else copies[0]
            pairs[frozenset((first, second))] = "" if len(copies) == 2 else shady.strategy.name
    return pairs


def _origin(key: Key) -> str:
    """Where its answers come of, when all its sources are asked with it: then it copies the first."""
    if key.sources:
        return key.sources[0].hotkey
    return key.strategy.name if key.strategy.one_model else key.hotkey


def _recall(rounds: int, truth: Mapping[frozenset[str], str], links: Set[frozenset[str]]) -> Recall:
    pairs = {}
    for name in RECALLED:
        own = [pair for pair, by in truth.items() if by.split(MODEL)[0] == name]
        pairs[name] = Hits(sum(pair in links for pair in own), len(own))
    return Recall(rounds, pairs, Hits(len(links - truth.keys()), len(links)))


@dataclass(frozen=True)
class Twins:
    """What strategies earn when this share of rounds are twin rounds, over what an honest miner of .90 earns."""

    share: float
    earns: dict[str, float]


def measure_twins(rules: LabRules, shares: Sequence[float], extent: Extent, seed: int) -> list[Twins]:
    names = ("honest 0.90", GUESS, *COPIES)
    cast = [replace(_ROWS[name], keys=max(8, _ROWS[name].keys)) for name in names]
    played = []
    for share in shares:
        found = play_field(replace(rules, twin_share=share), cast, (extent.warm, extent.twins, 1), seed, [UPRIGHT])
        base = float(np.mean(found.means["honest 0.90"]))
        played.append(Twins(share, {name: float(np.mean(found.means[name])) / max(1e-12, base) for name in names}))
    return played


@dataclass(frozen=True)
class Memory:
    """At one level: how often a memory is right, and what it is paid beside a coin and an honest miner of .90."""

    level: int
    accuracy: float
    memoriser: float
    coin: float
    honest: float


def measure_memory(rules: LabRules, extent: Extent, seed: int) -> list[Memory]:
    """Each level by itself, everybody asked in every round."""
    cast = [replace(_ROWS[name], keys=40) for name in ("memoriser", GUESS, "honest 0.90")]
    found = []
    for level in range(4):
        weights = tuple(float(n == level) for n in range(4))
        alone = replace(rules, level_weights=weights, miners=120, sample_size=120)  # type: ignore[arg-type]
        arena = Arena(alone, field_of(alone, cast), [UPRIGHT], seed)
        arena.play(extent.memory)
        payments = [_mean_payment(arena, row) for row in cast]
        found.append(Memory(level, rules.memory[level], *payments))
    return found


def _mean_payment(arena: Arena, row: Strategy) -> float:
    history, smoothing = arena.validators[0].history, arena.rules.smoothing
    values = [payment(history[key.hotkey], smoothing) for key in arena.keys if key.strategy.name == row.name]
    return float(np.mean(values))
