"""What a journal says of the metagraph and of blocks, held against the chain's own old states."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neurons.commands.evidence.verify import check
from subnet.chain.devnode.ledger.state import Row
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.errors import ChainError
from subnet.evidence.claim import MetagraphClaim
from subnet.evidence.entries.entry import Entry
from subnet.evidence.findings import Verification, text_of
from subnet.evidence.proof import past, questions
from subnet.evidence.records import ROUND, SETTING, SNAPSHOT, WEIGHTS
from subnet.types import Neuron, Snapshot
from tests.unit.neurons.commands.evidence.rig import (
    EPOCHS,
    MINERS,
    VALIDATOR,
    Story,
    published,
    tell,
)
from tests.unit.neurons.commands.evidence.test_forgers import false, planned, rows, unproven

RIVAL = MINERS[0].ss58_address
METAGRAPHS = "metagraphs of snapshots, settings and drawn rounds are the chain's"
Then = Callable[[int, Neuron], Neuron]  # a row as it stood in a block


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("past-story"))


class Elsewhere(MemoryChain):
    """A chain whose rows were others, and which counts what it is asked."""

    def __init__(self, story: Story, then: Then) -> None:
        super().__init__(story.subnet, VALIDATOR.ss58_address)
        self.then, self.blocks = then, list[int]()

    async def snapshot(self, *, at: int | None = None) -> Snapshot:
        snapshot = await super().snapshot(at=at)
        if at is None:
            return snapshot
        self.blocks.append(at)
        return replace(snapshot, neurons=tuple(self.then(at, neuron) for neuron in snapshot.neurons))


def looked(story: Story, folder: Path, then: Then, entries: Sequence[Entry] = ()) -> tuple[Verification, list[int]]:
    """What a stranger finds where the chain's rows were those, and the blocks that it asked for."""
    chain = Elsewhere(story, then)
    depot = published(story, entries or story.entries, folder, media=False)
    return check(depot, lambda _: chain, ThreadPoolExecutor(1)), chain.blocks


def as_it_was(block: int, neuron: Neuron) -> Neuron:
    return neuron


def test_a_change_that_the_journal_leaves_out(story: Story, tmp_path: Path) -> None:
    """A rival that became a validator, or began to serve, without a snapshot that says so: settings show it."""
    settings = [(e.seq, json.loads(e.body)["block"]) for e in story.entries if e.kind == SETTING]
    seq, since = settings[1]

    def permitted(block: int, neuron: Neuron) -> Neuron:
        return replace(neuron, permit=True, stake=1e6) if neuron.hotkey == RIVAL and block >= since - 2 else neuron

    result, _ = looked(story, tmp_path / "permitted", permitted)
    assert f"{seq}: the metagraph of block {since} is not the chain's: uid 1 ({RIVAL}) has a permit on chain" in false(
        result
    )
    assert f"{settings[0][0]}: the metagraph" not in false(result)

    def silent(block: int, neuron: Neuron) -> Neuron:
        return replace(neuron, endpoint=None) if neuron.hotkey == RIVAL and block >= since - 2 else neuron

    assert f"({RIVAL}) has an endpoint, on chain not" in false(looked(story, tmp_path / "silent", silent)[0])


def test_a_round_of_each_epoch_is_drawn(story: Story, tmp_path: Path) -> None:
    """A change between the settings, in every block of rounds, is found in the rounds that later hashes draw."""
    blocks = {b["block"] for b in rows(story.entries, ROUND)} - {
        b["block"] for kind in (SETTING, SNAPSHOT) for b in rows(story.entries, kind)
    }
    near = {block + away for block in blocks for away in (-2, 0, 2)}

    def between(block: int, neuron: Neuron) -> Neuron:
        return replace(neuron, endpoint=None) if neuron.hotkey == RIVAL and block in near else neuron

    result, _ = looked(story, tmp_path, between)
    drawn = [f.seq for f in result.false if "the metagraph of block" in f.text]
    assert {story.entries[seq - 1].kind for seq in drawn} >= {ROUND}


def test_a_row_that_a_fork_moved(story: Story, tmp_path: Path) -> None:
    """A validator that saw a change two blocks before the final chain has it is not called a liar."""
    (block, *_) = [b["block"] for b in rows(story.entries, SETTING)]

    def forked(at: int, neuron: Neuron) -> Neuron:
        return replace(neuron, endpoint=None) if neuron.hotkey == RIVAL and at == block else neuron

    assert false(looked(story, tmp_path, forked)[0]) == ""


def test_stake_counts_as_far_as_it_makes_a_validator(story: Story, tmp_path: Path) -> None:
    """Other stakes on the same side of the limit decide nothing."""

    def richer(block: int, neuron: Neuron) -> Neuron:
        return replace(neuron, stake=neuron.stake + 10)

    assert false(looked(story, tmp_path, richer)[0]) == ""


def test_a_node_that_prunes(story: Story, tmp_path: Path) -> None:
    """One line names what could not be compared and what to do; the node is not asked for block after block."""

    def pruned(block: int, neuron: Neuron) -> Neuron:
        raise ChainError("State already discarded")

    result, blocks = looked(story, tmp_path, pruned)
    assert false(result) == ""
    (line,) = [line for line in text_of(result).splitlines() if "the metagraph" in line]
    assert line.startswith("not proven: the metagraph: the node keeps no state of their blocks; use an archive node (")
    assert len(blocks) == questions.ENOUGH
    assert METAGRAPHS not in dict(result.proven)


def test_more_blocks_than_are_asked_for(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later block's hash draws them, the same for everybody, and the report says how many of how many."""
    _, every = looked(story, tmp_path / "all", as_it_was)
    assert len(set(every)) == len(every) >= 2 * EPOCHS
    monkeypatch.setattr(past, "ASKED", 3)
    one, blocks = looked(story, tmp_path / "one", as_it_was)
    two, again = looked(story, tmp_path / "two", as_it_was)
    assert (text_of(one), blocks, len(blocks)) == (text_of(two), again, 3)
    assert f"the metagraph: asked for in 3 of {len(every)} blocks, drawn by the hash of block" in unproven(one)
    assert false(one) == ""


def test_an_old_metagraph_used_again(story: Story, tmp_path: Path) -> None:
    """A snapshot that was true long ago is not brought back for a round that comes later."""
    entries = list(story.entries)
    first = next(e for e in entries if e.kind == SNAPSHOT)
    whole, place = json.loads(first.body), max(i for i, e in enumerate(entries) if e.kind == SETTING)
    later = json.dumps({**whole, "block": whole["block"] + 200})
    entries[place:place] = [Entry(0, SNAPSHOT, later, ""), Entry(0, SNAPSHOT, first.body, "")]
    result = looked(story, tmp_path, as_it_was, planned(entries))[0]
    block = whole["block"]
    assert f"the metagraph of block {block} is used behind that of block {block + 200}" in false(result)


@pytest.mark.parametrize("late", [False, True])
def test_weights_of_other_blocks(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    """The chain's own record of the last weights: older than a setting that is said to be taken, or of none of them."""
    settings = [(e.seq, json.loads(e.body)["block"]) for e in story.entries if e.kind == WEIGHTS]
    blocks = [json.loads(e.body)["block"] for e in story.entries if e.kind == SETTING]

    def moved(block: int, neuron: Neuron) -> Neuron:
        if neuron.hotkey != VALIDATOR.ss58_address or neuron.last_update < blocks[1]:
            return neuron
        return replace(neuron, last_update=block if late else blocks[0])

    monkeypatch.setattr(past, "BEHIND", 1)
    told = false(looked(story, tmp_path, moved)[0])
    if late:
        assert "weights were set in block" in told
    else:
        assert f"{settings[2][0] - 1}: the chain took no weights in block {settings[2][1]}" in told


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_validator_that_was_registered_anew(tmp_path: Path, elsewhere: bool) -> None:
    """Its uid was another hotkey's for a while, whose weights stood there; then it had that one again, or a new one."""

    async def lose_and_register(epoch: int, subnet: MemorySubnet) -> None:
        if epoch != 1:
            return
        own = subnet.state.uid(VALIDATOR.ss58_address)
        assert own is not None
        mine = subnet.state.rows[own]

        def anew(block: int, hotkey: str, **more: Any) -> Row:
            return replace(mine, hotkey=hotkey, registered_at=block, last_update=block, weights=(), **more)

        await subnet.apply(lambda s, block: s.with_row(own, anew(block, "5Other")))
        await subnet.apply(lambda s, block: s.with_row(own, replace(s.rows[own], weights=((3, 65535),))))
        await subnet.advance(8)
        if elsewhere:
            await subnet.apply(lambda s, block: replace(s, rows=(*s.rows, anew(block, mine.hotkey))))
        else:
            await subnet.apply(lambda s, block: s.with_row(own, anew(block, mine.hotkey)))
        await subnet.advance(2)

    story = tell(tmp_path / "story", between=lose_and_register)
    result = check(
        published(story, story.entries, tmp_path / "public", media=False), story.chain, ThreadPoolExecutor(1)
    )
    assert false(result) == ""
    assert dict(result.proven)["settings of weights stand on chain"] == EPOCHS - 1
    assert "their uid was another's by then" in unproven(result)


def test_claims_that_say_the_same_are_compared_once(story: Story) -> None:
    """Thousands of settings of one block and one metagraph cost no more than one: a small file took hours."""

    class Counted(tuple[Neuron, ...]):
        read = 0

        def __iter__(self) -> Iterator[Neuron]:
            Counted.read += 1
            return super().__iter__()

    snapshot = asyncio.run(story.chain().snapshot())
    neurons = Counted(snapshot.neurons)
    claims = [MetagraphClaim(seq, snapshot.block, neurons, 1.0, moved=False) for seq in range(1, 500)]
    proven = Counter[str]()
    told = past.Past({snapshot.block: snapshot}, [snapshot.block])
    assert list(past.compare_metagraphs(told, claims, proven)) == []
    assert proven[METAGRAPHS] == len(claims)
    assert Counted.read < 5
