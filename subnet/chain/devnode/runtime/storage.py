"""Storage as the public chain lays it out, computed from the state when it is read.

Each row of the tables says how a storage item's value follows from a block; nothing is stored twice, and a read at an
old block hash is a read of that block's state.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from subnet.chain.devnode.ledger.accounts import free
from subnet.chain.devnode.ledger.commitments import SPACE
from subnet.chain.devnode.ledger.genesis import RAO
from subnet.chain.devnode.ledger.state import Committed
from subnet.chain.devnode.ledger.yuma import u16
from subnet.chain.devnode.runtime.block import Block
from subnet.chain.devnode.runtime.metadata import COMMITMENTS, SUBTENSOR, Metadata
from subnet.chain.devnode.runtime.shield import KEY

NAME = b"assay"
IDENTITY = {
    "subnet_name": list(NAME),
    **{key: [] for key in ("github_repo", "subnet_contact", "subnet_url", "discord", "logo_url", "additional")},
    "description": list(b"development chain"),
}

Read = Callable[..., Any]  # (block, *keys) -> value, or None for "not there"
Keys = Callable[..., Iterable[tuple[Any, ...]]]  # (block) -> the keys of a map


def _of_rows(field: str) -> Read:
    """A vector over uids, one element per row; empty for any other subnet."""

    def read(block: Block, netuid: int) -> list[Any]:
        return [getattr(row, field) for row in block.state.rows] if netuid == block.state.netuid else []

    return read


def _rule(field: str) -> Read:
    def read(block: Block, netuid: int) -> Any:
        return getattr(block.state.rules, field) if netuid == block.state.netuid else None

    return read


def _of_state(value: Callable[[Block], Any]) -> Read:
    def read(block: Block, netuid: int) -> Any:
        return value(block) if netuid == block.state.netuid else None

    return read


def _row(block: Block, netuid: int, uid: int) -> Any:
    rows = block.state.rows
    return rows[uid] if netuid == block.state.netuid and 0 <= uid < len(rows) else None


def _of_uid(value: Callable[[Any], Any]) -> Read:
    def read(block: Block, netuid: int, uid: int) -> Any:
        row = _row(block, netuid, uid)
        return None if row is None else value(row)

    return read


def _axon(block: Block, netuid: int, hotkey: str) -> dict[str, int] | None:
    uid = block.state.uid(hotkey) if netuid == block.state.netuid else None
    row = None if uid is None else block.state.rows[uid].axon
    return None if row is None else axon_struct(row)


def axon_struct(axon: Any) -> dict[str, int]:
    """AxonInfo as the runtime encodes it."""
    names = ("block", "version", "ip", "port", "ip_type", "protocol")
    return {name: getattr(axon, name) for name in names} | {"placeholder1": 0, "placeholder2": 0}


def _owner(block: Block, hotkey: str) -> str | None:
    return block.state.owners.get(hotkey)


def _subnet_owner(block: Block, netuid: int) -> str | None:
    """The coldkey behind the owner's hotkey."""
    return _owner(block, block.state.rules.owner) if netuid == block.state.netuid else None


def _commits(block: Block, netuid: int, epoch: int) -> list[tuple[Any, ...]]:
    if netuid != block.state.netuid:
        return []
    return [(c.hotkey, c.block, c.data, c.reveal_round) for c in block.state.commits if c.epoch == epoch]


def _account(block: Block, address: str) -> dict[str, Any]:
    data = {"free": free(block.state, address), "reserved": 0, "frozen": 0, "flags": 0}
    return {"nonce": block.nonces.get(address, 0), "consumers": 0, "providers": 1, "sufficients": 0, "data": data}


def _uids(block: Block, netuid: int, hotkey: str) -> int | None:
    return block.state.uid(hotkey) if netuid == block.state.netuid else None


def _committed(value: Callable[[Committed], Any]) -> Read:
    def read(block: Block, netuid: int, hotkey: str) -> Any:
        committed = block.state.committed.get(hotkey) if netuid == block.state.netuid else None
        return None if committed is None else value(committed)

    return read


def _registration(committed: Committed) -> dict[str, Any]:
    fields = [json.loads(field) for field in committed.fields]
    return {"deposit": 0, "block": committed.block, "info": {"fields": fields}}


def _committers(block: Block) -> list[tuple[int, str]]:
    return [(block.state.netuid, hotkey) for hotkey in block.state.committed]


def _networks(block: Block) -> list[tuple[int]]:
    return [(0,), (block.state.netuid,)]


SUBTENSOR_ITEMS: Mapping[str, Read] = {
    "NetworksAdded": lambda block, netuid: netuid in (0, block.state.netuid),
    "TotalNetworks": lambda block: 2,
    "SubnetworkN": _of_state(lambda block: len(block.state.rows)),
    "TokenSymbol": lambda block, netuid: "τ" if netuid == 0 else "α",
    "Tempo": _rule("tempo"),
    "WeightsSetRateLimit": _rule("weights_rate_limit"),
    "WeightsVersionKey": _rule("version_key"),
    "MinAllowedWeights": _rule("min_allowed_weights"),
    "MaxWeightsLimit": _rule("max_weight_limit"),
    "CommitRevealWeightsEnabled": _rule("commit_reveal"),
    "RevealPeriodEpochs": _rule("reveal_period"),
    "ImmunityPeriod": _rule("immunity_period"),
    "ServingRateLimit": _rule("serving_rate_limit"),
    "MaxAllowedUids": _rule("max_uids"),
    "MaxAllowedValidators": _rule("max_validators"),
    "NetworkRegistrationAllowed": _rule("registration"),
    "StakeThreshold": lambda block: round(block.state.rules.stake_threshold * 10**9),
    "SubnetEpochConsensus": lambda block, netuid: 0,
    "MechanismCountCurrent": lambda block, netuid: 1,
    "LastEpochBlock": _of_state(lambda block: block.state.last_epoch_block),
    "SubnetEpochIndex": _of_state(lambda block: block.state.epoch_index),
    "PendingEpochAt": lambda block, netuid: 0,
    "BlocksSinceLastStep": _of_state(lambda block: block.number - block.state.last_epoch_block),
    "Burn": _of_state(lambda block: round(block.state.rules.burn * RAO)),
    "StakeWeight": lambda block, netuid: [u16(share) for share in block.state.stake_shares()] if netuid else [],
    "SubnetOwner": _subnet_owner,
    "OwnedHotkeys": lambda block, coldkey: [hot for hot, cold in block.state.owners.items() if cold == coldkey],
    "StakingHotkeys": lambda block, coldkey: [hot for hot, cold in block.state.positions if cold == coldkey],
    "SubnetIdentitiesV3": lambda block, netuid: IDENTITY if netuid == block.state.netuid else None,
    "SubnetOwnerHotkey": _of_state(lambda block: block.state.rules.owner or None),
    "Uids": _uids,
    "Keys": _of_uid(lambda row: row.hotkey),
    "BlockAtRegistration": _of_uid(lambda row: row.registered_at),
    "Owner": _owner,
    "IsNetworkMember": lambda block, hotkey, netuid: _uids(block, netuid, hotkey) is not None,
    "Axons": _axon,
    "LastUpdate": _of_rows("last_update"),
    "ValidatorPermit": _of_rows("permit"),
    "Active": _of_rows("active"),
    "Incentive": _of_rows("incentive"),
    "Dividends": _of_rows("dividends"),
    "Consensus": _of_rows("consensus"),
    "ValidatorTrust": _of_rows("validator_trust"),
    "Weights": _of_uid(lambda row: list(row.weights)),
    "Bonds": _of_uid(lambda row: list(row.bonds)),
    "TimelockedWeightCommits": _commits,
}

COMMITMENT_ITEMS: Mapping[str, Read] = {
    "CommitmentOf": _committed(_registration),
    "LastCommitment": _committed(lambda committed: committed.block),
    "UsedSpaceOf": _committed(lambda committed: {"last_epoch": committed.epoch, "used_space": committed.space}),
    "MaxSpace": lambda block: SPACE,
}

ITEMS: Mapping[tuple[str, str], Read] = {
    ("System", "Account"): _account,
    ("System", "Number"): lambda block: block.number,
    ("MevShield", "NextKey"): lambda block: "0x" + KEY.hex(),
    ("Timestamp", "Now"): lambda block: block.milliseconds,
    **{(SUBTENSOR, name): read for name, read in SUBTENSOR_ITEMS.items()},
    **{(COMMITMENTS, name): read for name, read in COMMITMENT_ITEMS.items()},
}

MAPS: Mapping[tuple[str, str], Keys] = {
    **{(SUBTENSOR, name): _networks for name in ("NetworksAdded", "TokenSymbol", "Tempo", "Burn", "SubnetworkN")},
    (SUBTENSOR, "MaxAllowedUids"): _networks,
    **{(COMMITMENTS, name): _committers for name in ("CommitmentOf", "LastCommitment", "UsedSpaceOf")},
    (SUBTENSOR, "SubnetIdentitiesV3"): _networks,
    (SUBTENSOR, "IsNetworkMember"): lambda block: [(row.hotkey, block.state.netuid) for row in block.state.rows],
    (SUBTENSOR, "Owner"): lambda block: [(hotkey,) for hotkey in block.state.owners],
    (SUBTENSOR, "Uids"): lambda block: [(block.state.netuid, row.hotkey) for row in block.state.rows],
    (SUBTENSOR, "Keys"): lambda block: [(block.state.netuid, uid) for uid in range(len(block.state.rows))],
    (SUBTENSOR, "Axons"): lambda block: [(block.state.netuid, row.hotkey) for row in block.state.rows if row.axon],
    (SUBTENSOR, "Weights"): lambda block: [
        (block.state.netuid, u) for u, r in enumerate(block.state.rows) if r.weights
    ],
    (SUBTENSOR, "Bonds"): lambda block: [(block.state.netuid, u) for u, r in enumerate(block.state.rows) if r.bonds],
    (SUBTENSOR, "TimelockedWeightCommits"): lambda block: [
        (block.state.netuid, epoch) for epoch in sorted({commit.epoch for commit in block.state.commits})
    ],
}


class Storage:
    """Reads raw storage keys. Items that this chain does not model are absent, so that a client takes their default."""

    def __init__(self, metadata: Metadata) -> None:
        self._runtime = metadata.runtime
        self._items = {bytes(self._runtime.storage_prefix(*item)): item for item in ITEMS if metadata.has(*item)}
        self._events = bytes(self._runtime.storage_key("System", "Events", []))

    def read(self, block: Block, key: bytes) -> bytes | None:
        """The SCALE value under a full storage key at `block`, or None."""
        if key == self._events:
            return block.events
        item = self._items.get(key[:32])
        if item is None:
            return None
        value = ITEMS[item](block, *self._runtime.decode_storage_key_params(*item, key))
        if value is None:
            return None
        return bytes(self._runtime.encode(self._runtime.storage_entry(*item).value_type, value))

    def keys(self, block: Block, prefix: bytes, start: bytes | None, count: int) -> list[bytes]:
        """Up to `count` full keys under `prefix` after `start`, sorted."""
        item = self._items.get(prefix[:32])
        if item is None or item not in MAPS:
            return []
        there = (keys for keys in MAPS[item](block) if ITEMS[item](block, *keys) is not None)
        every = (bytes(self._runtime.storage_key(*item, list(keys))) for keys in there)
        return sorted(key for key in every if key.startswith(prefix) and (start is None or key > start))[:count]
