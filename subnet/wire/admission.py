"""Who may ask an axon: one pure rule over the metagraph, and the token buckets it looks at.

The rule reads only headers, so the hotkey is a claim at this point. That is why asking costs nothing here: a token is
taken only when the signature has proven the claim (`Buckets.take`), else anybody could spend a validator's allowance
in its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from subnet.types import Neuron

Metagraph = Mapping[str, Neuron]  # by hotkey
GUEST: Final = 1e-3  # the weight of whoever is no validator, beside validators' stakes in TAO


@dataclass(frozen=True)
class Policy:
    """Whom this axon answers. `min_stake` in TAO-equivalent; `rate` requests per second and hotkey, `burst` at once."""

    require_permit: bool = True
    allow_unregistered: bool = False
    min_stake: float = 0.0
    blacklist: frozenset[str] = frozenset()
    rate: float = 10.0
    burst: float = 20.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"rate must be a positive number of requests per second, not {self.rate}")
        if not (math.isfinite(self.burst) and self.burst >= 1):
            raise ValueError(f"burst must be at least 1 request, not {self.burst}")
        if not (math.isfinite(self.min_stake) and self.min_stake >= 0):
            raise ValueError(f"min_stake must be zero or more, not {self.min_stake}")


@dataclass(frozen=True)
class Admitted:
    """May ask."""


@dataclass(frozen=True)
class Refused:
    """May not: an HTTP status, a reason that is safe to tell a stranger, and when to try again (seconds)."""

    status: int
    reason: str
    retry_after: float | None = None


@dataclass(frozen=True)
class Bucket:
    """A token bucket at one moment: `tokens` left at time `at` (seconds, monotonic)."""

    tokens: float
    at: float

    def refilled(self, now: float, policy: Policy) -> Bucket:
        """The bucket at `now`; time that runs backwards adds nothing."""
        gained = max(0.0, now - self.at) * policy.rate
        return Bucket(min(policy.burst, self.tokens + gained), max(now, self.at))


@dataclass
class Buckets:
    """One bucket per hotkey. A hotkey that was never seen, or is full again, takes no memory."""

    policy: Policy
    clock: Callable[[], float]
    _held: dict[str, Bucket] = field(default_factory=dict)
    _sweep_at: int = 1024

    def tokens(self, hotkey: str) -> float:
        """How many requests `hotkey` may make now."""
        held = self._held.get(hotkey)
        return self.policy.burst if held is None else held.refilled(self.clock(), self.policy).tokens

    def take(self, hotkey: str) -> bool:
        """Spend one token; False when there is none."""
        now = self.clock()
        bucket = self._held.get(hotkey, Bucket(self.policy.burst, now)).refilled(now, self.policy)
        if bucket.tokens < 1:
            return False
        self._held[hotkey] = Bucket(bucket.tokens - 1, now)
        if len(self._held) > self._sweep_at:
            self._sweep(now)
        return True

    def _sweep(self, now: float) -> None:
        policy = self.policy
        self._held = {k: b for k, b in self._held.items() if b.refilled(now, policy).tokens < policy.burst}
        self._sweep_at = max(1024, 2 * len(self._held))


def too_fast(tokens: float, policy: Policy) -> Refused:
    """429 with the time until the next token."""
    return Refused(429, "too many requests from this hotkey", max(0.0, 1 - tokens) / policy.rate)


def admission(hotkey: str, metagraph: Metagraph | None, policy: Policy, recent: float) -> Admitted | Refused:
    """Whether `hotkey` may ask. `metagraph` is None before the first sync; `recent` is the tokens the hotkey has left.

    In this order: metagraph known (503), registered, not blacklisted, permit, stake (403 each), rate (429).
    """
    if metagraph is None:
        return Refused(503, "the metagraph is not loaded yet", 5.0)
    reason = _no_standing(hotkey, metagraph.get(hotkey), policy)
    if reason:
        return Refused(403, reason)
    return Admitted() if recent >= 1 else too_fast(recent, policy)


def weight(hotkey: str, metagraph: Metagraph | None, policy: Policy) -> float:
    """How much of a crowded axon is `hotkey`'s: the stake of a validator, at least 1 TAO; GUEST for all others.

    A validator has a permit and the least stake; where a policy asks for neither, others are served all the same.
    """
    neuron = (metagraph or {}).get(hotkey)
    if neuron is None or not neuron.permit or not neuron.stake >= policy.min_stake:
        return GUEST
    return max(1.0, neuron.stake)


def _no_standing(hotkey: str, neuron: Neuron | None, policy: Policy) -> str:
    """Why a hotkey may never ask, or ""."""
    if neuron is None and not policy.allow_unregistered:
        return "this hotkey is not registered on the subnet"
    if hotkey in policy.blacklist:
        return "this hotkey is blacklisted here"
    if neuron is not None and policy.require_permit and not neuron.permit:
        return "this hotkey has no validator permit"
    if neuron is not None and not neuron.stake >= policy.min_stake:
        return "this hotkey has less than the least stake asked for here"
    return ""
