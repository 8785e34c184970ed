"""Wallets of bittensor, opened without a question where nobody is there to answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import bittensor as bt
from bittensor.keyfiles import Keyfile, resolve_key_password
from bittensor.sp_core import KeyfileError

from subnet.errors import SettingsError


def open_wallet(name: str, hotkey: str, path: str | None = None) -> Any:
    """The wallet NAME with its hotkey loaded.

    An encrypted hotkey is opened by the variable that the SDK keeps its password in (BT_PW_ and the file's path), or
    asks for it on a terminal. Raises SettingsError when a file is missing or unreadable, or there is no password.
    """
    root = Path(path).expanduser() if path else Path.home() / ".bittensor" / "wallets"
    wallet = bt.Wallet(name, hotkey, str(root))
    where = root / name / "hotkeys" / hotkey
    try:
        wallet.get_hotkey(_password(wallet.hotkey_file))
    except (OSError, ValueError, KeyfileError, bt.BittensorError) as error:
        raise SettingsError(
            f"wallet: no usable hotkey at {where} ({error}); create it with `btcli wallet new-hotkey`, "
            "or correct --wallet.name, --wallet.hotkey and --wallet.path"
        ) from error
    return wallet


def _password(file: Keyfile) -> str | None:
    """None where the SDK needs none, or may ask. Raises SettingsError where it would wait for nobody's answer."""
    if not file.is_encrypted():
        return None
    password: str | None = resolve_key_password(env_var_name=file.env_var_name(), allow_prompt=False)
    if password is None and not (sys.stdin and sys.stdin.isatty()):
        raise SettingsError(
            f"wallet: the hotkey {file.path} is encrypted, and nobody is here to type its password: give the program a "
            f"hotkey without one (btcli wallet new-hotkey), or keep it as the SDK does in {file.env_var_name()}"
        )
    return password
