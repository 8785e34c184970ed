"""The miner: serves one detector per modality behind a signed axon.

assay miner --netuid 34 --wallet.name cold --wallet.hotkey hot --detector.image npr
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from prometheus_client import CollectorRegistry

from detectors import TABLE
from detectors.acceleration.accelerate import accelerated
from detectors.evaluation.opening import open_detector
from neurons import settings as s
from neurons.chain_view import ChainView, first_snapshot
from neurons.log import Log, configure
from neurons.miner.batching import Batcher
from neurons.signals import pause, until_signal
from subnet.chain.bittensor import BittensorChain, open_wallet
from subnet.codec.image import decode_image
from subnet.codec.sandbox import VideoDecoder
from subnet.errors import ChainError, SettingsError
from subnet.protocols import Detector
from subnet.types import Endpoint, Modality, Prediction, Submission
from subnet.wire.admission import Policy
from subnet.wire.axon import AxonConfig, Served, application
from subnet.wire.nonces import SqliteNonceStore
from subnet.wire.server import serve


@Parameter(name="detector")
@dataclass(frozen=True)
class DetectorSettings:
    """Which detector answers for which modality; see `assay detectors`."""

    image: str = "npr"
    """What answers images: a name of `assay detectors`, a checkpoint file, or NAME=FILE."""
    video: str = "frames"
    """What answers videos, in the same way."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    max_batch: int = 32
    """Most items in one forward pass."""
    serving: Literal["fast", "plain"] = "fast"
    """fast: through onnxruntime on a CPU (exported at the first start, then kept below $ASSAY_HOME), channels_last on a
    GPU; plain: as trained."""


def load_detectors(wanted: DetectorSettings) -> dict[Modality, Detector]:
    """Both detectors. Raises SettingsError when one answers for the other modality, and what opening one raises."""
    names = {Modality.IMAGE: wanted.image, Modality.VIDEO: wanted.video}
    device = (
        s.device(wanted.device) if any(name not in TABLE or TABLE[name].weights for name in names.values()) else "cpu"
    )
    opened = {modality: open_detector(name, device=device) for modality, name in names.items()}
    for modality, detector in opened.items():
        if detector.modality is not modality:
            fitting = ", ".join(row.name for row in TABLE.values() if row.modality is modality)
            raise SettingsError(
                f"--detector.{modality} {names[modality]}: it does not answer {modality}s; take one of {fitting}"
            )
    if wanted.serving == "plain":
        return opened
    return {modality: accelerated(detector, cache=s.home() / "serving") for modality, detector in opened.items()}


class Answering:
    """Decodes a body off the event loop and asks the detector of its modality."""

    def __init__(
        self, batchers: Mapping[Modality, Batcher], decoder: VideoDecoder, executor: ThreadPoolExecutor
    ) -> None:
        self._batchers, self._executor = batchers, executor
        self._decode = {Modality.IMAGE: decode_image, Modality.VIDEO: decoder.decode}

    async def __call__(self, modality: Modality, body: bytes) -> Prediction:
        """P(synthetic) of an encoded image or video. Raises MediaError and Overloaded."""
        loop = asyncio.get_running_loop()
        media = await loop.run_in_executor(self._executor, self._decode[modality], body)
        return await self._batchers[modality].predict(media)


def miner(
    *,
    netuid: int,
    detector: DetectorSettings = DetectorSettings(),
    subtensor: s.SubtensorSettings = s.SubtensorSettings(),
    wallet: s.WalletSettings = s.WalletSettings(),
    axon: s.AxonSettings = s.AxonSettings(),
    blacklist: s.BlacklistSettings = s.BlacklistSettings(),
    logging: s.LoggingSettings = s.LoggingSettings(),
    state: Path | None = None,
    local: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Serve detectors to validators, for money.

    Parameters
    ----------
    netuid
        Number of the subnet.
    state
        Folder for what must survive a restart (accepted nonces); by default below $ASSAY_HOME.
    local
        This is a local network: publish a loopback address.
    """
    log = configure(logging, "miner")
    detectors = load_detectors(detector)
    asyncio.run(run(netuid, detectors, detector.max_batch, subtensor, wallet, axon, blacklist, log, state, local))


async def run(
    netuid: int,
    detectors: Mapping[Modality, Detector],
    max_batch: int,
    subtensor: s.SubtensorSettings,
    wallet: s.WalletSettings,
    axon: s.AxonSettings,
    blacklist: s.BlacklistSettings,
    log: Log,
    state: Path | None,
    local: bool,
    say: Callable[[Prediction], float] = lambda prediction: prediction.p_synthetic,
) -> None:
    """Serve until SIGINT or SIGTERM. `say` is the number sent for a prediction."""
    keys = open_wallet(wallet.name, wallet.hotkey, str(wallet.path.expanduser()))
    hotkey = keys.hotkey.ss58_address
    folder = state or s.home() / f"miner-{netuid}-{hotkey}"
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(until_signal())
        chain = BittensorChain(subtensor.endpoint, netuid, keys, version_key=s.VERSION_KEY)
        stack.push_async_callback(chain.close)
        view = ChainView(chain, log)
        snapshot = await first_snapshot(view, stop, log, patience=60)
        if snapshot.neuron(hotkey) is None:
            raise SettingsError(
                f"hotkey {hotkey} is not registered on subnet {netuid}: run `btcli subnets register` first"
            )
        answer = await _answering(stack, detectors, max_batch)
        nonces = SqliteNonceStore(_folder(folder) / "nonces.db")
        stack.callback(nonces.close)
        app = application(
            AxonConfig(keys.hotkey, view.metagraph, nonces, answer, _served(detectors), policy(blacklist), say=say),
            CollectorRegistry(),
        )
        server = await serve(app, axon.ip, axon.port)
        stack.push_async_callback(server.stop)
        endpoint = Endpoint(axon.external_ip or _reachable(axon.ip), axon.external_port or server.port)
        log.info("listening", host=server.host, port=server.port, hotkey=hotkey, publishing=endpoint.url)
        await publish(chain, view, hotkey, endpoint, stop, log)
        await view.follow(stop)
        log.info("stopping")


async def publish(
    chain: BittensorChain, view: ChainView, hotkey: str, endpoint: Endpoint, stop: asyncio.Event, log: Log
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


def policy(blacklist: s.BlacklistSettings) -> Policy:
    """The admission rule that the flags ask for."""
    return Policy(
        require_permit=blacklist.force_validator_permit,
        allow_unregistered=blacklist.allow_non_registered,
        min_stake=blacklist.min_stake,
        blacklist=frozenset(blacklist.hotkeys),
        rate=blacklist.rate,
        burst=max(1.0, 4 * blacklist.rate),
    )


async def _answering(stack: AsyncExitStack, detectors: Mapping[Modality, Detector], max_batch: int) -> Answering:
    decoding = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="decode"))
    thinking = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="predict"))
    decoder = VideoDecoder()
    stack.callback(decoder.close)
    batchers = {
        m: await stack.enter_async_context(Batcher(d, thinking, max_batch=max_batch)) for m, d in detectors.items()
    }
    return Answering(batchers, decoder, decoding)


def _served(detectors: Mapping[Modality, Detector]) -> dict[Modality, Served]:
    return {modality: Served(detector.name, detector.weights_hash) for modality, detector in detectors.items()}


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _reachable(listening: str) -> str:
    if listening in {"0.0.0.0", "::"}:
        raise SettingsError("--axon.external_ip is needed: the address that validators can reach this miner at")
    return listening
