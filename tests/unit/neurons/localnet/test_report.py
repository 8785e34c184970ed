"""The verdict on a local network."""

from __future__ import annotations

import pytest

from neurons.localnet.players import PLAYERS
from neurons.localnet.report import ENOUGH, as_expected
from neurons.localnet.scoreboard import Scoreboard

EXPECTED = {"high": 0.7, "low": 0.3, "zero": 0.0, "any": 0.4}


def verdict(rounds: int, **scores: float) -> tuple[bool, str]:
    """On a run in which everybody has the score that is expected, but for those named."""
    miners = [
        {"name": player.name, "score": scores.get(player.name, EXPECTED[player.expect]), "answered": 1}
        for player in PLAYERS
    ]
    return as_expected(miners, PLAYERS, {}, Scoreboard(PLAYERS, {}, rounds))


@pytest.mark.parametrize("rounds", [1, ENOUGH])
def test_an_order_as_expected_is_told_so(rounds: int) -> None:
    """However long the run was."""
    good, words = verdict(rounds)
    assert good
    assert words.startswith("as expected: ")


def test_a_detector_below_a_guesser_is_named() -> None:
    """With both scores, once there were rounds enough."""
    good, words = verdict(ENOUGH, npr=0.2)
    assert not good
    assert words.startswith("NOT as expected (npr has 0.200, a guesser 0.300)")


def test_a_short_run_is_not_held_against_anybody() -> None:
    """Ten rounds say too little: the same scores are told, not condemned."""
    good, words = verdict(10, npr=0.2)
    assert not good
    assert words.startswith("10 rounds are too few to judge (npr has 0.200")
