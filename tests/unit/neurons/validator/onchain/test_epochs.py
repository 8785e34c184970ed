"""Epochs of a validator against the chain in memory: what is sent, when rounds may be played, and after a kill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from neurons.chain_view import ChainView
from neurons.secrets.epochs import Kept, kept
from neurons.validator.onchain.epochs import Epochs, Seed
from neurons.validator.onchain.past import LANDS, read_past
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.errors import ChainError, StateError
from subnet.evidence.journal import Journal
from subnet.evidence.records import COMMITMENT, RULES, CommitmentRecord, Record
from subnet.evidence.state import StateStore
from subnet.game.epochs import break_between, commit_of, epoch_seed, parse
from subnet.types import Receipt, Submission

LOG = structlog.get_logger()
SEED = 11
NEURONS = (GenesisNeuron("v", "v", 5000.0), GenesisNeuron("m1", "m1"))


@dataclass
class Rig:
    subnet: MemorySubnet
    folder: Path
    journal: Journal
    store: StateStore
    view: ChainView

    def start(self, chain: MemoryChain | None = None, *, drawn: bool = True, wait: float = 0.2) -> Epochs:
        """A validator that begins, or begins again, on what lies in the folder."""
        return Epochs(
            chain or MemoryChain(self.subnet, "v"),
            self.view,
            "v",
            SEED,
            self.folder / "epochs.json",
            self.store,
            LOG,
            netuid=34,
            recorded=read_past(self.journal).epoch,
            drawn=drawn,
            wait=wait,
        )

    async def step(self, epochs: Epochs, weights_at: int = 0, blocks: int = 1, *, may_send: bool = True) -> None:
        """One look at commitments, and then some blocks, which the view sees."""
        await epochs.turn(weights_at, may_send=may_send)
        await self.subnet.advance(blocks)
        await self.view.refresh()
        await epochs.turn(weights_at, may_send=may_send)

    def records(self) -> list[CommitmentRecord]:
        return [CommitmentRecord.model_validate_json(entry.body) for entry in self.journal.entries(COMMITMENT)]

    async def line(self) -> str:
        statement = await MemoryChain(self.subnet, "v").commitment("v")
        return statement.text if statement else ""


def make(folder: Path, *, commitments: bool = True) -> Rig:
    subnet = MemorySubnet(Genesis(34, NEURONS, Rules(tempo=20)), commitments=commitments)
    journal = Journal(folder / "journal.db")
    return Rig(subnet, folder, journal, StateStore(journal), ChainView(MemoryChain(subnet, "v"), LOG))


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = make(tmp_path)
    await rig.subnet.advance(3)
    await rig.view.refresh()
    yield rig
    rig.journal.close()


async def seed_of(epochs: Epochs) -> Seed:
    async with epochs.round() as seed:
        return seed


async def test_the_first_commitment_reveals_nothing_and_seeds_an_epoch(rig: Rig) -> None:
    """Its seed follows from the secret in the state folder and the block after the commitment's, as anybody can check."""
    epochs = rig.start()
    await rig.step(epochs)
    (record,) = rig.records()
    said, stands = parse(await rig.line()), kept(rig.folder / "epochs.json").stands
    assert stands is not None
    assert (said.number, said.revealed) == (0, None)
    assert commit_of(bytes.fromhex(stands.secret), 0, 34, "v") == said.commitment == record.commitment
    assert record.block is not None
    assert record.block_hash == await MemoryChain(rig.subnet, "v").block_hash(record.block + 1)
    expected = epoch_seed(bytes.fromhex(stands.secret), record.block_hash or "", 34, "v")
    assert await seed_of(epochs) == Seed(expected, 0)


async def test_no_round_of_an_epoch_before_its_block_hash_is_there(rig: Rig) -> None:
    """Between the commitment and the block after it rounds wait: nothing determines them yet."""
    epochs = rig.start(wait=20.0)
    await epochs.turn(0, may_send=True)
    waiting = asyncio.create_task(seed_of(epochs))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await rig.subnet.advance(1)
    await rig.view.refresh()
    await epochs.turn(0, may_send=True)
    assert (await waiting).epoch == 0


async def test_after_weights_one_transaction_reveals_and_goes_on(rig: Rig) -> None:
    """Numbers rise by one, each reveal opens its commitment, the journal's head is said, and nothing is sent in between."""
    epochs = rig.start()
    seeds, lines = [], []
    for _ in range(4):
        await rig.step(epochs, weights_at=rig.view.block)
        seeds.append(await seed_of(epochs))
        lines.append(await rig.line())
        block = rig.subnet.block
        await epochs.turn(0, may_send=True)
        assert rig.subnet.block == block, "no weights, no commitment"
        rig.store.write(RULES, Record())
    said = [parse(line) for line in lines]
    assert [seed.epoch for seed in seeds] == [0, 1, 2, 3]
    assert len({seed.value for seed in seeds}) == 4
    assert [break_between(*pair, 34, "v") for pair in zip([None, *said], said, strict=False)] == [""] * 4
    hashes = {entry.seq: entry.hash for entry in rig.journal.entries()}
    assert all(s.seq == 0 or hashes[s.seq] == s.head for s in said)
    assert said[-1].seq > said[0].seq


async def test_nothing_is_sent_while_a_round_is_under_way(rig: Rig) -> None:
    """Who is asked must not read the label on chain: the reveal is sent by the first look after the round's end."""
    epochs = rig.start()
    await rig.step(epochs)
    before = await rig.line()
    async with epochs.round():
        await epochs.turn(rig.subnet.block, may_send=True)
        assert await rig.line() == before
    await epochs.turn(rig.subnet.block, may_send=True)
    assert parse(await rig.line()).revealed


async def test_a_round_that_lasts_holds_no_weights_up(rig: Rig) -> None:
    """A look at commitments ends while a round is under way: whoever sets weights between two looks is not kept waiting.

    On a slow network one round outlasted a whole epoch of the chain, which then had no new weights.
    """
    epochs = rig.start()
    await rig.step(epochs)
    async with epochs.round():
        for _ in range(3):
            await asyncio.wait_for(epochs.turn(rig.subnet.block, may_send=True), 1.0)


@pytest.mark.parametrize("wait", [20.0, 0.2])
async def test_a_round_that_waited_for_the_reveal_is_not_of_the_revealed_epoch(rig: Rig, wait: float) -> None:
    """The round behind one under way waits for the reveal, however long that one lasts: it is of the next epoch."""
    epochs = rig.start(wait=wait)
    await rig.step(epochs)
    async with epochs.round() as first:
        await epochs.turn(rig.subnet.block, may_send=True)
        second = asyncio.create_task(seed_of(epochs))
        await asyncio.sleep(1.5 * min(wait, 0.2))
        await epochs.turn(rig.subnet.block, may_send=True)
    await rig.step(epochs, weights_at=rig.subnet.block)
    assert (first.epoch, (await second).epoch) == (0, 1)


async def test_without_the_pallet_rounds_are_uncommitted_told_once_and_tried_with_each_setting(tmp_path: Path) -> None:
    """The permanent seed goes on; the journal says why."""
    rig = make(tmp_path, commitments=False)
    epochs = rig.start()
    with capture_logs() as logs:
        for weights_at in (0, 0, 5, 5, 9):
            await rig.step(epochs, weights_at)
    assert await seed_of(epochs) == Seed(SEED)
    told = [log for log in logs if log["log_level"] == "warning"]
    assert [log["why"] for log in told] == [f"NoCommitments: {told[0]['why'].partition(': ')[2]}"]
    assert "no pallet" in told[0]["why"]
    assert [(r.epoch, r.block, r.refused) for r in rig.records()] == [(0, None, told[0]["why"])] * 3
    rig.journal.close()


class Fickle(MemoryChain):
    """A chain that refuses, is silent, or loses what it took, as it is told; it counts what is sent."""

    mood = ""
    sent = 0

    async def commit(self, text: str) -> Receipt:
        if self.mood == "dead":
            raise ChainError("the node is gone")
        self.sent += 1
        if self.mood == "refuses":
            return Receipt(Submission.TOO_EARLY, code="SpaceLimitExceeded", message="no room", blocks=4)
        if self.mood == "loses":
            return Receipt(Submission.AMBIGUOUS, message="who knows")
        receipt = await super().commit(text)
        return Receipt(Submission.AMBIGUOUS, message="who knows") if self.mood == "mumbles" else receipt


@pytest.fixture
async def fickle(rig: Rig) -> Fickle:
    return Fickle(rig.subnet, "v")


async def test_a_refused_reveal_ends_the_epoch_all_the_same(rig: Rig, fickle: Fickle) -> None:
    """It may have been read: rounds are uncommitted until the next setting of weights brings a commitment that stands."""
    epochs = rig.start(fickle)
    await rig.step(epochs)
    fickle.mood = "refuses"
    await rig.step(epochs, rig.subnet.block)
    assert await seed_of(epochs) == Seed(SEED)
    assert rig.records()[-1].refused == "SpaceLimitExceeded: no room"
    fickle.mood = ""
    await rig.step(epochs, rig.subnet.block)
    said = parse(await rig.line())
    assert (said.number, said.revealed) == (1, rig.records()[-1].revealed)
    assert (await seed_of(epochs)).epoch == 1
    assert fickle.sent == 3


async def test_a_chain_that_is_down_leaves_the_epoch_open(rig: Rig, fickle: Fickle) -> None:
    """Nothing was sent, so nothing was revealed."""
    epochs = rig.start(fickle)
    await rig.step(epochs)
    before = await seed_of(epochs)
    fickle.mood = "dead"
    await rig.step(epochs, rig.subnet.block)
    assert await seed_of(epochs) == before
    assert before.epoch == 0


async def test_a_commitment_of_unknown_fate_is_sent_once_and_found(rig: Rig, fickle: Fickle) -> None:
    """It stands although nobody said so."""
    epochs = rig.start(fickle)
    fickle.mood = "mumbles"
    await rig.step(epochs)
    assert ((await seed_of(epochs)).epoch, fickle.sent) == (0, 1)


async def test_a_commitment_that_never_lands_is_sent_again_when_it_cannot_land_any_more(
    rig: Rig, fickle: Fickle
) -> None:
    """Not before. Meanwhile rounds are uncommitted."""
    epochs = rig.start(fickle)
    fickle.mood = "loses"
    await rig.step(epochs)
    assert await seed_of(epochs) == Seed(SEED)
    await rig.step(epochs, blocks=LANDS - 2)
    assert fickle.sent == 1
    fickle.mood = ""
    await rig.step(epochs, blocks=3)
    await rig.step(epochs)
    assert ((await seed_of(epochs)).epoch, fickle.sent) == (0, 2)
    assert [r.refused != "" for r in rig.records()] == [True, False]


@pytest.mark.parametrize("moment", ["before sending", "sent", "landed", "begun"])
async def test_a_kill_at_any_point_loses_no_secret_and_sends_nothing_twice(
    rig: Rig, fickle: Fickle, moment: str
) -> None:
    """Whatever the file says at that moment: the chain has one commitment 1, it opens 0, and the next opens it."""
    epochs = rig.start(fickle)
    await rig.step(epochs)
    path = rig.folder / "epochs.json"
    killed_at = {"before sending": "dead", "sent": "mumbles", "landed": "", "begun": ""}[moment]
    if moment == "before sending":
        fickle.mood = killed_at
        with pytest.raises(asyncio.CancelledError):
            await _killed_within_commit(epochs, rig, fickle)
        fickle.mood = ""
    else:
        fickle.mood = killed_at
        await epochs.turn(rig.subnet.block, may_send=True)
        if moment == "begun":
            await rig.step(epochs, 0)
    state = kept(path)
    assert state.stands is not None
    again = rig.start(fickle)
    fickle.mood = ""
    blocks = LANDS + 2 if moment == "before sending" else 1
    await rig.step(again, 0, blocks=blocks)
    await rig.step(again, 0)
    assert (await seed_of(again)).epoch == 1
    await rig.step(again, rig.subnet.block)
    assert [r.epoch for r in rig.records() if not r.refused] == [0, 1, 2]
    said = parse(await rig.line())
    assert said.number == 2
    first, second = [r for r in rig.records() if not r.refused][1:]
    assert second.revealed is not None
    assert commit_of(bytes.fromhex(second.revealed), 1, 34, "v") == first.commitment


async def _killed_within_commit(epochs: Epochs, rig: Rig, fickle: Fickle) -> None:
    """The process ends after the file was written and before anything was sent."""

    async def kill(text: str) -> Receipt:
        raise asyncio.CancelledError

    fickle.commit = kill  # type: ignore[method-assign]
    try:
        await epochs.turn(rig.subnet.block, may_send=True)
    finally:
        del fickle.commit


async def test_a_restart_goes_on_in_the_same_epoch(rig: Rig) -> None:
    """The same seed, nothing sent, nothing written twice."""
    epochs = rig.start()
    await rig.step(epochs)
    seed, block = await seed_of(epochs), rig.subnet.block
    again = rig.start()
    await again.turn(0, may_send=True)
    assert (await seed_of(again), rig.subnet.block) == (seed, block)
    assert len(rig.records()) == 1


async def test_an_epoch_that_was_begun_and_not_written_down_is_written_before_its_rounds(rig: Rig) -> None:
    """Killed between the file and the journal."""
    epochs = rig.start()
    await rig.step(epochs)
    again = Epochs(
        MemoryChain(rig.subnet, "v"), rig.view, "v", SEED, rig.folder / "epochs.json", rig.store, LOG, netuid=34
    )
    await again.turn(0, may_send=True)
    assert rig.records()[0] == rig.records()[1].model_copy(update={"state": rig.records()[0].state})


async def test_an_epoch_begins_between_two_rounds(rig: Rig) -> None:
    """A round that went on uncommitted while a commitment was on its way is written before the epoch's beginning."""
    epochs = rig.start(wait=0.0)
    await epochs.turn(0, may_send=True)
    await rig.subnet.advance(1)
    await rig.view.refresh()
    async with epochs.round() as seed:
        await epochs.turn(0, may_send=True)
        assert seed.epoch is None
        assert rig.records() == []
    await epochs.turn(0, may_send=True)
    assert [record.epoch for record in rig.records()] == [0]
    assert (await seed_of(epochs)).epoch == 0


async def test_rounds_wait_at_a_start_for_a_commitment_that_was_sent_before(rig: Rig) -> None:
    """After a kill while a commitment was on its way, the first round is one of its epoch."""
    await rig.start().turn(0, may_send=True)
    await rig.subnet.advance(1)
    await rig.view.refresh()
    restarted = rig.start(wait=20.0)
    first = asyncio.create_task(seed_of(restarted))
    await restarted.turn(0, may_send=True)
    assert (await first).epoch == 0


async def test_state_of_an_older_backup_plays_nothing_that_was_revealed(rig: Rig) -> None:
    """The chain has moved on: the old epoch is over, and the next commitment follows from what stands."""
    epochs = rig.start()
    await rig.step(epochs)
    old = (rig.folder / "epochs.json").read_bytes()
    await rig.step(epochs, rig.subnet.block)
    (rig.folder / "epochs.json").write_bytes(old)
    again = rig.start()
    await again.turn(0, may_send=False)
    assert await seed_of(again) == Seed(SEED)
    await rig.step(again)
    assert ((await seed_of(again)).epoch, parse(await rig.line()).revealed) == (2, None)


@pytest.mark.parametrize("restarted", [False, True])
async def test_another_programs_line_breaks_no_chain_of_commitments(rig: Rig, restarted: bool) -> None:
    """It takes the place of ours on chain, with the same hotkey: the next one follows ours, and reveals its secret."""
    epochs = rig.start()
    await rig.step(epochs)
    await rig.step(epochs, rig.subnet.block)
    said = [parse(await rig.line())]
    await MemoryChain(rig.subnet, "v").commit("a bucket of another program")
    await rig.subnet.advance(1)
    await rig.view.refresh()
    epochs = rig.start() if restarted else epochs
    await rig.step(epochs, rig.subnet.block)
    said.append(parse(await rig.line()))
    assert [one.number for one in said] == [1, 2]
    assert break_between(*said, 34, "v") == ""


async def test_who_may_not_send_sends_nothing_and_plays(rig: Rig) -> None:
    """While the validator looks for a doppelganger rounds are uncommitted, and wait for nothing."""
    epochs = rig.start(wait=20.0)
    block = rig.subnet.block
    await epochs.turn(0, may_send=False)
    assert await asyncio.wait_for(seed_of(epochs), 1.0) == Seed(SEED)
    assert rig.subnet.block == block


async def test_a_silent_chain_holds_rounds_up_for_a_while_only(rig: Rig) -> None:
    """Nobody looked: after the wait the round is played uncommitted."""
    assert await asyncio.wait_for(seed_of(rig.start(wait=0.1)), 2.0) == Seed(SEED)


async def test_the_seed_flag_makes_secrets_that_come_again(rig: Rig, tmp_path: Path) -> None:
    """For tests alone: without it the secret holds fresh randomness."""
    secrets = []
    for drawn in (False, False, True, True):
        (rig.folder / "epochs.json").unlink(missing_ok=True)
        await rig.start(drawn=drawn).turn(0, may_send=True)
        state = kept(rig.folder / "epochs.json")
        assert state.next is not None
        secrets.append((state.next.number, state.next.secret))
        rig.subnet._states = rig.subnet._states[:1]
        await rig.subnet.advance(1)
    assert secrets[0] == secrets[1]
    assert len(set(secrets)) == 3


async def test_the_last_epoch_is_revealed_at_the_end(rig: Rig) -> None:
    """`finish` waits until the commitment behind the last weights stands."""
    epochs = rig.start(wait=5.0)
    await rig.step(epochs)
    ending = asyncio.create_task(epochs.finish(rig.subnet.block, asyncio.Event()))
    for _ in range(3):
        await asyncio.sleep(0.05)
        await rig.subnet.advance(1)
        await rig.view.refresh()
    await ending
    assert [(r.epoch, r.revealed is None) for r in rig.records()] == [(0, True), (1, False)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not hold"),
        ("{}x", "does not hold"),
        ("{}", "does not hold"),
        ('{"schema_version": 0}', "does not hold"),
        ('{"unknown": 1}', "does not hold"),
        ('{"schema_version": 2}', "was written by a newer Assay .schema 2, this one knows 1"),
        ('{"schema_version": 2, "drawn": {"number": "7"}, "next": 3}', "was written by a newer Assay .schema 2"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, text: str, why: str) -> None:
    """It is not deleted, and nothing is drawn in its place."""
    path = tmp_path / "epochs.json"
    path.write_text(text)
    with pytest.raises(StateError, match=f"epochs.json.*{why}"):
        kept(path)
    assert path.read_text() == text


async def test_a_file_that_is_missing_is_told(rig: Rig) -> None:
    """Where the journal has an epoch: what is lost with the file, and nothing on a first start or beside the file."""
    with capture_logs() as lines:
        await rig.step(rig.start())
        rig.start()
    assert not [line for line in lines if line["event"] == "the secrets of epochs are missing"]
    (rig.folder / "epochs.json").unlink()
    with capture_logs() as lines:
        rig.start()
    (told,) = (line for line in lines if line["event"] == "the secrets of epochs are missing")
    assert (told["log_level"], told["path"]) == ("warning", str(rig.folder / "epochs.json"))
    assert "epoch 0, which the journal tells of, can never be revealed" in told["why"]


async def test_the_file_is_its_owners_alone(rig: Rig) -> None:
    """Who reads it foresees every label."""
    await rig.start().turn(0, may_send=True)
    path = rig.folder / "epochs.json"
    assert path.stat().st_mode & 0o077 == 0
    assert kept(path) != Kept()
