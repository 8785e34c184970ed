"""A program's view of the chain: the newest snapshot, kept fresh in the background, and how old it is."""

from __future__ import annotations

import asyncio
import time

from neurons.log import Log, Notes
from neurons.signals import ends_before, pause
from subnet.errors import ChainError
from subnet.protocols import Chain
from subnet.types import Neuron, Snapshot

REORGANISATION = 64  # blocks; a head that is further back belongs to a chain that was reset


class ChainView:
    """Follows a chain until `stop`. `every` is in blocks; a dead chain is told once and tried again."""

    def __init__(self, chain: Chain, log: Log, *, every: int = 5) -> None:
        self.chain, self.every = chain, every
        self.snapshot: Snapshot | None = None
        self.block = 0
        self._log = log
        self._read_at, self._read_block = -1e9, 0  # when, and the head then
        self._by_hotkey: dict[str, Neuron] | None = None

    def metagraph(self) -> dict[str, Neuron] | None:
        """Neurons by hotkey, None before the first snapshot."""
        return self._by_hotkey

    @property
    def age(self) -> float:
        """Seconds since the snapshot was read."""
        return time.monotonic() - self._read_at

    async def refresh(self) -> Snapshot:
        """Read the newest snapshot that no fork takes back: what is played by it shows on chain for good.

        Raises ChainError.
        """
        snapshot = await self.chain.snapshot(at=await self.chain.final())
        self._read_at = time.monotonic()
        self._advance(snapshot.block)
        self._read_block = self.block
        self.snapshot = snapshot
        self._by_hotkey = {neuron.hotkey: neuron for neuron in snapshot.neurons}
        return snapshot

    def _advance(self, block: int) -> None:
        """The head is at `block`. A little lower is a reorganisation or a node that lags; much lower another chain."""
        if block < self.block - REORGANISATION:
            self._log.warning("the chain went back", block=block, before=self.block)
            self.block = block
        self.block = max(self.block, block)

    async def follow(self, stop: asyncio.Event) -> None:
        """Follow new blocks, and read a snapshot every few of them."""
        failures = 0
        while not stop.is_set():
            try:
                async for block in self.chain.blocks():
                    if failures:
                        self._log.info("the chain is back", block=block)
                    failures = 0
                    self._advance(block)
                    if self.snapshot is None or not 0 <= block - self._read_block < self.every:
                        await self.refresh()
                    if stop.is_set():
                        return
            except ChainError as error:
                failures += 1
                if failures == 1:
                    self._log.warning("the chain does not answer; trying again", error=str(error))
            await pause(stop, min(30.0, 0.5 * 2 ** min(failures, 8)))


async def first_snapshot(view: ChainView, stop: asyncio.Event, log: Log, patience: float) -> Snapshot | None:
    """The first snapshot, tried for `patience` seconds; None when `stop` comes first.

    Raises ChainError when there is none by then.
    """
    ends, notes = time.monotonic() + patience, Notes(log)
    log.debug("looking at the chain")
    while not stop.is_set():
        reading = asyncio.create_task(view.refresh())
        if not await ends_before(stop, reading, grace=0.0):
            break
        try:
            snapshot = reading.result()
        except ChainError as error:
            if time.monotonic() > ends:
                raise
            notes.tell("the chain does not answer yet", str(error), error=str(error))
            await pause(stop, 1.0)
        else:
            notes.mend("the chain does not answer yet")
            return snapshot
    return None
