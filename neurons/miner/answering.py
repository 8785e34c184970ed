"""From an encoded body to a prediction: decoding off the event loop, and one batcher per modality."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from detectors import TABLE
from detectors.acceleration.accelerate import accelerated
from detectors.loading import open_detector
from neurons import settings as s
from neurons.miner.batching import Batcher
from neurons.miner.settings import DetectorSettings, wrong_modality
from subnet.codec.image import decode_image
from subnet.codec.sandbox import VideoDecoder
from subnet.protocols import Detector
from subnet.types import Modality, Prediction


def load_detectors(wanted: DetectorSettings) -> dict[Modality, Detector]:
    """Both detectors. Raises SettingsError when one answers for the other modality, and what opening one raises."""
    names = {Modality.IMAGE: wanted.image, Modality.VIDEO: wanted.video}
    device = (
        s.device(wanted.device) if any(name not in TABLE or TABLE[name].weights for name in names.values()) else "cpu"
    )
    opened = {modality: open_detector(name, device=device) for modality, name in names.items()}
    for modality, detector in opened.items():
        if detector.modality is not modality:
            raise wrong_modality(modality, names[modality])
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


async def answering(stack: AsyncExitStack, detectors: Mapping[Modality, Detector], max_batch: int) -> Answering:
    """Decoders, threads and batchers of a miner, for the time of `stack`."""
    decoding = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="decode"))
    thinking = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="predict"))
    decoder = VideoDecoder()
    stack.callback(decoder.close)
    batchers = {
        m: await stack.enter_async_context(Batcher(d, thinking, max_batch=max_batch)) for m, d in detectors.items()
    }
    return Answering(batchers, decoder, decoding)
