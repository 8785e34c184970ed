"""How much of all request bodies an axon holds at one moment, from the first byte read to the reply.

Each hotkey that has proven itself has a share of its own, and all of them together a budget. Requests that are not
proven yet, those of clients that do not send the digest of the body ahead, have a small allowance apart, so that
whoever uses it up takes nothing from the others. Guests, who have no permit and are served only where the operator says
so, have a part of the budget together: validators find the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from subnet.errors import Overloaded, SettingsError
from subnet.wire.admission import Refused
from subnet.wire.synapse import DIGEST_HEADER, SYNAPSES

UNPROVEN: Final = ""  # the account of all requests that prove themselves with their body only
_LARGEST: Final = max(synapse.max_body for synapse in SYNAPSES.values())


@dataclass(frozen=True)
class BodyLimits:
    """Bytes and numbers of bodies in hand. The defaults hold eight of the largest bodies of proven hotkeys."""

    total_bytes: int = 8 * _LARGEST  # of all proven hotkeys together
    hotkey_bytes: int = 2 * _LARGEST
    hotkey_bodies: int = 32
    guest_bytes: int = 2 * _LARGEST  # of all guests together
    guest_bodies: int = 32
    unproven_bytes: int = _LARGEST
    unproven_bodies: int = 8

    def __post_init__(self) -> None:
        for name in ("total_bytes", "hotkey_bytes", "guest_bytes", "unproven_bytes"):
            if getattr(self, name) < _LARGEST:
                raise SettingsError(f"{name} must hold one body of {_LARGEST} bytes, not {getattr(self, name)}")


class NoRoom(Overloaded):
    """There is no room for another body: carries the refusal."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.reason, refused.retry_after or 1.0)
        self.refused = refused


@dataclass
class _Account:
    bytes: int = 0
    bodies: int = 0


@dataclass
class Bodies:
    """What is in hand now, by hotkey. A hotkey without bodies in hand takes no memory."""

    limits: BodyLimits
    proven_bytes: int = 0
    _guests: _Account = field(default_factory=_Account)
    _accounts: dict[str, _Account] = field(default_factory=dict)

    @contextlib.contextmanager
    def room(self, hotkey: str, size: int, *, guest: bool = False) -> Iterator[None]:
        """Room for a body of `size` bytes of a proven `hotkey`, a `guest` or not, or of UNPROVEN. Raises NoRoom."""
        refused = self._full(hotkey, size, guest)
        if refused is not None:
            raise NoRoom(refused)
        self._add(hotkey, size, 1, guest)
        try:
            yield
        finally:
            self._add(hotkey, -size, -1, guest)

    def _full(self, hotkey: str, size: int, guest: bool) -> Refused | None:
        limits, account = self.limits, self._accounts.get(hotkey, _Account())
        if hotkey == UNPROVEN:
            if account.bodies >= limits.unproven_bodies or account.bytes + size > limits.unproven_bytes:
                return Refused(503, f"too many bodies without {DIGEST_HEADER} are being read: send that header", 1.0)
            return None
        if account.bodies >= limits.hotkey_bodies or account.bytes + size > limits.hotkey_bytes:
            return Refused(429, "too many requests of this hotkey are in hand", 1.0)
        guests = self._guests
        if guest and (guests.bodies >= limits.guest_bodies or guests.bytes + size > limits.guest_bytes):
            return Refused(503, "too many requests of hotkeys without a permit are in hand", 1.0)
        if self.proven_bytes + size > limits.total_bytes:
            return Refused(503, "too many bodies are in hand", 1.0)
        return None

    def _add(self, hotkey: str, size: int, bodies: int, guest: bool) -> None:
        account = self._accounts.setdefault(hotkey, _Account())
        for held in (account, self._guests) if guest else (account,):
            held.bytes += size
            held.bodies += bodies
        if hotkey != UNPROVEN:
            self.proven_bytes += size
        if not account.bodies:
            del self._accounts[hotkey]
