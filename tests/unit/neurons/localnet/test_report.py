"""The verdict on a local network."""

from __future__ import annotations

from typing import Any

import pytest

from neurons.localnet.players import PLAYERS
from neurons.localnet.report import ENOUGH, as_expected
from neurons.localnet.scoreboard import Scoreboard

EXPECTED = {"high": 0.7, "low": 0.3, "zero": 0.0, "any": 0.4}


def line(modality: str = "image", *, void: str = "", answer: float | str = 0.5) -> dict[str, Any]:
    return {"modality": modality, "void": void, "answers": {"someone": answer}}


def verdict(
    rounds: int, *, gone: tuple[str, ...] = (), lines: tuple[dict[str, Any], ...] = (), **scores: float
) -> tuple[bool | None, str]:
    """On a run in which everybody has the score that is expected, but for those named; `lines` are its last rounds."""
    miners = [
        {
            "name": player.name,
            "score": scores.get(player.name.replace("-", "_"), EXPECTED[player.expect]),
            "answered": 1,
        }
        for player in PLAYERS
    ]
    board = Scoreboard(PLAYERS, {}, rounds, gone=set(gone))
    board.lines.extend([line()] * (rounds - len(lines)))
    board.lines.extend(lines)
    return as_expected(miners, PLAYERS, {}, board)


def test_an_order_as_expected_is_told_so() -> None:
    """After enough rounds."""
    good, words = verdict(ENOUGH)
    assert good
    assert words.startswith("as expected: ")


def test_a_detector_below_a_guesser_is_named() -> None:
    """With both scores, once there were rounds enough."""
    good, words = verdict(ENOUGH, npr=0.2)
    assert good is False
    assert words.startswith("NOT as expected (npr has 0.200, a guesser 0.300)")


@pytest.mark.parametrize("rounds", [1, 10, ENOUGH - 1])
@pytest.mark.parametrize("npr", [0.2, 0.9])
def test_a_short_run_is_judged_neither_way(rounds: int, npr: float) -> None:
    """Too few rounds are too few, whether the order happens to be right or not."""
    good, words = verdict(rounds, npr=npr)
    assert good is None
    assert words.startswith(f"{rounds} rounds are too few to judge, {ENOUGH} are enough: ")


def test_who_was_killed_is_not_blamed_for_fading() -> None:
    """--kill npr: npr fades to nothing, and that is what is expected of it; one that did not fade is named."""
    assert verdict(2 * ENOUGH, gone=("npr",), npr=0.001)[0]
    good, words = verdict(2 * ENOUGH, gone=("npr",), npr=0.6)
    assert good is False
    assert "npr still has 0.600" in words


@pytest.mark.parametrize("rounds", [5, ENOUGH])
def test_void_rounds_and_silence_are_never_as_expected(rounds: int) -> None:
    """A game whose rounds are void, or whose clips nobody answers, is broken however short it is."""
    good, words = verdict(rounds, lines=(line(void="SourceEmpty: nothing"),))
    assert good is False
    assert f"1 of {rounds} rounds are void, the first since SourceEmpty: nothing" in words
    good, words = verdict(rounds, lines=(line("video", answer="error"), line("video", answer="timeout")))
    assert good is False
    assert "nobody answered any of 2 videos" in words
