"""Putting a miner's endpoint on chain, and keeping it there."""

from __future__ import annotations

import asyncio
from typing import Final

from neurons.chain_view import ChainView
from neurons.log import Log, Notes
from neurons.signals import pause
from subnet.errors import ChainError, SettingsError
from subnet.protocols import Chain
from subnet.types import Endpoint, Receipt, Submission

LOOK_SECONDS: Final = 1.0  # between two looks at the view
AGAIN_SECONDS: Final = 30.0  # after the chain has refused an endpoint that it took before


class Publishing:
    """Keeps `endpoint` on chain while `hotkey` is registered, also after it was pruned and registered again."""

    def __init__(self, chain: Chain, view: ChainView, hotkey: str, log: Log) -> None:
        self.endpoint: Endpoint | None = None  # None until the server listens
        self._chain, self._view, self._hotkey, self._log = chain, view, hotkey, log
        self._notes = Notes(log)

    def unready(self) -> str:
        """Why no validator asks this miner, by the newest snapshot; "" when they do."""
        neurons = self._view.metagraph() or {}
        neuron = neurons.get(self._hotkey)
        if neuron is None:
            return "the hotkey is not registered on the subnet"
        return "" if self.endpoint and neuron.endpoint == self.endpoint else "the axon is not published"

    async def publish(self, endpoint: Endpoint, stop: asyncio.Event) -> None:
        """Put `endpoint` on chain unless it stands there. Raises SettingsError when the chain refuses it for good."""
        self.endpoint = endpoint
        while not stop.is_set():
            try:
                await self._view.refresh()
                receipt = await self._serve(endpoint) if self.unready() else None
            except ChainError as error:
                self._notes.tell("the axon is not published yet", str(error), error=str(error))
                await pause(stop, 5.0)
                continue
            self._notes.mend("the axon is not published yet")
            if receipt is None or receipt.submission is Submission.OK:
                return
            if receipt.submission is Submission.REJECTED:
                raise SettingsError(
                    f"the chain refuses the axon {endpoint.url} ({receipt.code}): {receipt.message}; "
                    "set --axon.external_ip to an address that validators can reach"
                )
            await pause(stop, _until_again(receipt))

    async def keep(self, stop: asyncio.Event) -> None:
        """Until `stop`: publish again whenever the chain shows another endpoint, or none."""
        told = ""
        while not await pause(stop, LOOK_SECONDS):
            why_not = self.unready()
            if why_not and why_not != told:
                self._log.warning("validators do not ask this miner", why=why_not)
            told = why_not
            if why_not and self.endpoint and self._hotkey in (self._view.metagraph() or {}):
                await self._again(self.endpoint, stop)

    async def _again(self, endpoint: Endpoint, stop: asyncio.Event) -> None:
        try:
            receipt = await self._serve(endpoint)
        except ChainError as error:
            self._notes.tell("the axon is not published again yet", str(error), error=str(error))
            await pause(stop, 5.0)
            return
        self._notes.mend("the axon is not published again yet")
        if receipt.submission is Submission.REJECTED:
            why, code = receipt.message, receipt.code
            self._notes.tell("the chain refuses the axon", f"{code} {why}", code=code, why=why)
        else:
            self._notes.mend("the chain refuses the axon")
        if receipt.submission is not Submission.OK:
            await pause(stop, _until_again(receipt))

    async def _serve(self, endpoint: Endpoint) -> Receipt:
        """Submit, and look at the chain again where it was taken. Raises ChainError."""
        receipt = await self._chain.serve(endpoint)
        if receipt.submission is Submission.OK:
            await self._view.refresh()
            self._log.info("published", endpoint=endpoint.url, block=receipt.block)
        elif receipt.submission is not Submission.REJECTED:
            self._log.info("publishing later", wait_blocks=receipt.blocks, why=receipt.submission.value)
        return receipt


def _until_again(receipt: Receipt) -> float:
    """Seconds until another try makes sense."""
    return AGAIN_SECONDS if receipt.submission is Submission.REJECTED else 1.0 + (receipt.blocks or 0) * 0.25
