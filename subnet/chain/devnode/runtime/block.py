"""A block, as storage and runtime calls read it: frozen, with the state after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from subnet.chain.devnode.ledger.state import SubnetState
from subnet.chain.devnode.runtime.extrinsics import Extrinsic


@dataclass(frozen=True, eq=False)
class Block:
    """One block with the state after it."""

    number: int
    hash: bytes
    parent: bytes
    state: SubnetState
    nonces: Mapping[str, int] = field(default_factory=dict)
    extrinsics: tuple[Extrinsic, ...] = ()
    outcomes: tuple[str | None, ...] = ()  # per extrinsic: None or the error's name
    events: bytes = b"\x00"
    milliseconds: int = 0  # unix time

    @property
    def hex(self) -> str:
        return "0x" + self.hash.hex()
