"""What a validator says: a port that is taken is told at once, a picture that cannot be kept costs the picture."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import socket
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from neurons.chain_view import ChainView
from neurons.validator import thumbnails
from neurons.validator.monitors.serving import serve_metrics
from neurons.validator.telemetry import COMPARED_EVERY, Telemetry
from subnet.chain.devnode.keys import seeded
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.errors import SettingsError
from subnet.game.answer_table import KINDS
from subnet.game.history import History
from subnet.media.pool.pool import Pool
from subnet.types import Label, Modality, Prediction
from tests.unit.subnet.evidence.journals import played
from tests.unit.subnet.game.crowds import crowd
from tests.unit.subnet.media.pool.samples import make_sample

LOG = structlog.get_logger()
ROUND = played(History(), 0, Modality.IMAGE, Label.REAL, {"alice": Prediction(0.1)})


@pytest.mark.parametrize("port", ["taken", 70000, -1])
def test_a_metrics_port_that_cannot_be_had(port: int | str) -> None:
    """The flag is named, before anything else starts."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1] if port == "taken" else int(port)
        with pytest.raises(SettingsError, match=f"--metrics_port {number}"):
            Telemetry(False, number, None, LOG)


def test_metrics_are_not_read_by_pages_of_strangers() -> None:
    """Whose name is bound to this machine anew; Prometheus asks for an address or localhost."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve_metrics(port, CollectorRegistry())
    for host, expected in ((f"evil.example:{port}", 421), (f"localhost:{port}", 200), (f"127.0.0.1:{port}", 200)):
        asked = http.client.HTTPConnection("127.0.0.1", port)
        asked.request("GET", "/metrics", headers={"Host": host})
        assert asked.getresponse().status == expected
        asked.close()


async def test_a_gallery_that_cannot_be_written_costs_the_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One warning for all pictures; the lines of the rounds are printed all the same."""
    (tmp_path / "file").write_text("")
    with capture_logs() as lines:
        telemetry = Telemetry(True, None, tmp_path / "file" / "gallery", LOG)
        await telemetry.played(ROUND, 8)
        capsys.readouterr()
        await telemetry.played(ROUND, 9)
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["no thumbnail"]
    assert json.loads(capsys.readouterr().out)["block"] == 9


async def test_void_rounds_are_told_once_for_each_reason() -> None:
    """A night without miners is one line; another reason is another, and a round that counts ends them all."""
    telemetry = Telemetry(False, None, None, LOG)
    with capture_logs() as lines:
        for void in ("nobody to ask", "nobody to ask", "nobody was heard", "nobody to ask", "", "", "nobody to ask"):
            await telemetry.played(replace(ROUND, void=void), 9)
    told = [line["why"] for line in lines if line["event"] == "void round"]
    assert told == ["nobody to ask", "nobody was heard", "mended", "nobody to ask"]


async def test_thumbnails_are_whole(tmp_path: Path) -> None:
    """One picture with its facts, and nothing half written beside it."""
    await Telemetry(False, None, tmp_path / "gallery", LOG).played(ROUND, 9)
    assert [path.name for path in (tmp_path / "gallery").iterdir()] == ["000000.jpg"]
    ((picture, facts),) = thumbnails.read(tmp_path / "gallery")
    assert (picture.size, facts) == ((160, 160), ["0", "image", "real", "origin", "1"])


async def test_miners_that_answer_alike_are_counted() -> None:
    """Every hundred rounds that count, the gauges tell how many clusters there are, and of how many miners."""
    table = crowd(1, miners=16, rounds=3 * COMPARED_EVERY, asked=16, copies=3, rounded=0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    telemetry = Telemetry(False, port, None, LOG)
    for number, (kind, column) in enumerate(zip(table.kinds, table.p.T, strict=True)):
        answers = {hotkey: Prediction(float(p)) for hotkey, p in zip(table.hotkeys, column, strict=True)}
        await telemetry.played(played(History(), number, *KINDS[kind], answers), number)
    page = await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{port}/metrics")
    with page:
        text = page.read().decode()
    assert "assay_alike_clusters 1.0" in text
    assert "assay_alike_miners 3.0" in text


async def test_scores_of_departed_hotkeys_are_told_no_more() -> None:
    """A gauge for each miner that is there, however many came and went."""
    telemetry, told = Telemetry(False, None, None, LOG), "assay_score"
    for number in range(3):
        answers = {"stays": Prediction(0.1), f"miner {number}": Prediction(0.1)}
        await telemetry.played(played(History(), number, Modality.IMAGE, Label.REAL, answers), number)
    scores = [
        sample.labels["hotkey"]
        for metric in telemetry.registry.collect()
        for sample in metric.samples
        if sample.name == told
    ]
    assert scores == ["stays", "miner 2"]


async def test_chain_pool_and_disk_are_told_as_they_are(tmp_path: Path) -> None:
    """At each reading, also when no round was played: kinds that the pool lacks are 0, and a lost disk is left out."""
    subnet = MemorySubnet(seeded(validators=1, miners=1))
    view, pool = ChainView(MemoryChain(subnet, "v"), LOG), Pool(tmp_path / "pool", floor=0)
    telemetry = Telemetry(False, None, None, LOG)
    telemetry.watch(view, pool, tmp_path)
    await view.refresh()
    told = telemetry.registry.get_sample_value
    real, fake = ({"modality": "image", "label": label} for label in ("real", "synthetic"))
    assert (told("assay_pool_items", real), told("assay_pool_items", fake)) == (0, 0)
    pool.put(make_sample(0), stream="main", sequence=0)
    await subnet.advance(7)
    await view.refresh()
    assert (told("assay_pool_items", real), told("assay_pool_items", fake)) == (1, 0)
    assert told("assay_block") == view.block > 0
    assert 0 <= (told("assay_snapshot_age_seconds") or 0) < 60
    assert (told("assay_disk_free_bytes", {"folder": "state"}) or 0) > 0
    assert (told("process_resident_memory_bytes") or 0) > 0
    shutil.rmtree(tmp_path)
    assert told("assay_disk_free_bytes", {"folder": "state"}) is None
    assert told("assay_block") == view.block
