"""Epochs of a validator, whose challenges nobody can choose. Pure.

Epoch k begins when commitment k stands on chain in block B. Its seed follows from the secret that the commitment binds
and from the hash of block B + 1: the validator does not know the hash when it commits, and cannot change the secret
when it does. Commitment k + 1 reveals the secret, says where the journal stands, and begins the next epoch.

On chain a commitment is one line of ASCII, five words behind the protocol's name:

    assay-epoch/1 NUMBER COMMITMENT REVEALED HEAD SEQ

COMMITMENT, REVEALED and HEAD are 32 bytes in lower-case hex; REVEALED is - where there is no secret to reveal: in the
first commitment, and in one whose predecessor's secret is lost.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

PROTOCOL: Final = "assay-epoch/1"
SECRET_BYTES: Final = 32
MAX_NUMBER: Final = 2**63 - 1  # of epochs and of journal entries
NOTHING: Final = "-"
LINE: Final = re.compile(
    rf"{PROTOCOL} (0|[1-9][0-9]{{0,18}}) ([0-9a-f]{{64}}) (-|[0-9a-f]{{64}}) ([0-9a-f]{{64}}) (0|[1-9][0-9]{{0,18}})"
)


@dataclass(frozen=True)
class Commitment:
    """What stands on chain. Hashes and the secret are lower-case hex of 32 bytes; `seq` is the entry of hash `head`.

    Raises ValueError for anything else.
    """

    number: int
    commitment: str
    revealed: str | None
    head: str
    seq: int

    def __post_init__(self) -> None:
        if not LINE.fullmatch(dump(self)) or max(self.number, self.seq) > MAX_NUMBER:
            raise ValueError(f"not a commitment to an epoch: {dump(self)!r}")


def dump(commitment: Commitment) -> str:
    """The line that stands on chain: at most 249 characters of ASCII."""
    words = (commitment.number, commitment.commitment, commitment.revealed or NOTHING, commitment.head, commitment.seq)
    return " ".join(map(str, (PROTOCOL, *words)))


def parse(text: str) -> Commitment:
    """The commitment in a line that `dump` wrote. Raises ValueError for every other text, saying what is wrong."""
    found = LINE.fullmatch(text)
    if found is None:
        name = text.partition(" ")[0][:40]
        why = f"{PROTOCOL} should be five words in their only form" if name == PROTOCOL else f"{name!r} is another kind"
        raise ValueError(f"not a commitment to an epoch: {why}")
    number, commitment, revealed, head, seq = found.groups()
    return Commitment(int(number), commitment, None if revealed == NOTHING else revealed, head, int(seq))


def secret_of(seed: int, fresh: bytes, number: int, netuid: int, hotkey: str) -> bytes:
    """The secret of epoch `number`: 32 bytes of the permanent secret seed and of randomness drawn for this epoch."""
    return _digest("secret", seed, fresh.hex(), number, netuid, hotkey)


def commit_of(secret: bytes, number: int, netuid: int, hotkey: str) -> str:
    """What binds a validator to `secret` without telling it, in hex. Nobody else can use it, nor for another epoch."""
    return _digest("commitment", _hex(secret), number, netuid, hotkey).hex()


def epoch_seed(secret: bytes, block_hash: str, netuid: int, hotkey: str) -> int:
    """The seed of all plans of an epoch, 128 bits; `block_hash` is that of the block after the commitment's, in hex.

    Raises ValueError unless both are 32 bytes.
    """
    digits = block_hash.removeprefix("0x").lower()
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise ValueError(f"a block hash is 32 bytes in hex, not {block_hash!r}")
    return int.from_bytes(_digest("seed", _hex(secret), digits, netuid, hotkey)[:16], "big")


def break_between(before: Commitment | None, after: Commitment, netuid: int, hotkey: str) -> str:
    """Why `after` does not follow from `before`, which stood in the block before it; "" where it does.

    Only a chain of commitments without a break proves that no seed was chosen among several.
    """
    if before is None:
        return f"commitment {after.number} stands without one before it" if after.number or after.revealed else ""
    opened = after.revealed and commit_of(bytes.fromhex(after.revealed), before.number, netuid, hotkey)
    breaks = {
        f"commitment {after.number} follows commitment {before.number}: numbers must rise by one": (
            after.number != before.number + 1
        ),
        f"commitment {after.number} says entry {after.seq} of the journal after entry {before.seq}": (
            after.seq < before.seq or (after.seq == before.seq and after.head != before.head)
        ),
        f"commitment {after.number} does not reveal the secret of epoch {before.number}": opened is None,
        f"the secret that commitment {after.number} reveals does not open commitment {before.number}": (
            opened != before.commitment
        ),
    }
    return next((why for why, broken in breaks.items() if broken), "")


def _hex(secret: bytes) -> str:
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a secret has {SECRET_BYTES} bytes, not {len(secret)}")
    return secret.hex()


def _digest(purpose: str, *parts: object) -> bytes:
    """sha256 of words that hold no line feed, one a line."""
    return hashlib.sha256("\n".join(map(str, (PROTOCOL, purpose, *parts))).encode()).digest()
