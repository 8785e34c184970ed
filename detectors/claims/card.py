"""The card of weights: what they were trained on, how far they reach, and what exams found, as JSON beside them.

`assay claim` writes cards; nothing in them is written by hand. A card counts for the weights alone whose sha256 it has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

MOST_MISSED = 0.2  # of current fakes, at the upper end of the interval, for "no trace found" to be said


@dataclass(frozen=True)
class Share:
    """`count` of `items`, with the 95 % interval of the share (None where there are too few photographs for one)."""

    count: int
    items: int
    low: float | None
    high: float | None

    def __post_init__(self) -> None:
        if not 0 <= self.count <= self.items or not self.items:
            raise ValueError(f"{self.count} of {self.items} is no share")

    @property
    def value(self) -> float:
        return self.count / self.items

    def __str__(self) -> str:
        known = self.low is not None and self.high is not None
        span = f", 95 % interval {100 * (self.low or 0):.1f} to {100 * (self.high or 0):.1f} %" if known else ""
        return f"{self.count} of {self.items} ({100 * self.value:.1f} %{span})"


@dataclass(frozen=True)
class Exam:
    """What `assay detect` said of the items of one exam.

    `shown` says how: "as stored", or "at levels 0, 1" of a validator's augmentation. `current` is true where the fakes
    are of generators in use at the time. False alarms are real items called synthetic, misses are fakes not called so;
    by kind of real item, and by generator. `far` is the share of all items that lie beyond the reach.
    """

    name: str
    shown: str
    current: bool
    false_alarms: Share | None
    misses: Share | None
    far: Share
    false_alarms_by: Mapping[str, Share] = field(default_factory=dict)
    misses_by: Mapping[str, Share] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Exam:
        """Raises KeyError, TypeError and ValueError."""

        def shares(key: str) -> dict[str, Share]:
            return {str(name): Share(**each) for name, each in values[key].items()}

        return cls(
            name=str(values["name"]),
            shown=str(values["shown"]),
            current=values["current"] is True,
            false_alarms=Share(**values["false_alarms"]) if values["false_alarms"] else None,
            misses=Share(**values["misses"]) if values["misses"] else None,
            far=Share(**values["far"]),
            false_alarms_by=shares("false_alarms_by"),
            misses_by=shares("misses_by"),
        )


@dataclass(frozen=True)
class Reach:
    """Where answers count: fitted on the `items` items of `data`, of which `real` are real.

    `synthetic_from` is the P(synthetic) that at most the share `false_alarms` of these real items reach. Two kinds of
    items are not judged: those whose features lie farther than `farthest`, as the share `beyond` of all these items do
    (None: no features), and those whose detail is less fine than `coarsest` (`detectors.whole_picture.fineness_of`;
    None: never measured), as that of the share `coarser` of `stored` such items is, as they are stored.
    """

    data: str
    items: int
    real: int
    synthetic_from: float
    false_alarms: float
    beyond: float = 0.0
    farthest: float | None = None
    density: str = ""  # sha256 of its file
    coarsest: float | None = None
    coarser: float = 0.0
    stored: int = 0


@dataclass(frozen=True)
class Card:
    """All that is known of the weights with this sha256."""

    detector: str
    weights: str
    trained_on: tuple[str, ...] = ()
    reach: Reach | None = None
    exams: tuple[Exam, ...] = ()

    def with_exam(self, exam: Exam) -> Card:
        """With `exam` in the place of an earlier one of its name."""
        kept = tuple(each for each in self.exams if each.name != exam.name)
        return Card(self.detector, self.weights, self.trained_on, self.reach, tuple(sorted((*kept, exam), key=_order)))

    @property
    def claim(self) -> Exam | None:
        """The exam of current generators that lets these weights say "no trace found": that with the fewest misses."""
        sound = [each for each in self.exams if each.current and each.misses and _few(each.misses)]
        return min(sound, key=_missed, default=None)

    @property
    def worst(self) -> Exam | None:
        """The exam of current generators with the most misses."""
        return max((each for each in self.exams if each.current and each.misses), key=_missed, default=None)


def to_json(card: Card) -> str:
    """Text of the file; exams, kinds and generators in the order of their names."""
    return json.dumps(asdict(card), indent=1, sort_keys=True) + "\n"


def from_json(text: str) -> Card:
    """Raises ValueError and KeyError for what is no card."""
    values = json.loads(text)
    try:
        reach = Reach(**values["reach"]) if values["reach"] else None
        exams = tuple(Exam.from_json(each) for each in values["exams"])
        return Card(str(values["detector"]), str(values["weights"]), tuple(values["trained_on"]), reach, exams)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"it has other fields: {error}") from error


def _few(misses: Share) -> bool:
    return misses.high is not None and misses.high <= MOST_MISSED


def _order(exam: Exam) -> str:
    return exam.name


def _missed(exam: Exam) -> float:
    return exam.misses.value if exam.misses else 1.0
