"""What is played: a field of all strategies, pairs of near skill, newcomers, a cartel, and validators that cheat."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from neurons.lab.arena import Arena, field_of
from neurons.lab.measures import CONFIDENCE, NEAR, Array, from_then_on, right_order
from neurons.lab.rules import LabRules
from neurons.lab.strategies import CARTEL, FRIEND, HONEST, Strategy, honest
from neurons.lab.validators import COPIER, RANDOM, TELLER, Policy
from neurons.lab.validators import HONEST as UPRIGHT
from subnet.errors import SettingsError
from subnet.game.history import History
from subnet.game.scoring import Smoothing, payment, settle
from subnet.types import Outcome

Progress = Callable[[int], None]
LOWER, HIGHER = 0.90, 0.93
GROUPS = ("lower", "higher", "rest")
STEP = 20  # rounds between two looks


@dataclass(frozen=True)
class Extent:
    """How long is played: rounds of each validator, and how often all is done anew."""

    warm: int = 600
    rounds: int = 1500
    seeds: int = 5
    pairs: int = 3600
    pair_seeds: int = 3
    newcomers: int = 2500  # the round at which they join the pairs
    insiders: int = 3000
    cartel: int = 1200
    frontier: int = 3500
    twins: int = 1500
    memory: int = 1000
    shared: tuple[int, ...] = (25, 50, 100, 200, 400)
    shared_seeds: int = 16


FULL = Extent()
QUICK = Extent(
    rounds=1500,
    seeds=2,
    pairs=3600,
    pair_seeds=1,
    insiders=1000,
    cartel=500,
    frontier=0,
    twins=600,
    memory=250,
    shared=(25, 50, 100, 200),
    shared_seeds=3,
)


def check(rules: LabRules, extent: Extent) -> None:
    """Raises SettingsError where so few rounds hold too few epochs, or too few answers, to measure anything."""
    least = min(extent.rounds, extent.insiders, extent.cartel, extent.twins, extent.pairs - extent.newcomers)
    blocks, needed = round(least * rules.blocks_a_round), 2 * (max(rules.tempo, rules.epoch_length) + 1)
    if blocks < needed:
        raise SettingsError(
            f"interval, tempo, epoch_length: {least} rounds of {rules.interval:g} s are {blocks} blocks, two epochs "
            f"take {needed}; lengthen the first or shorten the others"
        )
    before = min(extent.warm, extent.cartel // 2)
    answers = int(before * min(1.0, rules.sample_size / rules.miners))
    if rules.min_answers > answers:
        raise SettingsError(
            f"min_answers must be at most {answers}, which a miner gives in the {before} rounds before shares are "
            f"measured, not {rules.min_answers}: no weights would be set"
        )


@dataclass
class Field:
    """Shares of incentive, per strategy: each key's mean over time, and every sample of every key and epoch."""

    means: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    samples: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    keys: dict[str, int] = field(default_factory=dict)
    void: int = 0  # rounds
    played: int = 0  # rounds
    seconds: float = 0.0  # of the processor


def merged(fields: Sequence[Field]) -> Field:
    """Runs of one cast together."""
    whole = Field(keys=fields[0].keys)
    for each in fields:
        for name in each.means:
            whole.means[name] += each.means[name]
            whole.samples[name] += each.samples[name]
        whole.void, whole.played = whole.void + each.void, whole.played + each.played
        whole.seconds += each.seconds
    return whole


def play_field(
    rules: LabRules,
    cast: Sequence[Strategy],
    extent: tuple[int, int, int],
    seed: int,
    policies: Sequence[Policy] = (),
    look: Callable[[Arena], None] = lambda arena: None,
) -> Field:
    """`extent` is (rounds to warm up, rounds to measure, seeds). `look` is called after every epoch measured."""
    warm, rounds, seeds = extent
    found, started = Field(), time.process_time()
    for number in range(seeds):
        arena = Arena(rules, field_of(rules, cast), policies or [UPRIGHT] * rules.validators, seed + number)
        arena.play(warm)
        epochs, earned = 0, dict.fromkeys((key.uid for key in arena.keys), 0.0)
        for _ in range(rounds // STEP):
            before = arena.state.epoch_index
            arena.play(STEP)
            if arena.state.epoch_index == before:
                continue
            look(arena)
            epochs += 1
            shares = arena.incentive()
            for key in arena.keys:
                earned[key.uid] += shares[key.hotkey]
                found.samples[key.strategy.name].append(shares[key.hotkey])
        for key in arena.keys:
            found.means[key.strategy.name].append(earned[key.uid] / max(1, epochs))
            found.keys[key.strategy.name] = key.strategy.keys
        found.void += sum(validator.void for validator in arena.validators)
        found.played += sum(len(validator.labels) for validator in arena.validators)
    found.seconds = time.process_time() - started
    return found


@dataclass(frozen=True, eq=False)
class Pairs:
    """Miners of .90 and .93 side by side, and newcomers of .90: curves over rounds."""

    times: list[int]
    order: Array  # chance of the right order, in what one validator pays
    epochs: list[int]
    chain: Array  # the same in the chain's incentive
    joined: list[int]  # rounds since the newcomers came
    standing: Array  # what they are paid, over what the others of their skill are paid
    on_chain: tuple[list[int], Array]  # the same in the chain's incentive

    @property
    def rounds_to_order(self) -> int | None:
        return from_then_on(self.times, _smooth(self.order), CONFIDENCE)

    @property
    def chain_rounds_to_order(self) -> int | None:
        return from_then_on(self.epochs, list(self.chain), CONFIDENCE)

    def after(self, rounds: int) -> float:
        """Chance of the right order in what one validator pays, after so many rounds."""
        return round(float(np.interp(rounds, self.times, _smooth(self.order))), 4)

    def on_chain_after(self, rounds: int) -> float:
        return round(float(np.interp(rounds, self.epochs, self.chain)), 4)

    @property
    def rounds_to_rank(self) -> int | None:
        return from_then_on(self.joined, _smooth(self.standing), 1 - NEAR)


def _smooth(values: Array) -> list[float]:
    """Running means of five looks, so that the noise of a single one moves nothing."""
    padded = np.pad(values, 2, mode="edge")
    means: list[float] = np.convolve(padded, np.ones(5) / 5, mode="valid").tolist()
    return means


@dataclass(frozen=True, eq=False)
class _Curves:
    """One run of the pairs: by validators at every look, by the chain at every epoch."""

    order: Array
    standing: Array
    epochs: list[int]
    chain: Array
    on_chain: Array


def play_pairs(rules: LabRules, extent: Extent, seed: int) -> Pairs:
    run = _pairs(rules, extent, seed)
    late = [n for n, at in enumerate(run.epochs) if at > extent.newcomers]
    looks = list(range(STEP, extent.pairs + 1, STEP))
    joined = [at - extent.newcomers for at in looks if at > extent.newcomers]
    on_chain = [run.epochs[n] - extent.newcomers for n in late], run.on_chain[late]
    return Pairs(looks, run.order, run.epochs, run.chain, joined, run.standing[-len(joined) :], on_chain)


def mean_pairs(runs: Sequence[Pairs]) -> Pairs:
    """The mean of runs of the same extent, whose epochs are at the same rounds."""
    return replace(
        runs[0],
        order=np.mean([run.order for run in runs], axis=0),
        chain=np.mean([run.chain for run in runs], axis=0),
        standing=np.mean([run.standing for run in runs], axis=0),
        on_chain=(runs[0].on_chain[0], np.mean([run.on_chain[1] for run in runs], axis=0)),
    )


def _pairs(rules: LabRules, extent: Extent, seed: int) -> _Curves:
    side = 2 * rules.miners // 5
    skills, sizes = (LOWER, HIGHER, 0.8), (side, side, rules.miners - 2 * side)
    cast = [Strategy(name, "", honest, skill, keys=n) for name, skill, n in zip(GROUPS, skills, sizes, strict=True)]
    arena = Arena(rules, cast, [UPRIGHT] * rules.validators, seed)
    order, chain, standing, on_chain, epochs = [], [], [], [], []
    for at in range(STEP, extent.pairs + 1, STEP):
        before = arena.state.epoch_index
        arena.play(STEP)
        groups = [[_payments(arena, v.history, name) for name in GROUPS] for v in arena.validators]
        order.append(np.mean([right_order(low, high) for low, high, _ in groups]))
        standing.append(np.mean([_ratio(new, low) for low, _, new in groups]))
        if arena.state.epoch_index > before:
            shares = arena.incentive()
            low, high, new = ([shares[k.hotkey] for k in arena.keys if k.strategy.name == name] for name in GROUPS)
            chain.append(right_order(low, high))
            on_chain.append(_ratio(new, low))
            epochs.append(at)
        if at == extent.newcomers:
            arena.admit([key for key in arena.keys if key.strategy.name == "rest"], replace(cast[2], skill=LOWER))
    return _Curves(np.array(order), np.array(standing), epochs, np.array(chain), np.array(on_chain))


def _ratio(values: Sequence[float], others: Sequence[float]) -> float:
    return float(np.mean(values)) / max(1e-12, float(np.mean(others)))


def _payments(arena: Arena, history: History, name: str) -> list[float]:
    return [payment(history[k.hotkey], arena.rules.smoothing) for k in arena.keys if k.strategy.name == name]


@dataclass(frozen=True)
class Point:
    """One choice of alpha and averaging: how soon a newcomer stands, and how surely .90 and .93 are told apart."""

    smoothing: Smoothing
    answers_to_rank: int | None
    after_thousand: float  # chance of the right order after 1,000 rounds
    in_the_end: float


def frontier(rules: LabRules, rounds: int, seed: int, points: Sequence[Smoothing]) -> list[Point]:
    """The same answers of one validator's rounds, paid by each of `points`."""
    stream: list[list[Outcome]] = []
    half = rules.miners // 2
    cast = [Strategy(name, "", honest, skill, keys=half) for name, skill in zip(GROUPS, (LOWER, HIGHER), strict=False)]
    arena = Arena(replace(rules, miners=2 * half), cast, [UPRIGHT], seed)
    arena.record = stream
    arena.play(rounds)
    share = min(1.0, rules.sample_size / (2 * half))
    return [_point(arena, stream, smoothing, share) for smoothing in points]


def _point(arena: Arena, stream: Sequence[Sequence[Outcome]], smoothing: Smoothing, share: float) -> Point:
    history, times, lower, order = History(), [], [], []
    for number, outcomes in enumerate(stream, start=1):
        history = settle(history, outcomes, smoothing)
        if number % STEP == 0:
            sides = [
                [payment(history[key.hotkey], smoothing) for key in arena.keys if key.strategy.name == name]
                for name in GROUPS[:2]
            ]
            times.append(number)
            lower.append(float(np.mean(sides[0])))
            order.append(right_order(*sides))
    place = float(np.mean(lower[-len(lower) // 5 :]))
    reached = from_then_on(times, _smooth(np.array(lower) / place), 1 - NEAR)
    at = min(len(order) - 1, 1000 // STEP - 1)
    return Point(
        smoothing,
        None if reached is None else round(reached * share),
        float(np.mean(order[max(0, at - 2) : at + 3])),
        float(np.mean(order[-len(order) // 5 :])),
    )


def play_cartel(rules: LabRules, extent: Extent, seed: int) -> Field:
    """Most keys of the subnet in one hand, silent when unsure, so that whole rounds may come out void."""
    size = round(CARTEL.keys / 250 * rules.miners)
    rest = replace(HONEST[6], keys=1)
    return play_field(
        rules, [replace(CARTEL, keys=size), rest], (extent.cartel // 2, extent.cartel, 1), seed, [UPRIGHT]
    )


@dataclass
class Insiders:
    """Validators that cheat, beside honest ones of the same stake: shares of dividends, and what the friend earns."""

    field: Field
    dividends: dict[str, list[float]]  # by policy, over its share of the stake
    validators: int  # all with the same stake


def play_insiders(rules: LabRules, extent: Extent, seed: int) -> Insiders:
    policies = (TELLER, UPRIGHT, UPRIGHT, COPIER, RANDOM)
    dividends: dict[str, list[float]] = defaultdict(list)

    def look(arena: Arena) -> None:
        rows = arena.state.rows
        total = sum(row.dividends for row in rows)
        for validator in arena.validators:
            share = rows[validator.uid].dividends / total if total else 0.0
            dividends[validator.policy.name].append(share * len(arena.validators))

    friends = [*HONEST, replace(FRIEND, keys=8)]
    found = play_field(rules, friends, (extent.warm, extent.insiders, 1), seed, policies, look)
    return Insiders(found, dict(dividends), len(policies))
