"""Fixtures of the contract suites."""

from __future__ import annotations

import pytest

from tests.contract.chain_worlds import Worlds, memory_world, node_world


@pytest.fixture(params=[memory_world, node_world], ids=["memory", "bittensor"])
def worlds(request: pytest.FixtureRequest) -> Worlds:
    """A factory of worlds: `async with worlds(genesis) as world`."""
    factory: Worlds = request.param
    return factory
