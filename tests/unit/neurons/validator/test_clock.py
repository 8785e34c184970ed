"""Clocks that are apart are told, with the direction; the age of a head is no fault."""

from __future__ import annotations

import time

import pytest

from neurons.validator.clock import clocks_apart
from subnet.chain.bittensor import BittensorChain
from subnet.chain.devnode.keys import keypair, seeded
from subnet.chain.devnode.node.server import devnode


@pytest.mark.parametrize("gap", [-1.5, 0.0, 12.0, 80.0])
def test_a_head_of_some_seconds_is_fine(gap: float) -> None:
    """Blocks come every 12 seconds, and some are late."""
    assert clocks_apart(1e9 + gap, 1e9) == ""


@pytest.mark.parametrize(("gap", "words"), [(3600.0, "3600 s ahead of"), (-30.0, "30 s behind")])
async def test_clocks_apart_are_told_against_a_real_node(gap: float, words: str) -> None:
    """Which one, by how much, and what to do."""
    async with devnode(seeded(validators=1, miners=1), clock=lambda: time.time() - gap) as node:
        chain = BittensorChain(node.endpoint, 1, keypair("//Val0"))
        why = clocks_apart(time.time(), await chain.clock())
        await chain.close()
    assert f"this clock is {words} the chain's" in why
    assert "timedatectl" in why
