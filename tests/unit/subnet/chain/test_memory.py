"""What only the chain in memory can show: many keys on one state, and commits that open by themselves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.chain.weights import normalise_u16
from subnet.types import Submission


def subnet(**rules: object) -> MemorySubnet:
    rows = tuple(GenesisNeuron(f"h{i}", f"c{i}", 10.0 if i < 2 else 0.0) for i in range(4))
    return MemorySubnet(Genesis(neurons=rows, rules=Rules(**rules)))  # type: ignore[arg-type]


async def test_commits_open_in_their_epoch() -> None:
    """Committed weights stand on chain once their epoch is due, and pay from then on."""
    shared = subnet(commit_reveal=True, tempo=5)
    chain = MemoryChain(shared, "h0")
    assert (await chain.set_weights({2: 3.0, 3: 1.0})).submission is Submission.OK
    await shared.advance(5)
    assert await chain.weights(0) == normalise_u16({2: 3.0, 3: 1.0})
    await shared.advance(5)
    assert (await chain.snapshot()).neurons[2].incentive > 0.7


async def test_a_newcomer_is_seen_by_all() -> None:
    """A hotkey that registers through its own view has the next uid in everybody's."""
    shared = subnet()
    newcomer = MemoryChain(shared, "new")
    assert (await newcomer.set_weights({1: 1.0})).code == "HotKeyNotRegisteredInSubNet"
    assert (await newcomer.register("cold")).submission is Submission.OK
    neuron = (await MemoryChain(shared, "h0").snapshot()).neuron("new")
    assert neuron is not None
    assert (neuron.uid, neuron.coldkey, neuron.permit) == (4, "cold", False)


@given(st.lists(st.dictionaries(st.integers(0, 3), st.floats(0.001, 1), min_size=1), min_size=1, max_size=5))
async def test_what_was_sent_is_what_stands(weights: list[dict[int, float]]) -> None:
    """After any sequence of accepted weights, the last ones stand, in u16."""
    shared = subnet(weights_rate_limit=2)
    chain = MemoryChain(shared, "h1")
    for row in weights:
        receipt = await chain.set_weights(row)
        if receipt.submission is Submission.TOO_EARLY:
            await shared.advance(receipt.blocks or 0)
            receipt = await chain.set_weights(row)
        assert receipt.submission is Submission.OK
        assert await chain.weights(1) == normalise_u16(row)
