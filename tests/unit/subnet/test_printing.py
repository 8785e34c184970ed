"""What strangers name their files does nothing to a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.printing import counted, percent, printable, without_credentials


@given(st.text())
def test_a_text_is_one_line_without_commands(text: str) -> None:
    """No line feed, no escape, no turn of direction, whatever the text; ordinary letters stay."""
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown


def test_examples() -> None:
    """A name with a line feed and a colour, and one in another script."""
    assert printable("a\nb\x1b[31m.jpg") == "a\\nb\\x1b[31m.jpg"
    assert printable("фото 写真.jpg") == "фото 写真.jpg"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("wss://joe:hush@node:443 is silent", "wss://***@node:443 is silent"),
        ("wss://token@node/x", "wss://***@node/x"),
        ("wss://node/v1/0123456789abcdef01, ws://other:9944", "wss://node/***, ws://other:9944"),
        ("wss://node?key=hush", "wss://node/***"),
        ("http://10.0.0.7:8091/detect?seed=1 by a@b", "http://10.0.0.7:8091/detect?seed=1 by a@b"),
        ("wss://entrypoint-finney.opentensor.ai:443", "wss://entrypoint-finney.opentensor.ai:443"),
    ],
)
def test_what_opens_an_address_is_not_shown(text: str, left: str) -> None:
    """User, password, query and long key of a node; everything else stays, so that the address is known again."""
    assert without_credentials(text) == left
    assert without_credentials(left) == left


@pytest.mark.parametrize(
    ("share", "places", "text"),
    [
        (0, 0, "0"),
        (1, 0, "100"),
        (1 / 569, 0, "0.2"),
        (568 / 569, 0, "99.8"),
        (0.503, 0, "50"),
        (1 / 5000, 1, "0.02"),
        (1e-17, 1, "0.0"),
    ],
)
def test_some_are_not_none_and_most_not_all(share: float, places: int, text: str) -> None:
    """A share is rounded neither to none nor to all, but for what computing with doubles leaves of none."""
    assert percent(share, places) == text


@given(st.floats(0, 1), st.integers(0, 2))
def test_a_share_is_told_to_its_places(share: float, places: int) -> None:
    """Never further away than its places allow, and never without end."""
    assert abs(float(percent(share, places)) - 100 * share) <= 0.5 * 10**-places + 1e-9


def test_one_thing_is_one() -> None:
    """Counts have the number that their things are in."""
    assert [counted(n, "round") for n in (0, 1, 1000)] == ["0 rounds", "1 round", "1,000 rounds"]
