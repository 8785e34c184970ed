"""What a validator says: a port that is taken is told at once, a picture that cannot be kept costs the picture."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.request
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from neurons.validator import thumbnails
from neurons.validator.telemetry import COMPARED_EVERY, Telemetry
from subnet.errors import SettingsError
from subnet.game.answer_table import KINDS
from subnet.game.history import History
from subnet.types import Label, Modality, Prediction
from tests.unit.subnet.evidence.journals import played
from tests.unit.subnet.game.crowds import crowd

LOG = structlog.get_logger()
ROUND = played(History(), 0, Modality.IMAGE, Label.REAL, {"alice": Prediction(0.1)})


@pytest.mark.parametrize("port", ["taken", 70000, -1])
def test_a_metrics_port_that_cannot_be_had(port: int | str) -> None:
    """The flag is named, before anything else starts."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1] if port == "taken" else int(port)
        with pytest.raises(SettingsError, match=f"--metrics_port {number}"):
            Telemetry(False, number, None, LOG)


async def test_a_gallery_that_cannot_be_written_costs_the_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One warning a picture; the line of the round is printed all the same."""
    (tmp_path / "file").write_text("")
    with capture_logs() as lines:
        await Telemetry(True, None, tmp_path / "file" / "gallery", LOG).played(ROUND, 9)
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["no thumbnail"]
    assert json.loads(capsys.readouterr().out)["block"] == 9


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
