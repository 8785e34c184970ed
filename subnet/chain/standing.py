"""Where a validator stands with its weights at one block, and what became of weights it sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from subnet.types import Receipt, Submission

ERA_BLOCKS: Final = 32  # a transaction that is not in a block by then never will be: its era is over

UNREGISTERED: Final = Receipt(
    Submission.REJECTED, code="HotKeyNotRegisteredInSubNet", message="this hotkey is not registered in the subnet"
)


@dataclass(frozen=True)
class Stand:
    """A validator's standing at one block: its uid, the block of its last weights, the subnet's rate limit."""

    block: int
    uid: int | None
    last: int
    limit: int

    @property
    def wait(self) -> int:
        """Blocks until weights may be set."""
        return max(0, self.limit - (self.block - self.last)) if self.last > 0 else 0


def fate_of(sent_at: int, stand: Stand) -> Receipt:
    """What became of weights sent when the head was `sent_at`."""
    if stand.last > sent_at:
        return Receipt(Submission.OK, block=stand.last)
    left = sent_at + ERA_BLOCKS - stand.block
    if left < 0:
        return Receipt(Submission.REJECTED, code="Expired")
    return Receipt(Submission.AMBIGUOUS, blocks=left + 1, message="earlier weights may still land")


def too_early(blocks: int) -> Receipt:
    """Of the rate limit on weights, known before anything is sent."""
    return Receipt(Submission.TOO_EARLY, blocks=max(1, blocks), code="SettingWeightsTooFast", message="rate limit")
