"""Progress and warnings on standard error, so that standard output stays for results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def warn(line: str) -> None:
    """One line for people about what does not stop the program."""
    print(f"assay: warning: {line}", file=sys.stderr)


EVERY = 30.0  # seconds between two lines of progress in a log


class LogLines:
    """Progress where standard error is no terminal and shows no bar, with the time left at the pace so far.

    A line at the start, every EVERY seconds, and at the end of each part.
    """

    def __init__(self, title: str, every: float = EVERY) -> None:
        self._title, self._every, self._silent = title, every, sys.stderr.isatty()
        self._started: dict[str, float] = {}
        self._last = -every

    def __call__(self, what: str, done: int, total: int) -> None:
        """`done` of `total` of `what` are done."""
        now = time.monotonic()
        start = self._started.setdefault(what, now)
        if self._silent or (done < total and now - self._last < self._every):
            return
        self._last = now
        left = (now - start) / max(1, done) * (total - done)
        text = f", about {int(left // 60)}:{int(left % 60):02d} left" if 0 < done < total and left >= 1 else ""
        print(f"{self._title}: {what} {done}/{total}{text}", file=sys.stderr, flush=True)


@contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Call what comes back with the number of items done so far."""
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)
