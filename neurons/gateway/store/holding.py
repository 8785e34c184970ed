"""What a process took from the database stays its own for as long as it says so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from neurons.gateway.store.database import LEASE_SECONDS
from subnet.errors import StateError


@contextlib.asynccontextmanager
async def held(hold: Callable[[], None]) -> AsyncIterator[None]:
    """Call `hold` in a thread, a few times in LEASE_SECONDS, until the end of the block."""

    async def say() -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 4)
            with contextlib.suppress(StateError):  # the next one may be heard in time
                await asyncio.to_thread(hold)

    saying = asyncio.create_task(say())
    try:
        yield
    finally:
        saying.cancel()
