"""Texts of strangers, names of files above all, as a terminal may be shown them; and counts and shares."""

from __future__ import annotations

import re
from typing import Final

_BLANK: Final = "\u115f\u1160\u2800\u3164\uffa0"  # letters and signs that show nothing
MOST: Final = 60  # characters of a stranger's text within a line

_USER: Final = re.compile(r"(?<=://)[^/@\s'\"]+(?=@)")
_KEY: Final = re.compile(r"(wss?://[^\s/?'\",]+)(?:\?|/[^\s'\",]*?(?:\?|[\w-]{16,}))[^\s'\",]*")


def without_credentials(text: str) -> str:
    """A text with the addresses in it, save for what opens them: user and password, a node's query or long key."""
    return _KEY.sub(r"\1/***", _USER.sub("***", text))


def printable(text: str) -> str:
    """A text of strangers on one line: what a terminal would act upon is shown as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c.isprintable() and c not in _BLANK else c.encode("unicode_escape", "backslashreplace").decode()
        for c in text
    )


def counted(value: int, thing: str) -> str:
    """1 round, 2 rounds."""
    return f"{value:,} {thing}{'' if value == 1 else 's'}"


def percent(share: float, places: int = 0) -> str:
    """A share, 0..1, out of a hundred: with at least `places`, and so many that some are not none, nor most all."""
    text = f"{100 * share:.{places}f}"
    few = min(share, 1 - share)
    rounded_away = 1e-6 < few < 0.01 and float(text) in (0, 100)  # less is what computing leaves of none
    return percent(share, places + 1) if rounded_away else text


def excerpt(text: str, most: int = MOST) -> str:
    """The beginning of a text of strangers, for within a line of ours: it cannot fill one, nor look like the next."""
    words = " ".join(printable(text[: 10 * most]).split())
    return words if len(words) <= most else f"{words[:most]}..."
