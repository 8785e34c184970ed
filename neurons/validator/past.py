"""What the journal says of an earlier run: which weights and commitments are ours, and which of unknown fate."""

from __future__ import annotations

from dataclasses import dataclass

from subnet.chain.receipts import ERA_BLOCKS
from subnet.evidence.journal import Journal
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import (
    COMMITMENT,
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
from subnet.types import Submission

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
    """Of the live journal: blocks in which weights of ours may have come to stand, and the last epoch written down."""

    landed: tuple[tuple[int, int], ...] = ()  # first and last block of each attempt
    unsettled: Unsettled | None = None
    epoch: int | None = None

    def accounts_for(self, block: int) -> bool:
        """Whether the weights that came to stand in `block` may be ours."""
        return any(first <= block <= last for first, last in self.landed)


def read_past(journal: Journal) -> Past:
    """Read the live journal once. Raises StateError where it cannot be read."""
    landed: list[tuple[int, int]] = []
    setting, epoch, outcome = None, None, None
    with JournalReader(journal.path, journal.segments) as reader:
        for entry in reader.live():
            if entry.kind == SETTING:
                setting, outcome = (entry.seq, read_record(SettingRecord, entry)), None
            elif entry.kind == COMMITMENT and (made := read_record(CommitmentRecord, entry)).block is not None:
                epoch = made.epoch
            elif entry.kind == WEIGHTS:
                outcome = read_record(WeightsRecord, entry)
                if outcome.submission in (Submission.OK, Submission.AMBIGUOUS):
                    late = LANDS if outcome.submission is Submission.AMBIGUOUS else LAG
                    landed.append((outcome.block - LANDS, outcome.block + late))
    unsettled = None
    if setting and (outcome is None or outcome.submission is Submission.AMBIGUOUS):
        seq, sent = setting
        unsettled = Unsettled(sent, _by_uid(journal, seq, sent), recorded=outcome is not None)
        landed.append((sent.block, sent.block + 2 * LANDS))
    return Past(tuple(landed), unsettled, epoch)


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
