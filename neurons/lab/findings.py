"""All experiments in one value, and what follows from them: which tricks pay, and whether order goes by skill."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurons.lab import likeness
from neurons.lab.experiments import (
    Extent,
    Field,
    Insiders,
    Pairs,
    Point,
    check,
    frontier,
    mean_pairs,
    merged,
    play_cartel,
    play_field,
    play_insiders,
    play_pairs,
)
from neurons.lab.measures import CONFIDENCE, Gain, answers_for, bound, gain, gini, spread
from neurons.lab.rules import LabRules, as_json
from neurons.lab.strategies import CARTEL, FRIEND, GUESS, HONEST, TRICKS, Strategy
from neurons.lab.validators import COPIER, RANDOM, TELLER, Policy
from neurons.lab.validators import HONEST as UPRIGHT
from subnet.game.canaries import wilson
from subnet.game.likeness import RATE
from subnet.game.scoring import Smoothing
from subnet.registry import find, table

Watch = Callable[[int, int], None]
Task = tuple[Any, ...]  # a function and its arguments
TWINS = (0.0, 0.5, 1.0)
POLICIES = (TELLER, COPIER, RANDOM)
EVERYBODY = table([*TRICKS, CARTEL, FRIEND])
INSIDE = table(POLICIES)
POINTS = (
    *(Smoothing(alpha, 0) for alpha in (0.02, 0.035, 0.05, 0.1)),
    *(Smoothing(averaging=answers) for answers in (100, 200, 400, 800)),
    Smoothing(headroom=1.05),
    Smoothing(headroom=1.2),
)


@dataclass(frozen=True)
class Line:
    """What one strategy earned: share of all reward per key, its spread over keys and epochs, and its gain."""

    name: str
    about: str
    skill: float | None
    keys: int
    share: float
    low: float
    high: float
    beside: str = ""  # what it is held against, "" for honest play
    gain: Gain | None = None
    open_because: str = ""
    kind: str = "miner"


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that the laboratory found."""

    rules: LabRules
    seed: int
    lines: Sequence[Line]
    pairs: Pairs
    gini: float
    gini_honest: float
    void: tuple[int, int]  # void rounds of those that a cartel played in, and all of them
    frontier: Sequence[Point]
    recall: Sequence[likeness.Recall]
    twins: Sequence[likeness.Twins]
    memory: Sequence[likeness.Memory]
    rounds: int  # of the field, all validators
    rate: float  # of these, in a second of one processor

    @property
    def order_by_skill(self) -> list[str]:
        """Honest rows, the best paid first."""
        upright = [line for line in self.lines if not line.beside and line.skill is not None]
        return [line.name for line in sorted(upright, key=lambda line: -line.share)]

    @property
    def ordered(self) -> bool:
        return self.order_by_skill == [row.name for row in reversed(HONEST)]

    @property
    def tricks_that_pay(self) -> list[Line]:
        return [line for line in self.lines if line.gain and line.gain.pays]


def chosen(names: Sequence[str]) -> tuple[list[Strategy], list[Policy]]:
    """The tricks of miners and of validators by name, all without one. Raises UnknownName with the nearest names."""
    rows: Mapping[str, Strategy | Policy] = {**EVERYBODY, **INSIDE}
    honest = {row.name for row in HONEST}
    picked = [find(rows, name, "strategy") for name in names if name not in honest] if names else list(rows.values())
    miners = [row for row in picked if isinstance(row, Strategy)]
    return miners, [row for row in picked if isinstance(row, Policy)]


def experiment(
    rules: LabRules,
    names: Sequence[str],
    extent: Extent,
    seed: int,
    jobs: int = 1,
    watch: Watch = lambda done, total: None,
) -> Findings:
    """Play everything in `jobs` processes; no number hangs on how many. `watch` is told what is done, of what."""
    check(rules, extent)
    miners, insiders = chosen(names)
    tasks = _tasks(rules, names, extent, seed)
    done = _done(tasks, jobs, watch)

    def all_of(kind: str) -> list[Any]:
        return [done[name] for name in tasks if name.split()[0] == kind]

    field = merged(all_of("field"))
    lines = [_line(row, field) for row in _cast(names)]
    if CARTEL in miners:
        lines.append(_line(CARTEL, done["cartel"]))
    if FRIEND in miners:
        lines.append(_line(FRIEND, done["insiders"].field))
    lines += [_dividends(row, done["insiders"]) for row in (*insiders, *[UPRIGHT] * bool(insiders))]
    return Findings(
        rules,
        seed,
        lines,
        mean_pairs(all_of("pairs")),
        gini([share for shares in field.means.values() for share in shares]),
        gini([share for row in HONEST if row.skill and row.skill >= 0.6 for share in field.means[row.name]]),
        (done["cartel"].void, done["cartel"].played) if CARTEL in miners else (0, 0),
        done.get("points", []),
        likeness.mean_recall(all_of("recall")),
        [twins for each in all_of("twins") for twins in each],
        done["memory"],
        field.played,
        field.played / field.seconds,
    )


def _tasks(rules: LabRules, names: Sequence[str], extent: Extent, seed: int) -> dict[str, Task]:
    """What is played, by name: those whose names begin with one word make one result."""
    miners, insiders = chosen(names)
    tasks: dict[str, Task] = {
        f"field {n}": (_field, rules, tuple(names), extent, seed + n) for n in range(extent.seeds)
    }
    tasks |= {f"pairs {n}": (play_pairs, rules, extent, seed + n) for n in range(extent.pair_seeds)}
    if extent.frontier:
        tasks["points"] = frontier, rules, extent.frontier, seed, POINTS
    tasks |= {f"twins {n}": (likeness.measure_twins, rules, [share], extent, seed) for n, share in enumerate(TWINS)}
    tasks |= {
        f"recall {n}": (likeness.measure_recall, rules, extent.shared, seed + n) for n in range(extent.shared_seeds)
    }
    tasks["memory"] = likeness.measure_memory, rules, extent, seed
    if CARTEL in miners:
        tasks["cartel"] = play_cartel, rules, extent, seed
    if insiders or FRIEND in miners:
        tasks["insiders"] = play_insiders, rules, extent, seed
    return tasks


def _cast(names: Sequence[str]) -> list[Strategy]:
    """Everybody in the field: the honest, a coin, and the tricks that were chosen."""
    tricks = [row for row in chosen(names)[0] if row not in (CARTEL, FRIEND)]
    return [*HONEST, *tricks, *([] if EVERYBODY[GUESS] in tricks else [EVERYBODY[GUESS]])]


def _field(rules: LabRules, names: Sequence[str], extent: Extent, seed: int) -> Field:
    return play_field(rules, _cast(names), (extent.warm, extent.rounds, 1), seed)


def _done(tasks: Mapping[str, Task], jobs: int, watch: Watch) -> dict[str, Any]:
    """Results by name, of functions with their arguments."""
    done: dict[str, Any] = {}
    with ProcessPoolExecutor(min(jobs, len(tasks)), multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(*call): name for name, call in tasks.items()}
        for future in as_completed(waiting):
            done[waiting[future]] = future.result()
            watch(len(done), len(tasks))
    return done


def _line(row: Strategy, played: Field) -> Line:
    known = spread(played.samples[row.name])
    share = float(np.mean(played.means[row.name]))
    line = Line(row.name, row.about, row.skill, played.keys[row.name], share, known.low, known.high)
    if not row.means:
        return line
    idle = (1 - row.effort) * float(np.mean(played.means[row.idle])) if row.idle else 0.0
    earned = gain(played.means[row.name], played.means[row.means], row.effort, idle)
    return replace(line, beside=row.means, gain=earned, open_because=row.open_because)


def _dividends(row: Policy, inside: Insiders) -> Line:
    """A validator's share of dividends, beside an honest one's of the same stake; only the last half, as bonds grow."""
    late = {name: values[len(values) // 2 :] for name, values in inside.dividends.items()}
    known = spread(late[row.name])
    share, low, high = (value / inside.validators for value in (known.mean, known.low, known.high))
    if row.name == UPRIGHT.name:
        return Line(row.name, row.about, None, 1, share, low, high, kind="validator")
    earned = gain(late[row.name], late["honest"], 1.0)
    return Line(
        row.name, row.about, None, 1, share, low, high, "an honest validator", earned, row.open_because, "validator"
    )


def to_json(found: Findings) -> dict[str, Any]:
    """One object for machines."""
    pairs, rules = found.pairs, found.rules
    share = min(1.0, rules.sample_size / rules.miners)
    return {
        "rules": as_json(rules),
        "strategies": [_strategy(line) for line in found.lines if line.kind == "miner"],
        "validators": [_strategy(line) for line in found.lines if line.kind == "validator"],  # of dividends
        "order_by_skill": found.order_by_skill,
        "ordered": found.ordered,
        "gini": round(found.gini, 4),
        "gini_honest": round(found.gini_honest, 4),
        "rounds_to_rank": pairs.rounds_to_rank,
        "answers_to_rank": None if pairs.rounds_to_rank is None else round(pairs.rounds_to_rank * share),
        "rounds_to_order": pairs.rounds_to_order,
        "rounds_to_order_on_chain": pairs.chain_rounds_to_order,
        **_bounds(found, share),
        "tricks_that_pay": [_strategy(line) for line in found.tricks_that_pay],
        "copies": {line.name: round(line.share * line.keys, 5) for line in found.lines if "keys" in line.name},
        "cartel": {"void": found.void[0], "rounds": found.void[1]},
        "frontier": [_point(point) for point in found.frontier],
        "likeness": {
            "rate": RATE,
            "recall": [_recall(row) for row in found.recall],
        },
        "twins": [{"twin_share": t.share, **_rounded(t.earns)} for t in found.twins],
        "memory": [{name: round(value, 4) for name, value in vars(m).items()} for m in found.memory],
        "seed": found.seed,
        "rounds": found.rounds,
        "rounds_per_second": round(found.rate),
    }


def _bounds(found: Findings, share: float) -> dict[str, Any]:
    """How sure the order is, beside what so many answers can tell at best, and how many it takes."""
    pairs, rules, needed = found.pairs, found.rules, answers_for(CONFIDENCE)
    return {
        "order_after_1000": {
            "one_validator": pairs.after(1000),
            "on_chain": pairs.on_chain_after(1000),
            "bound_one_validator": round(bound(1000 * share), 4),
            "bound_on_chain": round(bound(1000 * share * rules.validators), 4),
        },
        "order_needs": {
            "answers": needed,
            "rounds_of_one_validator": round(needed / share),
            "sample_size_for_1000_rounds": -(-needed * rules.miners // 1000),
        },
    }


def _recall(row: likeness.Recall) -> dict[str, Any]:
    return {
        "shared": row.shared,
        **{name: round(hits.share, 4) for name, hits in row.pairs.items()},
        "intervals": {name: [round(end, 4) for end in wilson(hits)] for name, hits in row.pairs.items()},
        "pairs": {name: hits.asked for name, hits in row.pairs.items()},
        "false": round(row.wrong.share, 4),
        "false_interval": [round(end, 4) for end in wilson(row.wrong)],
        "links": row.wrong.asked,
    }


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def _strategy(line: Line) -> dict[str, Any]:
    about = {
        "name": line.name,
        "skill": line.skill,
        "share": round(line.share, 6),
        "low": round(line.low, 6),
        "high": round(line.high, 6),
        "keys": line.keys,
        "kind": line.kind,
        "about": line.about,
    }
    if line.gain is None:
        return about
    pays = {"beside": line.beside, "gain": round(line.gain.factor, 4), "error": round(line.gain.error, 4)}
    return {**about, **pays, "pays": line.gain.pays, "open_because": line.open_because if line.gain.pays else ""}


def _point(point: Point) -> dict[str, Any]:
    smoothing = point.smoothing
    return {
        "alpha": smoothing.alpha,
        "averaging": smoothing.averaging,
        "headroom": smoothing.headroom,
        "answers_to_rank": point.answers_to_rank,
        "order_after_1000": round(point.after_thousand, 4),
        "order_in_the_end": round(point.in_the_end, 4),
    }
