"""What is remembered of each hotkey: rolling windows as bits, counts, and the score.

Values only, as named tuples, since a round makes one of each per miner. A `Window` holds its outcomes as two integers,
one bit each, newest in the lowest place, so that the confusion counts of the last hundred are three popcounts:
incremental, exact, and small enough to write every round. A `History` is never changed;
`subnet.game.scoring.settle` returns a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from pydantic import TypeAdapter

from subnet.errors import StateError
from subnet.types import Failure, Label, Modality

MCC_WINDOW = 100
ACCURACY_WINDOW = 10
_MASK = (1 << MCC_WINDOW) - 1


class Confusion(NamedTuple):
    """Counts over a window; positive means synthetic."""

    tp: int
    fp: int
    fn: int
    tn: int


class Window(NamedTuple):
    """The last 100 outcomes of one hotkey in one modality.

    `labels` has a 1 where the truth was synthetic, `wrong` a 1 where the answer was wrong or missing.
    """

    labels: int = 0
    wrong: int = 0
    length: int = 0
    asked: int = 0  # ever

    def push(self, label: Label, correct: bool) -> Window:
        """This window with one more outcome, without the oldest when full."""
        labels, wrong, length, asked = self
        length = length + 1 if length < MCC_WINDOW else MCC_WINDOW
        return Window((labels << 1 | label) & _MASK, (wrong << 1 | (not correct)) & _MASK, length, asked + 1)

    def confusion(self) -> Confusion:
        """Counts over all outcomes held. A failure counts as the opposite of the truth."""
        labels, wrong, length, _ = self
        positive, fn = labels.bit_count(), (labels & wrong).bit_count()
        fp = wrong.bit_count() - fn
        return Confusion(positive - fn, fp, fn, length - positive - fp)

    def accuracy(self) -> float:
        """Share of right answers among the last 10, 0 when never asked."""
        held = min(self.length, ACCURACY_WINDOW)
        return (held - (self.wrong & ((1 << held) - 1)).bit_count()) / held if held else 0.0


class Standing(NamedTuple):
    """Everything remembered of one hotkey."""

    image: Window = Window()
    video: Window = Window()
    score: float = 0.0  # exponential moving average of rewards, 0..1
    answered: int = 0  # ever, with a valid prediction
    failures: Mapping[Failure, int] = MappingProxyType({})  # ever, by kind
    average: float = 0.0  # of rewards over a long time, failures as 0: see `subnet.game.scoring.Smoothing`

    def window(self, modality: Modality) -> Window:
        return self.image if modality is Modality.IMAGE else self.video

    @property
    def asked(self) -> int:
        return self.image.asked + self.video.asked


@dataclass(frozen=True)
class History:
    """Standings by hotkey. A hotkey that is not here has never been asked."""

    standings: Mapping[str, Standing] = field(default_factory=dict)

    def __getitem__(self, hotkey: str) -> Standing:
        return self.standings.get(hotkey, NEW)


NEW = Standing()


_StoredWindow = tuple[str, str, int, int]
_Before = tuple[_StoredWindow, _StoredWindow, float, int, dict[Failure, int]]  # versions that kept no average
_StoredStanding = tuple[_StoredWindow, _StoredWindow, float, int, dict[Failure, int], float]
_Stored = TypeAdapter(dict[str, _StoredStanding | _Before])


def to_json(history: History) -> bytes:
    """JSON from which `from_json` makes an equal history. Windows are hexadecimal digits, so 256 hotkeys are 40 kB."""

    def window(w: Window) -> _StoredWindow:
        return f"{w.labels:x}", f"{w.wrong:x}", w.length, w.asked

    return _Stored.dump_json(
        {
            hotkey: (window(s.image), window(s.video), s.score, s.answered, dict(s.failures), s.average)
            for hotkey, s in history.standings.items()
        }
    )


def from_json(data: bytes) -> History:
    """Raises StateError when the data is not what `to_json` writes.

    Standings of versions that kept no average go on from their score: see `begin_averages`.
    """
    try:
        return History({hotkey: _standing(stored) for hotkey, stored in _Stored.validate_json(data).items()})
    except ValueError as error:
        why = str(error).partition("\n")[0]
        raise StateError(f"the stored history does not read ({why})") from error


def begin_averages(history: History) -> History:
    """The history with every average set to the score: where rules that average take over from those that did not."""
    return History({hotkey: s._replace(average=s.score) for hotkey, s in history.standings.items()})


def _standing(stored: _StoredStanding | _Before) -> Standing:
    image, video, score, answered, failures, *average = stored
    return Standing(_window(image), _window(video), score, answered, failures, average[0] if average else score)


def _window(stored: _StoredWindow) -> Window:
    labels, wrong, length, asked = stored
    window = Window(int(labels, 16), int(wrong, 16), length, asked)
    if not 0 <= length <= min(MCC_WINDOW, asked) or (window.labels | window.wrong) >> length:
        raise ValueError(f"a window of {length} outcomes holds more bits than that")
    return window
