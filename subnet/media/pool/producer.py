"""What keeps the pool filled: a plan, the choice of what is lowest, and a loop that one bad model cannot stop.

Item n of a cell is a function of (seed, stream, cell, n) alone. So a producer that was killed makes the same items
again, and two runs of one plan fill two pools with the same items in whatever order.
"""

from __future__ import annotations

import math
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from subnet.codec import image as codec
from subnet.errors import GenerationError, SettingsError, StateError, SubnetError
from subnet.game.sampling import derive
from subnet.game.scoring import IMAGE_SHARE, VIDEO_SHARE
from subnet.media.pool.item import Cell, check_stream, parse_cell
from subnet.media.pool.pool import Fate, Pool
from subnet.types import Media, Modality, Sample

Make = Callable[[np.random.Generator], Sample]  # raises SubnetError, OSError or MemoryError, and nothing else
SHARES = {Modality.IMAGE: IMAGE_SHARE, Modality.VIDEO: VIDEO_SHARE}
TRIES = 3  # of one item before it is passed over


@dataclass(frozen=True)
class Target:
    """How many items of a cell to keep ready."""

    cell: Cell
    count: int


@dataclass(frozen=True)
class PoolPlan:
    """What one producer makes. `stream` is its name in the pool: no two producers of one pool may share it.

    `public` are cells whose media anybody can download: the validator compares answers on them with those on others.
    """

    targets: tuple[Target, ...]
    seed: int = 0
    stream: str = "main"
    public: tuple[Cell, ...] = ()

    def __post_init__(self) -> None:
        cells = [target.cell for target in self.targets]
        if not cells or len(set(cells)) != len(cells) or any(target.count < 0 for target in self.targets):
            raise ValueError("a plan has at least one target, each cell once, and no negative counts")
        check_stream(self.stream)
        if strangers := [str(cell) for cell in self.public if cell not in cells]:
            raise ValueError(f"public names {', '.join(strangers)}, which has no weight")


def weighted(weights: Mapping[Cell, float], total: int, *, seed: int = 0, stream: str = "main") -> PoolPlan:
    """`total` items shared out by weight; every cell with a weight above 0 gets at least one."""
    whole = sum(weights.values())
    if total < 1 or not 0 < whole < math.inf or min(weights.values()) < 0:
        raise SettingsError("a plan needs total >= 1 and weights that are finite, at least 0, and not all 0")
    shares = {cell: weight / whole for cell, weight in weights.items() if weight > 0}
    return PoolPlan(tuple(Target(cell, max(1, round(total * share))) for cell, share in shares.items()), seed, stream)


def stream_of(seed: int) -> str:
    """A producer's name in a pool by default: two seeds do not share one, and it does not give the seed away."""
    return f"s{derive('stream', seed):016x}"


def read_plan(
    path: Path, *, seed: int | None = None, stream: str | None = None, draw: Callable[[], int] = lambda: 0
) -> PoolPlan:
    """A plan from TOML: `total`, `[weights]` by "modality/label/origin", and perhaps `seed`, `stream` and `public`.

    `seed` and `stream` win over the file's. Where neither has a seed it is what `draw` gives, and the stream follows
    from the seed. Raises SettingsError, naming the file and the key.
    """
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        weights = {parse_cell(name): float(weight) for name, weight in table["weights"].items()}
        own = table.get("seed") if seed is None else seed
        number = draw() if own is None else int(own)
        name = stream or str(table.get("stream") or stream_of(number))
        public = tuple(parse_cell(cell) for cell in _texts(table.get("public", [])))
        return replace(weighted(weights, int(table["total"]), seed=number, stream=name), public=public)
    except OSError as error:
        raise SettingsError(f"the plan {path} cannot be read: {error.strerror}") from error
    except KeyError as error:
        raise SettingsError(f"the plan {path} lacks the key {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsError(f"the plan {path} is wrong: {error}") from error


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f'public must be a list of origins such as ["image/real/ffhq-256"], not {value!r}')
    return value


def missing(plan: PoolPlan, levels: Mapping[Cell, int]) -> list[str]:
    """What the targets of a plan lack, for people: "image/real/embedded has 3 of 10"."""
    return [
        f"{t.cell} has {levels.get(t.cell, 0):,} of {t.count:,}"
        for t in plan.targets
        if levels.get(t.cell, 0) < t.count
    ]


def next_cell(plan: PoolPlan, levels: Mapping[Cell, int], resting: Collection[Cell] = ()) -> Cell | None:
    """The cell that is lowest relative to its target, the first of the plan among equals; None when all are full."""
    open_targets = [t for t in plan.targets if levels.get(t.cell, 0) < t.count and t.cell not in resting]
    return min(open_targets, key=lambda t: levels.get(t.cell, 0) / t.count).cell if open_targets else None


def item_rng(plan: PoolPlan, cell: Cell, sequence: int) -> np.random.Generator:
    """The randomness of one item: nothing but the plan's seed and stream, the cell and the number goes in."""
    return np.random.default_rng(derive(plan.seed, plan.stream, cell, sequence))


def flaw(media: Media) -> str | None:
    """Why media is of no use: black, or of one colour all over (what NaN latents become); None when it is fine.

    Mean below 3 or standard deviation below 2 of 255, over the whole item.
    """
    mean, spread = float(media.frames.mean()), float(media.frames.std())
    if mean < 3:
        return f"black (mean {mean:.1f} of 255)"
    return f"one colour all over (deviation {spread:.1f} of 255)" if spread < 2 else None


class Event(StrEnum):
    """What a step of the producer came to."""

    STORED = "stored"
    EXISTS = "exists"  # another producer, or an earlier run, stored it before
    REJECTED = "rejected"  # made, but of no use: the number is passed over
    FAILED = "failed"  # the maker raised: tried again later, passed over after TRIES
    FULL = "full"  # all targets met, or every open cell rests
    BUSY = "busy"  # what is open is being made by other threads
    NO_ROOM = "no_room"  # byte budget or free-space floor


IS_THERE = (Event.STORED, Event.EXISTS)


def make_item(plan: PoolPlan, cell: Cell, sequence: int, make: Make, pool: Pool) -> tuple[Event, str]:
    """Make item `sequence` of a cell and store it: what became of it, and the reason where it was not stored."""
    try:
        sample = make(item_rng(plan, cell, sequence))
        if (sample.modality, sample.label) != (cell.modality, cell.label):
            raise GenerationError(f"asked for {cell}, it gave {sample.label.name.lower()} {sample.modality}")
        if sample.media.frames.shape[1:3] != codec.TARGET_SIZE:
            sample = Sample(codec.normalise(sample.media, None), sample.label, sample.provenance)
        if reason := flaw(sample.media):
            return Event.REJECTED, reason
        stored = pool.put(sample, stream=plan.stream, sequence=sequence, origin=cell.origin)
    except (SubnetError, OSError, MemoryError) as error:
        return Event.FAILED, f"{type(error).__name__}: {error}"
    return _EVENTS[stored.fate], stored.reason


_EVENTS = {
    Fate.STORED: Event.STORED,
    Fate.EXISTS: Event.EXISTS,
    Fate.OVER_BUDGET: Event.NO_ROOM,
    Fate.NO_SPACE: Event.NO_ROOM,
}


@dataclass(frozen=True)
class ProducerStep:
    """One step: what happened to which item, in how many seconds, and why."""

    event: Event
    cell: Cell | None = None
    sequence: int = 0
    seconds: float = 0.0
    reason: str = ""


class Producer:
    """Fills `pool` by `plan` from `makers`. `counts` holds how often each event happened by cell.

    Threads may step side by side: a cell is worked on by one at a time, so that its items come in their order.
    """

    def __init__(
        self,
        plan: PoolPlan,
        makers: Mapping[Cell, Make],
        pool: Pool,
        *,
        clock: Callable[[], float] = time.monotonic,
        longest_rest: float = 300.0,
    ) -> None:
        """Raises SettingsError when a cell of the plan has no maker."""
        missing = [str(target.cell) for target in plan.targets if target.cell not in makers]
        if missing:
            raise SettingsError(f"the plan asks for {', '.join(missing)}, and nothing here makes that")
        self.plan, self.pool = plan, pool
        self.counts: Counter[tuple[Cell, Event]] = Counter()
        self._makers, self._clock, self._longest_rest = makers, clock, longest_rest
        self._next = {t.cell: pool.next_sequence(t.cell, plan.stream) for t in plan.targets}
        self._failures: Counter[Cell] = Counter()  # in a row
        self._tries: Counter[Cell] = Counter()  # of the item at hand
        self._rests_until: dict[Cell, float] = {}
        self._lock, self._busy = threading.Lock(), set[Cell]()

    def step(self) -> ProducerStep:
        """Make one item where the pool is lowest. Never raises for what a maker does."""
        begun = self._clock()
        with self._lock:
            levels = self.pool.levels()
            resting = {cell for cell, until in self._rests_until.items() if until > begun}
            cell = next_cell(self.plan, levels, resting | self._busy)
            if cell is None:
                return ProducerStep(Event.BUSY if next_cell(self.plan, levels, resting) else Event.FULL)
            self._busy.add(cell)
        try:
            return self._work(cell, begun)
        finally:
            with self._lock:
                self._busy.remove(cell)

    def is_done(self) -> bool:
        """Whether all targets are met but for those that were missed TRIES times in a row."""
        levels = self.pool.levels()
        return all(
            self._failures[target.cell] >= TRIES
            for target in self.plan.targets
            if levels.get(target.cell, 0) < target.count
        )

    def _work(self, cell: Cell, begun: float) -> ProducerStep:
        sequence = self._next[cell]
        event, reason = make_item(self.plan, cell, sequence, self._makers[cell], self.pool)
        with self._lock:
            self.counts[cell, event] += 1
        try:
            self._settle(cell, event)
        except StateError as error:  # the mark of how far we are: it is written again with the next item
            event, reason = Event.NO_ROOM, f"{type(error).__name__}: {error}"
        return ProducerStep(event, cell, sequence, self._clock() - begun, reason)

    def _settle(self, cell: Cell, event: Event) -> None:
        """Go on to the next number, or let the cell rest: 1, 2, 4... seconds after failures in a row."""
        if event is Event.NO_ROOM:
            self._failures[cell] += 1
            return
        self._failures[cell] = 0 if event in IS_THERE else self._failures[cell] + 1
        self._tries[cell] += 1
        if event is not Event.FAILED or self._tries[cell] >= TRIES:
            self._tries[cell] = 0
            self._next[cell] += 1
            self.pool.advance(cell, self.plan.stream, self._next[cell])
        if self._failures[cell]:
            rest = min(self._longest_rest, 2.0 ** min(self._failures[cell] - 1, 20))
            with self._lock:
                self._rests_until[cell] = self._clock() + rest

    def run(
        self,
        stop: threading.Event,
        on_step: Callable[[ProducerStep], None] = lambda _: None,
        idle: float = 0.5,
        threads: int = 1,
    ) -> None:
        """Step until `stop` is set; with nothing to do wait `idle` seconds, twenty times that when there is no room.

        With several `threads`, `on_step` is called by one at a time.
        """
        telling = threading.Lock()

        def loop() -> None:
            try:
                while not stop.is_set():
                    step = self.step()
                    with telling:
                        on_step(step)
                    waits = {Event.FULL: idle, Event.BUSY: idle, Event.NO_ROOM: 20 * idle}
                    stop.wait(waits.get(step.event, 0.0))
            finally:
                stop.set()  # where one fails, all end

        with ThreadPoolExecutor(threads, thread_name_prefix="producer") as workers:
            for worker in [workers.submit(loop) for _ in range(threads)]:
                worker.result()


def equal_shares(cells: Sequence[Cell], total: int, *, seed: int = 0, stream: str = "main") -> PoolPlan:
    """`total` items, half real and half synthetic, modalities by the game's shares, origins alike within a kind."""
    weights: dict[Cell, float] = {}
    mixed = len({cell.modality for cell in cells}) > 1
    for cell in cells:
        share = SHARES[cell.modality] if mixed else 1.0
        alike = sum((other.modality, other.label) == (cell.modality, cell.label) for other in cells)
        weights[cell] = share / 2 / alike
    return weighted(weights, total, seed=seed, stream=stream)
