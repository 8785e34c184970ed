"""Weights that are replaced below a real miner while validators ask it: no request is lost, and none is answered wrongly."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from subnet.chain.devnode.ledger.genesis import Rules
from subnet.chain.wallets import open_wallet
from subnet.codec.image import encode_image
from subnet.types import Endpoint, Media, Modality, Neuron, Prediction, Query, Reply
from subnet.wire.dendrite import Dendrite
from tests.e2e.programs import Network, network
from tests.unit.neurons.miner.weights import recalibrated

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("localnet")]
PATIENCE = 600.0  # seconds: an export takes twenty on a quiet machine
PICTURE = encode_image(Media(np.random.default_rng(3).integers(0, 256, (1, 256, 256, 3), np.uint8)), 90)


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "ASSAY_HOME"):
            patch.setenv(name, str(tmp_path / "home"))
        with network(tmp_path, Rules(tempo=40, allow_loopback=True, serving_rate_limit=0), items=1) as net:
            net.kill("miner", signal.SIGTERM)
            yield net


def serve(net: Network, *serving: object) -> None:
    """A miner with other detectors, once it listens."""
    since = len(net.log("miner"))
    fixed = ("--detector.video", "constant-video", "--blacklist.rate", 1000)
    net.start_miner(serving=(*serving, *fixed))
    net.until("the miner is published", lambda: '"event": "published"' in net.log("miner")[since:], PATIENCE)


@asynccontextmanager
async def asked(net: Network) -> AsyncIterator[list[Reply]]:
    """Every reply to a validator that asks all the time, four at once."""
    row = next(row for row in net.saved().state.rows if row.hotkey == net.hotkeys["miner"])
    assert row.axon is not None
    neuron = Neuron(1, row.hotkey, row.coldkey, 0.0, False, Endpoint("127.0.0.1", row.axon.port))
    replies: list[Reply] = []

    async def ask() -> None:
        while True:
            replies.extend(await dendrite.ask([(neuron, Query(Modality.IMAGE, PICTURE, "image/jpeg"))], 60.0))

    keys = open_wallet("validator", "default", str(net.folder / "wallets"))
    async with Dendrite(keys.hotkey, local=True) as dendrite:
        asking = [asyncio.create_task(ask()) for _ in range(4)]
        try:
            yield replies
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)


def answered(reply: Reply) -> float:
    """The probability of an answer that is one."""
    assert isinstance(reply.answer, Prediction)
    return reply.answer.p_synthetic


async def until_served(net: Network, replies: list[Reply], digest: str) -> None:
    """Wait until a reply names these weights, and some more of them."""

    def named() -> bool:
        return sum(reply.weights_hash == digest for reply in replies) > 8

    await asyncio.to_thread(net.until, f"{digest[:12]} answers", named, PATIENCE)


@pytest.mark.parametrize(
    ("name", "serving"),
    [("autoencoder", ()), ("spectral", ("--detector.serving", "plain", "--detector.device", "cpu,cpu"))],
    ids=["exports", "torch"],
)
async def test_weights_are_replaced_under_steady_requests(net: Network, name: str, serving: tuple[object, ...]) -> None:
    """By a rename and by a copy in place, a bad file between: each reply is that of the weights that it names."""
    file, other = net.folder / "mine.safetensors", net.folder / "other.safetensors"
    first, second = recalibrated(name, file, -0.25), recalibrated(name, other, 0.25)
    whole = file.read_bytes()
    serve(net, "--detector.image", file, *serving)
    async with asked(net) as replies:
        await until_served(net, replies, first)
        other.rename(file)
        await until_served(net, replies, second)
        file.write_bytes(whole[:-99])
        await asyncio.to_thread(
            net.until, "the bad file is refused", lambda: "weights refused" in net.log("miner"), PATIENCE
        )
        since = len(replies)
        await asyncio.to_thread(net.until, "more replies", lambda: len(replies) > since + 8, 60)
        assert {reply.weights_hash for reply in replies[since + 4 :]} == {second}
        file.write_bytes(whole)
        before = len(replies)
        await asyncio.to_thread(
            net.until,
            "back",
            lambda: {reply.weights_hash for reply in replies[-4:]} == {first} and len(replies) > before,
            PATIENCE,
        )
        net.processes["miner"].send_signal(signal.SIGHUP)
        await asyncio.to_thread(net.until, "SIGHUP", lambda: net.log("miner").count("weights replaced") == 4, PATIENCE)
    assert [reply for reply in replies if not isinstance(reply.answer, Prediction)] == []
    assert {reply.weights_hash for reply in replies} == {first, second}
    answers = [[answered(reply) for reply in replies if reply.weights_hash == digest] for digest in (first, second)]
    assert all(max(some) - min(some) < 1e-5 for some in answers)  # batches of other sizes round otherwise
    assert abs(answers[0][0] - answers[1][0]) > 0.05
    assert net.kill("miner", signal.SIGTERM) == 0
    exports = list((Path(os.environ["ASSAY_HOME"]) / "serving").glob("*.onnx"))
    assert len(exports) == (2 if name == "autoencoder" else 0)
    assert hashlib.sha256(whole).hexdigest() == first
