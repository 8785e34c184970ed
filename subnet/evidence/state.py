"""What a validator must not forget, and how it is written down with every fact.

`StateStore` holds the state between rounds. A fact that the disk refuses is kept and written before the next one, so a
full disk costs nothing at first; after `PATIENCE` facts in a row `blocked` turns true and no weights may be set, since
nobody could check them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from pydantic import BaseModel

from subnet.errors import StateError
from subnet.evidence.journal import Journal
from subnet.game.history import History, from_json, to_json

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

    def __init__(self, journal: Journal) -> None:
        stored = journal.state()
        self.state = State.parse(stored) if stored is not None else State()
        self._journal = journal
        self._unwritten: deque[tuple[str, str, bytes]] = deque()

    @property
    def blocked(self) -> bool:
        """Too much is unwritten for weights to be set on."""
        return len(self._unwritten) >= PATIENCE

    @property
    def unwritten(self) -> int:
        """Facts that the disk has refused so far."""
        return len(self._unwritten)

    def write(self, kind: str, body: BaseModel, state: State | None = None) -> StateError | None:
        """Take over `state` and write the fact. A disk that refuses gives the error back and loses nothing."""
        if state is not None:
            self.state = state
        self._unwritten.append((kind, body.model_dump_json(), self.state.dump()))
        try:
            while self._unwritten:
                self._journal.append(*self._unwritten[0])
                self._unwritten.popleft()
        except StateError as error:
            return error
        return None

    def skip(self) -> None:
        """Go on to the next round without a fact about this one."""
        self.state = State(self.state.next_round + 1, self.state.history)
