"""Whether this machine's clock and the chain's agree: miners refuse requests from a clock that is ahead."""

from __future__ import annotations

from typing import Final

AHEAD: Final = 90.0  # seconds that the head of a chain that works may be old
BEHIND: Final = 2.0  # seconds that the head may seem to be of the future


def clocks_apart(own: float, chain: float) -> str:
    """What is wrong with the two times (unix seconds), "" where nothing is."""
    gap = own - chain
    if -BEHIND <= gap <= AHEAD:
        return ""
    place = "ahead of" if gap > 0 else "behind"
    return (
        f"this clock is {abs(gap):.0f} s {place} the chain's: set it (timedatectl), or wait where the node is behind; "
        "miners refuse requests of a wrong time"
    )
