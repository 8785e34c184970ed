"""Putting a miner's endpoint on chain."""

from __future__ import annotations

import asyncio

from neurons.chain_view import ChainView
from neurons.log import Log
from neurons.signals import pause
from subnet.errors import ChainError, SettingsError
from subnet.protocols import Chain
from subnet.types import Endpoint, Submission


async def publish(
    chain: Chain, view: ChainView, hotkey: str, endpoint: Endpoint, stop: asyncio.Event, log: Log
) -> None:
    """Put `endpoint` on chain unless it stands there. Raises SettingsError when the chain refuses it for good."""
    while not stop.is_set():
        try:
            published = (await view.refresh()).neuron(hotkey)
            if published and published.endpoint == endpoint:
                return
            receipt = await chain.serve(endpoint)
        except ChainError as error:
            log.warning("the axon is not published yet", error=str(error))
            await pause(stop, 5.0)
            continue
        if receipt.submission is Submission.OK:
            log.info("published", endpoint=endpoint.url, block=receipt.block)
            return
        if receipt.submission is Submission.REJECTED:
            raise SettingsError(
                f"the chain refuses the axon {endpoint.url} ({receipt.code}): {receipt.message}; "
                "set --axon.external_ip to an address that validators can reach"
            )
        log.info("publishing later", wait_blocks=receipt.blocks, why=receipt.submission.value)
        await pause(stop, 1.0 + (receipt.blocks or 0) * 0.25)
