"""What `BittensorChain` does when the node fails: errors of ours in time, and no transaction sent twice."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import bittensor as bt
import pytest

from subnet.chain import connection
from subnet.chain.bittensor import BittensorChain
from subnet.chain.devnode.keys import keypair, seeded
from subnet.chain.devnode.ledger.genesis import Rules
from subnet.chain.devnode.node.chain import DevChain
from subnet.chain.devnode.node.faults import Faults
from subnet.chain.devnode.node.server import Node
from subnet.chain.devnode.runtime.metadata import read_metadata
from subnet.chain.wallets import open_wallet
from subnet.errors import ChainError, ChainTimeout, SettingsError
from subnet.types import Submission
from tests.contract.chain_worlds import NodeWorld, node_world, until

WEIGHTS = {2: 1.0, 3: 0.5}
U16 = {2: 65535, 3: 32768}


@pytest.fixture
async def world() -> AsyncIterator[NodeWorld]:
    rules = Rules(tempo=50, weights_rate_limit=0)  # without a rate limit a second submission would land, and be seen
    async with node_world(seeded(validators=2, miners=3, rules=rules)) as world:
        yield world


def submissions(world: NodeWorld) -> int:
    """Weights transactions in all blocks."""
    chain = world.node.chain
    blocks = (chain.block("0x" + (chain.hash_of(n) or b"").hex()) for n in range(chain.head.number + 1))
    return sum(extrinsic.call == "set_mechanism_weights" for block in blocks for extrinsic in block.extrinsics)


async def test_nothing_listens() -> None:
    """A refused connection is a ChainError that names the address, at once."""
    chain = BittensorChain("ws://127.0.0.1:9", 1, keypair("//Val0"))
    with pytest.raises(ChainError, match=r"ws://127\.0\.0\.1:9"):
        await chain.snapshot()


def test_an_endpoint_that_is_none() -> None:
    """A misspelt network is the user's mistake, and the error lists what there is."""
    with pytest.raises(SettingsError, match="finney, test, local"):
        BittensorChain("finny", 1)


async def test_no_such_subnet(world: NodeWorld) -> None:
    """A netuid that is not there is named."""
    chain = BittensorChain(world.node.endpoint, 77, keypair("//Val0"))
    with pytest.raises(ChainError, match="no subnet 77"):
        await chain.snapshot()
    await chain.close()


async def test_a_stalled_node_ends_at_the_deadline(world: NodeWorld) -> None:
    """A node that takes requests and never answers costs one deadline, not the SDK's minute; then all is well again."""
    chain = world.chain("//Val0", call_deadline=0.5)
    await chain.snapshot()
    world.node.faults = Faults(stall=True)
    began = time.monotonic()
    with pytest.raises(ChainTimeout):
        await chain.snapshot()
    assert time.monotonic() - began < 2.0
    world.node.faults = Faults()
    assert (await chain.snapshot()).block == 0


async def test_a_dropped_connection_is_dialled_again(world: NodeWorld) -> None:
    """A connection that breaks within a read is no error for the caller."""
    chain = world.chain("//Val0")
    await chain.snapshot()
    world.node.faults = Faults(drop_after=1)
    assert (await chain.snapshot()).netuid == 1


async def test_a_node_that_drops_everyone(world: NodeWorld) -> None:
    """Connections that are closed at once end in a ChainError within the deadline."""
    world.node.faults = Faults(refuse=True)
    chain = world.chain("//Val0", call_deadline=1.0)
    began = time.monotonic()
    with pytest.raises(ChainError):
        await chain.snapshot()
    assert time.monotonic() - began < 5.0


async def test_a_gateway_that_says_slow_down(world: NodeWorld) -> None:
    """HTTP 429 at the handshake is a ChainError that says so, and clears up by itself."""
    world.node.faults = Faults(status=429)
    chain = world.chain("//Val0")
    with pytest.raises(ChainError, match="429"):
        await chain.snapshot()
    world.node.faults = Faults()
    assert (await chain.snapshot()).netuid == 1


async def test_garbage_frames(world: NodeWorld) -> None:
    """Frames that are not JSON end in a ChainError in time; after them reads work."""
    chain = world.chain("//Val0", call_deadline=0.5)
    await chain.snapshot()
    world.node.faults = Faults(garbage=2)
    with pytest.raises(ChainError):
        await chain.snapshot()
    world.node.faults = Faults()
    assert (await chain.snapshot()).netuid == 1


async def test_a_restarted_node(world: NodeWorld) -> None:
    """While the node is away calls raise ChainError; when it is back on its port, reads and weights work."""
    chain = world.chain("//Val0", call_deadline=1.0)
    await chain.snapshot()
    await world.node.stop()
    with pytest.raises(ChainError):
        await chain.snapshot()
    await world.node.start()
    assert (await chain.set_weights(WEIGHTS)).submission is Submission.OK
    assert await chain.weights(0) == U16


async def test_blocks_survive_a_restart(world: NodeWorld) -> None:
    """A subscription goes on after the node was away, and numbers only rise."""
    async with aclosing(world.chain("//Val0", watchdog=8.0).blocks()) as blocks:  # type: ignore[type-var]
        first = asyncio.ensure_future(anext(blocks))
        await world.followed()
        await world.node.produce(1)
        assert await first == 1
        await world.node.stop()
        later = asyncio.ensure_future(anext(blocks))
        await asyncio.sleep(0.3)
        await world.node.start()
        while not later.done():
            await world.node.produce(1)
            await asyncio.sleep(0.1)
        assert await later > 1


async def test_a_node_that_says_goodbye(world: NodeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who follows blocks hears of it at once, and no task of the SDK's ends with an error that nobody takes."""
    monkeypatch.setattr(connection, "GONE_SECONDS", 600.0)  # a silent subscription would be waited for
    left: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: left.append(context))
    chain = world.chain("//Val0", watchdog=2400.0)
    async with aclosing(chain.blocks()) as blocks, asyncio.timeout(60):  # type: ignore[type-var]
        first = asyncio.ensure_future(anext(blocks))
        await world.followed()
        await world.node.produce(1)
        assert await first == 1
        await world.node.stop()
        with pytest.raises(ChainError, match="cannot reach"):
            await chain.block()
        await world.node.start()
        later = asyncio.ensure_future(anext(blocks))
        await world.followed()
        await world.node.produce(1)
        assert await later == 2
    await chain.close()
    gc.collect()
    await asyncio.sleep(0)
    assert left == []


async def test_a_halted_chain_trips_the_watchdog(world: NodeWorld) -> None:
    """A node that answers but makes no blocks is noticed after `watchdog` seconds."""
    world.node.faults = Faults(halt=True)
    async with aclosing(world.chain("//Val0", watchdog=0.5).blocks()) as blocks:  # type: ignore[type-var]
        began = time.monotonic()
        with pytest.raises(ChainTimeout, match=r"no new block from .* for 0\.5 s"):
            await anext(blocks)
        assert time.monotonic() - began < 3.0


async def test_a_node_that_is_gone_is_told_before_a_silent_one(
    world: NodeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens where the node was: an error after `GONE_SECONDS`, long before the watchdog of a silent chain."""
    monkeypatch.setattr(connection, "GONE_SECONDS", 0.5)
    async with aclosing(world.chain("//Val0", watchdog=600.0).blocks()) as blocks:  # type: ignore[type-var]
        first = asyncio.ensure_future(anext(blocks))
        await world.followed()
        await world.node.produce(1)
        assert await first == 1
        await world.node.stop()
        async with asyncio.timeout(60):
            with pytest.raises(ChainTimeout, match=r"no new block from .* for 0\.5 s: cannot reach the chain"):
                await anext(blocks)
        await world.node.start()


async def test_another_chain_on_the_same_address(world: NodeWorld) -> None:
    """A head far behind the last one is another chain, and an error rather than silence."""
    await world.node.produce(100)
    chain = world.chain("//Val0", watchdog=8.0)
    async with aclosing(chain.blocks()) as blocks:  # type: ignore[type-var]
        first = asyncio.ensure_future(anext(blocks))
        await world.followed()
        await world.node.produce(1)
        assert await first == 101
        port = world.node.port
        await world.node.stop()
        async with node_world(seeded(validators=1, miners=1)) as other:
            await other.node.stop()
            await other.node.start(port)
            later = asyncio.ensure_future(anext(blocks))
            while not later.done():
                await other.node.produce(1)
                await asyncio.sleep(0.1)
            with pytest.raises(ChainError, match="another chain"):
                await later


async def test_slow_finality_does_not_hold_up_weights(world: NodeWorld) -> None:
    """A receipt waits for inclusion only."""
    world.node.faults = Faults(finality_lag=1000)
    receipt = await world.chain("//Val0").set_weights(WEIGHTS)
    assert (receipt.submission, receipt.block) == (Submission.OK, 1)


@pytest.mark.parametrize(("lag", "final"), [(0, 40), (3, 37), (32, 8), (33, 40)])
async def test_the_newest_block_that_no_fork_takes_back(world: NodeWorld, lag: int, final: int) -> None:
    """The head where finality stands still: a metagraph that never changes again would be worse than a fork."""
    await world.node.produce(40)
    world.node.faults = Faults(finality_lag=lag)
    assert await world.chain("//Val0").final() == final


async def test_dropped_after_taking_settles_to_ok(world: NodeWorld) -> None:
    """The node takes the transaction and hangs up: reading again finds it landed, once."""
    chain = world.chain("//Val0")
    world.node.faults = Faults(drop_on_submit=1)
    receipt = await chain.set_weights(WEIGHTS)
    assert receipt.submission is Submission.OK
    assert await chain.weights(0) == U16
    assert submissions(world) == 1


async def test_a_late_block_settles_to_ok(world: NodeWorld) -> None:
    """No block within the submission's deadline: AMBIGUOUS inside, then OK once the block comes; sent once."""
    chain = world.chain("//Val0", submit_deadline=0.3)
    world.node.faults = Faults(halt=True)
    sending = asyncio.ensure_future(chain.set_weights(WEIGHTS))
    await until(lambda: world.node.chain.waiting)
    await asyncio.sleep(0.5)
    assert not sending.done()
    await world.node.produce(1)
    assert (await sending).submission is Submission.OK
    assert submissions(world) == 1


async def test_a_lost_transaction_is_ambiguous_until_its_era_ends(world: NodeWorld) -> None:
    """While it may still land nothing is sent again; when its era is over the next weights go out."""
    chain = world.chain("//Val0", submit_deadline=0.3, call_deadline=0.5)
    world.node.faults = Faults(lose=True)
    lost = await chain.set_weights(WEIGHTS)
    assert lost.submission is Submission.AMBIGUOUS
    world.node.faults = Faults()
    await world.node.produce(3)
    again = await chain.set_weights(WEIGHTS)
    assert again.submission is Submission.AMBIGUOUS
    assert again.blocks is not None
    assert submissions(world) == 0
    await world.node.produce(again.blocks)
    assert (await chain.set_weights(WEIGHTS)).submission is Submission.OK
    assert submissions(world) == 1


async def test_a_node_that_dies_with_the_transaction(world: NodeWorld) -> None:
    """The node is gone when the chain is to be read again: AMBIGUOUS, not an exception."""
    chain = world.chain("//Val0", submit_deadline=0.3, call_deadline=0.5)
    world.node.faults = Faults(halt=True)
    sending = asyncio.ensure_future(chain.set_weights(WEIGHTS))
    await until(lambda: world.node.chain.waiting)
    await world.node.stop()
    assert (await sending).submission is Submission.AMBIGUOUS
    await world.node.start()


@pytest.mark.parametrize(
    ("name", "submission"),
    [
        ("MaxWeightExceeded", Submission.REJECTED),
        ("CommitRevealEnabled", Submission.REJECTED),
        ("SettingWeightsTooFast", Submission.TOO_EARLY),
    ],
)
async def test_errors_by_name(world: NodeWorld, name: str, submission: Submission) -> None:
    """Whatever SubtensorModule error the block holds comes back under its name."""
    world.node.faults = Faults(reject={"set_mechanism_weights": name})
    receipt = await world.chain("//Val0").set_weights(WEIGHTS)
    assert (receipt.submission, receipt.code) == (submission, name)
    assert await world.chain("//Val0").weights(0) == {}


async def test_the_probe_accepts_a_chain_that_fits(world: NodeWorld) -> None:
    """SDK and node fit: the dry run passes for validators, miners and strangers alike, and sends nothing."""
    for uri in ("//Val0", "//Miner0", "//No"):
        await world.chain(uri).probe()
    assert world.node.chain.head.number == 0


@pytest.mark.skipif(bt.__version__.startswith("11.1"), reason="this SDK does not read the storage item")
async def test_the_probe_refuses_a_chain_that_does_not_fit() -> None:
    """Where the runtime lacks storage that this SDK reads, probe() and set_weights() say so; nothing is sent."""
    node = Node(
        DevChain(seeded(validators=1, miners=1, netuid=9), read_metadata(epoch_consensus=False), time.time),
        instant=True,
    )
    await node.start()
    chain = BittensorChain(node.endpoint, 9, keypair("//Val0"))
    for attempt in (chain.probe(), chain.set_weights({1: 1.0})):
        with pytest.raises(ChainError, match=r"bittensor .* cannot build set_weights .* install another version"):
            await attempt
    assert node.chain.head.number == 0
    await chain.close()
    await node.stop()


async def test_cancelling_a_call_leaves_the_chain_usable(world: NodeWorld) -> None:
    """Ctrl-C within a read: the next read works."""
    chain = world.chain("//Val0")
    await chain.snapshot()
    world.node.faults = Faults(stall=True)
    reading = asyncio.ensure_future(chain.snapshot())
    await asyncio.sleep(0.1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    world.node.faults = Faults()
    assert (await chain.snapshot()).netuid == 1


async def test_faults_can_be_set_over_the_wire(world: NodeWorld) -> None:
    """dev_setFaults turns a knob while the node runs, and an unknown knob is named."""
    from websockets.asyncio.client import connect

    async with connect(world.node.endpoint) as socket:
        await socket.send('{"jsonrpc":"2.0","id":1,"method":"dev_setFaults","params":[{"stall":true}]}')
        assert '"result": true' in str(await socket.recv())
        assert world.node.faults.stall
        await socket.send('{"jsonrpc":"2.0","id":2,"method":"dev_setFaults","params":[{"stal":true}]}')
        assert "no fault is called" in str(await socket.recv())
        await socket.send('{"jsonrpc":"2.0","id":3,"method":"dev_setFaults","params":[{"stall":false}]}')
        await socket.recv()
        assert not world.node.faults.stall


async def test_the_node_as_a_process() -> None:
    """It says READY with its address, serves blocks by its clock, and ends cleanly on SIGTERM."""
    command = ["-m", "subnet.chain.devnode", "--port", "0", "--seed-keys", "2", "--block-ms", "50", "--netuid", "5"]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        assert line.startswith("READY ws://127.0.0.1:")
        chain = BittensorChain(line.split()[1], 5, keypair("//Val0"))
        async with aclosing(chain.blocks()) as blocks:  # type: ignore[type-var]
            first = await anext(blocks)
            assert await anext(blocks) == first + 1
        assert (await chain.set_weights({1: 1.0})).submission is Submission.OK
        assert await chain.weights(0) == {1: 65535}
        await chain.close()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 5) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_an_occupied_port_is_a_message(world: NodeWorld) -> None:
    """Exit code 2 and one line that names the flag and a way out."""
    command = ["-m", "subnet.chain.devnode", "--port", str(world.node.port)]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=asyncio.subprocess.PIPE)
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert f"--port {world.node.port}" in errors.decode()
    assert "Traceback" not in errors.decode()


def test_a_wallet_that_is_not_there(tmp_path: os.PathLike[str]) -> None:
    """The error says which file is missing and how to make it."""
    with pytest.raises(SettingsError, match=r"hotkeys/hot.*--wallet\.hotkey"):
        open_wallet("cold", "hot", str(tmp_path))


def test_a_wallet_is_opened(tmp_path: os.PathLike[str]) -> None:
    """A hotkey file written by the SDK gives its address."""
    made = bt.Wallet("cold", "hot", path=str(tmp_path))
    made.create_new_coldkey(use_password=False, overwrite=True, suppress=True)
    made.create_new_hotkey(use_password=False, overwrite=True, suppress=True)
    chain = BittensorChain("local", 1, open_wallet("cold", "hot", str(tmp_path)))
    assert chain.hotkey == made.hotkey.ss58_address
