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
    journal.parent.mkdir()
    assert names_of(None, journal) == names_of(None, journal.parent) == expected


def test_a_file_names_hotkeys(tmp_path: Path) -> None:
    """JSON of addresses and names; anything else names the flag."""
    path = tmp_path / "names.json"
    path.write_text('{"5F": "somebody"}')
    assert names_of(path, path) == {"5F": "somebody"}
    for text in ("[1]", '{"5F": 3}', '{"5F": ["a"]}', "{", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(SettingsError, match=r"--names .* should hold JSON like"):
            names_of(path, path)
    with pytest.raises(SettingsError, match="--names"):
        names_of(tmp_path / "nowhere", path)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "x" * 61,
        "x" * 3000,
        "a\nb",
        "a\x1b[31mb",
        "a\u202eb",
        "a\u200fb",
        "\u200b",
        "\u3164",
        "a\u2028b",
        "\ud800",
    ],
)
def test_a_name_that_would_spoil_a_table_is_refused(tmp_path: Path, name: str) -> None:
    """Empty, too long, or with signs that command a terminal, show nothing or turn the writing; told in one line."""
    path = tmp_path / "names.json"
    path.write_text(json.dumps({"5Fine": "фото 写真 /1", "5Wrong": name}))
    with pytest.raises(SettingsError, match=r"--names .*'5Wrong', should have 1 to 60 characters that show") as caught:
        names_of(path, path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < len(str(path)) + 200


def test_a_wallet_with_a_long_name_is_called_by_its_beginning(tmp_path: Path) -> None:
    """Folders are not written for us: none is refused, and none fills a table."""
    key = tmp_path / ("w" * 200) / "hotkeys" / "hot\u202e"
    key.parent.mkdir(parents=True)
    key.write_text(json.dumps({"ss58Address": "5Long"}))
    assert names_of(tmp_path, Path("elsewhere.db")) == {"5Long": "w" * 60 + "..."}
