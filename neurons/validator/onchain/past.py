"""What the journal says of an earlier run: which weights and commitments are ours, and which of unknown fate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from neurons.secrets.epochs import Kept
from subnet.chain.receipts import ERA_BLOCKS
from subnet.evidence.entries.entry import Entry
from subnet.evidence.entries.segments import list_segments, read_segment
from subnet.evidence.journal import Journal
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import (
    COMMITMENT,
    ROUND,
    SETTING,
    SNAPSHOT,
    WEIGHTS,
    CommitmentRecord,
    SettingRecord,
    SnapshotRecord,
    WeightsRecord,
    read_record,
)
from subnet.evidence.snapshots import Snapshots
from subnet.game.epochs import parse
from subnet.types import Submission

ROUNDS = 2_000  # among which the last weights are looked for: a day's
LAG = 8  # blocks that a program's view of the chain may be behind it
LANDS = ERA_BLOCKS + LAG  # blocks after which a transaction is in the chain or never will be


@dataclass(frozen=True)
class Unsettled:
    """A setting of weights whose fate the journal does not know; `recorded` where it at least says so."""

    setting: SettingRecord
    weights: dict[int, float]  # by uid, as they were sent
    recorded: bool


@dataclass(frozen=True)
class Past:
    """Of the journal: blocks in which weights of ours may have come to stand, and the last epoch written down."""

    landed: tuple[tuple[int, int], ...] = ()  # first and last block of each attempt
    unsettled: Unsettled | None = None
    epoch: int | None = None
    block: int = 0  # the newest of these weights

    def accounts_for(self, block: int) -> bool:
        """Whether the weights that came to stand in `block` may be ours."""
        return any(first <= block <= last for first, last in self.landed)


def read_past(journal: Journal, secrets: Kept | None = None) -> Past:
    """Read back, part after part: to the commitment that `secrets` say stands, or the entry that it names; and to the
    last weights that the chain took, or `ROUNDS` rounds. Raises StateError where a part cannot be read.
    """
    named, told, rounds, sure = _named(secrets), list[Entry](), 0, False
    for part in _parts(journal):
        fresh = [entry for entry in part if entry.kind in (SETTING, COMMITMENT, WEIGHTS)]
        rounds += sum(entry.kind == ROUND for entry in part)
        sure = sure or any(e.kind == WEIGHTS and _outcome(e).submission is Submission.OK for e in fresh)
        told = fresh + told
        bound = named is None or part[0].seq <= named or any(map(_stands, told))
        if bound and (sure or rounds >= ROUNDS):
            break
    return _past(journal, told)


def _named(secrets: Kept | None) -> int | None:
    """The entry behind which the commitment that stands was written down, None without one."""
    if secrets is None or secrets.stands is None:
        return None
    try:
        return parse(secrets.stands.line).seq
    except ValueError:
        return 0


def _parts(journal: Journal) -> Iterator[list[Entry]]:
    """The live entries, and those of each finished segment, the newest first; none is empty."""
    with JournalReader(journal.path, journal.segments) as reader:
        if live := list(reader.live()):
            yield live
            finished = [segment for segment in list_segments(reader.segments) if segment.last < live[0].seq]
            yield from (list(read_segment(segment)) for segment in reversed(finished))


def _outcome(entry: Entry) -> WeightsRecord:
    return read_record(WeightsRecord, entry)


def _stands(entry: Entry) -> bool:
    return entry.kind == COMMITMENT and read_record(CommitmentRecord, entry).block is not None


def _past(journal: Journal, told: Iterable[Entry]) -> Past:
    """What entries of settings, weights and commitments come to."""
    landed: list[tuple[int, int]] = []
    setting, epoch, outcome, block = None, None, None, 0
    for entry in told:
        if entry.kind == SETTING:
            setting, outcome = (entry.seq, read_record(SettingRecord, entry)), None
            block = max(block, setting[1].block)
        elif entry.kind == WEIGHTS:
            outcome = _outcome(entry)
            if outcome.submission in (Submission.OK, Submission.AMBIGUOUS):
                late = LANDS if outcome.submission is Submission.AMBIGUOUS else LAG
                landed.append((outcome.block - LANDS, outcome.block + late))
        elif _stands(entry):
            epoch = read_record(CommitmentRecord, entry).epoch
    unsettled = None
    if setting and (outcome is None or outcome.submission is Submission.AMBIGUOUS):
        seq, sent = setting
        unsettled = Unsettled(sent, _by_uid(journal, seq, sent), recorded=outcome is not None)
        landed.append((sent.block, sent.block + 2 * LANDS))
    return Past(tuple(landed), unsettled, epoch, block)


def _by_uid(journal: Journal, seq: int, setting: SettingRecord) -> dict[int, float]:
    """The weights of the setting in entry `seq` by the uids of its snapshot."""
    snapshots = Snapshots()
    for entry in journal.entries():
        if entry.seq >= seq:
            break
        if entry.kind == SNAPSHOT:
            snapshots.add(entry, read_record(SnapshotRecord, entry))
    uids = {neuron.hotkey: neuron.uid for neuron in snapshots.at(setting.block) or ()}
    return {uids[hotkey]: weight for hotkey, weight in setting.weights.items() if hotkey in uids}
