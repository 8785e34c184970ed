"""The validator's loop in memory: what a round writes, what it survives, and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import structlog
from structlog.testing import capture_logs

from neurons.chain_view import ChainView
from neurons.settings import NeuronSettings
from neurons.validator import loop as module
from neurons.validator.loop import Partners, ValidatorLoop
from neurons.validator.onchain.epochs import Uncommitted
from neurons.validator.settings import ValidatorSettings
from neurons.validator.weight_setter import WeightSetter, WeightsStanding
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.errors import SourceEmpty, StateError
from subnet.evidence.binding import BEHIND
from subnet.evidence.journal import Journal
from subnet.evidence.records import (
    DEPARTED,
    ROUND,
    RULES,
    SETTING,
    WEIGHTS,
    DepartedRecord,
    RoundRecord,
    WeightsRecord,
    setting_record,
)
from subnet.evidence.replay import replay
from subnet.evidence.state import PATIENCE, State, StateStore
from subnet.game.history import History, Standing
from subnet.game.sampling import RoundPlan, Sampling
from subnet.game.step import Draw, Round
from subnet.media.pool.item import Cell, PoolItem
from subnet.media.pool.pool import Drawn
from subnet.protocols import Transport
from subnet.types import (
    Answer,
    Endpoint,
    Failure,
    Label,
    Media,
    Modality,
    Neuron,
    Prediction,
    Provenance,
    Query,
    Sample,
    Submission,
)
from subnet.wire.memory import MemoryTransport

LOG = structlog.get_logger()
ORIGINS = {(modality, label): {"here": 1.0} for modality in Modality for label in Label}
SAMPLING = Sampling(video_share=0.0, level_weights=(1, 0, 0, 0), origins=ORIGINS)
MEDIA = Media(np.zeros((1, 16, 16, 3), np.uint8))


@dataclass
class Watching:
    """Counts what it is told, and fails as it is asked to."""

    error: Exception | None = None
    rounds: list[Round[Draw]] = field(default_factory=list)
    failures: int = 0
    ends: int = 0
    standing: WeightsStanding = field(default_factory=WeightsStanding)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def played(self, played: Round[Draw], block: int) -> None:
        self.rounds.append(played)
        self.begun.set()
        self._fail()

    def failed(self) -> None:
        self.failures += 1
        self._fail()

    def finished(self, state: State) -> None:
        self.ends += 1
        self._fail()

    def weights(self, standing: WeightsStanding) -> None:
        self.standing = standing
        if self.error:
            raise self.error

    def _fail(self) -> None:
        if self.error:
            raise self.error


class Shelf:
    """A pool of one black picture per plan that remembers what was retired."""

    def __init__(self) -> None:
        self.retired: list[PoolItem] = []

    def draw(self, plan: RoundPlan) -> Drawn:
        cell = Cell(plan.modality, plan.label, plan.origin)
        item = PoolItem(plan.number, "main", f"{plan.number:064x}", cell, Path(f"{plan.number}"))
        return Drawn(item, Sample(MEDIA, plan.label, Provenance("here", str(plan.number))))


class Game:
    """A subnet in memory with one validator and two miners, and a loop that plays on it."""

    def __init__(self, folder: Path, executor: ThreadPoolExecutor) -> None:
        rules = Rules(tempo=5, weights_rate_limit=2, version_key=1, allow_loopback=True)
        neurons = (GenesisNeuron("v", "v", 5000.0), GenesisNeuron("m1", "m1"), GenesisNeuron("m2", "m2"))
        self.subnet = MemorySubnet(Genesis(34, neurons, rules))
        self.journal = Journal(folder / "journal.db")
        self.store, self.shelf, self.watching = StateStore(self.journal), Shelf(), Watching()
        self.view = ChainView(MemoryChain(self.subnet, "v"), LOG)
        self.executor = executor

    async def start(self) -> None:
        await self.subnet.advance(6)
        for number, hotkey in enumerate(("m1", "m2")):
            await MemoryChain(self.subnet, hotkey).serve(Endpoint("127.0.0.1", 8000 + number))
            await self.subnet.advance(1)
        await self.view.refresh()

    def loop(
        self,
        rounds: int | None = 1,
        *,
        transport: Transport | None = None,
        draw: Callable[[RoundPlan], Drawn] | None = None,
        retire: Callable[[PoolItem], None] | None = None,
        seed: int = 7,
        interval: float = 0.0,
    ) -> ValidatorLoop:
        neuron = NeuronSettings(interval=interval, epoch_length=2, timeout=5)
        settings = ValidatorSettings(34, SAMPLING, neuron, rounds=rounds)
        partners = Partners(
            self.view,
            transport or MemoryTransport(right),
            draw or self.shelf.draw,
            retire or self.shelf.retired.append,
            self.executor,
        )
        return ValidatorLoop("v", settings, Uncommitted(seed), partners, self.store, self.watching, LOG)

    def setter(self) -> WeightSetter:
        chain = MemoryChain(self.subnet, "v", version_key=1)
        settings = NeuronSettings(epoch_length=2, min_answers=1)
        return WeightSetter(chain, self.view, "v", settings, self.store, LOG)

    async def run(self, loop: ValidatorLoop, stop: asyncio.Event | None = None) -> None:
        """Run to the end on a chain that makes a block whenever the loop waits."""
        async with asyncio.timeout(30):
            producing = asyncio.create_task(self._blocks())
            try:
                await loop.run(self.setter(), stop or asyncio.Event())
            finally:
                producing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await producing

    async def _blocks(self) -> None:
        while True:
            await self.subnet.advance(1)
            await self.view.refresh()
            await asyncio.sleep(0.005)

    def records(self) -> list[RoundRecord]:
        return [RoundRecord.model_validate_json(entry.body) for entry in self.journal.entries(ROUND)]


def right(_neuron: Neuron, _query: Query) -> Answer:
    return Prediction(0.5)  # real: right half of the time


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def game(tmp_path: Path, executor: ThreadPoolExecutor) -> Iterator[Game]:
    made = Game(tmp_path, executor)
    yield made
    made.journal.close()


async def test_a_round_is_written_down_told_and_retired(game: Game) -> None:
    """One entry per round in order, the state behind it; each item is retired; the journal replays to the history."""
    await game.start()
    await game.run(game.loop(5))
    assert [record.number for record in game.records()] == [0, 1, 2, 3, 4]
    assert [item.sequence for item in game.shelf.retired] == [0, 1, 2, 3, 4]
    assert [played.plan.number for played in game.watching.rounds] == [0, 1, 2, 3, 4]
    assert (game.watching.failures, game.watching.ends) == (0, 1)
    assert StateStore(game.journal).state == game.store.state == State(5, game.store.state.history)
    assert replay(game.journal.entries()).history == game.store.state.history


async def test_a_round_keeps_its_metagraph_whatever_weights_are_set_on_meanwhile(game: Game) -> None:
    """Another one of the same block, as after a fork, or of an older block that tells of other neurons."""
    await game.start()
    snapshot = await game.view.refresh()
    gone = tuple(replace(neuron, endpoint=None) for neuron in snapshot.neurons)
    older = iter((0, 1, 0, 3))

    def answer(_neuron: Neuron, _query: Query) -> Answer:
        game.store.observe(replace(snapshot, block=snapshot.block - next(older), neurons=gone))
        return Prediction(0.5)

    loop = game.loop(2, transport=MemoryTransport(answer))
    game.store.note(RULES, loop.rules)
    await loop.play()
    await loop.play()
    assert replay(game.journal.entries()).history == game.store.state.history


@pytest.mark.parametrize("blocks", [BEHIND, BEHIND + 1])
async def test_a_round_that_outlasts_its_metagraph_is_not_written_down(game: Game, blocks: int) -> None:
    """Weights were set by one over 64 blocks newer: a record behind it would read as a choice among metagraphs.

    So it happens to a computer that slept, or was starved, in the middle of a round.
    """
    await game.start()
    snapshot = await game.view.refresh()
    game.store.note(RULES, game.loop().rules)

    def answer(_neuron: Neuron, _query: Query) -> Answer:
        newer = replace(snapshot, block=snapshot.block + blocks)
        game.store.observe(newer)
        game.store.write(SETTING, setting_record(newer, {1: 1.0}, 0))
        return Prediction(0.5)

    playing = game.loop(1, transport=MemoryTransport(answer)).play()
    if blocks > BEHIND:
        with pytest.raises(StateError, match="lasted over 64 blocks"):
            await playing
    else:
        await playing
    assert len(game.records()) == int(blocks == BEHIND)
    assert [item.sequence for item in game.shelf.retired] == [0]


async def test_media_is_waited_for_before_the_metagraph_is_taken(game: Game) -> None:
    """However long the pool is empty, the round is played by the newest metagraph, and asks what was waited for."""
    await game.start()
    before, waited = game.view.block, list[RoundPlan]()
    loop, running = game.loop(1), asyncio.get_running_loop()

    async def blocks_pass() -> None:
        await game.subnet.advance(100)
        await game.view.refresh()

    def await_media(wanted: RoundPlan) -> None:
        waited.append(wanted)
        asyncio.run_coroutine_threadsafe(blocks_pass(), running).result()

    loop.partners = replace(loop.partners, await_media=await_media)
    await loop.play()
    assert [record.block for record in game.records()] == [before + 100]
    assert [played.plan for played in game.watching.rounds] == waited


async def test_a_run_of_so_many_rounds_ends_with_weights_on_chain(game: Game) -> None:
    """The last record is the weights, they follow from the final history, and they stand on chain."""
    await game.start()
    await game.run(game.loop(8, transport=MemoryTransport(lambda n, _: Prediction(0.2 if n.hotkey == "m1" else 0.9))))
    *_, last = [WeightsRecord.model_validate_json(entry.body) for entry in game.journal.entries(WEIGHTS)]
    standings = game.store.state.history.standings
    total = standings["m1"].score + standings["m2"].score
    assert last.submission is Submission.OK
    assert last.weights == pytest.approx({1: standings["m1"].score / total, 2: standings["m2"].score / total})
    assert set(await MemoryChain(game.subnet, "v").weights(0)) == {1, 2}


async def test_a_run_of_so_many_rounds_counts_from_where_it_began(game: Game) -> None:
    """On state at round 22, four rounds are 22 to 25, and four more follow on."""
    await game.start()
    game.store.state = State(22, History())
    await game.run(game.loop(4))
    await game.run(game.loop(4))
    assert [record.number for record in game.records()] == list(range(22, 30))


@pytest.mark.parametrize("error", [BrokenPipeError(32, "closed"), ValueError("I/O on closed file"), RuntimeError("?")])
async def test_telemetry_that_fails_costs_nothing(game: Game, error: Exception) -> None:
    """A closed screen, a full disk of pictures or a broken metric lose no round, no item and no weights."""
    await game.start()
    game.watching.error = error
    with capture_logs() as lines:
        await game.run(game.loop(3))
    told = [line["event"] for line in lines if line["log_level"] == "error"]
    assert sorted(told) == ["telemetry failed", "telemetry of weights failed"]  # once each
    assert len(game.records()) == len(game.shelf.retired) == 3
    assert [entry.kind for entry in game.journal.entries(WEIGHTS)]
    assert game.watching.failures == 0


async def test_an_item_that_cannot_be_retired_costs_nothing(game: Game) -> None:
    """A pool that turned read-only is told once, in one line, and the rounds count."""
    await game.start()

    def retire(item: PoolItem) -> None:
        raise PermissionError(13, "it is read-only", str(item.path))

    with capture_logs() as lines:
        await game.run(game.loop(2, retire=retire))
    assert len(game.records()) == 2
    told = [line for line in lines if line["log_level"] == "error"]
    assert [line["event"] for line in told] == ["retiring an item failed"]
    assert ("exc_info" in told[0], told[0]["error"]) == (False, "[Errno 13] it is read-only: '0'")


async def test_a_round_that_raises_is_skipped(game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a round raises is logged and counted, its number is not played again, and the next one is."""
    await game.start()
    numbers = []

    def draw(plan: RoundPlan) -> Drawn:
        numbers.append(plan.number)
        if plan.number == 1:
            raise ZeroDivisionError("a fault of ours")
        return game.shelf.draw(plan)

    async def at_once(stop: asyncio.Event, seconds: float) -> bool:
        await asyncio.sleep(0.001)
        return stop.is_set()

    monkeypatch.setattr(module, "pause", at_once)
    with capture_logs() as lines:
        await game.run(game.loop(3, draw=draw))
    assert numbers == [0, 1, 2]
    assert [record.number for record in game.records()] == [0, 2]
    assert game.watching.failures == 1
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["a round failed"]


async def test_a_disk_that_refuses_is_told_once(game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many facts wait, of rounds and of weights: one line, and one when they are written; then it is news."""
    await game.start()
    write, refuses = Journal.append, [*range(1, 9), *range(20, 24)]
    tries = iter(range(1000))

    def append(journal: Journal, *fact: object) -> object:
        if next(tries) in refuses:
            raise StateError("cannot write to the journal: disk is full; free space on its disk")
        return write(journal, *fact)  # type: ignore[arg-type]

    monkeypatch.setattr(Journal, "append", append)
    with capture_logs() as lines:
        await game.run(game.loop(12))
    told = [(line["log_level"], line.get("why")) for line in lines if line["event"] == "the journal cannot be written"]
    assert told == [("error", None), ("info", "mended")] * 2
    assert len(game.records()) == 12


async def test_no_round_is_played_on_a_chain_far_below_the_journal(game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that was reset, or a node that lags: told once with the fix, nobody is asked, and it ends by itself."""
    await game.start()
    loop, tries = game.loop(9), []
    game.store.newest = 500

    async def at_once(stop: asyncio.Event, seconds: float) -> bool:
        tries.append(seconds)
        return stop.is_set()

    monkeypatch.setattr(module, "pause", at_once)
    with capture_logs() as lines:
        for newest in (500, 500, 8):
            game.store.newest = newest
            await loop._round(asyncio.Event())
    told = [
        (line["log_level"], line.get("error", line.get("why"))) for line in lines if line["event"] == "a round failed"
    ]
    assert [level for level, _ in told] == ["error", "info"]
    assert "far below block 500" in told[0][1]
    assert "move the state away" in told[0][1]
    assert len(tries) == 2
    assert [record.number for record in game.records()] == [2]


async def test_an_empty_pool_makes_the_round_void(game: Game) -> None:
    """Our own fault is written down and moves no score."""
    await game.start()

    def draw(plan: RoundPlan) -> Drawn:
        raise SourceEmpty("nothing there")

    await game.loop(1, draw=draw).play()
    (record,) = game.records()
    assert record.void == "SourceEmpty: nothing there"
    assert game.store.state == State(1, History())
    assert game.shelf.retired == []


async def test_a_journal_that_refuses_is_told_and_loses_nothing(game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds played while the disk is full are written, in order, once it is not."""
    await game.start()
    loop, append = game.loop(9), game.journal.append

    def refuse(*_: object) -> None:
        raise StateError("disk full")

    monkeypatch.setattr(game.journal, "append", refuse)
    with capture_logs() as lines:
        await loop.play()
        await loop.play()
    assert [line["unwritten"] for line in lines if line["log_level"] == "error"] == [3]  # rules, snapshot
    monkeypatch.setattr(game.journal, "append", append)
    await loop.play()
    assert [record.number for record in game.records()] == [0, 1, 2]


async def test_a_disk_that_stays_full_stops_the_asking(game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in memory is bounded: nobody is asked until the disk takes it, and then the rounds go on in order."""
    monkeypatch.setattr("neurons.validator.loop.FULL_SECONDS", 0.001)
    await game.start()
    watching, stop, append = game.watching, asyncio.Event(), game.journal.append

    def refuse(*_: object) -> None:
        raise StateError("disk full")

    monkeypatch.setattr(game.journal, "append", refuse)
    loop = game.loop(None)
    for _ in range(PATIENCE + 30):
        await loop._round(stop)
    assert game.store.unwritten == PATIENCE
    asked = len(watching.rounds)
    assert asked < PATIENCE
    monkeypatch.setattr(game.journal, "append", append)
    await loop._round(stop)
    assert game.store.unwritten == 0
    assert [record.number for record in game.records()] == list(range(asked + 1))
    assert watching.failures == 0


async def test_hotkeys_that_left_are_forgotten_before_the_round(game: Game) -> None:
    """Their departure is a fact in the journal; who stays keeps its standing."""
    await game.start()
    game.store.state = State(3, History({"gone": Standing(score=0.9), "m1": Standing(score=0.5)}))
    await game.loop(9).play()
    (departed,) = game.journal.entries(DEPARTED)
    assert DepartedRecord.model_validate_json(departed.body).hotkeys == ("gone",)
    assert "gone" not in game.store.state.history.standings
    assert game.store.state.history["m1"].score > 0


@pytest.mark.parametrize("stale", [True, False], ids=["stale", "none yet"])
async def test_no_round_is_played_on_an_old_snapshot(game: Game, stale: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that has been silent for ten minutes, or has never spoken, ends the round before anything is drawn."""
    if stale:
        await game.start()
        monkeypatch.setattr(module, "STALE", -1.0)
    with pytest.raises(Exception, match="silent for too long"):
        await game.loop(1).play()
    assert game.records() == []


async def test_it_stops_at_once_when_told(game: Game) -> None:
    """A stop ends the wait between rounds; weights are not forced, and the end is told."""
    await game.start()
    stop = asyncio.Event()
    running = asyncio.create_task(game.run(game.loop(None, interval=60.0), stop))
    await asyncio.wait_for(game.watching.begun.wait(), 5)
    stop.set()
    await asyncio.wait_for(running, 2)
    assert len(game.records()) == 1
    assert game.watching.ends == 1


async def test_the_same_seed_asks_the_same(game: Game, tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    """Two validators with one seed and one set of miners write the same rounds; another seed does not."""
    journals = []
    for number, seed in enumerate((7, 7, 8)):
        other = Game(tmp_path / str(number), executor)
        await other.start()
        await other.run(other.loop(6, seed=seed))
        journals.append(
            [(r.label, r.seed, [(o.hotkey, o.query, o.score) for o in r.outcomes]) for r in other.records()]
        )
        other.journal.close()
    assert journals[0] == journals[1] != journals[2]


async def test_silence_of_everybody_is_void_and_of_one_is_not(game: Game) -> None:
    """When nobody is heard nothing moves; a single silent miner loses."""
    await game.start()
    await game.loop(9, transport=MemoryTransport(lambda *_: Failure.TIMEOUT)).play()
    assert game.store.state == State(1, History())
    one = MemoryTransport(lambda n, _: Failure.TIMEOUT if n.hotkey == "m1" else Prediction(0.5))
    await game.loop(9, transport=one).play()
    assert game.store.state.history["m1"].failures == {Failure.TIMEOUT: 1}
    assert game.store.state.history["m2"].answered == 1


def test_rounds_come_by_a_clock_or_by_none() -> None:
    """Seconds between rounds are those of the flag; of an irregular validator exponential with that mean."""
    assert module.interval(NeuronSettings(interval=7.0)) == 7.0
    assert module.interval(NeuronSettings(interval=0.0, irregular=True)) == 0.0
    drawn = np.array([module.interval(NeuronSettings(interval=7.0, irregular=True)) for _ in range(4000)])
    assert drawn.min() >= 0
    assert drawn.mean() == pytest.approx(7.0, rel=0.1)
    assert drawn.std() == pytest.approx(7.0, rel=0.15)
