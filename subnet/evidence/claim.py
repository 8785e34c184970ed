"""What a journal says of the chain, and only the chain can prove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from subnet.evidence.records import CommitmentRecord


@dataclass(frozen=True)
class WeightsClaim:
    """Weights by uid that the chain took, or, unless `sure`, may have taken; or, if `refused`, is said not to have.

    `settled` is the block at which they should stand: that of the next setting or commitment; None where there is none.
    """

    seq: int
    weights: Mapping[int, float]
    uid: int  # the validator's own
    block: int  # when they were sent
    sure: bool = True
    settled: int | None = None
    began: int = 0  # the block of the snapshot that they follow from
    refused: bool = False


@dataclass(frozen=True)
class CommitmentClaim:
    """A commitment that is said to stand."""

    seq: int
    record: CommitmentRecord
