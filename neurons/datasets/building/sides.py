"""On which side of a split an item lies: a function of its photograph and of its generator's family, and of a seed.

A photograph and all that is made of it lie on one side. A family of generators that is held out is met in the test set
alone, so that what is measured there is measured on generators never trained on. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from subnet.errors import SettingsError
from subnet.game.sampling import derive
from subnet.types import Split

VALIDATION, TEST = 0.1, 0.15  # of the photographs
HELD_OUT = 0.2  # of the families of generators
_WHOLE = 2**63


@dataclass(frozen=True)
class Sides:
    """The rules of one data set: its seed, and the families of generators that are held out for testing."""

    seed: int
    held_out: frozenset[str]

    def of_photograph(self, identity: str) -> Split:
        """The side of everything that shows this photograph, or clip."""
        place = derive("side of a photograph", self.seed, identity) / _WHOLE
        if place < TEST:
            return Split.TEST
        return Split.VALIDATION if place < TEST + VALIDATION else Split.TRAIN

    def allows(self, family: str, side: Split) -> bool:
        """Whether something of a family of generators may lie on a side."""
        return side is Split.TEST or family not in self.held_out

    def of_new(self, family: str, identity: str) -> Split:
        """The side of what no photograph is shown in."""
        return Split.TEST if family in self.held_out else self.of_photograph(identity)


def choose(families: Collection[str], named: Sequence[str], seed: int) -> Sides:
    """The rules for these families: those that are named are held out, or else about a fifth, by their names' hashes.

    Where a family goes depends on its own name and the seed, not on which others there are; but one is held out at
    least, and one is trained on: the first and the last by hash. Raises SettingsError for a name that is none, and
    where nothing would be left to train on.
    """
    if unknown := sorted(set(named) - set(families)):
        raise SettingsError(f"--held_out {unknown[0]}: no family of the generators; they are {_listed(families)}")
    places = {family: derive("held out family", seed, family) / _WHOLE for family in families}
    order = sorted(places, key=lambda family: places[family])
    count = sum(place < HELD_OUT for place in places.values())
    out = set(named) or set(order[: min(max(count, 1), len(order) - 1)])
    if not set(families) - out:
        raise SettingsError(
            f"--held_out: all of {_listed(families)} would be held out, and none trained on; add --generator, or name "
            "those to hold out"
        )
    return Sides(seed, frozenset(out))


def _listed(families: Collection[str]) -> str:
    return ", ".join(sorted(families)) or "none"
