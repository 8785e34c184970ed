"""A miner's endpoint on chain: put there, put back, and what /ready says meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog

from neurons.chain_view import ChainView
from neurons.miner import publishing as module
from neurons.miner.publishing import Publishing
from neurons.miner.settings import MinerSettings
from neurons.settings import VALIDATOR_STAKE, AxonSettings, NeuronSettings
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.errors import SettingsError
from subnet.types import Endpoint

LOG = structlog.get_logger()
HERE = Endpoint("127.0.0.1", 8091)


@asynccontextmanager
async def miner(subnet: MemorySubnet, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Publishing]:
    """The part of the miner `m` that follows the chain and publishes, from its start to its stop."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    chain = MemoryChain(subnet, "m")
    view, stop = ChainView(chain, LOG, every=1), asyncio.Event()
    publishing = Publishing(chain, view, "m", LOG)
    assert publishing.unready()
    await publishing.publish(HERE, stop)
    tasks = [asyncio.create_task(view.follow(stop)), asyncio.create_task(publishing.keep(stop))]
    await asyncio.sleep(0.02)
    yield publishing
    stop.set()
    await subnet.advance()
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks)


async def until(publishing: Publishing, reason: str) -> None:
    """Wait until `unready` says so."""
    for _ in range(500):
        now = publishing.unready()
        if reason in now and bool(reason) == bool(now):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"still {publishing.unready()!r}, not {reason!r}")


@pytest.fixture
def subnet() -> MemorySubnet:
    rules = Rules(max_uids=3, immunity_period=0, serving_rate_limit=1, allow_loopback=True)
    neurons = (GenesisNeuron("v", "v", 5000.0), GenesisNeuron("m", "m"), GenesisNeuron("other", "other"))
    return MemorySubnet(Genesis(34, neurons, rules))


async def endpoint_of(subnet: MemorySubnet, hotkey: str) -> Endpoint | None:
    neuron = (await MemoryChain(subnet, hotkey).snapshot()).neuron(hotkey)
    return neuron.endpoint if neuron else None


async def test_pruned_and_registered_again(subnet: MemorySubnet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hotkey that lost its place is not ready; registered again it is published again, without a restart."""
    async with miner(subnet, monkeypatch) as publishing:
        await until(publishing, "")
        await MemoryChain(subnet, "rival").register("rival")
        assert subnet.state.uid("m") is None
        await until(publishing, "not registered")
        await MemoryChain(subnet, "m").register("m")
        await until(publishing, "")
        assert await endpoint_of(subnet, "m") == HERE


async def test_another_endpoint_in_its_place(subnet: MemorySubnet, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another program of the same hotkey published is put right."""
    async with miner(subnet, monkeypatch) as publishing:
        await subnet.advance(2)
        await MemoryChain(subnet, "m").serve(Endpoint("127.0.0.2", 9))
        await subnet.advance(2)
        async with asyncio.timeout(5):
            while await endpoint_of(subnet, "m") != HERE:
                await subnet.advance()
                await asyncio.sleep(0.02)
        await until(publishing, "")


async def test_an_endpoint_that_stands_is_not_published_again(
    subnet: MemorySubnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart makes no transaction."""
    await MemoryChain(subnet, "m").serve(HERE)
    block = subnet.block
    async with miner(subnet, monkeypatch) as publishing:
        await asyncio.sleep(0.1)
        assert publishing.unready() == ""
        assert subnet.block == block


@pytest.mark.parametrize(
    ("host", "port"), [("192.168.1.7", 8091), ("::ffff:0:7f00:1", 8091), ("8.8.8.8", 6379), ("168.63.129.16", 80)]
)
def test_what_no_validator_calls_is_not_published(host: str, port: int) -> None:
    """The miner refuses what the dendrite would, and its message names the flags that mend it."""
    settings = MinerSettings(34, axon=AxonSettings(external_ip=host, external_port=port))
    with pytest.raises(SettingsError, match=r"--axon\.external_ip.*--axon\.external_port"):
        settings.endpoint(8091)


def test_a_local_network_publishes_loopback() -> None:
    """With --local a loopback address is right, and a public one with an ordinary port always."""
    assert MinerSettings(34, axon=AxonSettings(ip="127.0.0.1"), local=True).endpoint(40_000).port == 40_000
    assert MinerSettings(34, axon=AxonSettings(external_ip="8.8.8.8")).endpoint(8091) == Endpoint("8.8.8.8", 8091)


def test_who_is_asked_is_not_served_by_default() -> None:
    """One limit of stake makes a validator, to the validator that asks and to the miner that answers."""
    assert MinerSettings(34).policy().min_stake == NeuronSettings().vpermit_tao_limit == VALIDATOR_STAKE


def test_monitors_are_networks() -> None:
    """A network that is none is refused by the name of its flag."""
    with pytest.raises(SettingsError, match="--axon.monitors"):
        AxonSettings(monitors=("everyone",))
