"""What a validator must not forget, and how it is written down with every fact.

`StateStore` holds the state between rounds. A fact that the disk refuses is kept and written before the next one, so a
full disk costs no round at first; after `PATIENCE` facts in a row `blocked` turns true: no round is played until the
disk takes what waits, and weights are not even tried. Weights that are not on disk themselves are never sent: nobody
could check them.

Each fact carries the sha256 of the state after it, so the hash chain covers the state, too: a state that was edited, or
that belongs to another journal, is refused at the next start.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from subnet.errors import JournalBroken, StateError
from subnet.evidence.entries.entry import BEGINNING, Entry
from subnet.evidence.entries.segments import list_segments, read_segment
from subnet.evidence.journal import Journal
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import (
    ROUND,
    RULES,
    SNAPSHOT,
    Record,
    RoundRecord,
    RulesRecord,
    SettingRecord,
    SnapshotRecord,
    outcomes,
    read_record,
)
from subnet.evidence.replay import Replay, replay
from subnet.evidence.snapshots import Rows, Snapshots, changes, rows_of
from subnet.game.history import History, begin_averages, from_json, to_json
from subnet.game.places import HUNDRED, WINDOW, Places
from subnet.types import Outcome, Snapshot

PATIENCE = 50


@dataclass(frozen=True)
class State:
    """The next round's number, and what is remembered of every hotkey."""

    next_round: int = 0
    history: History = History()

    def dump(self) -> bytes:
        return f"{self.next_round}\n".encode() + to_json(self.history)

    @staticmethod
    def parse(data: bytes) -> State:
        """Raises StateError when the data is not what `dump` writes."""
        number, _, history = data.partition(b"\n")
        if not number.isdigit():
            raise StateError("the stored state has no round number; restore a backup or start anew")
        return State(int(number), from_json(history))


class StateStore:
    """The state, and the journal it follows from."""

    def __init__(self, journal: Journal, newest: int = 0) -> None:
        """`newest` is a block of whose metagraph an earlier run wrote. Raises JournalBroken where the stored state does
        not follow from the journal.
        """
        self.state = check_state(journal.state(), journal.last, lambda: replay(journal.entries()))
        self._journal = journal
        self._unwritten: deque[tuple[str, str, bytes]] = deque()
        self.refusal = ""  # why the disk took nothing at the last try, "" when it did
        self._noted: dict[str, Record] = {}
        self._snapshots = Snapshots()  # as a reader has them
        self.newest = newest  # block of the newest metagraph that anything was written down by

    @property
    def blocked(self) -> bool:
        """Too much is unwritten for weights to be set on, and for more to be asked."""
        return len(self._unwritten) >= PATIENCE

    @property
    def unwritten(self) -> int:
        """Facts that the disk has refused so far."""
        return len(self._unwritten)

    def write(self, kind: str, body: Record, state: State | None = None) -> StateError | None:
        """Take over `state` and write the fact. A disk that refuses gives the error back and loses nothing."""
        if state is not None:
            self.state = state
        if isinstance(body, SnapshotRecord | SettingRecord | RoundRecord):
            self.newest = max(self.newest, body.block)
        if "places" in self.__dict__ and isinstance(body, RoundRecord) and not body.void:
            self.places.add(body.number, outcomes(body))
        dump = self.state.dump()
        self._unwritten.append((kind, body.model_copy(update={"state": digest(dump)}).model_dump_json(), dump))
        return self.flush()

    def flush(self) -> StateError | None:
        """Write what waits, in order; the error where the disk still refuses."""
        try:
            while self._unwritten:
                self._journal.append(*self._unwritten[0])
                self._unwritten.popleft()
        except StateError as error:
            self.refusal = str(error)
            return error
        self.refusal = ""
        return None

    def note(self, kind: str, body: Record) -> StateError | None:
        """Write the fact unless the last one of its kind that this process wrote says the same."""
        if self._noted.get(kind) == body:
            return None
        self._noted[kind] = body
        return self.write(kind, body)

    def observe(self, snapshot: Snapshot) -> StateError | None:
        """Write down what changed in the metagraph since the last one; all of it at first."""
        rows = rows_of(snapshot)
        return self.confirm(snapshot) if rows == self._snapshots.rows else self._describe(snapshot, rows)

    def confirm(self, snapshot: Snapshot) -> StateError | None:
        """Write the metagraph again where a reader would take another one for that of its block.

        A node that lags, or a fork, tells of an older block what stood in a newer one, or of one block two things.
        """
        rows = rows_of(snapshot)
        return None if rows == self._snapshots.rows_at(snapshot.block) else self._describe(snapshot, rows)

    def _describe(self, snapshot: Snapshot, rows: Rows) -> StateError | None:
        body = changes(self._snapshots.rows or None, snapshot.netuid, snapshot.block, rows)
        self._snapshots.add(self.head, body)
        return self.write(SNAPSHOT, body)

    @cached_property
    def places(self) -> Places:
        """What clusters of miners follow from; once asked for, kept up to what was written."""
        return recent_places(self._journal)

    @property
    def head(self) -> Entry:
        """The last entry that is on disk."""
        return self._journal.last

    def skip(self, rounds: int = 1) -> None:
        """Go on behind so many rounds without a fact about them."""
        self.state = State(self.state.next_round + rounds, self.state.history)


def digest(dump: bytes) -> str:
    """What a record says of the state after it."""
    return hashlib.sha256(dump).hexdigest()


def check_whole(reader: JournalReader) -> int:
    """How many entries a journal has. Raises JournalBroken unless each follows from the one before, and the state.

    Raises it, too, where it goes on as another validator's.
    """
    count, owner = 0, ("", -1)
    for count, entry in enumerate(reader.entries(), 1):  # noqa: B007
        if entry.kind == RULES:
            rules = read_record(RulesRecord, entry)
            if owner[0] and owner != (rules.hotkey, rules.netuid):
                raise JournalBroken(
                    f"{reader.path}: entry {entry.seq}: the journal of {owner[0]} on subnet {owner[1]} goes on as "
                    f"that of {rules.hotkey} on {rules.netuid}; restore a backup"
                )
            owner = (rules.hotkey, rules.netuid)
    if count == 0:
        raise JournalBroken(f"{reader.path} holds no entry, so there is nothing to rely on; restore a backup")
    check_state(reader.state(), reader.last or BEGINNING, lambda: replay(reader.entries()))
    return count


def check_state(stored: bytes | None, last: Entry, again: Callable[[], Replay]) -> State:
    """The stored state, if it is the one that the last entry was written with. Raises JournalBroken otherwise.

    `again` replays the journal: needed where version 0.1.0 wrote the last entry, which has no digest.
    """
    if stored is None and last.seq == 0:
        return State()
    if stored is None:
        raise JournalBroken(f"the journal has {last.seq} entries and no state; restore a backup")
    try:
        wanted = json.loads(last.body).get("state") if last.body else None
        state = State.parse(stored)
    except (ValueError, AttributeError, StateError) as error:
        raise JournalBroken(f"the stored state does not read: {error}; restore a backup") from error
    if wanted and wanted != digest(stored):
        raise JournalBroken(f"the stored state is not the one that entry {last.seq} was written with; restore a backup")
    if not wanted:
        confirm_state(state, again())
    return state


def confirm_state(state: State, replayed: Replay) -> None:
    """Raises JournalBroken where a state differs from what the rules give for its journal.

    One that a version without averages wrote has them begin with its scores.
    """
    if state.history not in (replayed.history, begin_averages(replayed.history)):
        hotkeys = {*state.history.standings, *replayed.history.standings}
        wrong = min((name for name in hotkeys if state.history[name] != replayed.history[name]), default="nobody")
        raise JournalBroken(f"the stored state differs from what the journal gives, for {wrong}; restore a backup")
    if state.next_round < replayed.next_round:
        raise JournalBroken(f"the stored state is at round {state.next_round}, the journal at {replayed.next_round}")


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


def _counted(entries: Iterable[Entry]) -> list[tuple[int, list[Outcome]]]:
    rounds = (read_record(RoundRecord, entry) for entry in entries if entry.kind == ROUND)
    return [(played.number, outcomes(played)) for played in rounds if not played.void]
