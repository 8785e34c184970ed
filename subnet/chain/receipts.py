"""What became of a transaction, as a typed `Receipt`: by the SDK's words, or by what stands on chain later. Pure.

Knows the SDK's shapes, but does not import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from subnet.chain.connection import OTHER_CHAIN
from subnet.types import Receipt, Submission

TOO_EARLY: Final = frozenset(
    {
        "SettingWeightsTooFast",
        "CommittingWeightsTooFast",
        "RateLimitExceeded",
        "ServingRateLimitExceeded",
        "SpaceLimitExceeded",
    }
)
UNSURE: Final = frozenset({"Usurped", "Retracted", "FinalityTimeout", "Dropped"})  # in the pool, and may still land
PREFLIGHT: Final = {  # what the SDK finds out before it signs, by its error code, in the chain's words
    "not_registered": "HotKeyNotRegisteredInSubNet",
    "not_authorized": "NeuronNoValidatorPermit",
    "invalid_argument": "WeightVecLengthIsLow",
    "subnet_not_exists": "SubnetNotExists",
}
ERA_BLOCKS: Final = 32  # a transaction that is not in a block by then never will be: its era is over
EXPIRED: Final = "Expired"  # the code of what was sent and, its era being over, never will stand
PASSING: Final = frozenset({EXPIRED, "Stale"})  # gone a block later; Stale is a used nonce

UNREGISTERED: Final = Receipt(
    Submission.REJECTED, code="HotKeyNotRegisteredInSubNet", message="this hotkey is not registered in the subnet"
)


def receipt_of_result(result: Any) -> Receipt:
    """Of an ExtrinsicResult: it was answered, by a block or by the pool."""
    if result.success:
        return Receipt(Submission.OK, block=_block(result))
    name = getattr(result.error, "name", None)
    included = result.block_hash is not None
    refused = "invalid transaction" in str(result.message).lower()
    if name in UNSURE or not (name or included or refused):
        return Receipt(Submission.AMBIGUOUS, message=str(result.message))
    submission = Submission.TOO_EARLY if name in TOO_EARLY else Submission.REJECTED
    return Receipt(submission, block=_block(result), code=name or "InvalidTransaction", message=str(result.message))


def receipt_of_error(error: Exception) -> Receipt:
    """Of an exception. Only what the SDK finds before it signs is certain; after that nobody knows: AMBIGUOUS."""
    code = getattr(getattr(error, "code", None), "value", None)
    if code == "rate_limited":
        return Receipt(Submission.TOO_EARLY, code="SettingWeightsTooFast", message=str(error))
    if code in PREFLIGHT:
        name = getattr(error, "name", None) or PREFLIGHT[code]
        return Receipt(Submission.REJECTED, code=name, message=str(error))
    return Receipt(Submission.AMBIGUOUS, message=str(error) or type(error).__name__)


def _block(result: Any) -> int | None:
    """The block's number from an extrinsic id such as "1234-0002"."""
    number = str(result.extrinsic_id or "").partition("-")[0]
    return int(number) if number.isdigit() else None


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
    if left < 0 or stand.block < sent_at - OTHER_CHAIN:  # over, or this is not the chain that it was sent to
        return Receipt(Submission.REJECTED, code=EXPIRED)
    return Receipt(Submission.AMBIGUOUS, blocks=left + 1, message="earlier weights may still land")


def too_early(blocks: int) -> Receipt:
    """Of the rate limit on weights, known before anything is sent."""
    return Receipt(Submission.TOO_EARLY, blocks=max(1, blocks), code="SettingWeightsTooFast", message="rate limit")
