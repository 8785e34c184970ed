"""A miner that has others judge: the same answers, whatever becomes of a replica, or a typed refusal; never a wrong one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager

import numpy as np
import pytest
import structlog
from starlette.requests import Request
from starlette.responses import Response

from detectors.acceleration.benchmark import examples
from neurons.cluster import remote
from neurons.cluster.batch_format import About, to_reply, unpack
from neurons.cluster.remote import BROKEN, RemoteDetector, Replicas
from neurons.miner.batching import Batcher, Replica
from neurons.miner.loading import load_detectors
from subnet.errors import MediaUnreadable, Overloaded, SettingsError
from subnet.types import Media, Modality, Prediction
from tests.unit.neurons.replicas.hosts import PLAIN, Answer, listening, replicas

LOG = structlog.get_logger()
ABOUT = About("npr", "ab" * 32, 3, 0.001)
NEVER_STEADY = 1_000_000  # times that fail, more than any machine asks within a deadline


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of tenths of a second."""
    for name, seconds in {"LOOK_SECONDS": 0.02, "PATIENCE": 1.5, "TRY_SECONDS": 0.5, "PAUSE": 0.01}.items():
        monkeypatch.setattr(remote, name, seconds)


def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines for what has work to do, on a machine that has other work, too."""
    monkeypatch.setattr(remote, "PATIENCE", 90.0)
    monkeypatch.setattr(remote, "TRY_SECONDS", 60.0)


async def steady(request: Request) -> Response:
    """A replica that answers 0.25 to everything."""
    return Response(to_reply(ABOUT, [Prediction(0.25)] * len(unpack(await request.body()))))


class Failing:
    """Fails `times` times on batches that are not empty, with `response`, and is steady then."""

    def __init__(self, times: int, response: Response) -> None:
        self.times, self.response, self.asked = times, response, 0

    async def __call__(self, request: Request) -> Response:
        if not unpack(await request.body()):
            return await steady(request)
        self.asked += 1
        return self.response if self.asked <= self.times else await steady(request)


@asynccontextmanager
async def connected(answers: dict[Modality, Answer]) -> AsyncIterator[tuple[Replicas, dict[Modality, RemoteDetector]]]:
    async with listening(answers) as port:
        with Replicas(f"http://127.0.0.1:{port}/", LOG) as there:
            yield there, await there.detectors(asyncio.Event(), patience=5)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(3000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come to hold")


def both(image: Answer) -> dict[Modality, Answer]:
    return {Modality.IMAGE: image, Modality.VIDEO: steady}


async def ask(detector: RemoteDetector, count: int = 2) -> list[Prediction]:
    return await asyncio.to_thread(detector.predict, examples(detector.modality, count))


async def test_answers_are_those_of_the_detector_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images and clips, alone and in batches of several: equal to the last bit; so are name and weights' hash."""
    _patient(monkeypatch)
    here = {modality: next(iter(placed.values())) for modality, placed in load_detectors(PLAIN).items()}
    async with connected(replicas(count=2)) as (there, detectors):
        assert there.lanes == 4
        for modality, detector in detectors.items():
            assert (detector.name, detector.weights_hash) == (here[modality].name, here[modality].weights_hash)
            batch = examples(modality, 3)
            assert await asyncio.to_thread(detector.predict, batch) == here[modality].predict(batch)
            assert detector.predict([]) == []


async def test_media_of_the_other_modality_are_refused_as_by_the_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with media is said once, and asked of no other replica."""
    _patient(monkeypatch)
    async with connected(replicas()) as (_, detectors):
        with pytest.raises(MediaUnreadable):
            await asyncio.to_thread(detectors[Modality.IMAGE].predict, examples(Modality.VIDEO, 1))


async def test_a_replica_without_memory_has_the_batch_halved() -> None:
    """507 is a MemoryError here, which the batcher halves a batch on."""
    out = Failing(1, Response("CUDA out of memory", 507))
    async with connected(both(out)) as (_, detectors):
        with pytest.raises(MemoryError, match="out of memory"):
            await ask(detectors[Modality.IMAGE])
        assert out.asked == 1
        assert len(await ask(detectors[Modality.IMAGE])) == 2


@pytest.mark.parametrize("status", [500, 503, 404])
async def test_a_batch_that_was_lost_is_asked_again(status: int) -> None:
    """A replica that died with the batch, one that has no room and one that is not there yet: the next answers."""
    lost = Failing(2, Response("the actor died", status))
    async with connected(both(lost)) as (_, detectors):
        assert await ask(detectors[Modality.IMAGE]) == [Prediction(0.25)] * 2
    assert lost.asked == 3


async def test_a_replica_that_hangs_is_left_for_another() -> None:
    """One that never answers costs a try, not the batch."""
    hung: list[bool] = []

    async def hangs(request: Request) -> Response:
        if unpack(await request.body()) and not hung:
            hung.append(True)
            await asyncio.sleep(30)
        return await steady(request)

    async with connected(both(hangs)) as (_, detectors):
        async with asyncio.timeout(1.4):
            assert await ask(detectors[Modality.IMAGE]) == [Prediction(0.25)] * 2
    assert hung


async def test_a_batch_that_breaks_replicas_does_not_take_them_all() -> None:
    """After `BROKEN` of them it is Overloaded, which is a 503 to whoever asked, with the reason in it."""
    poison = Failing(NEVER_STEADY, Response("Segmentation fault", 500))
    async with connected(both(poison)) as (_, detectors):
        with pytest.raises(Overloaded, match="Segmentation fault"):
            await ask(detectors[Modality.IMAGE])
    assert poison.asked == BROKEN


@pytest.mark.parametrize(
    "reply",
    [
        to_reply(About("npr", "cd" * 32, 3, 0.001), [Prediction(0.9)] * 2),
        to_reply(About("ucf", "ab" * 32, 3, 0.001), [Prediction(0.9)] * 2),
        to_reply(ABOUT, [Prediction(0.9)]),
        to_reply(ABOUT, [Prediction(0.9)] * 3),
        '{"p_synthetic": [0.9, 0.9]}',
        "<html>welcome</html>",
    ],
)
async def test_an_answer_that_may_be_wrong_is_none(reply: str) -> None:
    """Other weights than the miner names in its replies, other numbers than asked for, another program's page."""
    async with connected(both(Failing(NEVER_STEADY, Response(reply)))) as (_, detectors):
        with pytest.raises(Overloaded):
            await ask(detectors[Modality.IMAGE])
    one = Failing(1, Response(reply))
    async with connected(both(one)) as (_, detectors):  # one host of several: the others answer
        assert await ask(detectors[Modality.IMAGE]) == [Prediction(0.25)] * 2


async def test_a_cluster_that_goes_is_told_and_comes_back() -> None:
    """While nothing answers the reason stands in `why_not` and requests are refused at once; then all is as before."""
    stop = asyncio.Event()
    async with listening(both(steady)) as port:
        there = Replicas(f"http://127.0.0.1:{port}", LOG)
        detectors = await there.detectors(stop)
        watching = asyncio.create_task(there.watch(stop))
        assert await ask(detectors[Modality.IMAGE]) == [Prediction(0.25)] * 2
    await until(lambda: bool(there.why_not))
    assert f"127.0.0.1:{port}" in there.why_not
    began = asyncio.get_running_loop().time()
    with pytest.raises(Overloaded) as refused:
        await ask(detectors[Modality.IMAGE])
    assert asyncio.get_running_loop().time() - began < 0.3
    assert refused.value.retry_after == 5.0
    async with listening(both(steady), port):
        await until(lambda: not there.why_not)
        assert await ask(detectors[Modality.IMAGE]) == [Prediction(0.25)] * 2
    stop.set()
    await watching


async def test_one_modality_that_is_gone_is_told() -> None:
    """A miner whose images are answered and whose videos are not is not ready, and says which."""
    answers, stop = both(steady), asyncio.Event()

    async def gone(request: Request) -> Response:
        return Response("Path '/assay/video' not found", 404)

    async with connected(answers) as (there, _):
        watching = asyncio.create_task(there.watch(stop))
        answers[Modality.VIDEO] = gone
        await until(lambda: bool(there.why_not))
        assert there.why_not.startswith("videos: ")
        stop.set()
        await watching


async def test_a_cluster_that_is_not_there_is_told_at_the_start() -> None:
    """The flag, the address and what to start."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        Replicas(f"http://127.0.0.1:{port}", LOG) as there,
        pytest.raises(SettingsError, match=rf"--detector\.address: .*127\.0\.0\.1:{port}.*`assay replicas`"),
    ):
        await there.detectors(asyncio.Event(), patience=0.1)


async def test_a_stop_ends_the_waiting_for_a_cluster() -> None:
    """A signal that comes while a miner waits for its replicas."""
    stop = asyncio.Event()
    with Replicas("http://127.0.0.1:9", LOG) as there:
        waiting = asyncio.create_task(there.detectors(stop))
        await asyncio.sleep(0.05)
        stop.set()
        async with asyncio.timeout(5):
            assert await waiting == {}


async def test_no_proxy_of_the_environment_is_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's proxy for the web is not on the way to the cluster next door."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with connected(both(steady)) as (_, detectors):
        assert await ask(detectors[Modality.IMAGE]) == [Prediction(0.25)] * 2


async def test_batches_are_at_several_replicas_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the miner's batcher as many batches are under way as there are lanes, and each answer is its own."""
    _patient(monkeypatch)
    together, all_there = 0, asyncio.Event()

    async def slow(request: Request) -> Response:
        nonlocal together
        if batch := unpack(await request.body()):
            together += 1
            if together == 2 * ABOUT.replicas:
                all_there.set()
            await all_there.wait()
        return Response(to_reply(ABOUT, [Prediction(float(media.frames[0, 0, 0, 0]) / 255) for media in batch]))

    async with connected(both(slow)) as (there, detectors):
        with ExitStack() as threads:
            pools = [threads.enter_context(ThreadPoolExecutor(1)) for _ in range(there.lanes)]
            async with Batcher([Replica(detectors[Modality.IMAGE], pool) for pool in pools]) as batcher:
                asks = (batcher.predict(Media(np.full((1, 2, 2, 3), n, np.uint8)), f"v{n % 5}") for n in range(60))
                answers = await asyncio.gather(*asks)
    assert answers == [Prediction(n / 255) for n in range(60)]
