"""Runs `assay` in this process, as a terminal would, and gives what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from neurons.cli import main


@dataclass(frozen=True)
class Ran:
    """Exit status and what was printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line of standard output, read."""
        return json.loads(self.out.strip().splitlines()[-1])

    @property
    def message(self) -> str:
        """What standard error says at its end, in one line."""
        return self.err.strip().splitlines()[-1] if self.err.strip() else ""


class Assay:
    """Call it with the words of a command line."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *words: object) -> Ran:
        self._capfd.readouterr()
        status = 0
        try:
            main([str(word) for word in words])
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        out, err = self._capfd.readouterr()
        return Ran(status, out, err)
