"""Text as the pallet Commitments takes it: at most three fields of 128 bytes. Pure; knows the SDK's shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from subnet.chain.devnode.ledger.commitments import LEAST_SPACE, MAX_FIELDS
from subnet.types import Receipt, Submission

FIELD_BYTES: Final = 128
LIMIT: Final = FIELD_BYTES * MAX_FIELDS
NO_PALLET: Final = Receipt(
    Submission.REJECTED, code="NoCommitments", message="this chain has no pallet Commitments: nothing can be committed"
)


@dataclass(frozen=True)
class Space:
    """What a hotkey has committed in this epoch of the subnet, of how much, and the blocks until the next. Bytes."""

    used: int
    most: int
    blocks: int

    def wait(self, text: str) -> int:
        """Blocks until there is room for `text`; 0 where there is."""
        room = self.used + max(len(text.encode()), LEAST_SPACE) <= self.most
        return 0 if room else max(1, self.blocks)

    def __str__(self) -> str:
        return f"{self.used} of {self.most} bytes are committed in this epoch, and there is no room for more"


def too_large(text: str) -> Receipt | None:
    """The refusal of a text that the pallet cannot hold, known before anything is sent; None for one that fits."""
    size = len(text.encode())
    if 0 < size <= LIMIT:
        return None
    why = f"a commitment has 1 to {LIMIT} bytes ({MAX_FIELDS} fields of {FIELD_BYTES}), not {size}"
    return Receipt(Submission.REJECTED, code="TooManyFieldsInCommitmentInfo", message=why)


def fields_of(text: str) -> list[dict[str, str]]:
    """The fields that hold `text`, as the SDK encodes them."""
    data = text.encode()
    parts = [data[at : at + FIELD_BYTES] for at in range(0, len(data), FIELD_BYTES)]
    return [{f"Raw{len(part)}": "0x" + part.hex()} for part in parts]


def text_of(fields: Sequence[Any]) -> str:
    """The text in fields as they stand on chain; what is no text stands in hex, fields of other kinds are left out."""
    raw = [value for field in fields if isinstance(field, Mapping) for kind, value in field.items() if "Raw" in kind]
    data = b"".join(bytes.fromhex(value.removeprefix("0x")) for value in raw if isinstance(value, str))
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "0x" + data.hex()
