"""Keys for local networks and tests: anyone can make them again from their names, so they hold nothing of value."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import bittensor_core

from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules


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


def wallet_from_seed(name: str, path: Path, seed: str) -> Any:
    """A wallet called `name` with the hotkey "default" below `path`, both keys following from (seed, name).

    Nothing of value may ever be sent to it. Files are written with mode 0600 and no password.
    """
    import bittensor as bt

    wallet = bt.Wallet(name, "default", path=str(path))
    for kind, restore in (("coldkey", wallet.regenerate_coldkey), ("hotkey", wallet.regenerate_hotkey)):
        secret = hashlib.sha256(f"assay local network {seed} {name} {kind}".encode()).hexdigest()
        restore(seed="0x" + secret, use_password=False, overwrite=True, suppress=True)
    return wallet
