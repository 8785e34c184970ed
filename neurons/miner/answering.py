"""From an encoded body to a prediction: decoding off the event loop, and one batcher per modality.

A challenge is 256 pixels square, so media far beyond that are refused from their header, and what is decoded and waits
for its detector has a budget in bytes, shared fairly: permitted or not, nobody's pictures keep another's waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Final

from detectors import TABLE
from detectors.acceleration.exported import open_exported
from detectors.evaluation.self_test import self_test
from detectors.loading import open_detector
from neurons import settings as s
from neurons.miner.batching import Batcher
from neurons.miner.fairness import Turns, Weight, alike
from neurons.miner.settings import DetectorSettings, wrong_modality
from subnet.codec.image import decode_image
from subnet.codec.image_header import read_header
from subnet.codec.sandbox import VideoDecoder
from subnet.codec.video import Limits
from subnet.errors import CheckpointError, MediaTooLarge
from subnet.protocols import Detector
from subnet.types import Media, Modality, Prediction
from subnet.wire.synapse import VideoSynapse

IMAGE_PIXELS: Final = 2**22  # 2048 x 2048
IMAGE_SCANNED: Final = 8 * IMAGE_PIXELS  # pixels times scans of a JPEG
CLIP: Final = Limits(bytes=VideoSynapse.max_body, frame_pixels=1920 * 1088, frames=144, pixels=2**24)
DECODING: Final = 2  # images, and clips, in decoding at one moment; one hotkey has one of them
DECODED_BYTES: Final = 64 * 2**20  # of media that wait for their detector; one hotkey has half of them


def load_detectors(wanted: DetectorSettings) -> dict[Modality, Detector]:
    """Both detectors, after their self-test. On a CPU torch is imported only for what has no export.

    Raises SettingsError when one answers for the other modality, and what opening and testing one raises.
    """
    return {modality: load_detector(wanted, modality) for modality in Modality}


def load_detector(wanted: DetectorSettings, modality: Modality) -> Detector:
    """The detector of one modality, on the first device where there are several. Raises as `load_detectors`."""
    text = wanted.of(modality)
    guessing = text in TABLE and not TABLE[text].family
    device = "cpu" if guessing else s.device(wanted.device)
    detector = _opened(text, device, fast=wanted.serving == "fast" and not guessing)
    if detector.modality is not modality:
        raise wrong_modality(modality, text)
    try:
        self_test(detector)
    except CheckpointError as error:
        raise CheckpointError(f"--detector.{modality} {text}: {error}") from error
    return detector


def _opened(text: str, device: str, *, fast: bool) -> Detector:
    cache = s.home() / "serving"
    if fast and device == "cpu" and (exported := open_exported(text, cache)) is not None:
        return exported
    detector = open_detector(text, device=device)
    if not fast:
        return detector
    from detectors.acceleration.accelerate import accelerated

    return accelerated(detector, cache=cache)


def decode_challenge(data: bytes) -> Media:
    """An image of a challenge's size. Raises MediaTooLarge before anything is decoded, and as `decode_image` does."""
    header = read_header(data)
    pixels = header.width * header.height
    if pixels > IMAGE_PIXELS:
        raise MediaTooLarge(f"{header.width}x{header.height} pixels are over the {IMAGE_PIXELS} of a challenge")
    if pixels * header.scans > IMAGE_SCANNED:
        raise MediaTooLarge(f"{header.scans} scans of {header.width}x{header.height} pixels are no challenge")
    return decode_image(data)


class Answering:
    """Decodes a body off the event loop and asks the detector of its modality; hotkeys take turns at both."""

    def __init__(
        self, batchers: Mapping[Modality, Batcher], decoder: VideoDecoder, executor: ThreadPoolExecutor, weight: Weight
    ) -> None:
        self._batchers, self._executor = batchers, executor
        self._decode = {Modality.IMAGE: decode_challenge, Modality.VIDEO: decoder.decode}
        self._decoding = {modality: Turns(DECODING, DECODING - 1, weight) for modality in Modality}
        self._decoded = Turns(DECODED_BYTES, DECODED_BYTES // 2, weight)

    async def __call__(self, modality: Modality, body: bytes, hotkey: str) -> Prediction:
        """P(synthetic) of an encoded image or video, for `hotkey`. Raises MediaError and Overloaded."""
        async with AsyncExitStack() as decoding:
            await decoding.enter_async_context(self._decoding[modality].turn(hotkey))
            media = await asyncio.get_running_loop().run_in_executor(self._executor, self._decode[modality], body)
            async with self._decoded.turn(hotkey, media.frames.nbytes):
                await decoding.aclose()  # the next may be decoded: this one is accounted for
                return await self._batchers[modality].predict(media, hotkey)


async def answering(
    stack: AsyncExitStack, detectors: Mapping[Modality, Detector], max_batch: int, weight: Weight = alike
) -> Answering:
    """Decoders, threads and batchers of a miner, for the time of `stack`; hotkeys take turns by `weight`."""
    decoding = stack.enter_context(ThreadPoolExecutor(2 * DECODING, thread_name_prefix="decode"))
    thinking = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="predict"))
    decoder = VideoDecoder(CLIP, children=DECODING)
    stack.callback(decoder.close)
    batchers = {
        m: await stack.enter_async_context(Batcher(d, thinking, max_batch=max_batch, weight=weight))
        for m, d in detectors.items()
    }
    return Answering(batchers, decoder, decoding, weight)
