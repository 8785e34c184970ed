"""Two hosts of a real Ray cluster: one is killed while requests run, and every answer comes and is the detector's own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import pytest
import structlog

from detectors.acceleration.benchmark import examples
from neurons.cluster import judge, remote
from neurons.cluster.judge import open_there
from neurons.cluster.remote import Replicas
from neurons.miner.batching import Batcher, Replica
from neurons.miner.loading import load_detectors
from neurons.miner.settings import JudgeSettings
from subnet.types import Modality, Prediction
from tests.places import ROOT
from tests.unit.neurons.replicas.hosts import alike, here, pattern, report

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
LOG = structlog.get_logger()
TRIES = 4
STORE = "80000000"  # bytes of a host's object store: nothing of ours goes through it
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def program(log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a process group of its own, which is killed at the end."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env={**os.environ, **ENVIRONMENT}, cwd=ROOT, start_new_session=True
        )
        try:
            yield process
        finally:
            with ExitStack() as quiet:
                quiet.callback(process.wait)
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
                    try:
                        process.wait(30)
                    except subprocess.TimeoutExpired:
                        os.killpg(process.pid, signal.SIGKILL)


def wait_for(log: Path, text: str, process: subprocess.Popen[bytes], seconds: float = 240) -> None:
    ends = time.monotonic() + seconds
    while text not in log.read_text(errors="replace"):
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        assert time.monotonic() < ends, log.read_text(errors="replace")[-2000:]
        time.sleep(0.2)


@contextmanager
def host(folder: Path, name: str, *where: str) -> Iterator[subprocess.Popen[bytes]]:
    """A host of the cluster, as `ray start` makes one. Ray gives a busy machine 15 seconds for it: tried a few times."""
    ray = str(Path(sys.executable).parent / "ray")
    bounds = ("--num-cpus", "2", "--object-store-memory", STORE, "--disable-usage-stats", "--block")
    for number in range(TRIES):
        log = folder / f"{name}-{number}.log"
        with program(log, ray, "start", *where, *bounds) as process:
            try:
                wait_for(log, "Ray runtime started", process)
            except AssertionError:
                if number == TRIES - 1:
                    raise
                continue
            yield process
            return


@asynccontextmanager
async def two_hosts(
    folder: Path, served: Sequence[str]
) -> AsyncIterator[tuple[Replicas, subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """Two replicas of each modality on two hosts; the second host, and the program that has them serve."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    head, port = free_port(), free_port()
    share = ("--ray.address", f"127.0.0.1:{head}", "--ray.replicas", "2", "--ray.cpus", "0.5", "--ray.port", str(port))
    log = folder / "replicas.log"
    with ExitStack() as stack:
        stack.enter_context(host(folder, "head", "--head", "--port", str(head), "--include-dashboard", "false"))
        other = stack.enter_context(host(folder, "other", "--address", f"127.0.0.1:{head}"))
        command = (sys.executable, "-m", "neurons", "replicas", *share, "--detector.device", "cpu", *served)
        serving = stack.enter_context(program(log, *command))
        await asyncio.to_thread(wait_for, log, '"serving"', serving)
        yield stack.enter_context(Replicas(f"http://127.0.0.1:{port}", LOG)), other, serving


async def test_a_host_that_dies_costs_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two replicas of each modality on two hosts, one killed -9 with all that runs on it in the middle of 200 requests;
    then SIGTERM ends the program within two seconds, and the replicas with it."""
    for name, seconds in {"TRY_SECONDS": 30.0, "PATIENCE": 120.0}.items():  # on a machine that has other work, too
        monkeypatch.setattr(remote, name, seconds)
    placed = load_detectors(JudgeSettings("npr", "random-video", "cpu", "plain"))
    here = {modality: next(iter(detectors.values())) for modality, detectors in placed.items()}
    batch = {modality: examples(modality, 20) for modality in Modality}
    wanted = {m: [here[m].predict([media])[0].p_synthetic for media in batch[m]] for m in Modality}
    served = ("--detector.video", "random-video", "--detector.serving", "plain")
    async with AsyncExitStack() as stack:
        there, other, serving = await stack.enter_async_context(two_hosts(tmp_path, served))
        detectors = await there.detectors(asyncio.Event())
        replicas = {
            modality: [Replica(one, stack.enter_context(ThreadPoolExecutor(1))) for _ in range(there.lanes)]
            for modality, one in detectors.items()
        }
        async with Batcher(replicas[Modality.IMAGE]) as images, Batcher(replicas[Modality.VIDEO]) as videos:
            batchers = {Modality.IMAGE: images, Modality.VIDEO: videos}

            async def one(number: int) -> tuple[Prediction, float]:
                modality = Modality.VIDEO if number % 4 == 3 else Modality.IMAGE
                await asyncio.sleep(number * 0.02)
                answer = await batchers[modality].predict(batch[modality][number % 20], f"v{number % 7}")
                return answer, wanted[modality][number % 20]

            asked = [asyncio.create_task(one(number)) for number in range(200)]
            await asyncio.sleep(2)
            os.killpg(other.pid, signal.SIGKILL)
            answers = await asyncio.gather(*asked)
        assert max(abs(answer.p_synthetic - right) for answer, right in answers) < 1e-6
        began = time.monotonic()
        serving.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(serving.wait, 20) == 0
        assert time.monotonic() - began < 5


async def test_files_are_judged_while_a_host_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a site has them judged: four at once, a host killed -9 meanwhile, and every report is that of the detector."""
    for name, seconds in {"FILE_SECONDS": 300.0, "EACH_SECONDS": 30.0}.items():
        monkeypatch.setattr(judge, name, seconds)
    monkeypatch.setattr(remote, "PATIENCE", 120.0)
    media = pattern(300, 400)
    served = ("--detector.image", "spectral", "--detector.video", "constant-video")
    async with two_hosts(tmp_path, served) as (there, other, _):
        asked = [asyncio.create_task(asyncio.to_thread(report, partial(open_there, there), media)) for _ in range(4)]
        await asyncio.sleep(3)
        os.killpg(other.pid, signal.SIGKILL)
        found = await asyncio.gather(*asked)
    wanted = report(here("spectral"), media)
    assert [alike(each, wanted) for each in found] == [True] * 4
