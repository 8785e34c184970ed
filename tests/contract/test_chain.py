"""The contract of `Chain`: the same behaviour in memory and through the SDK against a development node."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from subnet.chain.devnode.keys import keypair, neuron, seeded
from subnet.chain.devnode.ledger.genesis import Genesis, Rules
from subnet.chain.sealing import PAST_ROUND, PAST_SIGNATURE
from subnet.chain.weights import normalise_u16
from subnet.errors import ChainError, ChainTimeout, SettingsError
from subnet.types import Endpoint, Receipt, Submission
from tests.contract.chain_worlds import Worlds, node_world

MINERS = (2, 3, 4)  # uids after two validators


def genesis(**rules: object) -> Genesis:
    return seeded(validators=2, miners=3, rules=Rules(**({"tempo": 10, "weights_rate_limit": 5} | rules)))  # type: ignore[arg-type]


async def test_snapshot_shows_the_genesis(worlds: Worlds) -> None:
    """Neurons with keys, stakes and permits, and every hyperparameter, are read as they were set."""
    rules = {"tempo": 30, "weights_rate_limit": 7, "version_key": 3, "min_allowed_weights": 2, "immunity_period": 9}
    async with worlds(genesis(**rules, max_weight_limit=30000)) as world:
        snapshot = await world.chain("//Val0").snapshot()
        hyper = snapshot.hyperparameters
        assert (snapshot.netuid, snapshot.block) == (1, 0)
        assert {name: getattr(hyper, name) for name in rules} == rules
        assert (hyper.max_weight_limit, hyper.commit_reveal) == (30000, False)
        assert [n.uid for n in snapshot.neurons] == [0, 1, 2, 3, 4]
        assert snapshot.neurons[0].hotkey == keypair("//Val0").ss58_address
        assert snapshot.neurons[2].coldkey == keypair("//Miner0//cold").ss58_address
        assert [n.stake for n in snapshot.neurons] == [1000.0, 1000.0, 0.0, 0.0, 0.0]
        assert [n.permit for n in snapshot.neurons] == [True, True, False, False, False]
        assert all(n.endpoint is None and n.last_update == 0 and n.incentive == 0 for n in snapshot.neurons)


@pytest.mark.parametrize("endpoint", [Endpoint("203.0.113.7", 8091), Endpoint("2001:db8::5", 65535)], ids=["v4", "v6"])
async def test_a_served_axon_is_seen_by_others(worlds: Worlds, endpoint: Endpoint) -> None:
    """What one hotkey publishes, another reads; publishing the same again costs no transaction."""
    async with worlds(genesis()) as world:
        miner = world.chain("//Miner0")
        assert (await miner.serve(endpoint)).submission is Submission.OK
        seen = (await world.chain("//Val0").snapshot()).neuron(keypair("//Miner0").ss58_address)
        assert seen is not None
        assert seen.endpoint == endpoint
        block = (await miner.snapshot()).block
        assert (await miner.serve(endpoint)).submission is Submission.OK
        assert (await miner.snapshot()).block == block


@pytest.mark.parametrize(
    ("host", "code"),
    [("127.0.0.1", "InvalidIpAddress"), ("::1", "InvalidIpAddress"), ("127.0.0.2", None)],
)
async def test_exact_loopback_is_refused(worlds: Worlds, host: str, code: str | None) -> None:
    """The chain takes no axon on exactly 127.0.0.1 or ::1."""
    async with worlds(genesis()) as world:
        assert (await world.chain("//Miner0").serve(Endpoint(host, 8091))).code == code


async def test_a_local_network_may_serve_on_loopback(worlds: Worlds) -> None:
    """With allow_loopback 127.0.0.1 is taken."""
    async with worlds(genesis(allow_loopback=True)) as world:
        assert (await world.chain("//Miner0").serve(Endpoint("127.0.0.1", 8091))).submission is Submission.OK


async def test_serving_anew_waits_for_the_rate_limit(worlds: Worlds) -> None:
    """A changed axon within the serving rate limit is TOO_EARLY with the blocks to wait; after them it is taken."""
    async with worlds(genesis(serving_rate_limit=6)) as world:
        miner = world.chain("//Miner0")
        await miner.serve(Endpoint("203.0.113.7", 1))
        receipt = await miner.serve(Endpoint("203.0.113.7", 2))
        assert (receipt.submission, receipt.code) == (Submission.TOO_EARLY, "ServingRateLimitExceeded")
        assert receipt.blocks is not None
        await world.advance(receipt.blocks)
        assert (await miner.serve(Endpoint("203.0.113.7", 2))).submission is Submission.OK


async def test_bad_endpoints(worlds: Worlds) -> None:
    """A host name is the user's mistake; port 0 and strangers are refused by the chain."""
    async with worlds(genesis()) as world:
        with pytest.raises(SettingsError, match="must be an IP address"):
            await world.chain("//Miner0").serve(Endpoint("example.org", 8091))
        assert (await world.chain("//Miner0").serve(Endpoint("203.0.113.7", 0))).code == "InvalidPort"
        assert (await world.chain("//No").serve(Endpoint("203.0.113.7", 1))).code == "HotKeyNotRegisteredInSubNet"


async def test_weights_land_in_u16(worlds: Worlds) -> None:
    """What stands on chain equals the normalised weights to the last unit; zeros are left out."""
    weights = {2: 0.731, 3: 0.2, 4: 0.0001234, 1: 0.0}
    async with worlds(genesis()) as world:
        chain = world.chain("//Val0")
        receipt = await chain.set_weights(weights)
        assert receipt == Receipt(Submission.OK, block=1)
        assert await chain.weights(0) == normalise_u16(weights) == {2: 65535, 3: 17930, 4: 11}
        assert await chain.weights(1) == {}
        assert await chain.weights(99) == {}
        assert (await chain.snapshot()).neurons[0].last_update == 1


async def test_too_early_says_how_long(worlds: Worlds) -> None:
    """Within the rate limit weights are TOO_EARLY with the blocks to wait, and not a block longer."""
    async with worlds(genesis()) as world:
        chain = world.chain("//Val0")
        await chain.set_weights({2: 1.0})
        receipt = await chain.set_weights({3: 1.0})
        assert (receipt.submission, receipt.code) == (Submission.TOO_EARLY, "SettingWeightsTooFast")
        assert receipt.blocks is not None
        assert receipt.blocks <= 5
        await world.advance(receipt.blocks)
        assert (await chain.set_weights({3: 1.0})).submission is Submission.OK
        assert await chain.weights(0) == {3: 65535}


async def test_refusals_carry_the_chains_own_names(worlds: Worlds) -> None:
    """No permit, not registered, an old version key, too few weights: REJECTED with the runtime's error name."""
    async with worlds(genesis(version_key=5, min_allowed_weights=2)) as world:
        both = {2: 1.0, 3: 1.0}
        for uri, weights, key, code in [
            ("//Miner0", both, 5, "NeuronNoValidatorPermit"),
            ("//No", both, 5, "HotKeyNotRegisteredInSubNet"),
            ("//Val0", both, 4, "IncorrectWeightVersionKey"),
            ("//Val0", {2: 1.0}, 5, "WeightVecLengthIsLow"),
        ]:
            receipt = await world.chain(uri, version_key=key).set_weights(weights)
            assert (receipt.submission, receipt.code) == (Submission.REJECTED, code)
        assert (await world.chain("//Val0", version_key=5).set_weights(both)).submission is Submission.OK


async def test_too_little_stake(worlds: Worlds) -> None:
    """Below the stake threshold weights are refused by name."""
    async with worlds(genesis(stake_threshold=1001.0)) as world:
        assert (await world.chain("//Val0").set_weights({2: 1.0})).code == "NotEnoughStakeToSetWeights"


async def test_unusable_weights_are_the_callers_mistake(worlds: Worlds) -> None:
    """All-zero, negative and not-a-number weights raise ValueError before anything is sent."""
    async with worlds(genesis()) as world:
        chain = world.chain("//Val0")
        for weights in ({}, {2: 0.0}, {2: -1.0}, {2: float("nan")}, {2: float("inf")}, {-1: 1.0}, {65536: 1.0}):
            with pytest.raises(ValueError, match=r"weight|uid"):
                await chain.set_weights(weights)
        assert (await chain.snapshot()).block == 0


async def test_an_epoch_pays_by_yuma_consensus(worlds: Worlds) -> None:
    """Incentive follows the weights both validators agree on; a lone opinion against the majority pays nothing."""
    three = tuple(neuron(f"//Val{i}", 1000.0) for i in range(3))
    miners = tuple(neuron(f"//Miner{i}") for i in range(2))
    async with worlds(Genesis(neurons=three + miners, rules=Rules(tempo=10))) as world:
        for uri in ("//Val0", "//Val1"):
            await world.chain(uri).set_weights({3: 0.75, 4: 0.25})
        await world.chain("//Val2").set_weights({4: 1.0})
        await world.advance(10)
        snapshot = await world.chain("//Val0").snapshot()
        incentive = [n.incentive for n in snapshot.neurons]
        assert incentive[:3] == [0, 0, 0]
        # by hand: consensus .75 and .25; ranks (2 * .75) / 3 = .5 and (2 * .25 + .25) / 3 = .25
        assert incentive[3] == pytest.approx(2 / 3, abs=2e-5)
        assert incentive[4] == pytest.approx(1 / 3, abs=2e-5)
        dividends = [n.dividends for n in snapshot.neurons]
        assert sum(dividends) == pytest.approx(1, abs=1e-4)
        assert dividends[0] == dividends[1] > dividends[2] > 0


async def test_commit_reveal_is_the_chains_own_affair(worlds: Worlds) -> None:
    """With commit-reveal on the same call commits: OK, LastUpdate moves, the rate limit holds, nothing shows yet."""
    async with worlds(genesis(commit_reveal=True)) as world:
        chain = world.chain("//Val0")
        assert (await chain.set_weights({2: 1.0})).submission is Submission.OK
        snapshot = await chain.snapshot()
        assert snapshot.hyperparameters.commit_reveal
        assert snapshot.neurons[0].last_update == 1
        assert await chain.weights(0) == {}
        receipt = await chain.set_weights({3: 1.0})
        assert receipt.submission is Submission.TOO_EARLY
        assert receipt.blocks is not None


async def test_sealed_weights_open_an_epoch_later() -> None:
    """Sealed to a round that the development node's beacon knows, what was sent stands once its epoch is over."""
    async with node_world(genesis(commit_reveal=True, tempo=6, version_key=3)) as world:
        world.node.chain.beacon.publish(PAST_ROUND, PAST_SIGNATURE)
        chain = world.chain("//Val0", version_key=3, seal_round=PAST_ROUND)
        receipt = await chain.set_weights({2: 1.0, 3: 0.25})
        assert receipt.submission is Submission.OK
        assert (await chain.snapshot()).neurons[0].last_update == receipt.block
        assert await chain.weights(0) == {}
        await world.advance(7)
        assert await chain.weights(0) == normalise_u16({2: 1.0, 3: 0.25})
    async with node_world(genesis()) as world:
        chain = world.chain("//Val0", seal_round=PAST_ROUND)
        assert (await chain.set_weights({2: 1.0})).submission is Submission.OK
        assert await chain.weights(0) == {2: 65535}  # in the open, where the subnet does not want them sealed


async def test_permits_go_to_the_largest_stakes(worlds: Worlds) -> None:
    """Only the top stakes hold a permit, zero stake never does."""
    stakes = [5.0, 50.0, 20.0, 0.0]
    rows = tuple(neuron(f"//N{i}", stake) for i, stake in enumerate(stakes))
    async with worlds(Genesis(neurons=rows, rules=Rules(tempo=3, max_validators=2))) as world:
        for _ in range(2):
            snapshot = await world.chain("//N0").snapshot()
            assert [n.permit for n in snapshot.neurons] == [False, True, True, False]
            await world.advance(4)


async def test_old_blocks_keep_their_state(worlds: Worlds) -> None:
    """Weights read at an older block are those that stood then; a block to come is an error."""
    async with worlds(genesis()) as world:
        chain = world.chain("//Val0")
        first = (await chain.set_weights({2: 1.0})).block
        await world.advance(6)
        second = (await chain.set_weights({3: 1.0})).block
        assert first is not None
        assert second is not None
        assert await world.weights_at(0, first - 1) == {}
        assert await world.weights_at(0, first) == {2: 65535}
        assert await world.weights_at(0, second - 1) == {2: 65535}
        assert await world.weights_at(0, second) == {3: 65535}
        with pytest.raises(ChainError):
            await world.weights_at(0, second + 1000)


async def test_old_blocks_keep_their_metagraph(worlds: Worlds) -> None:
    """Hotkeys, permits, endpoints and the block of the last weights as they stood then; a block to come is an error."""
    async with worlds(genesis()) as world:
        chain = world.chain("//Val0")
        first = (await chain.set_weights({2: 1.0})).block
        assert (await world.chain("//Miner0").serve(Endpoint("203.0.113.7", 8091))).submission is Submission.OK
        await world.advance(6)
        second = (await chain.set_weights({3: 1.0})).block
        assert first is not None
        assert second is not None
        now = await chain.snapshot()
        for at, updated, serves in [(first - 1, 0, False), (first, first, False), (second - 1, first, True)]:
            then = await chain.snapshot(at=at)
            assert (then.netuid, then.block) == (now.netuid, at)
            assert (then.neurons[0].last_update, then.neurons[2].endpoint is not None) == (updated, serves)
            assert [(n.hotkey, n.stake) for n in then.neurons] == [(n.hotkey, n.stake) for n in now.neurons]
        assert now.neurons[0].last_update == second
        with pytest.raises(ChainError):
            await chain.snapshot(at=second + 1000)


async def test_blocks_come_in_order(worlds: Worlds) -> None:
    """New blocks are told once each, rising."""
    async with worlds(genesis()) as world, aclosing(world.chain("//Val0").blocks()) as blocks:  # type: ignore[type-var]
        first = asyncio.ensure_future(anext(blocks))
        await world.followed()
        await world.advance(3)
        assert [await first, await anext(blocks), await anext(blocks)] == [1, 2, 3]


async def test_silence_of_the_chain_is_an_error(worlds: Worlds) -> None:
    """Without a new block within the watchdog's time, blocks() raises ChainTimeout."""
    async with worlds(genesis()) as world, aclosing(world.chain("//Val0", watchdog=0.4).blocks()) as blocks:  # type: ignore[type-var]
        with pytest.raises(ChainTimeout, match="no new block"):
            await anext(blocks)
