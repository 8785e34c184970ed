"""Wallets made from a seed: keys for local networks and tests, which anybody with the seed can make again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any


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
