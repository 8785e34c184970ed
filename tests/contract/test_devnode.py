"""The development node as the unmodified SDK and a raw JSON-RPC client see it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import bittensor as bt
import bittensor_core
import pytest
from bittensor import calls
from websockets.asyncio.client import ClientConnection, connect

from subnet.chain.devnode.keys import keypair, seeded
from subnet.chain.devnode.ledger.genesis import Rules
from subnet.chain.devnode.node.chain import KEPT
from subnet.chain.devnode.node.faults import Faults
from subnet.chain.devnode.node.server import Node, devnode
from subnet.chain.devnode.runtime.metadata import compact
from tests.contract.chain_worlds import until

ROUND_1000 = (  # drand quicknet's signature of round 1000, public since 2023
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"
)
OLD_SDK = bt.__version__.startswith("11.1")
MODULE = calls.SubtensorModule


@asynccontextmanager
async def world(**rules: Any) -> AsyncIterator[tuple[Node, Any]]:
    """A node with two validators and three miners, and an SDK client on it."""
    genesis = seeded(validators=2, miners=3, rules=Rules(**({"tempo": 5, "weights_rate_limit": 0} | rules)))
    async with devnode(genesis, instant=True) as node:
        client = bt.Client(node.endpoint)
        await client.connect()
        try:
            yield node, client
        finally:
            await asyncio.wait_for(client.close(), 3)


async def rpc(socket: ClientConnection, method: str, *params: Any) -> Any:
    await socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}))
    return json.loads(await socket.recv())


def sealed(uri: str, uids: list[int], values: list[int], version_key: int = 0, beacon_round: int = 1000) -> bytes:
    """Timelocked weights as the chain gets them."""

    def u16s(numbers: list[int]) -> bytes:
        return compact(len(numbers)) + b"".join(number.to_bytes(2, "little") for number in numbers)

    payload = (
        compact(32) + bytes(keypair(uri).public_key) + u16s(uids) + u16s(values) + version_key.to_bytes(8, "little")
    )
    wrapped, _ = bittensor_core.encrypt_at_round(payload, beacon_round)
    length = int.from_bytes(wrapped[:2], "little") >> 2  # Vec<u8> and the round as u64
    return bytes(wrapped[2 : 2 + length])


async def commit(client: Any, uri: str, data: bytes, beacon_round: int = 1000, version: int = 4) -> Any:
    call = MODULE.commit_timelocked_mechanism_weights(
        netuid=1, mecid=0, commit=data, reveal_round=beacon_round, commit_reveal_version=version
    )
    return await client.submit_call(call, keypair(uri))


async def test_every_read_of_the_sdk_answers() -> None:
    """Each typed read whose arguments we can give decodes against this node's metadata and state."""
    given = {
        "netuid": 1,
        "uid": 0,
        "hotkey_ss58": keypair("//Val0").ss58_address,
        "coldkey_ss58": keypair("//Val0//cold").ss58_address,
    }
    async with world() as (node, client):
        await node.produce(7)
        reads = [read for read in client.reads() if set(read["params"]) <= set(given)]
        assert len(reads) > 50
        for read in reads:
            if not (OLD_SDK and read["name"].startswith(("basket", "validator"))):  # it does not know their runtime API
                await client.read(read["name"], **{name: given[name] for name in read["params"]})
        status = await client.epochs.epoch_status(netuid=1)
        assert (status["epoch_index"], status["last_epoch_block"], status["next_epoch_start_block"]) == (1, 5, 10)
        assert (await client.read("subnet_hyperparameters", netuid=1))["tempo"] == 5


async def test_storage_and_runtime_calls_agree() -> None:
    """The metagraph, neurons one by one and raw storage tell the same."""
    async with world() as (node, client):
        await client.execute(bt.SetWeights(netuid=1, weights={2: 1.0, 3: 0.5}), keypair("//Val0"))
        await node.produce(6)
        graph = await client.subnets.metagraph(1)
        rows = await client.neurons.all(1, lite=False)
        incentive = await client.query(("SubtensorModule", "Incentive"), [1])
        assert [row.hotkey for row in graph] == [row.hotkey for row in rows]
        assert [round(row.incentive * 65535) for row in graph] == incentive
        assert await client.query(("SubtensorModule", "Weights"), [1, 0]) == [(2, 65535), (3, 32768)]
        assert len(await client.query_map(("SubtensorModule", "Uids"), [1])) == 5
        assert [key for key, _ in await client.query_map(("SubtensorModule", "Weights"), [1])] == [0]


async def test_reads_at_an_old_hash_give_the_old_state() -> None:
    """Storage and runtime calls are answered as of the block that is asked for."""
    async with world() as (node, client):
        await client.execute(bt.SetWeights(netuid=1, weights={2: 1.0}), keypair("//Val0"))
        await node.produce(6)
        before, after = await client.at(0), await client.at(7)
        assert await before.query(("SubtensorModule", "LastUpdate"), [1]) == [0] * 5
        assert await after.query(("SubtensorModule", "LastUpdate"), [1]) == [1, 0, 0, 0, 0]
        assert await before.query(("SubtensorModule", "SubnetEpochIndex"), [1]) == 0
        assert await after.query(("SubtensorModule", "SubnetEpochIndex"), [1]) == 1
        assert (await client.subnets.metagraph(1, block=0)).block == 0
        assert await client.weights.weights(netuid=1) == {0: {2: 1.0}}


async def test_pruned_state_says_so() -> None:
    """State older than what is kept is discarded, in the words that clients know; hashes stay."""
    async with world() as (node, client):
        old = await client._substrate.block_hash(0)
        for _ in range(KEPT + 1):
            node.chain.produce()
        with pytest.raises(bt.BittensorError, match=r"State (already )?discarded"):
            await client.query(("SubtensorModule", "Tempo"), [1], block=0)
        async with connect(node.endpoint) as socket:
            assert (await rpc(socket, "chain_getBlockHash", 0))["result"] == old
            assert "State already discarded" in (await rpc(socket, "chain_getHeader", old))["error"]["data"]


async def test_a_new_neuron_registers_and_is_pruned() -> None:
    """Registration takes the next uid; in a full subnet the weakest out of immunity makes room."""
    async with world(max_uids=6, immunity_period=0) as (node, client):
        for name in ("//New0", "//New1"):
            call = MODULE.burned_register(netuid=1, hotkey=keypair(name).ss58_address)
            result = await client.submit_call(call, keypair(name + "//cold"))
            assert result.success
        again = await client.submit_call(call, keypair("//New1//cold"))
        assert again.error.name == "HotKeyAlreadyRegisteredInSubNet"
        graph = await client.subnets.metagraph(1)
        assert len(graph) == 6
        assert graph.neuron(5).hotkey == keypair("//New0").ss58_address
        assert graph.neuron(2).hotkey == keypair("//New1").ss58_address  # //Miner0 was the oldest without incentive
        assert graph.neuron(2).coldkey == keypair("//New1//cold").ss58_address
        assert graph.neuron(2).block_at_registration == node.chain.head.number - 1


async def test_timelocked_weights_are_opened_with_their_round() -> None:
    """Sealed weights count from the epoch on in which they are due, once the beacon has signed their round."""
    async with world(commit_reveal=True) as (node, client):
        data = sealed("//Val0", [2, 3], [65535, 7])
        assert (await commit(client, "//Val0", data)).success
        waiting = await client.weights.timelocked_weight_commits(netuid=1)
        assert [row["reveal_round"] for row in waiting[0]] == [1000]
        node.chain.beacon.publish(1000, ROUND_1000)
        await node.produce(3)
        assert await client.weights.weights(netuid=1) == {}  # not before the epoch
        await node.produce(3)
        assert await client.query(("SubtensorModule", "Weights"), [1, 0]) == [(2, 65535), (3, 7)]
        assert await client.weights.timelocked_weight_commits(netuid=1) == {}


async def test_sealed_weights_without_a_signature_expire() -> None:
    """Whose round nobody signs stays sealed for the epoch in which it is due, and is then dropped."""
    async with world(commit_reveal=True) as (node, client):
        assert (await commit(client, "//Val0", sealed("//Val0", [2], [1]))).success
        await node.produce(7)
        assert len(node.chain.head.state.commits) == 1
        await node.produce(5)
        assert node.chain.head.state.commits == ()
        assert await client.weights.weights(netuid=1) == {}


@pytest.mark.parametrize(
    ("uri", "data"),
    [
        ("//Val0", sealed("//Val1", [2], [1])),  # sealed by another hotkey
        ("//Miner0", sealed("//Miner0", [3], [1])),  # no permit
        ("//Val0", sealed("//Val0", [2, 2], [1, 1])),  # a uid twice
        ("//Val0", b"not a ciphertext"),
    ],
    ids=["stolen", "no permit", "duplicate", "garbage"],
)
async def test_bad_commits_are_dropped_silently(uri: str, data: bytes) -> None:
    """What opens to weights that break the rules, or does not open, changes nothing."""
    async with world(commit_reveal=True) as (node, client):
        node.chain.beacon.publish(1000, ROUND_1000)
        assert (await commit(client, uri, data)).success
        await node.produce(12)
        assert await client.weights.weights(netuid=1) == {}
        assert node.chain.head.state.commits == ()


async def test_the_sdk_seals_by_itself() -> None:
    """With commit-reveal on, SetWeights commits; plain weights are refused by name."""
    async with world(commit_reveal=True) as (node, client):
        result = await client.execute(bt.SetWeights(netuid=1, weights={2: 1.0}), keypair("//Val0"))
        assert result.success
        assert result.data["reveal_round"] == node.chain.head.state.commits[0].reveal_round
        assert node.chain.head.state.rows[0].last_update == 1
        plain = MODULE.set_mechanism_weights(netuid=1, mecid=0, dests=[2], weights=[1], version_key=0)
        assert (await client.submit_call(plain, keypair("//Val0"))).error.name == "CommitRevealEnabled"


async def test_refusals_of_commits() -> None:
    """Version, count and switch are checked under their own names."""
    async with world(commit_reveal=True, tempo=1000) as (_, client):
        assert (await commit(client, "//Val0", b"x", version=3)).error.name == "IncorrectCommitRevealVersion"
        for _ in range(10):
            assert (await commit(client, "//Val0", b"x")).success
        assert (await commit(client, "//Val0", b"x")).error.name == "TooManyUnrevealedCommits"
    async with world() as (_, client):
        assert (await commit(client, "//Val0", b"x")).error.name == "CommitRevealDisabled"


@pytest.mark.parametrize(
    ("dests", "weights", "name"),
    [
        ([2, 3], [1], "WeightVecNotEqualSize"),
        ([2, 2], [1, 1], "DuplicateUids"),
        ([2, 9], [1, 1], "UidVecContainInvalidOne"),
        ([2, 3, 4, 5, 6, 7], [1] * 6, "UidsLengthExceedUidsInSubNet"),
        ([2, 3], [9, 1], "MaxWeightExceeded"),
    ],
)
async def test_malformed_weights(dests: list[int], weights: list[int], name: str) -> None:
    """What the SDK would never send is refused all the same."""
    async with world(max_weight_limit=50000) as (_, client):
        call = MODULE.set_mechanism_weights(netuid=1, mecid=0, dests=dests, weights=weights, version_key=0)
        assert (await client.submit_call(call, keypair("//Val0"))).error.name == name


async def test_other_subnets_and_mechanisms() -> None:
    """A netuid and a mechanism that are not there."""
    async with world() as (_, client):
        for call, name in [
            (MODULE.set_mechanism_weights(netuid=7, mecid=0, dests=[2], weights=[1], version_key=0), "SubnetNotExists"),
            (
                MODULE.set_mechanism_weights(netuid=1, mecid=1, dests=[2], weights=[1], version_key=0),
                "MechanismDoesNotExist",
            ),
        ]:
            assert (await client.submit_call(call, keypair("//Val0"))).error.name == name


async def signed(client: Any, nonce: int | None = None) -> str:
    """A signed transaction as hex, not sent."""
    call = await client._substrate.compose(
        MODULE.set_mechanism_weights(netuid=1, mecid=0, dests=[2], weights=[1], version_key=0)
    )
    next_nonce = await client._substrate.account_next_index(keypair("//Val0").ss58_address)
    raw, _ = await client._substrate.sign_extrinsic(
        call, keypair("//Val0"), nonce=next_nonce if nonce is None else nonce, period=8
    )
    return "0x" + bytes(raw).hex()


async def test_a_changed_byte_breaks_the_signature() -> None:
    """No byte of a signed call can be changed: every change is refused, by signature or by decoding."""
    async with world() as (node, client), connect(node.endpoint) as socket:
        raw = bytearray.fromhex((await signed(client))[2:])
        for position in range(len(raw)):
            changed = bytearray(raw)
            changed[position] ^= 1
            answer = await rpc(socket, "author_submitExtrinsic", "0x" + changed.hex())
            assert answer["error"]["code"] == 1010
        assert node.chain.head.number == 0


async def test_a_replay_is_refused() -> None:
    """The same transaction a second time is outdated: its nonce is used."""
    async with world() as (node, client), connect(node.endpoint) as socket:
        raw = await signed(client)
        assert "result" in await rpc(socket, "author_submitExtrinsic", raw)
        again = await rpc(socket, "author_submitExtrinsic", raw)
        assert again["error"]["data"] == "Transaction is outdated"
        assert node.chain.head.number == 1


async def test_a_gap_in_the_nonces_waits() -> None:
    """A later nonce stays in the pool until the one before it is there; then both go in, in order."""
    async with world() as (node, client), connect(node.endpoint) as socket:
        first, second = await signed(client, 0), await signed(client, 1)
        assert "result" in await rpc(socket, "author_submitExtrinsic", second)
        await node.produce()
        assert node.chain.head.extrinsics == ()
        assert "result" in await rpc(socket, "author_submitExtrinsic", first)
        assert [extrinsic.nonce for extrinsic in node.chain.head.extrinsics] == [0, 1]


async def test_what_waits_too_long_dies() -> None:
    """A transaction that waits in the pool beyond its era is never included, and its nonce is free again."""
    async with world() as (node, client), connect(node.endpoint) as socket:
        late = await signed(client, 1)
        assert "result" in await rpc(socket, "author_submitExtrinsic", late)
        await node.produce(8)
        assert not node.chain.waiting
        for nonce in range(2):
            assert "result" in await rpc(socket, "author_submitExtrinsic", await signed(client, nonce))
        await node.produce()
        assert node.chain.next_nonce(keypair("//Val0").ss58_address) == 2


async def test_an_era_ends() -> None:
    """A mortal transaction is refused when its era is over: the block that it is bound to is another one now."""
    async with world() as (node, client), connect(node.endpoint) as socket:
        raw = await signed(client)
        await node.produce(8)
        answer = await rpc(socket, "author_submitExtrinsic", raw)
        assert answer["error"]["data"] == "Transaction has a bad signature"


async def test_bad_requests_get_errors_and_the_connection_lives() -> None:
    """Wrong JSON, unknown methods, wrong parameters and unknown hashes are answered with JSON-RPC errors."""
    async with world() as (node, _), connect(node.endpoint) as socket:
        await socket.send("{")
        assert json.loads(await socket.recv())["error"]["code"] == -32700
        await socket.send('["x"]')
        assert json.loads(await socket.recv())[0]["error"]["code"] == -32600
        for method, params, code in [
            ("no_such", [], -32601),
            ("state_call", ["No_such", "0x"], -32000),
            ("state_call", [], -32602),
            ("state_getStorageAt", ["0xzz"], -32602),
            ("state_getStorageAt", ["0x00", "0x" + "11" * 32], -32000),
            ("author_submitExtrinsic", ["0x00"], 1010),
            ("author_submitExtrinsic", [], 1010),
        ]:
            assert (await rpc(socket, method, *params))["error"]["code"] == code, method
        assert (await rpc(socket, "state_getStorageAt", "0x00"))["result"] is None
        assert (await rpc(socket, "system_chain"))["result"]


async def test_finality_lags() -> None:
    """The finalized head stays behind by the knob, and finalized subscribers hear of it in order."""
    async with world() as (node, client):
        node.faults = Faults(finality_lag=3)
        await node.produce(5)
        async with connect(node.endpoint) as socket:
            final = (await rpc(socket, "chain_getFinalizedHead"))["result"]
            assert (await rpc(socket, "chain_getHeader", final))["result"]["number"] == "0x2"
        assert await client.block() == 5
        headers = client.blocks(finalized=True)
        coming = asyncio.ensure_future(anext(headers))
        await until(lambda: node.followers > 0)
        await node.produce(1)
        assert (await coming).number == 3
        await headers.aclose()
