"""What a validator says: a port that is taken is told at once, a picture that cannot be kept costs the picture."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from neurons.validator import thumbnails
from neurons.validator.telemetry import Telemetry
from subnet.errors import SettingsError
from subnet.game.history import History
from subnet.types import Label, Modality, Prediction
from tests.unit.subnet.evidence.journals import played

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
