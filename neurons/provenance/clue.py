"""One clue: what was looked for in a file, what was found, and what that can prove. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from subnet.printing import excerpt

MOST: Final = 240  # characters of one text of a stranger


class State(StrEnum):
    """Whether something was found."""

    FOUND = "found"
    NOTHING = "nothing"
    NOT_READ = "not read"  # there is, or may be, something, and nobody here can read it


@dataclass(frozen=True)
class Clue:
    """`says` is one sentence, `facts` are names and texts of what was found, `proves` what that can and cannot show.

    Texts of strangers among the facts are cut and printable, and not escaped: whoever writes a page does that.
    """

    name: str
    state: State
    says: str
    proves: str
    facts: tuple[tuple[str, str], ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain values; `facts` are pairs, since a name may come twice."""
        return {
            "name": self.name,
            "state": self.state.value,
            "says": self.says,
            "proves": self.proves,
            "facts": [list(fact) for fact in self.facts],
        }


def told(text: str) -> str:
    """A text of strangers as a fact: one line, nothing that a terminal would act upon, at most `MOST` characters."""
    return excerpt(text, MOST)
