"""A bound on log lines that strangers can cause: a few of each kind a minute, the rest counted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

LOGGERS: Final = ("subnet.wire", "uvicorn.error", "asyncio")
_MAX_KINDS: Final = 256


@dataclass
class _Window:
    began: float
    records: int = 0


class LogLimit(logging.Filter):
    """Lets `most` records of a kind through in `seconds`; the next that passes says how many did not.

    A kind is logger, level and the first line of the message before its arguments.
    """

    def __init__(self, most: int = 5, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most, self._seconds, self._clock = most, seconds, clock
        self._windows: dict[tuple[str, int, str], _Window] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        kind = (record.name, record.levelno, str(record.msg).partition("\n")[0][:80])
        if kind not in self._windows and len(self._windows) >= _MAX_KINDS:
            kind = (record.name, record.levelno, "")
        now = self._clock()
        window = self._windows.setdefault(kind, _Window(now))
        if now - window.began >= self._seconds:
            left_out = window.records - self._most
            window.began, window.records = now, 0
            if left_out > 0:
                record.msg = f"{record.msg} ({left_out} more of these were not written)"
        window.records += 1
        return window.records <= self._most


def limit_logs() -> None:
    """Bound what the server's own loggers write. Doing it again changes nothing."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(known, LogLimit) for known in logger.filters):
            logger.addFilter(LogLimit())
