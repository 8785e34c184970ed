"""The runtime's metadata (spec 461, SCALE, V15) and the codec that reads it.

The file comes from the test fixtures of the bittensor 11.3.0 source distribution (Apache-2.0); see README.md here.
One storage item that newer clients read, SubtensorModule.SubnetEpochConsensus (u16 -> u8), is appended.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import bittensor_core

FILE = "subtensor_v15_spec461.scale.xz"
SPEC_VERSION = 461
TRANSACTION_VERSION = 1
SS58_FORMAT = 42
SUBTENSOR = "SubtensorModule"
COMMITMENTS = "Commitments"


@dataclass(frozen=True, eq=False)
class Metadata:
    """The raw bytes as a client fetches them, the codec over them, and what is looked up often."""

    raw: bytes = field(repr=False)
    runtime: Any  # bittensor_core.Runtime
    types: Mapping[int, Mapping[str, Any]] = field(repr=False)  # the type registry by id
    errors: Mapping[str, tuple[int, int]] = field(repr=False)  # error name -> (pallet, index)

    def has(self, pallet: str, item: str) -> bool:
        """Whether the runtime declares a storage item."""
        try:
            self.runtime.storage_entry(pallet, item)
        except KeyError:
            return False
        return True


def read_metadata(*, epoch_consensus: bool = True, commitments: bool = True) -> Metadata:
    """Read the metadata that ships with the package. Takes about 0.05 s.

    Without `epoch_consensus` it is left as it was, as on a chain too old for bittensor 11.3; without `commitments` it
    has no pallet of that name.
    """
    packed = resources.files(__package__).joinpath(FILE).read_bytes()
    raw = _unwrapped(lzma.decompress(packed))
    if not commitments:
        raw = raw.replace(_text(COMMITMENTS), _text("Unavailable"))  # as long as the name, so that nothing moves
    runtime = _runtime(raw)
    if epoch_consensus:
        raw = _with_epoch_consensus(raw, runtime)
        runtime = _runtime(raw)
    types = {row["id"]: row["type"] for row in json.loads(runtime.registry_json())["types"]}
    return Metadata(raw=raw, runtime=runtime, types=types, errors=_errors(runtime))


def _runtime(raw: bytes) -> Any:
    return bittensor_core.Runtime(raw, SPEC_VERSION, TRANSACTION_VERSION, SS58_FORMAT)


def compact(number: int) -> bytes:
    """SCALE compact integer below 2**30."""
    if number < 1 << 6:
        return bytes([number << 2])
    if number < 1 << 14:
        return (number << 2 | 1).to_bytes(2, "little")
    if number < 1 << 30:
        return (number << 2 | 2).to_bytes(4, "little")
    raise ValueError(f"{number} does not fit a four-byte compact")


def read_compact(data: bytes, at: int = 0) -> tuple[int, int]:
    """A compact integer below 2**30 and the position after it."""
    width = (1, 2, 4)[data[at] & 3] if data[at] & 3 < 3 else 0
    if not width:
        raise ValueError("a compact of more than four bytes")
    return int.from_bytes(data[at : at + width], "little") >> 2, at + width


def _text(value: str) -> bytes:
    return compact(len(value)) + value.encode()


def _unwrapped(wrapped: bytes) -> bytes:
    """Without Option<OpaqueMetadata>'s tag and length."""
    length, start = read_compact(wrapped, 1)
    if wrapped[0] != 1 or len(wrapped) != start + length:
        raise ValueError(f"{FILE} is not an Option<OpaqueMetadata>")
    return wrapped[start:]


def _with_epoch_consensus(raw: bytes, runtime: Any) -> bytes:
    """Append the storage map u16 -> u8 (Identity hasher, default 0) to the pallet's entries."""
    header = _text(SUBTENSOR) + b"\x01" + _text(SUBTENSOR)  # pallet name, Some(storage), prefix
    start = raw.index(header) + len(header)
    count, end = read_compact(raw, start)
    netuid = int(runtime.storage_entry(SUBTENSOR, "Tempo").param_types[0].split("::")[1])
    byte = int(runtime.type_id_of("u8"))
    modifier_default, kind_map, identity = b"\x01", b"\x01", b"\x05"
    types = compact(1) + identity + compact(netuid) + compact(byte)
    entry = _text("SubnetEpochConsensus") + modifier_default + kind_map + types + compact(1) + b"\0" + compact(0)
    return raw[:start] + compact(count + 1) + entry + raw[end:]


def _errors(runtime: Any) -> dict[str, tuple[int, int]]:
    """Error names of all pallets; where several pallets have a name, SubtensorModule's counts, then System's (0)."""
    found: dict[str, tuple[int, int]] = {}
    for pallet in (_pallet_with(runtime, "SettingWeightsTooFast"), *range(256)):
        for index in range(256):
            try:
                name, _ = runtime.module_error(pallet, index)
            except (KeyError, ValueError, IndexError):
                break
            found.setdefault(name, (pallet, index))
    return found


def _pallet_with(runtime: Any, error: str) -> int:
    for pallet in range(256):
        for index in range(256):
            try:
                if runtime.module_error(pallet, index)[0] == error:
                    return pallet
            except (KeyError, ValueError, IndexError):
                break
    raise ValueError(f"no pallet has the error {error}")
