"""Addresses of pages, and links between them: relative, so that they hold behind any prefix, and on a disk. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

FRONT: Final = "index"
STYLE: Final = "site.css"
FILES: Final = {STYLE: "text/css", "icon.svg": "image/svg+xml"}  # beside the pages, with the type of each
_PLAIN: Final = re.compile(r"[A-Za-z0-9]{1,64}")


def slug(hotkey: str) -> str:
    """A hotkey as part of an address and the name of a file; one that is no address of a key by its hash."""
    return hotkey if _PLAIN.fullmatch(hotkey) else f"h-{hashlib.sha256(hotkey.encode()).hexdigest()[:32]}"


@dataclass(frozen=True)
class Links:
    """Links from the page `here`; `suffix` is what files of pages end with, "" on a server."""

    here: str
    suffix: str = ""

    def page(self, address: str) -> str:
        """The way to a page."""
        return f"{self._up}{address}{self.suffix}"

    def file(self, name: str) -> str:
        """The way to a file that is no page."""
        return f"{self._up}{name}"

    @property
    def json(self) -> str:
        """The way to this page's own facts."""
        return f"{self._up}{self.here}.json"

    @property
    def _up(self) -> str:
        return "../" * self.here.count("/") or "./"
