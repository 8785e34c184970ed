"""What is asked of a replica for a verdict, beside predictions, and what is an answer to each question.

An answer is the member "told" of a reply. It comes from the detector as it was trained, which is what `assay detect`
judges by, also where predictions come from an export of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from detectors.calibration import Calibration
from detectors.claims.card import Card
from detectors.cluster.elsewhere import Way
from subnet.types import Media, Modality

Number = Annotated[float, Field(allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class _Reply(BaseModel):
    told: dict[str, Any]


class Told(BaseModel):
    """An answer; `question` is what it is called in an address."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    question: ClassVar[str]

    @classmethod
    def read(cls, reply: bytes, batch: Sequence[Media]) -> Self:
        """Out of a reply to a question about `batch`. Raises ValueError for what is no answer to it."""
        found = cls.model_validate(_Reply.model_validate_json(reply).told)
        if not found.fits(batch):
            raise ValueError(f"this does not answer the question for {cls.question} of {len(batch)} items")
        return found

    def fits(self, batch: Sequence[Media]) -> bool:
        """Whether there is one answer to each item."""
        return True


class Nature(Told):
    """What is known of the detector that answers, and how its maps are drawn."""

    question = "nature"

    modality: Modality
    calibration: Calibration
    card: Card
    way: Way


class Parts(Told):
    """P(synthetic) of each item, and its distance from what the card was measured on."""

    question = "parts"

    p_synthetic: list[Probability]
    distances: list[Number] | None

    def fits(self, batch: Sequence[Media]) -> bool:
        return len(self.p_synthetic) == len(batch) and len(self.distances or batch) == len(batch)


class LogOdds(Told):
    """Raw log-odds of each item."""

    question = "log-odds"

    values: list[Number]

    def fits(self, batch: Sequence[Media]) -> bool:
        return len(self.values) == len(batch)


class Moments(Told):
    """Of one clip: numbers of frames, and P(synthetic) around each."""

    question = "moments"

    values: list[tuple[int, Probability]]

    def fits(self, batch: Sequence[Media]) -> bool:
        (clip,) = batch
        return all(0 <= frame < len(clip.frames) for frame, _ in self.values)


class _Share(BaseModel):
    member: str
    log_odds: Number
    contribution: Number


class _Known(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str
    label: Annotated[str, Field(pattern="^(real|synthetic)$")]
    by: str
    bits: int
    similarity: Number


class Account(Told):
    """Of one item: what `detectors.explain.account` says."""

    question = "account"

    shares: list[_Share] = []
    known: _Known | None = None

    def said(self) -> Mapping[str, Any]:
        """As it is said."""
        return self.model_dump(exclude_unset=True)
