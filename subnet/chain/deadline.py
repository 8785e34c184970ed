"""A deadline that holds even when what it waits for does not let itself be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from subnet.errors import ChainTimeout

T = TypeVar("T")
_abandoned: set[asyncio.Future[Any]] = set()  # held until they end, so that the loop does not lose them


async def within(work: Awaitable[T], seconds: float, what: str) -> T:
    """The result of `work`, or ChainTimeout after `seconds`.

    asyncio.wait_for waits for the cancelled task to end, which on Python 3.11 may be never; this one leaves it behind.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _abandon(task)
        raise
    if not done:
        _abandon(task)
        raise ChainTimeout(f"{what} took longer than {seconds:g} s")
    return task.result()


async def stop(task: asyncio.Future[Any], seconds: float) -> None:
    """Cancel a task and wait for its end, but not longer than `seconds`."""
    task.cancel()
    await asyncio.wait({task}, timeout=seconds)
    _abandon(task)


def _abandon(task: asyncio.Future[Any]) -> None:
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_ended)


def _ended(task: asyncio.Future[Any]) -> None:
    _abandoned.discard(task)
    take(task)


def take(task: asyncio.Future[Any]) -> None:
    """Look at what a task ended with that nobody waits for, so that asyncio does not complain about it later."""
    if not task.cancelled():
        task.exception()
