"""Registration, transfers and stake on the development node, through the unmodified SDK."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import bittensor as bt
import pytest
from bittensor import calls

from subnet.chain.devnode.keys import keypair
from subnet.chain.devnode.ledger.accounts import ENDOWMENT
from subnet.chain.devnode.node.server import Node
from subnet.chain.devnode.runtime.metadata import read_metadata
from tests.contract.test_devnode import world

TAO = 10**9
COLD, HOT, OTHER = keypair("//New//cold"), keypair("//New"), keypair("//Other//cold")


class Wallet:
    """What the SDK needs of a wallet: its keys."""

    hotkey, coldkey, coldkeypub = HOT, COLD, COLD


async def balance(client: Any, address: str) -> int:
    account = await client.query(("System", "Account"), [address])
    return int(account["data"]["free"])


async def fresh(node: Node, intent: Any) -> Any:
    """Execute with a client of its own: the SDK's cache of nonces does not count what a carrier carried."""
    client = bt.Client(node.endpoint)
    await client.connect()
    try:
        return await client.execute(intent, Wallet())
    finally:
        await asyncio.wait_for(client.close(), 3)


async def test_registration_goes_through_the_shield() -> None:
    """The SDK sends it encrypted only; the neuron is there after, a member, owned, and its coldkey has paid."""
    async with world(burn=2.5) as (node, client):
        result = await client.execute(bt.BurnedRegister(netuid=1), Wallet())
        assert result.success
        assert result.data["shielded"]
        assert await client.query(("SubtensorModule", "IsNetworkMember"), [HOT.ss58_address, 1]) is True
        members = await client.query_map(("SubtensorModule", "IsNetworkMember"), [HOT.ss58_address])
        assert [(int(netuid), there) for netuid, there in members] == [(1, True)]
        assert await client.query(("SubtensorModule", "Owner"), [HOT.ss58_address]) == COLD.ss58_address
        assert await client.query(("SubtensorModule", "OwnedHotkeys"), [COLD.ss58_address]) == [HOT.ss58_address]
        assert await balance(client, COLD.ss58_address) == ENDOWMENT - 2_500_000_000
        assert [row.hotkey for row in node.chain.head.state.rows][-1] == HOT.ss58_address
        again = await fresh(node, bt.BurnedRegister(netuid=1))
        assert again.error.name == "HotKeyAlreadyRegisteredInSubNet"


async def test_an_empty_purse_buys_nothing() -> None:
    """Price, stake and transfer beyond the balance are refused under their own names; nothing moves."""
    async with world(burn=2_000_000.0) as (_, client):
        register = calls.SubtensorModule.burned_register(netuid=1, hotkey=HOT.ss58_address)
        assert (await client.submit_call(register, COLD)).error.name == "NotEnoughBalanceToStake"
        validator = keypair("//Val0").ss58_address
        stake = calls.SubtensorModule.add_stake(hotkey=validator, netuid=1, amount_staked=ENDOWMENT)
        assert (await client.submit_call(stake, COLD)).error.name == "NotEnoughBalanceToStake"
        send = calls.Balances.transfer_keep_alive(dest={"Id": validator}, value=ENDOWMENT + 1)
        assert (await client.submit_call(send, COLD)).error.name == "FundsUnavailable"
        assert await balance(client, COLD.ss58_address) == ENDOWMENT


async def test_transfers_move_money() -> None:
    """What leaves one account arrives at another; all of it but the existential deposit, if it is to live."""
    async with world() as (_, client):
        sent = await client.execute(bt.Transfer(dest_ss58=OTHER.ss58_address, amount_tao=5), Wallet())
        assert sent.success
        assert await balance(client, COLD.ss58_address) == ENDOWMENT - 5 * TAO
        assert await balance(client, OTHER.ss58_address) == ENDOWMENT + 5 * TAO
        everything = calls.Balances.transfer_all(dest={"Id": OTHER.ss58_address}, keep_alive=True)
        assert (await client.submit_call(everything, COLD)).success
        assert await balance(client, COLD.ss58_address) == 500
        assert await balance(client, OTHER.ss58_address) == 2 * ENDOWMENT - 500


async def test_stake_is_held_per_coldkey() -> None:
    """Two coldkeys on one hotkey: the neuron's stake is the sum, each sees its own and can take only that."""
    async with world() as (node, client):
        validator = keypair("//Val0").ss58_address
        add = bt.AddStake(hotkey_ss58=validator, netuid=1, amount_tao=300)
        assert (await client.execute(add, Wallet())).success
        assert node.chain.head.state.rows[0].stake == 1300 * TAO
        assert (await client.subnets.metagraph(1)).neuron(0).total_stake.rao == 1300 * TAO
        mine = await client.read("stake_for_coldkey", coldkey_ss58=COLD.ss58_address)
        assert [(row.hotkey, row.netuid, row.stake.rao) for row in mine] == [(validator, 1, 300 * TAO)]
        owner = keypair("//Val0//cold").ss58_address
        both = await client.read("stake_for_coldkeys", coldkey_ss58s=[COLD.ss58_address, owner])
        assert {cold: rows[0].stake.rao for cold, rows in both.items()} == {
            COLD.ss58_address: 300 * TAO,
            owner: 1000 * TAO,
        }
        assert (await client.staking.get(COLD.ss58_address, validator, 1)).rao == 300 * TAO
        remove = bt.RemoveStake(hotkey_ss58=validator, netuid=1, amount_alpha=100)
        assert (await client.execute(remove, Wallet())).success
        assert await balance(client, COLD.ss58_address) == ENDOWMENT - 200 * TAO
        everything = calls.SubtensorModule.remove_stake(hotkey=validator, netuid=1, amount_unstaked=5000 * TAO)
        assert (await client.submit_call(everything, COLD)).success
        assert await balance(client, COLD.ss58_address) == ENDOWMENT
        assert (await client.submit_call(everything, COLD)).error.name == "NotEnoughStakeToWithdraw"
        assert node.chain.head.state.rows[0].stake == 1000 * TAO


async def test_new_stake_gives_a_permit() -> None:
    """A neuron that stakes votes after the next epoch."""
    async with world(tempo=3) as (node, client):
        assert (await client.execute(bt.BurnedRegister(netuid=1), Wallet())).success
        add = bt.AddStake(hotkey_ss58=HOT.ss58_address, netuid=1, amount_tao=5000)
        assert (await fresh(node, add)).success
        await node.produce(3)
        result = await client.execute(bt.SetWeights(netuid=1, weights={2: 1.0}), Wallet())
        assert result.success
        await node.produce(3)
        assert (await client.subnets.metagraph(1)).neuron(2).incentive == 1.0


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (calls.SubtensorModule.register_network(hotkey=HOT.ss58_address), "SubtensorModule.register_network"),
        (calls.SubtensorModule.root_register(hotkey=HOT.ss58_address), "SubtensorModule.root_register"),
        (calls.System.remark(remark=b"x"), "System.remark"),
        (calls.AdminUtils.sudo_set_tempo(netuid=1, tempo=5), "AdminUtils.sudo_set_tempo"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("shielded", [False, True], ids=["plain", "shielded"])
async def test_a_call_that_is_not_supported_says_so(call: Any, name: str, shielded: bool) -> None:
    """The error names this chain and the call, and no error of the runtime whose hint would mislead."""
    async with world() as (_, client):
        result = await client.submit_call(call, COLD, shielded=shielded)
        assert not result.success
        assert result.message == f"the development chain does not support the call {name}"
        assert result.error.name is None


async def test_damaged_ciphertexts_are_refused() -> None:
    """What does not open never gets into the pool, and the answer says why."""
    async with world() as (node, client):
        for blob in (b"", b"x" * 1200, bytes(16) + (1088).to_bytes(2, "little") + bytes(1200)):
            result = await client.submit_call(calls.MevShield.submit_encrypted(ciphertext=blob), COLD)
            assert not result.success
            assert "does not open; encrypt it to MevShield.NextKey" in result.message
        assert node.chain.head.number == 0


def optional(types: Any, type_id: int) -> bool:
    return bool(types[type_id].get("path") == ["Option"])


async def test_every_field_of_the_selective_metagraph_is_there() -> None:
    """Of each optional field the content, whatever indexes are asked for: None only where the content may be None."""
    metadata = read_metadata()
    output = metadata.runtime.runtime_api_map()["SubnetInfoRuntimeApi"]["get_selective_metagraph"]["output"]
    outer = int(output.split("::")[1])
    inner = metadata.types[outer]["def"]["variant"]["variants"][1]["fields"][0]["type"]
    fields = metadata.types[inner]["def"]["composite"]["fields"]
    async with world(owner=keypair("//Val0").ss58_address) as (node, client):
        await node.produce(7)
        for api, extra in (("get_selective_metagraph", []), ("get_selective_mechagraph", [0])):
            graph = await client.runtime(("SubnetInfoRuntimeApi", api), [1, *extra, list(range(len(fields)))])
            assert len(graph) == len(fields) > 70
            for field in fields:
                assert optional(metadata.types, field["type"]) == (field["name"] != "netuid")
                assert graph[field["name"]] is not None, field["name"]
            assert len(graph["hotkeys"]) == len(graph["axons"]) == len(graph["trust"]) == graph["num_uids"] == 5
            assert graph["validators"] == [0, 1]
            json.dumps(graph, default=str)


@pytest.mark.parametrize("api", ["subnet_info_v2", "subnet_hyperparams", "subnet_hyperparams_v2", "dynamic_info"])
async def test_older_clients_reads_of_a_subnet_are_filled(api: str) -> None:
    """What bittensor 10 asks for is there too, and tells what the newer reads tell; other subnets are None."""
    async with world(tempo=9, burn=0.5) as (_, client):
        subnet = await client.runtime(("SubnetInfoRuntimeApi", f"get_{api}"), [1])
        assert subnet["tempo"] == 9
        assert subnet.get("burn", 500_000_000) == 500_000_000
        assert await client.runtime(("SubnetInfoRuntimeApi", f"get_{api}"), [2]) is None


async def test_lists_of_subnets_hold_the_subnet() -> None:
    """Every list has the one subnet that is modelled."""
    async with world() as (_, client):
        for api in ("subnets_info_v2", "all_dynamic_info", "all_metagraphs"):
            (subnet,) = await client.runtime(("SubnetInfoRuntimeApi", f"get_{api}"), [])
            assert subnet["netuid"] == 1
        state = await client.runtime(("SubnetInfoRuntimeApi", "get_subnet_state"), [1])
        assert len(state["hotkeys"]) == len(state["total_stake"]) == 5
