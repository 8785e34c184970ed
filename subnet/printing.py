"""Texts of strangers, names of files above all, as a terminal may be shown them."""

from __future__ import annotations


def printable(text: str) -> str:
    """A text of strangers on one line: what a terminal would act upon is shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
