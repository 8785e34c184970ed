"""What a site keeps of one journal while it grows: standings computed again, tallies, trends, rounds that may be shown.

Bounded, however long the journal is: a trend of 128 points and the last 100 answers a miner, the newest rounds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from neurons.web.disclosure import Asked, Curtain, Told
from subnet.errors import JournalBroken
from subnet.evidence.entries.entry import BEGINNING, Entry
from subnet.evidence.explain import KEYS, Tally, Turn
from subnet.evidence.findings import Verdict
from subnet.evidence.records import (
    DEPARTED,
    ROUND,
    SNAPSHOT,
    WEIGHTS,
    DepartedRecord,
    RoundRecord,
    SnapshotRecord,
    WeightsRecord,
    read_record,
)
from subnet.evidence.replay import Replayer
from subnet.game.answer_table import RecentAnswers
from subnet.types import Failure, Label, Modality, Outcome, Prediction, Submission

TURNS: Final = 100  # a miner
KINDS: Final = 50  # of one key; further ones are counted together
OTHERS: Final = "all others"
POINTS: Final = 128  # of a trend
ROUNDS: Final = 100_000  # that can be looked up


@dataclass
class Trend:
    """Scores over rounds, the last among them; when there are too many, every second one is left out from then on."""

    _kept: list[tuple[int, float]] = field(default_factory=list)  # number of a round, score behind it
    _last: tuple[int, float] | None = None
    _every: int = 1
    _count: int = 0

    def add(self, number: int, score: float) -> None:
        """The score behind round `number`."""
        if self._count % self._every == 0:
            self._kept.append((number, score))
        self._last = number, score
        self._count += 1
        if len(self._kept) >= POINTS:
            self._kept = self._kept[::2]
            self._every *= 2

    @property
    def points(self) -> list[tuple[int, float]]:
        """Numbers of rounds, and scores behind them."""
        return self._kept + [last for last in [self._last] if last and last not in self._kept[-1:]]


@dataclass
class MinerSummary:
    """One hotkey since it came: its trend, and of rounds that may be shown tallies by kind and the last answers."""

    trend: Trend = field(default_factory=Trend)
    by: dict[str, dict[str, Tally]] = field(default_factory=lambda: {key: {} for key in KEYS})
    turns: deque[tuple[Turn, str]] = field(default_factory=lambda: deque(maxlen=TURNS))  # with the item of each

    def count(self, turn: Turn, kinds: dict[str, str], item: str) -> None:
        """One more answer that may be shown, while `item` is not asked again."""
        self.turns.append((turn, item))
        for key, kind in kinds.items():
            tallies = self.by[key]
            name = kind if kind in tallies or len(tallies) < KINDS else OTHERS
            tallies[name] = tallies.get(name, Tally()).plus(turn.right, isinstance(turn.answer, str))


class Summary:
    """Takes a journal's entries in order. `rounds` are those that may be shown, at most the newest `keep`."""

    def __init__(self, keep: int = ROUNDS) -> None:
        self.player, self.last, self.curtain = Replayer(), BEGINNING, Curtain()
        self.miners: dict[str, MinerSummary] = {}
        self.rounds: dict[int, Asked] = {}  # by number
        self.counted = 0  # rounds that were shown and are not void
        self.dropped = 0  # rounds that may be shown, and can be looked up no more
        self.answered_at: int | None = None  # seconds since 1970: when the newest answer was asked for
        self.unproven = 0  # what `assay verify` would list
        self.weights: WeightsRecord | None = None  # the last that the chain took
        self.refused = 0  # attempts to set weights that it did not
        self.answers = RecentAnswers()
        self._keep, self._block = keep, 0
        self._since: dict[str, int] = {}  # entry behind which a hotkey that left came again

    def take(self, entry: Entry) -> None:
        """Raises JournalBroken where `entry` does not follow from the rules."""
        for finding in self.player.take(entry):
            if finding.verdict is Verdict.FALSE:
                raise JournalBroken(f"entry {finding.seq}: {finding.text}")
            self.unproven += 1
        self.last = entry
        if entry.kind == ROUND and self.player.played is not None:
            self._round(entry, self.player.played)
        elif entry.kind == DEPARTED:
            self._departed(entry, read_record(DepartedRecord, entry))
        elif entry.kind == SNAPSHOT:
            self._block = read_record(SnapshotRecord, entry).block
        elif entry.kind == WEIGHTS:
            self._weights(read_record(WeightsRecord, entry))
        told = self.curtain.end(entry)
        for one in told:
            self._show(one)
        if told:
            self._since.clear()

    def _round(self, entry: Entry, played: RoundRecord) -> None:
        self.answered_at = answered_at(played) or self.answered_at
        self.curtain.hold(entry, played)
        if not played.void:
            for row in played.outcomes:
                self.miners.setdefault(row.hotkey, MinerSummary()).trend.add(played.number, row.score)

    @property
    def block(self) -> int:
        """The newest that anything tells of."""
        stands = (claim.record.block or 0 for claim in self.player.commitments[-1:])
        return max(self._block, self.player.claims.latest[0], *stands)

    def _departed(self, entry: Entry, record: DepartedRecord) -> None:
        for hotkey in record.hotkeys:
            self.miners.pop(hotkey, None)
            self._since[hotkey] = entry.seq

    def _weights(self, record: WeightsRecord) -> None:
        if record.submission is Submission.OK:
            self.weights = record
        else:
            self.refused += 1

    def _show(self, told: Told) -> None:
        asked = told.asked
        self.rounds[asked.number] = asked
        if len(self.rounds) > self._keep:
            del self.rounds[next(iter(self.rounds))]
            self.dropped += 1
        for seat in told.seats:
            if seat.hotkey in self.miners and asked.seq > self._since.get(seat.hotkey, 0):
                self.miners[seat.hotkey].count(seat.turn, seat.kinds, asked.item)
        if told.seats:
            self.counted += 1
            self.answers.add(_outcome(seat.hotkey, asked, seat.turn) for seat in told.seats)

    def shown(self, number: int) -> Asked | None:
        """Round `number`, None where there is none that may be shown now."""
        asked = self.rounds.get(number)
        return None if asked is None or self.curtain.hides(asked.item) else asked


def answered_at(played: RoundRecord) -> int | None:
    """When the last answer of a round was asked for, by the validator's clock, in seconds since 1970: its nonce."""
    nonces = [row.nonce for row in played.outcomes if row.nonce is not None]
    return max(nonces) // 10**9 if nonces else None


def _outcome(hotkey: str, asked: Asked, turn: Turn) -> Outcome:
    answer = Failure(turn.answer) if isinstance(turn.answer, str) else Prediction(turn.answer)
    label = Label[turn.label.upper()]
    return Outcome(hotkey, str(asked.number), Modality(asked.modality), label, answer, 0.0, asked.block)
