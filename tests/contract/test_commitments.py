"""The contract of commitments: the same in memory and through the SDK against a development node."""

from __future__ import annotations

import time
from pathlib import Path

import bittensor as bt
import pytest

from subnet.chain.bittensor import BittensorChain
from subnet.chain.commitments import LIMIT
from subnet.chain.devnode.keys import keypair, seeded
from subnet.chain.devnode.ledger.genesis import Genesis, Rules
from subnet.chain.devnode.node.chain import DevChain
from subnet.chain.devnode.node.faults import Faults
from subnet.chain.devnode.node.server import Node
from subnet.chain.devnode.node.store import read, write
from subnet.chain.devnode.runtime.metadata import read_metadata
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.errors import ChainError
from subnet.types import Statement, Submission
from tests.contract.chain_worlds import NodeWorld, Worlds, node_world

VALIDATOR = keypair("//Val0").ss58_address


def genesis(tempo: int = 50) -> Genesis:
    return seeded(validators=1, miners=2, rules=Rules(tempo=tempo, weights_rate_limit=5))


@pytest.mark.parametrize("text", ["a", "x" * 128, "y" * 129, "z" * LIMIT, "grüße"])
async def test_what_is_committed_is_read_back(worlds: Worlds, text: str) -> None:
    """Whoever reads it sees the text and its block, whatever number of fields it takes."""
    async with worlds(genesis()) as world:
        assert await world.chain("//Val0").commitment(VALIDATOR) is None
        receipt = await world.chain("//Val0").commit(text)
        assert receipt.submission is Submission.OK
        assert receipt.block is not None
        assert await world.chain("//Miner0").commitment(VALIDATOR) == Statement(text, receipt.block)


async def test_older_blocks_hold_what_stood_there(worlds: Worlds) -> None:
    """A commitment replaces the one before, but history shows both; so do weights."""
    async with worlds(genesis()) as world:
        chain = world.chain("//Val0")
        first, second = [(await chain.commit(text)).block for text in ("one", "two")]
        assert first is not None
        assert second is not None
        assert await chain.commitment(VALIDATOR, at=first - 1) is None
        assert await chain.commitment(VALIDATOR, at=second - 1) == Statement("one", first)
        assert await chain.commitment(VALIDATOR, at=second) == Statement("two", second)
        block = (await chain.set_weights({1: 1.0})).block
        assert block is not None
        assert (await chain.weights(0, at=block - 1), await chain.weights(0, at=block)) == ({}, {1: 65535})


async def test_a_block_has_one_hash_and_none_before_it_is_there(worlds: Worlds) -> None:
    """32 bytes in hex, another for every block, the same for everybody."""
    async with worlds(genesis()) as world:
        chain = world.chain("//Val0")
        assert await chain.block_hash(1) is None
        await world.advance(2)
        hashes = [await chain.block_hash(block) for block in (0, 1, 2)]
        assert all(digits and len(digits) == 66 and bytes.fromhex(digits[2:]) for digits in hashes)
        assert len(set(hashes)) == 3
        assert await world.chain("//Miner0").block_hash(1) == hashes[1]


@pytest.mark.parametrize("text", ["", "x" * (LIMIT + 1)])
async def test_a_commitment_of_a_wrong_size_is_not_sent(worlds: Worlds, text: str) -> None:
    """The receipt says how many bytes there may be."""
    async with worlds(genesis()) as world:
        chain = world.chain("//Val0")
        receipt = await chain.commit(text)
        assert (receipt.submission, receipt.code) == (Submission.REJECTED, "TooManyFieldsInCommitmentInfo")
        assert f"1 to {LIMIT} bytes (3 fields of 128), not {len(text)}" in receipt.message
        assert (await chain.snapshot()).block == 0


async def test_a_stranger_commits_nothing(worlds: Worlds) -> None:
    """A hotkey without a uid is refused."""
    async with worlds(genesis()) as world:
        receipt = await world.chain("//Nobody").commit("hello")
        assert receipt.submission is Submission.REJECTED
        assert receipt.code in {"AccountNotAllowedCommit", "HotKeyNotRegisteredInSubNet"}


async def test_the_space_of_an_epoch_ends_and_the_next_epoch_brings_it_again(worlds: Worlds) -> None:
    """31 short commitments fill 3,100 bytes, as each takes 100; the next waits for the epoch, and then stands."""
    async with worlds(genesis()) as world:
        chain = world.chain("//Val0")
        for number in range(31):
            assert (await chain.commit(str(number))).submission is Submission.OK
        receipt = await chain.commit("too much")
        assert (receipt.submission, receipt.code) == (Submission.TOO_EARLY, "SpaceLimitExceeded")
        assert receipt.blocks is not None
        assert 0 < receipt.blocks <= 50 - 31
        assert (await world.chain("//Miner0").commit("mine")).submission is Submission.OK, "each hotkey has its own"
        await world.advance(receipt.blocks)
        assert (await chain.commit("now")).submission is Submission.OK


async def test_long_commitments_take_their_length() -> None:
    """Eight of 384 bytes fit, the ninth does not."""
    chain = MemoryChain(MemorySubnet(genesis(tempo=100)), VALIDATOR)
    receipts = [await chain.commit("x" * LIMIT) for _ in range(9)]
    assert [r.submission for r in receipts] == [Submission.OK] * 8 + [Submission.TOO_EARLY]


async def test_a_chain_without_the_pallet_says_so_and_nothing_is_sent() -> None:
    """In memory and through the SDK, with one code; reading gives nothing."""
    node = Node(DevChain(genesis(tempo=51), read_metadata(commitments=False), time.time), instant=True)
    await node.start()
    chains = [
        BittensorChain(node.endpoint, 1, keypair("//Val0")),
        MemoryChain(MemorySubnet(genesis(), commitments=False), VALIDATOR),
    ]
    for chain in chains:
        receipt = await chain.commit("hello")
        assert (receipt.submission, receipt.code) == (Submission.REJECTED, "NoCommitments")
        assert "no pallet Commitments" in receipt.message
        assert await chain.commitment(VALIDATOR) is None
        assert (await chain.snapshot()).block == 0
        await chain.close()
    await node.stop()


@pytest.fixture
async def world() -> object:
    async with node_world(genesis()) as world:
        yield world


async def test_the_sdks_own_calls_and_reads_work(world: NodeWorld) -> None:
    """The call is taken, and both `client.identity` and the storage show what it said."""
    client = bt.Client(world.node.endpoint)
    await client.connect()
    call = bt.calls.Commitments.set_commitment(1, {"fields": [{"Raw5": "0x68656c6c6f"}, {"Sha256": "0x" + "ab" * 32}]})
    result = await client.submit_call(call, keypair("//Val0"), signer="hotkey", wait_for_finalization=False)
    assert result.success
    assert (await client.identity.commitment(netuid=1, hotkey_ss58=VALIDATOR)).data == "hello"
    rows = await client.identity.commitments(netuid=1)
    assert [(row["hotkey"], row["block"]) for row in rows] == [(VALIDATOR, 1)]
    assert await client.query(("Commitments", "LastCommitment"), [1, VALIDATOR]) == 1
    used = await client.query(("Commitments", "UsedSpaceOf"), [1, VALIDATOR])
    assert int(used["used_space"]) == 100
    many = bt.calls.Commitments.set_commitment(1, {"fields": [{"Raw1": "0x61"}] * 4})
    result = await client.submit_call(many, keypair("//Val0"), signer="hotkey", wait_for_finalization=False)
    assert (result.success, result.error.name) == (False, "TooManyFieldsInCommitmentInfo")
    await client.close()


@pytest.mark.parametrize(
    ("error", "submission"),
    [("SpaceLimitExceeded", Submission.TOO_EARLY), ("AccountNotAllowedCommit", Submission.REJECTED)],
)
async def test_a_refusal_in_the_block_has_its_name(world: NodeWorld, error: str, submission: Submission) -> None:
    """What the runtime says after the transaction was sent is typed, too."""
    world.node.faults = Faults(reject={"set_commitment": error})
    receipt = await world.chain("//Val0").commit("hello")
    assert (receipt.submission, receipt.code) == (submission, error)


async def test_a_commitment_of_unknown_fate_is_found_on_chain(world: NodeWorld) -> None:
    """The connection breaks while it is sent: it is read back, and sent once."""
    world.node.faults = Faults(drop_on_submit=1)
    receipt = await world.chain("//Val0").commit("hello")
    assert (receipt.submission, receipt.block) == (Submission.OK, 1)
    assert world.node.chain.head.number == 1


async def test_a_lost_commitment_is_ambiguous(world: NodeWorld) -> None:
    """Nobody claims that it stands, and the receipt says for how long it may still land."""
    world.node.faults = Faults(lose=True)
    receipt = await world.chain("//Val0", submit_deadline=0.3, call_deadline=1.0).commit("hello")
    assert (receipt.submission, receipt.blocks) == (Submission.AMBIGUOUS, 32)


async def test_a_hash_is_told_once_the_block_is_final(world: NodeWorld) -> None:
    """What a reorganisation may take back seeds nothing."""
    chain = world.chain("//Val0")
    world.node.faults = Faults(finality_lag=3)
    await world.advance(3)
    assert (await chain.block_hash(0) is None, await chain.block_hash(1) is None) == (False, True)
    await world.advance(1)
    assert await chain.block_hash(1) is not None


async def test_a_dead_chain_is_an_error_of_ours() -> None:
    """Not a receipt: nothing was sent."""
    chain = BittensorChain("ws://127.0.0.1:9", 1, keypair("//Val0"), call_deadline=1.0)
    with pytest.raises(ChainError):
        await chain.commit("hello")
    with pytest.raises(ChainError):
        await chain.commitment(VALIDATOR)


async def test_commitments_survive_the_node(world: NodeWorld, tmp_path: Path) -> None:
    """What stands on chain is kept in its state file, with the space that it took."""
    await world.chain("//Val0").commit("hello")
    write(tmp_path / "chain", world.node.chain.saved())
    saved = read(tmp_path / "chain")
    assert saved is not None
    assert saved.state.committed == world.node.chain.head.state.committed
