"""The chain through the bittensor SDK: the only module that imports its client.

Every call has a deadline of its own, since the SDK may hang for a minute on a silent node; a connection that failed is
thrown away and dialled anew by the next call. A transaction never raises for what the chain says: it gives a `Receipt`.
When the fate of a transaction is unknown the chain is read again, and nothing is sent twice while the first may land.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import bittensor as bt
from bittensor.sp_core import KeyfileError
from websockets.exceptions import WebSocketException

from subnet.chain.deadline import within
from subnet.chain.link import MISFIT, Link
from subnet.chain.metagraph import snapshot_of
from subnet.chain.receipts import receipt_of_error, receipt_of_result
from subnet.chain.weights import normalise_u16
from subnet.errors import ChainError, ChainTimeout, SettingsError
from subnet.types import Endpoint, Receipt, Snapshot, Submission

ERA_BLOCKS: Final = 32  # a transaction that is not in a block by then never will be
MECHANISMS: Final = 4096  # storage index = mechanism * 4096 + netuid
NETWORKS: Final = ("finney", "test", "local")
BROKEN: Final = (bt.BittensorError, WebSocketException, OSError, TimeoutError)


class BittensorChain:
    """`Chain` over one SDK client. `wallet` is a bittensor wallet or a keypair of the hotkey; None only reads.

    `endpoint` is finney, test, local, or a ws:// or wss:// address. Deadlines are in seconds: `call_deadline` for each
    read, `submit_deadline` for a transaction until it is in a block, `watchdog` for the silence between two blocks.
    Raises SettingsError for an endpoint that is none of these.
    """

    def __init__(
        self,
        endpoint: str,
        netuid: int,
        wallet: Any = None,
        *,
        version_key: int = 0,
        call_deadline: float = 20.0,
        submit_deadline: float = 60.0,
        watchdog: float = 120.0,
        mechid: int = 0,
    ) -> None:
        if endpoint not in NETWORKS and not endpoint.startswith(("ws://", "wss://")):
            raise SettingsError(
                f"subtensor endpoint {endpoint!r}: use one of {', '.join(NETWORKS)}, or an address with ws:// or wss://"
            )
        self.netuid, self.endpoint, self.mechid = netuid, endpoint, mechid
        self._wallet, self._version_key = wallet, version_key
        self._call_deadline, self._submit_deadline, self._watchdog = call_deadline, submit_deadline, watchdog
        self._link = Link(endpoint, lambda: bt.Client(endpoint), BROKEN, call_deadline)
        self._unsettled: tuple[int, int] | None = None  # (block before sending, last block it may land in)

    @property
    def hotkey(self) -> str:
        """The ss58 address that signs. Raises SettingsError without a wallet."""
        if self._wallet is None:
            raise SettingsError("this needs a wallet: give --wallet.name and --wallet.hotkey")
        return str(getattr(self._wallet, "hotkey", self._wallet).ss58_address)

    async def probe(self) -> None:
        """Find out at start whether SDK and chain fit: read the subnet and build weights without sending them.

        Raises ChainError when they do not, e.g. when this SDK reads storage that the chain's runtime has not got.
        """
        await self.snapshot()
        if self._wallet is None:
            return
        client = await self._link.client()
        plan = client.plan(bt.SetWeights(netuid=self.netuid, weights={0: 1.0}, mechid=self.mechid), self._wallet)
        try:
            await within(plan, self._call_deadline, "the dry run of set_weights")
        except (ChainTimeout, *BROKEN) as error:
            if receipt_of_error(error).submission is Submission.AMBIGUOUS:
                raise ChainError(f"a dry run of set_weights failed on {self.endpoint}: {error}") from error
        except MISFIT as error:
            raise _misfit(error) from error

    # -- reading

    async def snapshot(self) -> Snapshot:
        graph = await self._link.read(lambda client: client.subnets.metagraph(self.netuid, commitments=False))
        if graph is None:
            raise ChainError(f"there is no subnet {self.netuid} on {self.endpoint}")
        return snapshot_of(self.netuid, graph)

    async def weights(self, uid: int) -> dict[int, int]:
        rows = await self._link.read(lambda client: client.query(_item("Weights"), [self._index, uid]))
        return {int(other): int(value) for other, value in rows or []}

    async def weights_at(self, uid: int, block: int) -> dict[int, int]:
        """As `weights`, but as they stood in an older block. Raises ChainError when the node has pruned it."""
        rows = await self._link.read(lambda client: client.query(_item("Weights"), [self._index, uid], block=block))
        return {int(other): int(value) for other, value in rows or []}

    async def block(self) -> int:
        """The number of the head."""
        return int(await self._link.read(lambda client: client.block()))

    @property
    def _index(self) -> int:
        return self.mechid * MECHANISMS + self.netuid

    async def _own(self) -> tuple[int, int | None, int]:
        """(head, our uid or None, block of our last weights)."""
        block = await self.block()
        uid = await self._link.read(lambda client: client.query(_item("Uids"), [self.netuid, self.hotkey], block=block))
        if uid is None:
            return block, None, 0
        updates = await self._link.read(lambda client: client.query(_item("LastUpdate"), [self._index], block=block))
        return block, int(uid), int(updates[int(uid)]) if int(uid) < len(updates) else 0

    async def _blocks_to_wait(self) -> int:
        block, _, last = await self._own()
        limit = int(
            await self._link.read(lambda client: client.query(_item("WeightsSetRateLimit"), [self.netuid])) or 0
        )
        return max(0, limit - (block - last)) if last > 0 else 0

    # -- writing

    async def set_weights(self, weights: Mapping[int, float]) -> Receipt:
        """One transaction. AMBIGUOUS means: it may still land, within `blocks` blocks; nothing is sent until then.

        Raises ValueError for weights that are all zero, negative or not finite; ChainError when nothing could be sent.
        """
        normalised = normalise_u16(weights)
        held = await self._still_unsettled()
        if held is not None:
            return held
        block, uid, last = await self._own()
        if uid is None:
            return Receipt(Submission.REJECTED, code="HotKeyNotRegisteredInSubNet", message="register the hotkey first")
        wait = await self._blocks_to_wait()
        if wait > 0:
            return _too_early(wait)
        intent = bt.SetWeights(
            netuid=self.netuid, weights=normalised, mechid=self.mechid, version_key=self._version_key
        )
        receipt = await self._submit(intent)
        if receipt.submission is Submission.AMBIGUOUS:
            self._unsettled = (max(block, last), block + ERA_BLOCKS)
            return await self._settled(receipt)
        if receipt.submission is Submission.TOO_EARLY:
            return _too_early(await self._blocks_to_wait())
        return receipt

    async def serve(self, endpoint: Endpoint) -> Receipt:
        """Publish the axon, unless the chain has it already. Raises SettingsError when the host is not an IP address."""
        try:
            address = ip_address(endpoint.host)
        except ValueError as error:
            raise SettingsError(f"axon.external_ip must be an IP address, not {endpoint.host!r}") from error
        snapshot = await self.snapshot()
        neuron = snapshot.neuron(self.hotkey)
        if neuron is None:
            return Receipt(Submission.REJECTED, code="HotKeyNotRegisteredInSubNet", message="register the hotkey first")
        if neuron.endpoint == endpoint:
            return Receipt(Submission.OK, block=snapshot.block, message="already published")
        receipt = await self._submit(bt.ServeAxon(netuid=self.netuid, ip=str(address), port=endpoint.port))
        if receipt.submission is Submission.TOO_EARLY:
            return await self._serve_later(receipt)
        if receipt.submission is Submission.AMBIGUOUS:
            neuron = (await self.snapshot()).neuron(self.hotkey)
            if neuron is not None and neuron.endpoint == endpoint:
                return Receipt(Submission.OK, message="published; seen on a second reading")
        return receipt

    async def _serve_later(self, receipt: Receipt) -> Receipt:
        block = await self.block()
        axon = await self._link.read(
            lambda client: client.query(_item("Axons"), [self.netuid, self.hotkey], block=block)
        )
        limit = int(await self._link.read(lambda client: client.query(_item("ServingRateLimit"), [self.netuid])) or 0)
        wait = max(1, limit - (block - int(axon["block"]))) if axon else 1
        return Receipt(Submission.TOO_EARLY, blocks=wait, code=receipt.code, message=receipt.message)

    async def _submit(self, intent: Any) -> Receipt:
        """Sign, send and wait until it is in a block; typed, whatever happens after the client is there."""
        client = await self._link.client()
        try:
            sent = client.execute(intent, self._wallet, wait_for_finalization=False, period=ERA_BLOCKS)
            return receipt_of_result(await within(sent, self._submit_deadline, "the transaction"))
        except (ChainTimeout, *BROKEN) as error:
            receipt = receipt_of_error(error)
            if receipt.submission is Submission.AMBIGUOUS:
                await self._link.discard()
            return receipt
        except MISFIT as error:
            raise _misfit(error) from error

    async def _settled(self, receipt: Receipt) -> Receipt:
        """Read the chain again until the transaction shows or `call_deadline` is over."""
        until = time.monotonic() + self._call_deadline
        pause = 0.2
        while True:
            with contextlib.suppress(ChainError):
                held = await self._still_unsettled()
                if held is None:
                    return Receipt(Submission.OK, message="landed; seen on a second reading")
            if time.monotonic() + pause > until:
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)
        return Receipt(Submission.AMBIGUOUS, blocks=ERA_BLOCKS, message=receipt.message)

    async def _still_unsettled(self) -> Receipt | None:
        """None when no transaction of ours can land any more, be it that it has landed or that its era is over."""
        if self._unsettled is None:
            return None
        before, until = self._unsettled
        block, _, last = await self._own()
        if last > before or block > until:
            self._unsettled = None
            return None
        return Receipt(Submission.AMBIGUOUS, blocks=until - block + 1, message="earlier weights may still land")

    def blocks(self) -> AsyncIterator[int]:
        return self._link.blocks(self._watchdog)

    async def close(self) -> None:
        await self._link.discard()


def _misfit(error: Exception) -> ChainError:
    version = getattr(bt, "__version__", "?")
    return ChainError(
        f"bittensor {version} cannot build set_weights for this chain's runtime ({error!r}): install another version"
    )


def _item(name: str) -> tuple[str, str]:
    return "SubtensorModule", name


def _too_early(blocks: int) -> Receipt:
    return Receipt(Submission.TOO_EARLY, blocks=max(1, blocks), code="SettingWeightsTooFast", message="rate limit")


def open_wallet(name: str, hotkey: str, path: str | None = None) -> Any:
    """The wallet NAME with its hotkey loaded. Raises SettingsError when a file is missing, unreadable or encrypted."""
    root = Path(path).expanduser() if path else Path.home() / ".bittensor" / "wallets"
    wallet = bt.Wallet(name, hotkey, str(root))
    where = root / name / "hotkeys" / hotkey
    try:
        str(wallet.hotkey.ss58_address)  # reading it loads the file
    except (OSError, ValueError, KeyfileError, bt.BittensorError) as error:
        raise SettingsError(
            f"wallet: no usable hotkey at {where} ({error}); create it with `btcli wallet new-hotkey`, "
            "or correct --wallet.name, --wallet.hotkey and --wallet.path"
        ) from error
    return wallet
