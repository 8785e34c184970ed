"""A validator that finds its hotkey at work elsewhere sends nothing; one that knows its own work waits for nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from neurons.chain_view import ChainView
from neurons.secrets.epochs import Epoch, Kept
from neurons.settings import NeuronSettings
from neurons.validator.onchain import past as past_module
from neurons.validator.onchain.doppelganger import Doppelganger
from neurons.validator.onchain.past import LANDS, Past, read_past
from neurons.validator.weight_setter import WeightSetter
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.errors import JournalBroken
from subnet.evidence.entries.segments import list_segments
from subnet.evidence.journal import Journal
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import (
    COMMITMENT,
    ROUND,
    SETTING,
    WEIGHTS,
    CommitmentRecord,
    SettingRecord,
    WeightsRecord,
    setting_record,
)
from subnet.evidence.state import State, StateStore
from subnet.game.epochs import Commitment, dump
from subnet.game.history import History, Standing
from subnet.types import Submission
from tests.unit.subnet.evidence.journals import play

LOG = structlog.get_logger()
TEMPO = 6
NEURONS = (GenesisNeuron("v", "v", 5000.0), GenesisNeuron("m1", "m1"), GenesisNeuron("m2", "m2"))
SCORES = History({"m1": Standing(score=0.75, average=0.75), "m2": Standing(score=0.25, average=0.25)})


@dataclass
class Machine:
    """One machine with the hotkey: a journal of its own, and a chain that it shares with others."""

    subnet: MemorySubnet
    folder: Path
    lines: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / "journal.db")
        self.store = StateStore(self.journal)
        self.store.state = State(0, SCORES)
        self.chain = MemoryChain(self.subnet, "v")
        self.view = ChainView(self.chain, LOG)
        self.start()

    def start(self, *, take_over: bool = False) -> None:
        """The program begins, or begins again after a kill."""
        past = read_past(self.journal)
        guard = Doppelganger(self.chain, "v", past, lambda: self.lines, LOG, take_over=take_over)
        settings = NeuronSettings(epoch_length=2, min_answers=0)
        self.setter = WeightSetter(
            self.chain, self.view, "v", settings, self.store, LOG, guard=guard, unsettled=past.unsettled
        )

    async def live(self, blocks: int = 1) -> None:
        """Let time pass, looking at each block."""
        for _ in range(blocks):
            await self.subnet.advance(1)
            await self.view.refresh()
            await self.setter.when_due()

    def outcomes(self) -> list[WeightsRecord]:
        return [WeightsRecord.model_validate_json(entry.body) for entry in self.journal.entries(WEIGHTS)]

    def settings(self) -> list[SettingRecord]:
        return [SettingRecord.model_validate_json(entry.body) for entry in self.journal.entries(SETTING)]

    @property
    def last_update(self) -> int:
        return self.subnet.state.rows[0].last_update


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    (tmp_path / "one").mkdir()
    machine = Machine(MemorySubnet(Genesis(34, NEURONS, Rules(tempo=TEMPO, weights_rate_limit=2))), tmp_path / "one")
    yield machine
    machine.journal.close()


@pytest.fixture
async def other(machine: Machine, tmp_path: Path) -> AsyncIterator[Machine]:
    """A second machine with the same hotkey, and a journal of its own."""
    (tmp_path / "two").mkdir()
    other = Machine(machine.subnet, tmp_path / "two")
    yield other
    other.journal.close()


async def test_a_hotkey_that_never_did_anything_is_alone(machine: Machine) -> None:
    """A new validator sets its first weights without a wait."""
    await machine.live()
    assert [o.submission for o in machine.outcomes()] == [Submission.OK]


async def test_a_second_machine_sets_no_weights_and_says_so(machine: Machine, other: Machine) -> None:
    """The first goes on; the second looks, sees weights move without it, and refuses for good, even afterwards."""
    await machine.live()
    with capture_logs() as logs:
        for _ in range(TEMPO):
            await machine.live()
            await other.view.refresh()
            await other.setter.when_due()
    assert other.outcomes() == []
    assert [log["event"].partition(":")[0] for log in logs if log["log_level"] == "error"] == [
        "this hotkey is at work on another machine"
    ]
    await other.live(3 * TEMPO)
    assert (other.outcomes(), other.setter.alone) == ([], False)


async def test_a_commitment_that_moves_is_work_elsewhere_too(machine: Machine, other: Machine) -> None:
    """Though no weights are set."""
    await machine.chain.commit("one")
    await other.live()
    await machine.chain.commit("two")
    await other.live(2 * TEMPO)
    assert (other.outcomes(), other.setter.alone) == ([], False)


async def test_a_machine_that_took_over_a_dead_one_waits_for_one_tempo(machine: Machine, other: Machine) -> None:
    """Nothing moves: after a tempo weights are set, and not before."""
    await machine.live()
    await other.live(TEMPO)
    assert other.outcomes() == []
    await other.live(1)
    assert [o.submission for o in other.outcomes()] == [Submission.OK]


async def test_who_is_told_to_take_over_waits_for_nothing(machine: Machine, other: Machine) -> None:
    """--neuron.take_over."""
    await machine.live()
    other.start(take_over=True)
    await other.live(3)
    assert Submission.OK in {o.submission for o in other.outcomes()}


@pytest.mark.parametrize("down", [1, 500])
async def test_a_restart_with_its_own_journal_waits_for_nothing(machine: Machine, down: int) -> None:
    """However long it was down."""
    await machine.live()
    machine.lines = {"ours"}
    await machine.chain.commit("ours")
    await machine.subnet.advance(down)
    machine.start()
    await machine.live()
    assert [o.submission for o in machine.outcomes()] == [Submission.OK] * 2


async def test_a_restart_after_another_machine_had_the_hotkey_looks(machine: Machine, other: Machine) -> None:
    """Its journal no longer accounts for what stands on chain."""
    await machine.live()
    await machine.subnet.advance(LANDS * 2)
    other.start(take_over=True)
    await other.live(3)
    machine.start()
    before = len(machine.outcomes())
    await machine.live(TEMPO)
    assert len(machine.outcomes()) == before
    await machine.live(2)
    assert len(machine.outcomes()) > before


async def test_a_setting_is_written_down_before_it_is_sent_and_its_weights_after(machine: Machine) -> None:
    """By hotkey, with the number of the attempt; the journal replays."""
    await machine.live(4)
    assert [(s.attempt, s.weights) for s in machine.settings()] == [
        (number, {"m1": 0.75, "m2": 0.25}) for number in (0, 1)
    ]
    assert [(o.attempt, o.weights) for o in machine.outcomes()] == [(number, {1: 0.75, 2: 0.25}) for number in (0, 1)]
    kinds = [entry.kind for entry in machine.journal.entries()]
    assert kinds == ["snapshot", SETTING, WEIGHTS, SETTING, WEIGHTS]


@pytest.mark.parametrize("sent", [True, False])
async def test_a_setting_without_its_outcome_is_looked_up_on_chain(machine: Machine, sent: bool) -> None:
    """Killed behind the setting: what became of it is written down, and nothing is sent before that is known."""
    await machine.live()
    await machine.subnet.advance(5)
    snapshot = await machine.view.refresh()
    machine.store.write(SETTING, setting_record(snapshot, {1: 0.75, 2: 0.25}, 1))
    if sent:
        await machine.chain.set_weights({1: 0.75, 2: 0.25})
    landed = machine.last_update
    machine.start()
    if not sent:
        await machine.live(LANDS)
        assert (machine.last_update, len(machine.outcomes())) == (landed, 1)
    await machine.live()
    outcome = machine.outcomes()[1]
    assert (outcome.attempt, outcome.weights) == (1, {1: 0.75, 2: 0.25})
    assert (outcome.submission, outcome.code) == ((Submission.OK, None) if sent else (Submission.REJECTED, "Expired"))
    assert machine.last_update == landed or not sent
    await machine.live(2)
    assert machine.outcomes()[2].submission is Submission.OK


def finished(machine: Machine, rounds: int) -> None:
    """So many rounds more, all but the newest of them in finished segments, and the machine stopped."""
    store, journal = machine.store, machine.journal
    play(store, rounds)
    while journal.finish_segment():
        pass
    with JournalReader(journal.path) as reader:
        assert {entry.kind for entry in reader.live()} == {ROUND}


@pytest.mark.parametrize("fate", [Submission.OK, Submission.AMBIGUOUS, None])
async def test_what_a_finished_segment_holds_is_ours_too(machine: Machine, fate: Submission | None) -> None:
    """A restart while the last commitment and weights lie in one: nothing is written twice, waited for or forgotten."""
    machine.journal._segment_bytes = 2_000
    await machine.live()
    landed, setting = machine.last_update, machine.settings()[0]
    said = Commitment(7, "ab" * 32, None, machine.journal.tip, machine.journal.length)
    record = CommitmentRecord(epoch=7, commitment="ab" * 32, revealed=None, head=said.head, seq=said.seq, block=5)
    machine.store.write(COMMITMENT, record)
    if fate is not Submission.OK:
        machine.store.write(SETTING, setting.model_copy(update={"attempt": 1}))
    if fate is Submission.AMBIGUOUS:
        machine.store.write(WEIGHTS, machine.outcomes()[0].model_copy(update={"attempt": 1, "submission": fate}))
    finished(machine, 30)
    past = read_past(machine.journal, Kept(stands=Epoch(number=7, secret="ab" * 32, line=dump(said)), open=True))
    assert past.epoch == 7
    assert past.accounts_for(landed)
    assert (past.unsettled is None) == (fate is Submission.OK)
    assert past.unsettled is None or past.unsettled.weights == {1: 0.75, 2: 0.25}


async def test_a_journal_is_read_back_no_further_than_it_must(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a commitment that stands and without weights: so many rounds, whose number is bounded."""
    monkeypatch.setattr(past_module, "ROUNDS", 5)
    machine.journal._segment_bytes = 2_000
    finished(machine, 30)
    oldest, *_ = list_segments(machine.journal.segments)
    oldest.path.write_bytes(b"damaged")
    assert read_past(machine.journal) == Past()
    with pytest.raises(JournalBroken, match="damaged"):
        read_past(machine.journal, Kept(stands=Epoch(number=0, secret="ab" * 32, line="none")))


async def test_a_setting_of_a_chain_that_was_reset_is_not_waited_for(machine: Machine) -> None:
    """Its block is far ahead of the chain that there is now: it never stood there, and weights go on."""
    await machine.live()
    snapshot = await machine.view.refresh()
    ahead = replace(snapshot, block=snapshot.block + 1000)
    machine.store.write(SETTING, setting_record(ahead, {1: 0.75, 2: 0.25}, 1))
    machine.start()
    await machine.live()
    assert (machine.outcomes()[1].submission, machine.outcomes()[1].code) == (Submission.REJECTED, "Expired")
