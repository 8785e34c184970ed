"""What programs log: one line for what a library's background task leaves behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEAVES_A_TASK_BEHIND = """
import asyncio, gc
from neurons.log import configure
from neurons.settings import LoggingSettings

configure(LoggingSettings(level={level!r}), "miner")

async def fails() -> None:
    assert 1 == 2, "the node went away"

async def main() -> None:
    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    del task
    gc.collect()

asyncio.run(main())
"""


@pytest.mark.parametrize(("level", "traceback"), [("INFO", False), ("DEBUG", True)])
def test_what_a_library_leaves_behind_is_one_line(level: str, traceback: bool) -> None:
    """An error in a task that nobody waits for: its kind and its text, and the traceback only where it is asked for."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVES_A_TASK_BEHIND.format(level=level)], capture_output=True, text=True, check=True
    )
    assert "AssertionError" in done.stderr
    assert "the node went away" in done.stderr
    assert ("Traceback" in done.stderr) is traceback
    assert traceback or len(done.stderr.strip().splitlines()) == 1
