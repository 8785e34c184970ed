"""Where the tables of commands are printed."""

from __future__ import annotations

import os
from typing import Final

from rich.console import Console

WIDE: Final = 400  # columns of a file or a pipe, where nothing needs to be cut or broken


def terminal(*, stderr: bool = False) -> Console:
    """The terminal as wide as it is; what is no terminal, so that tables are whole there, as wide as they need.

    The variable COLUMNS counts in both.
    """
    made = Console(stderr=stderr)
    if not made.is_terminal and not os.environ.get("COLUMNS", "").isdecimal():
        made.width = WIDE
    return made
