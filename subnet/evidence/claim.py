"""What a journal says of the chain, and only the chain can prove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from subnet.evidence.records import CommitmentRecord
from subnet.evidence.snapshots import Roles


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


@dataclass(frozen=True)
class MetagraphClaim:
    """The metagraph as it is said to have stood in `block`; `moved` where it is another than the one claimed before."""

    seq: int
    block: int
    roles: Roles
    limit: float  # TAO of stake from which a neuron with a permit counts as a validator
    moved: bool


@dataclass(frozen=True)
class Claims:
    """All of them; `latest` is the newest block that rounds, settings and weights tell of, and the entry that does."""

    commitments: Sequence[CommitmentClaim] = ()
    settings: Sequence[WeightsClaim] = ()
    metagraphs: Sequence[MetagraphClaim] = ()
    latest: tuple[int, int] = (0, 0)
