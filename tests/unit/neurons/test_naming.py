"""Names beside hotkeys: from wallets, from a file, or from the local network that a journal lies in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neurons.naming import names_of
from subnet.chain.devnode.keys import wallet_from_seed
from subnet.errors import SettingsError


def test_wallets_name_their_hotkeys(tmp_path: Path) -> None:
    """By the coldkey's name; what is no hotkey is passed over. In a local network they are found by themselves."""
    address = wallet_from_seed("npr", tmp_path / "wallets", "7").hotkey.ss58_address
    (tmp_path / "wallets" / "npr" / "hotkeys" / "locked").write_bytes(b"$NACL encrypted")
    other = tmp_path / "wallets" / "npr" / "hotkeys" / "other"
    other.write_text(json.dumps({"ss58Address": "5Other"}))
    expected = {address: "npr", "5Other": "npr/other"}
    journal = tmp_path / "validator" / "journal.db"
    assert names_of(tmp_path / "wallets", Path("elsewhere.db")) == expected
    assert names_of(None, journal) == {}
    (tmp_path / "genesis.json").write_text("{}")
    assert names_of(None, journal) == expected


def test_a_file_names_hotkeys(tmp_path: Path) -> None:
    """JSON of addresses and names; anything else names the flag."""
    path = tmp_path / "names.json"
    path.write_text('{"5F": "somebody"}')
    assert names_of(path, path) == {"5F": "somebody"}
    for text in ("[]", '{"5F": 3}', "{"):
        path.write_text(text)
        with pytest.raises(SettingsError, match="--names"):
            names_of(path, path)
    with pytest.raises(SettingsError, match="--names"):
        names_of(tmp_path / "nowhere", path)
