"""What shared places follow from, read from the end of a journal: as a replay of all of it has it."""

from __future__ import annotations

from collections.abc import Iterable

from subnet.evidence.entries.entry import Entry
from subnet.evidence.entries.segments import list_segments, read_segment
from subnet.evidence.journal import Journal
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import ROUND, RoundRecord, outcomes, read_record
from subnet.game.places import HUNDRED, WINDOW, Places
from subnet.types import Outcome

_Played = tuple[int, list[Outcome]]


def recent_places(journal: Journal) -> Places:
    """Of the last rounds of `journal`; older parts are not read. Raises JournalBroken where one is damaged."""
    with JournalReader(journal.path, journal.segments) as reader:
        live = list(reader.live())
        played = _counted(live)
        first = live[0].seq if live else 1
        for segment in reversed([one for one in list_segments(reader.segments) if one.last < first]):
            if len(played) >= WINDOW + HUNDRED:
                break
            played = _counted(read_segment(segment)) + played
    places = Places()
    for number, judged in played:
        places.add(number, judged)
    return places


def _counted(entries: Iterable[Entry]) -> list[_Played]:
    rounds = (read_record(RoundRecord, entry) for entry in entries if entry.kind == ROUND)
    return [(played.number, outcomes(played)) for played in rounds if not played.void]
