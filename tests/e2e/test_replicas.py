"""A whole miner whose detectors are on a Ray cluster, between a real validator and replicas that go and come back."""

from __future__ import annotations

import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from detectors import load_detector
from neurons.miner.answering import decode_challenge
from subnet.chain.devnode.ledger.genesis import Rules
from subnet.chain.wallets import open_wallet
from subnet.codec.image import encode_image
from subnet.types import Endpoint, Failure, Media, Modality, Neuron, Prediction, Query
from subnet.wire.dendrite import Dendrite
from tests.e2e.programs import Network, network
from tests.places import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("localnet")]
RULES = Rules(tempo=40, allow_loopback=True, serving_rate_limit=0)
JUDGED = {(None, "npr"), (None, "constant-video")}  # how a miner answers, and with what
TRIES = 4
PATIENCE = 150.0  # seconds: a Ray takes ten to start on a quiet machine
PICTURE = encode_image(Media(np.random.default_rng(3).integers(0, 256, (1, 256, 256, 3), np.uint8)), 90)


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    variables = {"RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray-") as short:
        (Path(short) / "ray").mkdir()
        (Path(short) / "ray/ray_current_cluster").write_text("127.0.0.1:9")  # one that was killed
        variables |= {"HOME": str(tmp_path), "ASSAY_HOME": str(tmp_path / "home"), "RAY_TMPDIR": short}
        for name, value in variables.items():
            patch.setenv(name, value)
        with network(tmp_path, RULES, items=240) as net:
            net.kill("miner", signal.SIGTERM)
            yield net


def start_replicas(net: Network, port: int) -> None:
    """A Ray of their own, until they serve, whatever ran on this machine before. Ray gives a busy machine some seconds to start: tried a few times."""
    judges = ("--detector.image", "npr", "--detector.video", "constant-video", "--detector.serving", "plain")
    share = ("--detector.device", "cpu", "--ray.cpus", 0.5, "--ray.port", port)
    for _ in range(TRIES):
        since = len(net.log("replicas")) if (net.folder / "replicas.log").exists() else 0
        replicas = net.spawn("replicas", "neurons", "replicas", *judges, *share)
        ends = time.monotonic() + PATIENCE
        while replicas.poll() is None and time.monotonic() < ends:
            if '"serving"' in net.log("replicas")[since:]:
                return
            time.sleep(0.1)
        net.kill("replicas")
    raise AssertionError(net.log("replicas")[-3000:])


def answers(net: Network) -> set[tuple[Failure | None, str | None]]:
    """How the miner answered in the last round that asked it, and with which detector."""
    asked = [played for played in net.played() if played.outcomes]
    return {(outcome.failure, outcome.detector) for outcome in asked[-1].outcomes} if asked else set()


async def test_a_miner_answers_with_what_a_cluster_judges(net: Network) -> None:
    """From the validator's question to its journal the answers are the replicas' own; while they are gone each question
    is told so at once, and they answer again without a restart of the miner."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    start_replicas(net, port)
    net.start_miner(serving=("--detector.address", f"http://127.0.0.1:{port}"))
    net.until("the miner is published", lambda: net.log("miner").count('"event": "published"') == 2)
    row = next(row for row in net.saved().state.rows if row.hotkey == net.hotkeys["miner"])
    assert row.axon is not None
    neuron = Neuron(1, row.hotkey, row.coldkey, 0.0, False, Endpoint("127.0.0.1", row.axon.port))
    async with Dendrite(
        open_wallet("validator", "default", str(net.folder / "wallets")).hotkey, local=True
    ) as dendrite:
        asks = [(neuron, Query(Modality.IMAGE, PICTURE, "image/jpeg"))]
        (reply,) = await dendrite.ask(asks, 30.0)
        here = load_detector("npr")
        assert isinstance(reply.answer, Prediction), reply
        assert reply.answer.p_synthetic == pytest.approx(
            here.predict([decode_challenge(PICTURE)])[0].p_synthetic, abs=1e-6
        )
        assert (reply.detector, reply.weights_hash) == ("npr", here.weights_hash)
        net.start_validator("validator", "--neuron.interval", 0.5, "--neuron.no-commit", timeout=15.0)
        net.until("the validator has its answers", lambda: set() < answers(net) <= JUDGED, PATIENCE)
        assert net.kill("replicas", signal.SIGTERM) == 0
        net.until("the miner says so", lambda: "the replicas do not answer" in net.log("miner"))
        net.until("the validator is refused", lambda: {failure for failure, _ in answers(net)} == {Failure.ERROR})
        (reply,) = await dendrite.ask(asks, 30.0)
        assert (reply.answer, reply.status) == (Failure.ERROR, 503), reply
        assert reply.latency < 5.0
    start_replicas(net, port)
    net.until("the validator has its answers again", lambda: set() < answers(net) <= JUDGED, PATIENCE)
    assert "the replicas are back" in net.log("miner")
    assert [net.kill(name, signal.SIGTERM) for name in ("validator", "miner", "replicas")] == [0, 0, 0]
    assert "Traceback" not in net.log("miner") + net.log("validator")
