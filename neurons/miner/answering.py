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

from neurons.miner.batching import Batcher, Replica
from neurons.miner.fairness import Turns, Weight, alike
from neurons.miner.loading import Placed
from subnet.codec.image import decode_image
from subnet.codec.image_header import read_header
from subnet.codec.sandbox import VideoDecoder
from subnet.codec.video import Limits
from subnet.errors import MediaTooLarge
from subnet.types import Media, Modality, Prediction
from subnet.wire.axon import Served
from subnet.wire.synapse import VideoSynapse

IMAGE_PIXELS: Final = 2**22  # 2048 x 2048
IMAGE_SCANNED: Final = 8 * IMAGE_PIXELS  # pixels times scans of a JPEG
CLIP: Final = Limits(bytes=VideoSynapse.max_body, frame_pixels=1920 * 1088, frames=144, pixels=2**24)
DECODING: Final = 2  # images, and clips, in decoding at one moment; one hotkey has one of them
DECODED_BYTES: Final = 64 * 2**20  # of media that wait for their detector; one hotkey has half of them


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
    """Decodes a body off the event loop and asks the detector of its modality; hotkeys take turns at both.

    `served` says who answers now.
    """

    def __init__(
        self,
        detectors: Mapping[Modality, Placed],
        max_batch: int,
        decoder: VideoDecoder,
        executor: ThreadPoolExecutor,
        weight: Weight,
    ) -> None:
        places = dict.fromkeys(place for placed in detectors.values() for place in placed)
        self._threads = {place: ThreadPoolExecutor(1, thread_name_prefix=f"predict {place}") for place in places}
        self._executor, self._max_batch = executor, max_batch
        self.batchers = {m: Batcher(self._replicas(placed), weight=weight) for m, placed in detectors.items()}
        self.served = {modality: _about(placed) for modality, placed in detectors.items()}
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
                return await self.batchers[modality].predict(media, hotkey)

    async def replace(self, modality: Modality, detectors: Placed) -> None:
        """From the next batch on these answer, and `served` says so; nobody who waits is lost."""
        await self.batchers[modality].replace(self._replicas(detectors))
        self.served[modality] = _about(detectors)

    def close(self) -> None:
        """End the threads; a batch in hand is waited for."""
        for thread in self._threads.values():
            thread.shutdown()

    def _replicas(self, detectors: Placed) -> list[Replica]:
        return [Replica(each, self._threads[place], place, self._max_batch) for place, each in detectors.items()]


def _about(detectors: Placed) -> Served:
    first = next(iter(detectors.values()))
    return Served(first.name, first.weights_hash)


async def answering(
    stack: AsyncExitStack, detectors: Mapping[Modality, Placed], max_batch: int, weight: Weight = alike
) -> Answering:
    """Decoders, threads and batchers of a miner, for the time of `stack`; hotkeys take turns by `weight`."""
    decoding = stack.enter_context(ThreadPoolExecutor(2 * DECODING, thread_name_prefix="decode"))
    decoder = VideoDecoder(CLIP, children=DECODING)
    stack.callback(decoder.close)
    answers = Answering(detectors, max_batch, decoder, decoding, weight)
    stack.callback(answers.close)
    for batcher in answers.batchers.values():
        await stack.enter_async_context(batcher)
    return answers
