"""Well-known keys for development: anyone can derive them from their names, so they hold nothing of value."""

from __future__ import annotations

from typing import Any

import bittensor_core

from subnet.chain.devnode.genesis import Genesis, GenesisNeuron, Rules


def keypair(uri: str) -> Any:
    """The sr25519 keypair of a derivation path, e.g. "//Val0" (bittensor_core.Keypair)."""
    return bittensor_core.Keypair.create_from_uri(uri)


def neuron(uri: str, stake: float = 0.0) -> GenesisNeuron:
    """A genesis neuron with hotkey `uri` and coldkey `uri`//cold; stake in TAO."""
    return GenesisNeuron(keypair(uri).ss58_address, keypair(uri + "//cold").ss58_address, stake)


def seeded(*, validators: int, miners: int, netuid: int = 1, rules: Rules | None = None) -> Genesis:
    """//Val0 .. with 1000 TAO each, then //Miner0 .. with none."""
    rows = [neuron(f"//Val{i}", 1000.0) for i in range(validators)] + [neuron(f"//Miner{i}") for i in range(miners)]
    return Genesis(netuid=netuid, neurons=tuple(rows), rules=rules or Rules())
