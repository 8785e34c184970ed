"""The chain through the bittensor SDK: the only module that imports its client.

Every call has a deadline of its own, since the SDK may hang for a minute on a silent node; a connection that failed is
thrown away and dialled anew by the next call. A transaction never raises for what the chain says: it gives a `Receipt`.
When the fate of a transaction is unknown the chain is read again, and nothing is sent twice while the first may land.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Final

import bittensor as bt
from websockets.exceptions import WebSocketException

from subnet.chain import check_endpoint
from subnet.chain.commitments import NO_PALLET, Space, fields_of, text_of, too_large
from subnet.chain.connection import MISFIT, Link
from subnet.chain.deadline import within
from subnet.chain.devnode.ledger.rules import COMMIT_VERSION
from subnet.chain.goodbye import heeded
from subnet.chain.metagraph import snapshot_of
from subnet.chain.receipts import (
    ERA_BLOCKS,
    UNREGISTERED,
    Stand,
    fate_of,
    receipt_of_error,
    receipt_of_result,
    too_early,
)
from subnet.chain.sealing import sealed
from subnet.chain.weights import normalise_u16
from subnet.errors import ChainError, ChainTimeout, SettingsError
from subnet.types import U16, Endpoint, Receipt, Snapshot, Statement, Submission

MECHANISMS: Final = 4096  # storage index = mechanism * 4096 + netuid
BROKEN: Final = (bt.BittensorError, WebSocketException, OSError)
STALLED: Final = 32  # blocks; two or three are usual between the head and the last final one


class BittensorChain:
    """`Chain` over one SDK client. `wallet` is a bittensor wallet or a keypair of the hotkey; None only reads.

    `endpoint` is finney, test, local, or a ws:// or wss:// address; of several with commas between them the next is
    dialled whenever one fails. Deadlines are in seconds: `call_deadline` for each
    read, `submit_deadline` for a transaction until it is in a block, `watchdog` for the silence between two blocks.
    `seal_round` is the beacon's round that weights are sealed to where they must be, None the one that is due.
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
        seal_round: int | None = None,
    ) -> None:
        check_endpoint("subtensor endpoint", endpoint)
        names = tuple(part.strip() for part in endpoint.split(","))
        self.netuid, self.endpoint, self.mechid = netuid, endpoint, mechid
        self._wallet, self._version_key, self._seal_round = wallet, version_key, seal_round
        self._call_deadline, self._submit_deadline, self._watchdog = call_deadline, submit_deadline, watchdog
        self._link = Link(names, lambda name: heeded(bt.Client(name)), BROKEN, call_deadline)
        self._sent_at: int | None = None  # head when weights of unknown fate were sent

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

    async def snapshot(self, *, at: int | None = None) -> Snapshot:
        """Now, or as it stood in block `at`; ChainError when the node has no state of that block any more."""
        graph = await self._link.read(lambda client: client.subnets.metagraph(self.netuid, at, commitments=False))
        if graph is None:
            raise ChainError(f"there is no subnet {self.netuid} on {self.endpoint}")
        return snapshot_of(self.netuid, graph)

    async def weights(self, uid: int, *, at: int | None = None) -> dict[int, int]:
        """Now, or as they stood in block `at`; ChainError when the node has no state of that block any more."""
        rows = await self._query("Weights", [self._index, uid], at)
        return {int(other): int(value) for other, value in rows or []}

    async def trust(self, *, at: int | None = None) -> dict[int, tuple[float, float]]:
        """Consensus and validator trust by uid, 0..1, of the last epoch, or of the last before block `at`."""
        at = await self.block() if at is None else at
        items = [await self._query(item, [self._index], at) for item in ("Consensus", "ValidatorTrust")]
        pairs = zip(*(item or [] for item in items), strict=True)
        return {uid: (int(consensus) / U16, int(trust) / U16) for uid, (consensus, trust) in enumerate(pairs)}

    async def commitment(self, hotkey: str, *, at: int | None = None) -> Statement | None:
        """Now, or as it stood in block `at`; ChainError when the node has no state of that block any more."""
        row = await self._link.read(lambda client: _committed(client, "CommitmentOf", [self.netuid, hotkey], at))
        return Statement(text_of(row["info"]["fields"]), int(row["block"])) if row else None

    async def block(self) -> int:
        """The number of the head."""
        return int(await self._link.read(lambda client: client.block()))

    async def final(self) -> int:
        """The newest block that no fork takes back; the head where that is over `STALLED` blocks old."""
        final, head = await self._link.read(lambda client: asyncio.gather(client.finalized_block(), client.block()))
        return int(final) if int(head) - int(final) <= STALLED else int(head)

    async def clock(self) -> float:
        """The chain's time in unix seconds, as of its head."""
        return float((await self._link.read(lambda client: client.timestamp())).timestamp())

    async def block_hash(self, block: int) -> str | None:
        """Of a block that the chain cannot take back any more, None before; old blocks need no state of theirs."""
        final = int(await self._link.read(lambda client: client.finalized_block()))
        if block > final:
            return None
        return str(await self._link.read(lambda client: client._substrate.block_hash(block)))  # the SDK shows no other

    @property
    def _index(self) -> int:
        return self.mechid * MECHANISMS + self.netuid

    async def _stand(self) -> Stand:
        """What matters for sending weights, all at one block."""
        at = await self.block()
        items = {"Uids": [self.netuid, self.hotkey], "LastUpdate": [self._index], "WeightsSetRateLimit": [self.netuid]}
        uid, updates, limit = await self._link.read(
            lambda client: asyncio.gather(
                *(client.query(("SubtensorModule", item), keys, block=at) for item, keys in items.items())
            )
        )
        last = int(updates[uid]) if uid is not None and uid < len(updates) else 0
        return Stand(block=at, uid=uid, last=last, limit=int(limit or 0))

    async def _query(self, item: str, keys: list[Any], at: int | None = None) -> Any:
        return await self._link.read(lambda client: client.query(("SubtensorModule", item), keys, block=at))

    # -- writing

    async def set_weights(self, weights: Mapping[int, float]) -> Receipt:
        """One transaction. AMBIGUOUS means: it may still land, within `blocks` blocks; nothing is sent until then.

        Raises ValueError for weights that are all zero, negative or not finite; ChainError when nothing could be sent.
        """
        normalised = normalise_u16(weights)
        stand = await self._stand()
        if self._sent_at is not None:
            fate = fate_of(self._sent_at, stand)
            if fate.submission is Submission.AMBIGUOUS:
                return fate
        if stand.uid is None:
            return UNREGISTERED
        if stand.wait > 0:
            return too_early(stand.wait)
        self._sent_at = stand.block  # before sending, so that it holds even when we are cancelled
        receipt = await self._send(normalised)
        if receipt.submission is Submission.AMBIGUOUS:
            return await self._settled(stand.block, receipt)
        self._sent_at = None
        if receipt.submission is Submission.TOO_EARLY:
            return too_early((await self._stand()).wait)
        return receipt

    async def _send(self, rows: Mapping[int, int]) -> Receipt:
        if self._seal_round is None or not await self._query("CommitRevealWeightsEnabled", [self.netuid]):
            intent = bt.SetWeights(netuid=self.netuid, weights=rows, mechid=self.mechid, version_key=self._version_key)
            return await self._execute(intent, "set_weights")
        key = bytes(getattr(self._wallet, "hotkey", self._wallet).public_key)
        data = sealed(key, rows, self._version_key, self._seal_round)
        said = (self.netuid, self.mechid, data, self._seal_round, COMMIT_VERSION)
        return await self._call(bt.calls.SubtensorModule.commit_timelocked_mechanism_weights(*said), "set_weights")

    async def _settled(self, sent_at: int, receipt: Receipt) -> Receipt:
        """Read the chain again until the transaction shows, cannot land any more, or `call_deadline` is over."""
        until = time.monotonic() + self._call_deadline
        pause = 0.2
        fate = Receipt(Submission.AMBIGUOUS, blocks=ERA_BLOCKS, message=receipt.message)
        while fate.submission is Submission.AMBIGUOUS and time.monotonic() + pause < until:
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)
            with contextlib.suppress(ChainError):
                fate = replace(fate_of(sent_at, await self._stand()), message=receipt.message)
        if fate.submission is not Submission.AMBIGUOUS:
            self._sent_at = None
        return fate

    async def serve(self, endpoint: Endpoint) -> Receipt:
        """Publish the axon, unless the chain has it already. Raises SettingsError for a host that is no IP address."""
        try:
            address = ip_address(endpoint.host)
        except ValueError as error:
            raise SettingsError(f"axon.external_ip must be an IP address, not {endpoint.host!r}") from error
        neuron = (await self.snapshot()).neuron(self.hotkey)
        if neuron is None:
            return UNREGISTERED
        if neuron.endpoint == endpoint:
            return Receipt(Submission.OK, message="already published")
        intent = bt.ServeAxon(netuid=self.netuid, ip=str(address), port=endpoint.port)
        receipt = await self._execute(intent, "serve_axon")
        if receipt.submission is Submission.TOO_EARLY:
            return replace(receipt, blocks=await self._blocks_until_serving())
        if receipt.submission is Submission.AMBIGUOUS:
            with contextlib.suppress(ChainError):
                neuron = (await self.snapshot()).neuron(self.hotkey)
                if neuron is not None and neuron.endpoint == endpoint:
                    return Receipt(Submission.OK, message="published; seen on a second reading")
        return receipt

    async def _blocks_until_serving(self) -> int:
        at = await self.block()
        axon = await self._query("Axons", [self.netuid, self.hotkey], at)
        limit = int(await self._query("ServingRateLimit", [self.netuid], at) or 0)
        return max(1, limit - (at - int(axon["block"]))) if axon else 1

    async def commit(self, text: str) -> Receipt:
        """One transaction. Nothing is sent where the chain has no such pallet, or no space for it in this epoch.

        AMBIGUOUS means: it may still land, within `blocks` blocks. Raises ChainError when nothing could be sent.
        """
        if refusal := too_large(text):
            return refusal
        stand = await self._stand()
        if stand.uid is None:
            return UNREGISTERED
        space = await self._link.read(self._space)
        if space is None:
            return NO_PALLET
        if wait := space.wait(text):
            return Receipt(Submission.TOO_EARLY, blocks=wait, code="SpaceLimitExceeded", message=str(space))
        call = bt.calls.Commitments.set_commitment(self.netuid, {"fields": fields_of(text)})
        receipt = await self._call(call, "set_commitment")
        if receipt.submission is Submission.AMBIGUOUS:
            return await self._settled_commitment(text, stand.block, receipt)
        return receipt

    async def _space(self, client: Any) -> Space | None:
        """What this hotkey may still commit, at one block; None where the chain has no such pallet."""
        view = await client.at()
        used, most = await asyncio.gather(
            _committed(view, "UsedSpaceOf", [self.netuid, self.hotkey]), _committed(view, "MaxSpace", [])
        )
        if most is None:
            return None
        status = await view.epochs.epoch_status(netuid=self.netuid)
        spent = int(used["used_space"]) if used and int(used["last_epoch"]) == status["epoch_index"] else 0
        return Space(spent, int(most), int(status["blocks_remaining"] or status["tempo"]))

    async def _settled_commitment(self, text: str, sent_at: int, receipt: Receipt) -> Receipt:
        """Read the chain again until the commitment shows or `call_deadline` is over."""
        until = time.monotonic() + self._call_deadline
        pause = 0.2
        while time.monotonic() + pause < until:
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)
            with contextlib.suppress(ChainError):
                statement = await self.commitment(self.hotkey)
                if statement and statement.text == text and statement.block > sent_at:
                    return Receipt(Submission.OK, block=statement.block, message=receipt.message)
        return replace(receipt, blocks=ERA_BLOCKS)

    async def _execute(self, intent: Any, name: str) -> Receipt:
        return await self._submit(
            lambda client: client.execute(intent, self._wallet, wait_for_finalization=False, period=ERA_BLOCKS), name
        )

    async def _call(self, call: Any, name: str) -> Receipt:
        signed = {"signer": "hotkey", "wait_for_finalization": False, "period": ERA_BLOCKS}
        return await self._submit(lambda client: client.submit_call(call, self._wallet, **signed), name)

    async def _submit(self, send: Callable[[Any], Awaitable[Any]], name: str) -> Receipt:
        """Sign, send and wait until it is in a block; typed, whatever happens once there is a connection."""
        client = await self._link.client()
        try:
            return receipt_of_result(await within(send(client), self._submit_deadline, "the transaction"))
        except (ChainTimeout, *BROKEN) as error:
            receipt = receipt_of_error(error)
            if receipt.submission is Submission.AMBIGUOUS:
                await self._link.discard()
            return receipt
        except MISFIT as error:
            if name == "set_weights":
                self._sent_at = None
            raise _misfit(error, name) from error

    def blocks(self) -> AsyncIterator[int]:
        return self._link.blocks(self._watchdog)

    async def close(self) -> None:
        await self._link.discard()


async def _committed(view: Any, item: str, keys: list[Any], at: int | None = None) -> Any:
    """An item of the pallet Commitments; None also where the chain has no such pallet."""
    block = {} if at is None else {"block": at}
    try:
        return await view.query(("Commitments", item), keys, **block)
    except ValueError as error:
        if type(error).__name__ != "StorageFunctionNotFound":  # the SDK keeps the class to itself
            raise
        return None


def _misfit(error: Exception, name: str = "set_weights") -> ChainError:
    version = getattr(bt, "__version__", "?")
    return ChainError(
        f"bittensor {version} cannot build {name} for this chain's runtime ({error!r}): install another version"
    )
