"""The ranking that must hold, whatever is changed in the rules."""

from __future__ import annotations

import numpy as np
import pytest

from neurons.lab.experiments import Field, play_field
from neurons.lab.findings import chosen
from neurons.lab.measures import gain
from neurons.lab.rules import LabRules
from neurons.lab.strategies import GUESS, HONEST, TRICKS
from neurons.lab.validators import HONEST as UPRIGHT
from subnet.errors import UnknownName

# Everybody is asked in every round, so that a few seconds are enough.
RULES = LabRules(miners=170, sample_size=170, tempo=50, epoch_length=10, interval=12.0)


@pytest.fixture(scope="module")
def field() -> Field:
    """All strategies in one subnet."""
    return play_field(RULES, [*HONEST, *TRICKS], (100, 300, 1), 11, [UPRIGHT])


def test_honest_miners_stand_in_the_order_of_their_skill(field: Field) -> None:
    """Each step of skill is paid, from .55 to .95."""
    shares = [np.mean(field.means[row.name]) for row in HONEST]
    assert shares == sorted(shares)
    assert min(np.diff(shares)) > 0


def test_every_trick_earns_less_than_honest_play_or_is_listed_as_open(field: Field) -> None:
    """One that pays and that nobody has explained fails here."""
    surprises = {}
    for row in TRICKS:
        if row.means:
            idle = (1 - row.effort) * float(np.mean(field.means[row.idle])) if row.idle else 0.0
            earned = gain(field.means[row.name], field.means[row.means], row.effort, idle)
            if earned.factor - earned.error > 1.1 and not row.open_because:
                surprises[row.name] = earned
    assert surprises == {}


def test_what_must_never_pay(field: Field) -> None:
    """Silence, absence, constants and new hotkeys stand below honest play of their skill; constants beside a coin."""
    shares = {name: float(np.mean(values)) for name, values in field.means.items()}
    for name in ("silent when unsure", "drops clips", "hedged", "evens out"):
        assert shares[name] < 1.03 * shares["honest 0.85"], name
    assert shares["silent when unsure"] < 0.75 * shares["honest 0.85"]
    for name in ("new hotkey in 25", "new hotkey in 100", "offline by halves", "coasts"):
        assert shares[name] < 1.03 * shares["honest 0.90"], name
    assert shares["offline by halves"] < 0.5 * shares["honest 0.90"]
    assert shares["new hotkey in 25"] < 0.8 * shares["honest 0.90"]
    for name in (
        "always real",
        "always synthetic",
        "always 0.5",
        "just above 0.5",
        "just below 0.5",
        "guesser hops in 50",
    ):
        assert shares[name] < 1.25 * shares[GUESS] < shares["honest 0.65"], name


def test_strategies_are_chosen_by_name() -> None:
    """All without a name; a wrong one brings the nearest."""
    miners, validators = chosen(())
    assert {"cartel", "told labels", "relays"} <= {row.name for row in miners}
    assert [row.name for row in validators] == ["tells labels", "copies weights", "scores at random"]
    assert [row.name for row in chosen(("relays", "honest 0.90"))[0]] == ["relays"]
    with pytest.raises(UnknownName, match="did you mean memoriser"):
        chosen(("memorizer",))
