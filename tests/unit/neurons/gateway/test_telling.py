"""A miner that keeps all it sees of every request, and learns from it which ones are a gateway's, learns nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from neurons.gateway.asking import Asking, question
from neurons.settings import NeuronSettings
from subnet.codec.image import decode_image, encode_image
from subnet.game.sampling import Sampling, derive
from subnet.game.step import vary
from subnet.media import embedded
from subnet.media.embedded.source import EmbeddedSource
from subnet.media.leak.appearance import sharpness
from subnet.media.leak.container_traits import traits
from subnet.types import Challenge, Endpoint, Label, Media, Modality, Neuron, Query, Split
from subnet.wire.dendrite import Dendrite
from subnet.wire.synapse import Envelope, digest_of, write_reply
from tests.unit.neurons.gateway.test_hiding import moments
from tests.unit.subnet.wire.rig import MINER, VALIDATOR
from tests.unit.subnet.wire.test_dendrite import http

IRREGULAR = NeuronSettings(irregular=True)
Make = Callable[[list[Media], Sampling, np.random.Generator], Query]


@dataclass
class Seen:
    """What came on one connection after the other: heads, bodies, ports of the other side."""

    port: int
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    peers: list[int] = field(default_factory=list)


def answer_to(head: str, body: bytes) -> bytes:
    """What an honest miner answers."""
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    envelope = Envelope(int(fields["x-bittensor-nonce"]), digest_of(body), VALIDATOR.ss58_address, MINER.ss58_address)
    return http(write_reply(MINER, envelope, 0.75, "npr", ""))


@asynccontextmanager
async def watching_miner() -> AsyncIterator[Seen]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = next(line for line in head.split("\r\n") if line.lower().startswith("content-length"))
                seen.heads.append(head)
                seen.bodies.append(await reader.readexactly(int(length.split(":")[1])))
                seen.peers.append(writer.get_extra_info("peername")[1])
                writer.write(answer_to(head, seen.bodies[-1]))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen = Seen(server.sockets[0].getsockname()[1])
    async with server:
        yield seen


def numbers(seen: Seen, at: int, shapes: dict[str, int]) -> dict[str, float]:
    """Everything of one request but its time, as numbers by name."""
    head, body = seen.heads[at], seen.bodies[at]
    lines = [line.partition(":") for line in head.split("\r\n")[1:] if line]
    drawn = ("nonce", "signature", "digest", "content-length")
    shape = "|".join(name if any(each in name.lower() for each in drawn) else name + value for name, _, value in lines)
    nonce = next(int(value) for name, _, value in lines if name.lower().endswith("nonce"))
    frame = decode_image(body).frames
    grey = frame[0].astype(np.float64).mean(axis=2)
    bands = np.log1p(np.abs(np.fft.rfft2(grey)))
    steps = np.abs(np.diff(grey, axis=1))
    return {
        "shape": shapes.setdefault(head.split("\r\n")[0] + shape, len(shapes)),
        "head": len(head),
        "size": len(body),
        "kept": seen.peers[at] == seen.peers[at - 1] if at else 0,
        "nonce": nonce % 1000,
        **traits(body, "", 0.0),
        "sharpness": sharpness(frame),
        **{f"colour {n}": value for n, value in enumerate(frame.mean(axis=(0, 1, 2)))},
        **{f"contrast {n}": value for n, value in enumerate(frame.std(axis=(0, 1, 2)))},
        **{f"band {n}": bands[16 * n : 16 * n + 16, : 16 * n + 16].mean() for n in range(8)},
        "blocks": steps[:, 7::8].mean() / max(steps.mean(), 1e-9),
        **{f"rank {q}": float(np.quantile(grey, q)) for q in (0.01, 0.25, 0.5, 0.75, 0.99)},
    }


async def told_apart(count: int, settings: NeuronSettings, make: Make = question) -> float:
    """AUC of the miner's best guess, on photographs that it did not learn from; `count` rounds and as many questions.

    Requests go over real connections one after another. The clock alone is made up: by it rounds would take hours.
    """
    rng, source = np.random.default_rng(0), EmbeddedSource(Split.TEST)
    photographs = embedded.items(Modality.IMAGE, Split.TEST)
    times, labels = moments(settings, rng, count, count)
    groups = []
    async with AsyncExitStack() as stack:
        seen = await stack.enter_async_context(watching_miner())
        neuron = Neuron(7, MINER.ss58_address, "m", 0.0, permit=False, endpoint=Endpoint("127.0.0.1", seen.port))
        validator, asker = [
            await stack.enter_async_context(Dendrite(VALIDATOR, local=True, fresh=True)) for _ in range(2)
        ]
        asking = Asking(asker, stack.enter_context(ThreadPoolExecutor(1)), count=1, seconds=10.0, rate=1e6)
        asking._question = partial(made, make)  # type: ignore[method-assign]
        for number, label in enumerate(labels.tolist()):
            if label:
                sample = source.draw(Modality.IMAGE, Label.REAL, rng)
                challenge = Challenge("", sample, derive("telling", number), int(rng.integers(4)))
                query, _ = await asyncio.to_thread(vary, challenge, MINER.ss58_address)
                await validator.ask([(neuron, query)], 10.0)
                groups.append(sample.provenance.item)
            else:
                item = photographs[int(rng.integers(len(photographs)))]
                media = await asyncio.to_thread(lambda path: decode_image(path.read_bytes()), embedded.path(item))
                assert (await asking.ask([media], [neuron], Sampling())).said
                groups.append(item.id)
    return auc_of(seen, times, labels, np.array(groups))


def auc_of(seen: Seen, times: NDArray[np.float64], labels: NDArray[np.int64], groups: NDArray[np.str_]) -> float:
    shapes: dict[str, int] = {}
    rows = [numbers(seen, at, shapes) for at in range(len(labels))]
    names = sorted({name for row in rows for name in row})
    gaps = np.diff(times, prepend=times[0])
    clock = np.stack([gaps, np.roll(gaps, 1), np.roll(gaps, 2), np.roll(gaps, -1), np.arange(len(times))], axis=1)
    features = np.column_stack([[[row.get(name, np.nan) for name in names] for row in rows], clock])
    model = HistGradientBoostingClassifier(max_iter=80, random_state=0)
    scores = cross_val_predict(model, features, labels, cv=GroupKFold(5), groups=groups, method="predict_proba")
    return float(roc_auc_score(labels, scores[:, 1]))


def whole(media: list[Media], sampling: Sampling, rng: np.random.Generator) -> Query:
    """What a gateway would send that did not trouble: the picture, made smaller."""
    frames = media[0].frames[:, :: max(1, media[0].frames.shape[1] // 256), :: max(1, media[0].frames.shape[2] // 256)]
    return Query(Modality.IMAGE, encode_image(Media(np.ascontiguousarray(frames[:, :256, :256])), 90), "image/jpeg")


async def made(make: Make, media: list[Media], sampling: Sampling) -> Query:
    return await asyncio.to_thread(make, media, sampling, np.random.default_rng())


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_nothing_of_all_that_is_seen_tells() -> None:
    """Order, time, headers, connection, size, file and looks together: an AUC of at most .55 beside an irregular
    validator."""
    assert await told_apart(600, IRREGULAR) <= 0.55


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_this_miner_would_find_out_who_is_careless() -> None:
    """The same one, of a gateway that sends whole pictures, and of one beside a regular validator."""
    assert await told_apart(120, IRREGULAR, whole) > 0.9
    assert await told_apart(120, NeuronSettings()) > 0.8
