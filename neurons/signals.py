"""How a program ends: on SIGINT, SIGTERM or SIGHUP it finishes what it has in hand, within two seconds, and exits 0.

A program below nohup goes on when its terminal is closed, as its owner wants it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from subnet.lifetime import end_soon

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the last when a terminal is closed
TERMINAL = "/dev/tty"  # of this process; it cannot be opened where there is none
GRACE = 1.0  # seconds that work in hand has to come to its end


@contextlib.contextmanager
def until_signal(status: int = 0) -> Iterator[asyncio.Event]:
    """An event that a signal to end sets, for the time of a program in the running loop.

    The process then ends within two seconds, with `status` where it must be cut short: in a loop that is held up, too.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def end(*_: object) -> None:
        if not stop.is_set():
            end_soon(status)
        loop.call_soon_threadsafe(stop.set)

    before = {number: signal.signal(number, end) for number in _ending()}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def set_by_signal(stop: threading.Event) -> None:
    """From now on a signal to end sets `stop`, for programs without a running loop; it ends them as `until_signal`."""

    def end(*_: object) -> None:
        if not stop.is_set():
            end_soon()
        stop.set()

    for number in _ending():
        signal.signal(number, end)


def _ending() -> list[signal.Signals]:
    return [number for number in ENDING if number is not signal.SIGHUP or not _nohup()]


def _nohup() -> bool:
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@contextlib.contextmanager
def on_hangup(act: Callable[[], object]) -> Iterator[None]:
    """SIGHUP calls `act` in the running loop, as services know it, for the time of the block.

    Not so where a terminal would send it by being closed: there it ends the program.
    """
    if not _nohup() and _has_terminal():
        yield
        return
    loop = asyncio.get_running_loop()
    before = signal.signal(signal.SIGHUP, lambda *_: loop.call_soon_threadsafe(act))
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _has_terminal() -> bool:
    try:
        os.close(os.open(TERMINAL, os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


async def pause(stop: asyncio.Event, seconds: float) -> bool:
    """Wait `seconds` or until `stop` is set; whether it is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


async def ends_before(stop: asyncio.Event, task: asyncio.Task[Any], grace: float = GRACE) -> bool:
    """Wait for `task`; once `stop` is set, `grace` seconds more, and then it is cancelled. Whether it came to its end.

    What the task raises is left in it. A task that does not let itself be cancelled is left behind after half a second.
    """
    ending = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({task}, timeout=grace)
    finally:
        ending.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=0.5)
    return task.done() and not task.cancelled()
