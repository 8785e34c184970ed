"""Progress and warnings on standard error, so that standard output stays for results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def warn(line: str) -> None:
    """One line for people about what does not stop the program."""
    print(f"assay: warning: {line}", file=sys.stderr)


@contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Call what comes back with the number of items done so far."""
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)
