"""What a journal says of the chain, and only the chain can prove: commitments, weights, and the metagraph. Pure.

A round says nothing of the metagraph that the settings around it do not, unless a change was left out for a while. So
one of every epoch is taken, drawn by the hash of the block behind the commitment that ends it, which nobody knew when
it was played.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from subnet.evidence.findings import Finding, Verdict, unproven
from subnet.evidence.records import CommitmentRecord, SettingRecord, WeightsRecord
from subnet.evidence.snapshots import Roles, roles_of
from subnet.types import Neuron, Submission

MOST: Final = 512  # rounds of one epoch that are drawn from, the last ones
ROWS: Final = 2**24  # of metagraphs that are kept, 128 MiB: 65,536 that differ, of 256 neurons each
SETTLES: Final = 2  # blocks that a validator's view of the chain may be behind it
REFUSED: Final = (Submission.REJECTED, Submission.TOO_EARLY)


@dataclass(frozen=True)
class WeightsClaim:
    """Weights by uid that the chain took, or, unless `sure`, may have taken; or, if `refused`, is said not to have.

    `settled` is the block at which they should stand: that of the next setting or commitment; None where there is none.
    """

    seq: int
    weights: Mapping[int, float]
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
    neurons: tuple[Neuron, ...]
    limit: float  # TAO of stake from which a neuron with a permit counts as a validator
    moved: bool

    @property
    def roles(self) -> Roles:
        """What is compared with the chain's."""
        return roles_of(self.neurons, self.limit)


@dataclass(frozen=True)
class Claims:
    """All of them; `latest` is the newest block that rounds, settings and weights tell of, and the entry that does."""

    commitments: Sequence[CommitmentClaim] = ()
    settings: Sequence[WeightsClaim] = ()
    metagraphs: Sequence[MetagraphClaim] = ()
    latest: tuple[int, int] = (0, 0)


class Metagraphs:
    """Follows entries; `claims` is what only the chain can prove."""

    def __init__(self) -> None:
        self.claims: list[MetagraphClaim] = []
        self._rounds: deque[tuple[int, int, tuple[Neuron, ...], float]] = deque(maxlen=MOST)
        self._last: tuple[Neuron, ...] | None = None
        self._neurons: tuple[Neuron, ...] = ()  # the first that had the roles of the last
        self._roles: Roles = {}
        self._limit = 0.0
        self._kept = 0  # rows of metagraphs

    def claim(self, seq: int, block: int, neurons: tuple[Neuron, ...], limit: float) -> Iterator[Finding]:
        """Entry `seq` uses these neurons as those of `block`; from `limit` TAO on they are validators."""
        roles = self._roles if neurons is self._last and limit == self._limit else roles_of(neurons, limit)
        moved = self._last is not None and roles != self._roles
        if self._last is None or moved or limit != self._limit:
            self._neurons, self._kept = neurons, self._kept + len(neurons)
        self._last, self._roles, self._limit = neurons, roles, limit
        yield from self._keep(MetagraphClaim(seq, block, self._neurons, limit, moved))

    def play(self, seq: int, block: int, neurons: tuple[Neuron, ...], limit: float) -> None:
        """A round, which may be drawn."""
        self._rounds.append((seq, block, neurons, limit))

    def commit(self, record: CommitmentRecord) -> Iterator[Finding]:
        """Draw one of the rounds that a commitment binds."""
        bound = [played for played in self._rounds if played[0] <= record.seq]
        for _ in bound:
            self._rounds.popleft()
        if bound and record.block_hash:
            seq, block, neurons, limit = bound[int(record.block_hash, 16) % len(bound)]
            self._kept += len(neurons)
            yield from self._keep(MetagraphClaim(seq, block, neurons, limit, moved=False))

    def _keep(self, claim: MetagraphClaim) -> Iterator[Finding]:
        if self._kept > ROWS:
            yield unproven(claim.seq, "the metagraph: it changed so often before that it was not kept")
        else:
            self.claims.append(claim)


@dataclass(frozen=True)
class Sent:
    """A setting of weights: its entry, what it says, the weights by uid, and the validator's own uid."""

    seq: int
    record: SettingRecord
    weights: dict[int, float]
    uid: int | None  # None where the validator is not in the snapshot


class Settings:
    """Follows settings of weights and what became of them; `claims` is what only the chain can prove."""

    def __init__(self, pay: Callable[[], None]) -> None:
        """`pay` is called for weights that were set, or may have been."""
        self.claims: list[WeightsClaim] = []
        self._pay = pay
        self._open: Sent | None = None
        self._standing: int | None = None  # the place of the last claim that is not said to be refused

    def begin(self, sent: Sent) -> Iterator[Finding]:
        """Weights are about to be sent."""
        yield from self.end()
        self.settle(sent.record.block)
        self._open = sent

    def outcome(self, seq: int, record: WeightsRecord, before: Verdict) -> Iterator[Finding]:
        """What became of them; `before` is how weights without a setting are called, as schemas 1 and 2 wrote them."""
        if record.attempt is None and not record.weights:
            return  # nothing was sent: a setting before it stays open
        sent = self._open
        if sent is None or sent.record.attempt != record.attempt:
            yield from self.end()
            if record.weights:
                yield Finding(seq, "weights by uid alone, without a setting before them", before)
            return
        if record.block < sent.record.block:
            yield Finding(seq, f"sent in block {record.block}, by a setting of block {sent.record.block}")
        if record.weights != sent.weights:
            yield Finding(seq, f"the weights that were sent are not those of the setting, entry {sent.seq}")
        self._open = None
        yield from self._claim(sent, record)

    def end(self) -> Iterator[Finding]:
        """Nothing says what became of the setting that is open, if one is."""
        sent, self._open = self._open, None
        if sent is not None:
            yield from self._claim(sent, None)

    def settle(self, block: int) -> None:
        """Something else was done in `block`: until then the last weights stood."""
        last = None if self._standing is None else self.claims[self._standing]
        if self._standing is not None and last and last.settled is None and block >= last.block + SETTLES:
            self.claims[self._standing] = replace(last, settled=block)

    def _claim(self, sent: Sent, record: WeightsRecord | None) -> Iterator[Finding]:
        fate = record.submission if record else Submission.AMBIGUOUS
        if sent.uid is None and fate is Submission.OK:
            yield Finding(sent.seq, "the chain is said to have taken weights, but the validator is not in the snapshot")
        elif sent.uid is None:
            yield unproven(sent.seq, "weights on chain: the validator is not in the snapshot")
        if record is None:
            yield unproven(sent.seq, "weights that were set: nothing says what became of them")
        refused, block = fate in REFUSED, record.block if record else sent.record.block
        if refused:
            yield unproven(sent.seq, "that the chain refused weights: nobody signs that")
        else:
            self._pay()
        if sent.uid is None:
            return
        self._standing = self._standing if refused else len(self.claims)
        sure, began = fate is Submission.OK, sent.record.block
        self.claims.append(WeightsClaim(sent.seq, sent.weights, block, sure, began=began, refused=refused))
