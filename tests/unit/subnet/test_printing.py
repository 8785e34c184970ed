"""What strangers name their files does nothing to a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from subnet.printing import printable


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
