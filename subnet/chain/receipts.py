"""From what the SDK says about a transaction to a typed `Receipt`. Knows the SDK's shapes, but does not import it."""

from __future__ import annotations

from typing import Any, Final

from subnet.types import Receipt, Submission

TOO_EARLY: Final = frozenset(
    {"SettingWeightsTooFast", "CommittingWeightsTooFast", "RateLimitExceeded", "ServingRateLimitExceeded"}
)
UNSURE: Final = frozenset({"Usurped", "Retracted", "FinalityTimeout", "Dropped"})  # in the pool, and may still land
PREFLIGHT: Final = {  # what the SDK finds out before it signs, by its error code, in the chain's words
    "not_registered": "HotKeyNotRegisteredInSubNet",
    "not_authorized": "NeuronNoValidatorPermit",
    "invalid_argument": "WeightVecLengthIsLow",
    "subnet_not_exists": "SubnetNotExists",
}


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
