"""The chain in a file: its head, so that a node that was killed goes on where it was.

Two lines of JSON, a header with schema and digest and the chain itself, written whole with every block and renamed into
place before anybody hears of the block. Hashes follow from the genesis and the height; what older blocks held is gone
with the process, as on a node that prunes.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from subnet.chain.devnode.ledger.genesis import Genesis, Rules
from subnet.chain.devnode.ledger.state import AxonRow, Commit, Committed, Row, SubnetState
from subnet.errors import SettingsError
from subnet.files import write_atomically

SCHEMA: Final = 1
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Saved:
    """What is kept of a chain."""

    genesis: Genesis
    number: int
    state: SubnetState
    nonces: Mapping[str, int]
    milliseconds: tuple[int, int]  # unix time of the first and the last block
    beacon: Mapping[int, str]  # signatures in hex


class Store:
    """The file of a running chain. A full disk is said once and does not stop the chain; the next block tries again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failing = False

    def keep(self, saved: Saved) -> None:
        try:
            write(self._path, saved)
        except SettingsError as error:
            if not self._failing:
                LOG.warning("devnode: the state is not saved: %s; the next block tries again", error)
            self._failing = True
            return
        self._failing = False


def write(path: Path, saved: Saved) -> None:
    """Write it whole. Raises SettingsError naming the file when that cannot be done."""
    data = {
        "genesis": json.loads(saved.genesis.to_json()),
        "number": saved.number,
        "milliseconds": saved.milliseconds,
        "nonces": saved.nonces,
        "beacon": saved.beacon,
        "state": _plain(saved.state),
    }
    body = json.dumps(data, separators=(",", ":"))
    header = json.dumps({"schema": SCHEMA, "sha256": _digest(body)})
    try:
        write_atomically(path, f"{header}\n{body}\n".encode())
    except OSError as error:
        raise SettingsError(f"--state {path}: {error.strerror or error}") from error


def read(path: Path) -> Saved | None:
    """What a file holds; None when there is none. Raises SettingsError when it is no state, or of another schema."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--state {path}: cannot be read: {error}") from error
    header, _, body = text.partition("\n")
    try:
        schema, digest = (json.loads(header)[name] for name in ("schema", "sha256"))
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"--state {path}: not a development chain's state; move it away to begin anew") from error
    if isinstance(schema, int) and schema > SCHEMA:
        raise SettingsError(f"--state {path}: was written by a newer Assay (schema {schema}, this one knows {SCHEMA})")
    if schema != SCHEMA:
        raise SettingsError(f"--state {path}: has schema {schema}, this program reads {SCHEMA}; move it away")
    if digest != _digest(body.removesuffix("\n")):
        raise SettingsError(f"--state {path}: damaged, its digest does not fit; move it away to begin anew")
    return _saved(json.loads(body))


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _saved(data: Mapping[str, Any]) -> Saved:
    genesis = Genesis.from_json(json.dumps(data["genesis"]))
    first, last = data["milliseconds"]
    return Saved(
        genesis=genesis,
        number=int(data["number"]),
        state=_state(genesis, data["state"]),
        nonces={str(address): int(nonce) for address, nonce in data["nonces"].items()},
        milliseconds=(int(first), int(last)),
        beacon={int(number): str(signature) for number, signature in data["beacon"].items()},
    )


def _plain(state: SubnetState) -> dict[str, Any]:
    """Netuid comes with the genesis; the rules stand here too, as they may change."""
    return {
        "rules": asdict(state.rules),
        "rows": [asdict(row) for row in state.rows],
        "last_epoch_block": state.last_epoch_block,
        "epoch_index": state.epoch_index,
        "commits": [asdict(commit) | {"data": commit.data.hex()} for commit in state.commits],
        "owners": state.owners,
        "positions": [[hotkey, coldkey, alpha] for (hotkey, coldkey), alpha in state.positions.items()],
        "balances": state.balances,
        "committed": {hotkey: asdict(committed) for hotkey, committed in state.committed.items()},
    }


def _state(genesis: Genesis, data: Mapping[str, Any]) -> SubnetState:
    return SubnetState(
        netuid=genesis.netuid,
        rules=Rules(**data["rules"]),
        rows=tuple(_row(row) for row in data["rows"]),
        last_epoch_block=data["last_epoch_block"],
        epoch_index=data["epoch_index"],
        commits=tuple(Commit(**(commit | {"data": bytes.fromhex(commit["data"])})) for commit in data["commits"]),
        owners=dict(data["owners"]),
        positions={(hotkey, coldkey): alpha for hotkey, coldkey, alpha in data["positions"]},
        balances=dict(data["balances"]),
        committed={hotkey: _committed(row) for hotkey, row in data.get("committed", {}).items()},
    )


def _committed(data: Mapping[str, Any]) -> Committed:
    return Committed(**{**data, "fields": tuple(data["fields"])})


def _row(data: Mapping[str, Any]) -> Row:
    pairs = {name: tuple((uid, value) for uid, value in data[name]) for name in ("weights", "bonds")}
    axon = None if data["axon"] is None else AxonRow(**data["axon"])
    return Row(**{**data, **pairs, "axon": axon})
