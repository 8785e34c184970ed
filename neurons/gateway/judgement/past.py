"""What a validator's journal tells a gateway: who answers how well, who has earned what, how challenges are mixed.

The journal is read, never written, while its validator runs or not. Only its newest rounds are read: those of the live
file, and of finished parts before it as far as they are wanted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from neurons.gateway.judgement.skill import Ballot, Skills, measure
from subnet.errors import StateError
from subnet.evidence.entries.entry import BEGINNING, Entry, chained
from subnet.evidence.entries.marks import Marks, marks_of
from subnet.evidence.entries.segments import FOLDER, list_segments, read_segment
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import ROUND, RULES, RoundRecord, RulesRecord, load_sampling, read_record
from subnet.evidence.replay import replay
from subnet.evidence.state import check_state
from subnet.game.history import History
from subnet.game.sampling import Sampling
from subnet.types import Label, Modality

ROUNDS: Final = 600  # of each modality
PARTS: Final = 8  # finished parts of a journal that are read for them at most, 4 MiB of text each
AFRESH: Final = 20  # rounds after which skills are measured again


@dataclass(frozen=True)
class Known:
    """What a journal told when it was read last."""

    history: History = History()
    sampling: Sampling = field(default_factory=Sampling)
    stake_limit: float = 0.0  # TAO; a neuron with a permit and at least this stake is a validator
    skills: Mapping[Modality, Skills] = field(default_factory=lambda: {m: measure(()) for m in Modality})


class Past:
    """Follows one journal. `refresh` is called by one thread at a time."""

    def __init__(self, path: Path, segments: Path | None = None, *, stake_limit: float) -> None:
        self._path, self._segments = path, segments
        self._limit = stake_limit  # where the journal has no rules yet
        self._begin()

    def _begin(self) -> None:
        self._last, self._fresh = BEGINNING, AFRESH
        self._known, self._marks = Known(stake_limit=self._limit), Marks()
        self._ballots = {modality: deque[Ballot](maxlen=ROUNDS) for modality in Modality}

    def refresh(self) -> Known:
        """What the journal tells now. Raises StateError where it is damaged, of a newer version, or gone.

        A journal that does not go on from what was read is read anew, and so is one with other finished parts.
        """
        try:
            marks = marks_of(self._path, self._segments or self._path.parent / FOLDER)
            with JournalReader(self._path, self._segments) as reader:
                return self._read(reader, marks)
        except StateError:
            self._begin()
            raise

    def _read(self, reader: JournalReader, marks: Marks) -> Known:
        last = reader.last
        if last is None:
            list(reader.behind(self._last))  # raises where there were entries, or are parts of it
            return self._known
        if (last, marks) == (self._last, self._marks):
            return self._known
        if not marks.follow(self._marks):
            self._begin()
        history = check_state(reader.state(), last, lambda: replay(reader.entries())).history
        entries = _newest(reader) if self._last is BEGINNING else reader.behind(self._last)
        sampling, limit = self._known.sampling, self._known.stake_limit
        for entry in entries:
            if entry.kind == RULES:
                rules = read_record(RulesRecord, entry)
                sampling, limit = load_sampling(entry, rules.sampling), rules.vpermit_tao_limit
            elif entry.kind == ROUND:
                self._count(read_record(RoundRecord, entry))
        self._last, self._marks = last, marks
        self._known = Known(history, sampling, limit, self._measured())
        return self._known

    def _count(self, played: RoundRecord) -> None:
        if not played.void:
            self._ballots[played.modality].extend(ballots_of(played))
            self._fresh += 1

    def _measured(self) -> Mapping[Modality, Skills]:
        if self._fresh < AFRESH:
            return self._known.skills
        self._fresh = 0
        return {modality: measure(list(ballots)) for modality, ballots in self._ballots.items()}


def ballots_of(played: RoundRecord) -> Iterator[Ballot]:
    """The question of a round, or the two of a twin round, with the answers that are numbers."""
    for label in Label:
        rows = [row for row in played.outcomes if row.truth(played.label) is label]
        said = {row.hotkey: row.p_synthetic for row in rows if row.p_synthetic is not None}
        if said:
            yield Ballot(label, said)


def _newest(reader: JournalReader) -> Iterable[Entry]:
    """Entries of the live file and of as many parts before it as hold the rounds wanted, each checked to follow."""
    found = list(reader.live())
    first = found[0].seq if found else 1
    parts = [part for part in list_segments(reader.segments) if part.last < first]
    for part in reversed(parts[-PARTS:]):
        if sum(entry.kind == ROUND for entry in found) >= 2 * ROUNDS:
            break
        found = [*read_segment(part), *found]
    yield from found[:1]
    yield from chained(found[1:], found[0], reader.path)
