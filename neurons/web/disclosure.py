"""When a round may be shown: its epoch is over, and its item is not asked in one that is not. Pure.

The rule is that of `assay publish`: up to the commitment that reveals an epoch's secret (before the first commitment:
up to weights that the chain took) everything may be told, behind it nothing of what was asked, of the truth, and of
answers. An item that is asked once more hides the older round, too, until that epoch is over. Scores and weights hide
nothing, and are shown as they come.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from subnet.evidence.entries.entry import Entry
from subnet.evidence.explain import Turn, kinds_of, turn_of
from subnet.evidence.proof.publication import ends_part, stands
from subnet.evidence.records import COMMITMENT, RoundRecord

MOST: Final = 4096  # rounds that wait; an epoch has 150


@dataclass(frozen=True)
class Seat:
    """What one hotkey was asked and said in a round, with its kinds as `subnet.evidence.explain` counts them."""

    hotkey: str
    turn: Turn
    kinds: dict[str, str]


@dataclass(frozen=True)
class Asked:
    """One round, as a list of rounds shows it; `seq` and `hash` are its entry's."""

    number: int
    seq: int
    hash: str
    block: int
    epoch: int | None
    modality: str
    label: str
    origin: str
    level: int
    void: str
    item: str
    asked: int
    right: int
    failed: int


@dataclass(frozen=True)
class Told:
    """A round that may be shown from now on."""

    asked: Asked
    seats: tuple[Seat, ...]  # none of a void round, which counts for nobody


class Curtain:
    """Holds rounds back until they may be shown."""

    def __init__(self) -> None:
        self.dropped = 0  # rounds that waited behind `MOST` others, and are never shown
        self._committed = False
        self._waiting: deque[Told] = deque()
        self._items = Counter[str]()

    @property
    def waiting(self) -> int:
        """How many rounds are held back."""
        return len(self._waiting)

    def hold(self, entry: Entry, played: RoundRecord) -> None:
        """One more round, that of `entry`."""
        seats = () if played.void else played.outcomes
        told = Told(
            _asked(entry, played),
            tuple(Seat(row.hotkey, turn_of(played, row), kinds_of(played, row)) for row in seats),
        )
        self._waiting.append(told)
        self._items[played.item] += 1
        if len(self._waiting) > MOST:
            self._waiting.popleft()
            self.dropped += 1  # its item goes on being hidden

    def end(self, entry: Entry) -> tuple[Told, ...]:
        """The rounds that may be shown since `entry`."""
        self._committed = self._committed or (entry.kind == COMMITMENT and stands(entry))
        if not ends_part(entry, self._committed):
            return ()
        told = tuple(self._waiting)
        self._waiting.clear()
        self._items.clear()
        return told

    def hides(self, item: str) -> bool:
        """Whether an item is asked in a round that may not be shown yet."""
        return bool(item) and self._items[item] > 0


def _asked(entry: Entry, played: RoundRecord) -> Asked:
    return Asked(
        number=played.number,
        seq=entry.seq,
        hash=entry.hash,
        block=played.block,
        epoch=played.epoch,
        modality=played.modality.value,
        label=played.label.name.lower(),
        origin=played.origin,
        level=played.level,
        void=played.void,
        item=played.item,
        asked=len(played.outcomes),
        right=sum(row.correct(played.label) for row in played.outcomes),
        failed=sum(row.failure is not None for row in played.outcomes),
    )
