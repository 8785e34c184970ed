"""The chain's file: what is written is read, and what cannot be read is named."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.chain.devnode.keys import seeded
from subnet.chain.devnode.ledger.accounts import add_stake, transfer
from subnet.chain.devnode.ledger.genesis import RAO, Genesis, Rules
from subnet.chain.devnode.ledger.rules import commit_weights, serve_axon, set_weights
from subnet.chain.devnode.ledger.state import AxonRow, initial
from subnet.chain.devnode.node.store import Saved, Store, read, write
from subnet.errors import SettingsError

GENESIS = seeded(validators=2, miners=2, rules=Rules(tempo=7, burn=0.5))


def saved(genesis: Genesis = GENESIS) -> Saved:
    """A chain in which everything has happened that a state can hold."""
    val, other = genesis.neurons[0].hotkey, genesis.neurons[1].hotkey
    state = set_weights(initial(genesis), val, 3, uids=[2, 3], values=[5, 7], version_key=0)
    state = serve_axon(state, other, 4, AxonRow(block=4, version=1, ip=2**127, port=80, ip_type=6))
    state = add_stake(transfer(state, "c", "d", RAO, keep_alive=True), "c", val, 2 * RAO)
    sealed = Genesis(neurons=genesis.neurons, rules=Rules(commit_reveal=True))
    commits = commit_weights(initial(sealed), val, 5, data=b"\x00\xff", reveal_round=9, version=4).commits
    state = replace(state, commits=commits, last_epoch_block=2, epoch_index=1)
    state = state.with_row(1, replace(state.rows[1], bonds=((2, 65535), (3, 0)), incentive=3, active=False))
    return Saved(genesis, 8, state, {val: 4}, (1_700_000_000_000, 1_700_000_002_000), {1000: "b4"})


def test_round_trip(tmp_path: Path) -> None:
    """read(write(s)) is s, in every field."""
    write(tmp_path / "state.json", saved())
    again = read(tmp_path / "state.json")
    assert again is not None
    assert {**vars(again), "state": vars(again.state)} == {**vars(saved()), "state": vars(saved().state)}


def test_no_file_is_no_chain(tmp_path: Path) -> None:
    """A path where nothing is begins anew."""
    assert read(tmp_path / "state.json") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"number": 1}', "\xff"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    """Empty, cut and foreign files are errors that name the file and the way out, not a new chain."""
    path = tmp_path / "state.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"state\.json.*(move it away|cannot be read)"):
        read(path)


def test_another_schema_is_named(tmp_path: Path) -> None:
    """A file of a later version says which."""
    path = tmp_path / "state.json"
    write(path, saved())
    header, body = path.read_text().splitlines()
    path.write_text(json.dumps(json.loads(header) | {"schema": 2}) + "\n" + body)
    with pytest.raises(SettingsError, match="was written by a newer Assay .schema 2, this one knows 1"):
        read(path)


@given(st.data())
def test_no_byte_can_be_changed(data: st.DataObject) -> None:
    """A flipped bit and a cut anywhere are refused; neither gives another chain, nor a new one."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.json"
        write(path, saved())
        raw = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(raw) - 2))
        raw[place] ^= 1 << data.draw(st.integers(0, 7))
        for damaged in (bytes(raw), path.read_bytes()[:place]):
            path.write_bytes(damaged)
            with pytest.raises(SettingsError, match=r"state\.json"):
                read(path)


def test_a_full_disk_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be written stops nothing: one line, and the next block tries again."""
    parent = tmp_path / "file"
    parent.write_text("in the way of a folder")
    store = Store(parent / "state.json")
    with caplog.at_level(logging.WARNING):
        store.keep(saved())
        store.keep(saved())
    assert len(caplog.records) == 1
    assert "not saved" in caplog.text
    parent.unlink()
    store.keep(saved())
    assert read(parent / "state.json") is not None
