"""When weights are set, and that they never are when they should not: against the chain in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from neurons.chain_view import ChainView
from neurons.settings import NeuronSettings
from neurons.validator.onchain.doppelganger import Doppelganger
from neurons.validator.onchain.past import Past
from neurons.validator.weight_setter import WeightSetter
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.chain.receipts import EXPIRED, PASSING
from subnet.errors import ChainError
from subnet.evidence.journal import Journal
from subnet.evidence.records import DEPARTED, SETTING, WEIGHTS, DepartedRecord, SettingRecord, WeightsRecord
from subnet.evidence.state import State, StateStore
from subnet.game.history import History, Standing, Window
from subnet.types import Receipt, Snapshot, Submission

LOG = structlog.get_logger()
NEURONS = (GenesisNeuron("v", "v", 5000.0), GenesisNeuron("m1", "m1"), GenesisNeuron("m2", "m2"))
SCORES = History({"m1": Standing(score=0.75, average=0.75), "m2": Standing(score=0.25, average=0.25)})


@dataclass
class Rig:
    subnet: MemorySubnet
    view: ChainView
    memory: StateStore
    journal: Journal

    def weighing(self, chain: MemoryChain | None = None, **settings: object) -> WeightSetter:
        wanted = NeuronSettings(**{"epoch_length": 10, "min_answers": 0, **settings})  # type: ignore[arg-type]
        return WeightSetter(chain or self.chain, self.view, "v", wanted, self.memory, LOG)

    @property
    def chain(self) -> MemoryChain:
        return MemoryChain(self.subnet, "v", version_key=1)

    def attempts(self) -> list[WeightsRecord]:
        return [WeightsRecord.model_validate_json(entry.body) for entry in self.journal.entries(WEIGHTS)]

    async def settle(self, weighing: WeightSetter) -> None:
        await self.view.refresh()
        await weighing.when_due()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    subnet = MemorySubnet(Genesis(34, NEURONS, Rules(tempo=5, weights_rate_limit=10, version_key=1)))
    await subnet.advance(12)
    journal = Journal(tmp_path / "journal.db")
    memory = StateStore(journal)
    memory.state = State(1, SCORES)
    yield Rig(subnet, ChainView(MemoryChain(subnet, "v"), LOG), memory, journal)
    journal.close()


async def test_weights_are_the_normalised_scores_and_are_written_down(rig: Rig) -> None:
    """What stands on chain is 3 : 1, and the journal says what was sent and what came of it."""
    await rig.settle(rig.weighing())
    await rig.subnet.advance(1)
    assert await rig.chain.weights(0) == {1: 65535, 2: 21845}
    assert [(a.submission, a.weights) for a in rig.attempts()] == [(Submission.OK, {1: 0.75, 2: 0.25})]


async def test_weights_are_not_set_twice_within_the_rate_limit(rig: Rig) -> None:
    """Neither by the same program nor by one that was started anew: the chain's record decides."""
    first = rig.weighing()
    await rig.settle(first)
    await rig.subnet.advance(5)
    await rig.settle(first)
    await rig.settle(rig.weighing())
    assert len(rig.attempts()) == 1
    await rig.subnet.advance(6)
    await rig.settle(rig.weighing())
    assert len(rig.attempts()) == 2


async def test_the_block_that_took_them_is_written_down(rig: Rig) -> None:
    """Also where the view is blocks behind the chain: `assay verify` looks for them from that block on."""
    rig.subnet.finality_lag = 4
    await rig.settle(rig.weighing())
    assert rig.view.block == 8
    assert [a.block for a in rig.attempts()] == [rig.subnet.block] == [13]


async def test_nobody_has_earned_anything(rig: Rig) -> None:
    """No weights at all rather than even ones, and a reason in the journal."""
    rig.memory.state = State(1, History())
    await rig.settle(rig.weighing())
    assert [a.code for a in rig.attempts()] == ["NO_SCORES"]
    assert await rig.chain.weights(0) == {}


async def test_a_refusal_is_told_once(rig: Rig) -> None:
    """It is tried again every few blocks, for weeks perhaps; each attempt is in the journal."""
    rig.memory.state = State(1, History())
    weighing = rig.weighing()
    with capture_logs() as lines:
        for _ in range(3):
            await rig.settle(weighing)
            await rig.subnet.advance(6)
    assert len(rig.attempts()) == 3
    told = [line["log_level"] for line in lines if line.get("code") == "NO_SCORES"]
    assert (told[0], told.count("warning")) == ("warning", 1)  # a log that keeps debug lines has the others, too


async def test_fewer_weights_than_the_chain_takes_are_not_sent(rig: Rig) -> None:
    """It is told how many are wanted; once enough miners have earned some, they go out."""
    await rig.subnet.apply(lambda state, block: replace(state, rules=replace(state.rules, min_allowed_weights=2)))
    rig.memory.state = State(1, History({"m1": Standing(score=0.75, average=0.75)}))
    setter = rig.weighing()
    await rig.settle(setter)
    assert [(a.code, a.weights) for a in rig.attempts()] == [("TOO_FEW", {})]
    assert "fewer than 2" in rig.attempts()[0].message
    rig.memory.state = State(1, SCORES)
    await rig.subnet.advance(6)
    await rig.settle(setter)
    assert rig.attempts()[-1].submission is Submission.OK


async def test_what_cannot_be_written_down_sets_no_weights(rig: Rig) -> None:
    """When too many facts wait for the disk, nobody could check weights: none are set."""
    rig.memory._unwritten.extend([("fact", "{}", b"0\n{}")] * 50)
    assert rig.memory.blocked
    await rig.settle(rig.weighing())
    assert [a.code for a in rig.attempts()] == ["UNWRITTEN"]
    assert await rig.chain.weights(0) == {}


async def test_what_is_not_on_disk_is_not_sent(rig: Rig) -> None:
    """A validator that dies before the disk has room again would leave weights on chain that its journal does not know.

    So from the first fact that waits: they go out with the first try after there is room.
    """
    setter = rig.weighing()
    rig.journal._db.execute("PRAGMA max_page_count=1")
    assert rig.memory.write(DEPARTED, DepartedRecord(block=1, hotkeys=("5" * 200,) * 30)) is not None
    await rig.settle(setter)
    assert await rig.chain.weights(0) == {}
    rig.journal._db.execute("PRAGMA max_page_count=1000000")
    await rig.subnet.advance(10)
    await rig.settle(setter)
    assert [(a.submission, a.code, a.attempt) for a in rig.attempts()] == [
        (Submission.REJECTED, "UNWRITTEN", 0),
        (Submission.OK, None, 1),
    ]


async def test_weights_follow_from_the_newest_metagraph(rig: Rig) -> None:
    """Also where that came while something else was waited for: a round under way may use it already."""

    class Slow(Doppelganger):
        async def look(self, snapshot: Snapshot) -> bool:
            await rig.subnet.advance(3)
            await rig.view.refresh()
            return True

    setter = rig.weighing()
    setter._guard = Slow(rig.chain, "v", Past(), tuple, LOG)
    await rig.settle(setter)
    (setting,) = (SettingRecord.model_validate_json(entry.body) for entry in rig.journal.entries(SETTING))
    assert rig.view.snapshot is not None
    assert setting.block == rig.view.snapshot.block


class Broken(MemoryChain):
    """A chain whose transactions end in silence."""

    async def set_weights(self, weights: Mapping[int, float]) -> Receipt:
        raise ChainError("the node is gone")


async def test_a_dead_chain_is_told_and_tried_again(rig: Rig) -> None:
    """The attempt is recorded as ambiguous, and the next one comes a block later."""
    weighing = rig.weighing(Broken(rig.subnet, "v"))
    await rig.settle(weighing)
    await rig.settle(weighing)
    assert len(rig.attempts()) == 1
    await rig.subnet.advance(1)
    await rig.settle(weighing)
    assert [a.submission for a in rig.attempts()] == [Submission.AMBIGUOUS] * 2


class Passing(MemoryChain):
    """A node that refuses for a reason that is gone a block later."""

    code = EXPIRED

    async def set_weights(self, weights: Mapping[int, float]) -> Receipt:
        return Receipt(Submission.REJECTED, code=self.code)


@pytest.mark.parametrize("code", sorted(PASSING))
async def test_what_was_refused_in_passing_is_sent_again_at_once(rig: Rig, code: str) -> None:
    """A transaction lost with its node, or a nonce that another program used: the wait of a refusal cost an epoch."""
    chain = Passing(rig.subnet, "v")
    chain.code = code
    weighing = rig.weighing(chain, epoch_length=100)
    await rig.settle(weighing)
    await rig.subnet.advance(1)
    await rig.settle(weighing)
    assert [(a.submission, a.code) for a in rig.attempts()] == [(Submission.REJECTED, code)] * 2


async def test_disabled_means_never(rig: Rig) -> None:
    """--neuron.disable_set_weights scores without setting weights."""
    weighing = rig.weighing(disable_set_weights=True)
    await rig.settle(weighing)
    await weighing.finish(asyncio.Event())
    assert rig.attempts() == []


async def test_the_final_weights_wait_for_the_rate_limit(rig: Rig) -> None:
    """A run that ends too early for the chain waits, and its last scores are the ones that stand there."""
    weighing = rig.weighing()
    await rig.settle(weighing)
    rig.memory.state = State(
        2, History({"m1": Standing(score=0.5, average=0.5), "m2": Standing(score=0.5, average=0.5)})
    )

    async def time_passes() -> None:
        for _ in range(14):
            await asyncio.sleep(0.02)
            await rig.subnet.advance(1)
            await rig.view.refresh()

    await asyncio.gather(weighing.finish(asyncio.Event(), patience=20), time_passes())
    await rig.subnet.advance(1)
    assert await rig.chain.weights(0) == {1: 65535, 2: 65535}


async def test_no_weights_before_enough_answers(rig: Rig) -> None:
    """The median miner's answers decide, once and for all: newcomers later stop no weights."""
    setter = rig.weighing(min_answers=3)
    rig.memory.state = State(1, answered(m1=9, m2=2))
    await rig.settle(setter)
    assert rig.attempts() == []
    assert setter.standing.answers == 2  # of two, the lower one
    setter = rig.weighing(min_answers=10)
    await rig.settle(setter)
    assert rig.attempts() == []
    rig.memory.state = State(1, answered(m1=12, m2=11))
    await rig.settle(setter)
    assert [a.submission for a in rig.attempts()] == [Submission.OK]
    rig.memory.state = State(1, answered(m1=1, m2=1))
    await rig.subnet.advance(20)
    await rig.settle(setter)
    assert [a.submission for a in rig.attempts()] == [Submission.OK] * 2


def answered(**counts: int) -> History:
    """Standings of which so many answers are known, half of them right."""
    windows = {hotkey: Window(0, 0, min(100, count), count) for hotkey, count in counts.items()}
    return History({hotkey: Standing(image=window, score=0.5, average=0.5) for hotkey, window in windows.items()})


async def test_weights_of_an_earlier_run_are_known(rig: Rig) -> None:
    """A restarted validator tells the age of the weights that the chain holds, not that it has set none."""
    first = rig.weighing()
    await rig.settle(first)
    assert first.standing.block > 0
    again, snapshot = rig.weighing(), await rig.view.refresh()
    await again.when_due()
    assert again.standing.block == snapshot.neurons[0].last_update >= first.standing.block
    assert [a.submission for a in rig.attempts()] == [Submission.OK]


async def test_without_a_permit_nothing_is_sent_and_it_is_told_once(rig: Rig) -> None:
    """A validator that never had, or lost, its permit warns once, and goes on when it is back."""
    setter = rig.weighing()
    await rig.view.refresh()
    assert rig.view.snapshot is not None
    whole = rig.view.snapshot
    poor = tuple(replace(n, permit=False) for n in whole.neurons)
    rig.view.snapshot = replace(whole, neurons=poor)
    with capture_logs() as lines:
        await setter.when_due()
        await setter.when_due()
    assert [line["about"] for line in lines if line["log_level"] == "warning"] == ["permit"]
    assert (rig.attempts(), setter.standing.permit) == ([], False)
    rig.view.snapshot = whole
    await setter.when_due()
    assert [a.submission for a in rig.attempts()] == [Submission.OK]
    assert setter.standing.permit


async def test_a_chain_that_was_reset_is_not_waited_for(rig: Rig) -> None:
    """After weights at a high block, a chain that comes back at a low one gets weights by its own record."""
    setter = rig.weighing(epoch_length=1000)
    await rig.subnet.advance(300)
    await rig.settle(setter)
    assert [a.submission for a in rig.attempts()] == [Submission.OK]
    young = MemorySubnet(Genesis(34, NEURONS, Rules(tempo=5, version_key=1)))
    await young.advance(12)
    rig.view.chain = MemoryChain(young, "v")
    with capture_logs() as lines:
        await rig.view.refresh()
    assert rig.view.block == 12
    assert [line["event"] for line in lines] == ["the chain went back"]
    setter._chain = MemoryChain(young, "v", version_key=1)
    await setter.when_due()
    assert [a.submission for a in rig.attempts()] == [Submission.OK] * 2


async def test_sealed_weights_that_never_open_are_told(rig: Rig) -> None:
    """With commit-reveal, what the chain took but never showed is a warning and a number for metrics."""
    setter = rig.weighing(epoch_length=1)
    await rig.view.refresh()
    for _ in range(2):
        assert rig.view.snapshot is not None
        hyperparameters = replace(rig.view.snapshot.hyperparameters, commit_reveal=True, tempo=1)
        rig.view.snapshot = replace(rig.view.snapshot, hyperparameters=hyperparameters)
        setter._chain = Forgetful(rig.subnet, "v")
        with capture_logs() as lines:
            await setter.when_due()
        rig.view.block += 50
    assert setter.standing.unrevealed == 1
    assert [line["about"] for line in lines if line["log_level"] == "warning"] == ["reveals"]


class Forgetful(MemoryChain):
    """Takes every commit and never opens one."""

    async def set_weights(self, weights: Mapping[int, float]) -> Receipt:
        return Receipt(Submission.OK)


async def test_a_cluster_shares_a_place_where_the_option_is_on(rig: Rig) -> None:
    """Both are paid as the better one, in equal parts; without clusters, and without the option, by scores."""
    setter = rig.weighing(share_places=True)
    rig.memory.places.learn(0, (("m1", "m2"),))
    await rig.settle(setter)
    assert [a.weights for a in rig.attempts()] == [{1: 0.5, 2: 0.5}]


async def test_clusters_are_computed_before_weights_are_set(rig: Rig) -> None:
    """Where they are not known yet: nobody has answered, so that nobody shares."""
    await rig.settle(rig.weighing(share_places=True))
    assert [a.weights for a in rig.attempts()] == [{1: 0.75, 2: 0.25}]
    assert rig.memory.places.known == ()
