"""`assay claim`: cards are written from what a detector answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from detectors.calibration import Calibration
from detectors.checkpoints import write
from detectors.claims.shelf import claims_of
from detectors.loading import open_detector
from detectors.npr.network import NPR
from detectors.rows import Preprocess
from neurons.commands.claims.claim import claim
from subnet.errors import DataError, SettingsError
from subnet.types import Modality
from tests.unit.detectors.folders import write_images


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """An NPR that calls everything synthetic."""
    torch.manual_seed(0)
    path = tmp_path / "npr.safetensors"
    calibration = Calibration(temperature=1e6, bias=3.0)
    write(path, NPR().state_dict(), preprocess=Preprocess(size=64), calibration=calibration, notes={"detector": "npr"})
    return path


def test_threshold_reach_and_exam_come_from_answers(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """First an exam under the calibration's band; then a fit, which strikes it off; then the exam again."""
    monkeypatch.setattr("neurons.commands.claims.claim.LEAST_TO_FIT", 8)
    data = write_images(tmp_path / "data", 8)
    claim(str(weights), data=str(data), exam="small", levels="0", device="cpu", json=True)
    exam = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (exam["false_alarms"]["count"], exam["false_alarms"]["items"]) == (8, 8)
    assert (exam["misses"]["count"], exam["shown"], exam["current"]) == (0, "at levels 0", False)
    claim(str(weights), data=str(data), fit=True, levels="0", device="cpu")
    assert "struck off" in capsys.readouterr().err
    claims = claims_of(str(weights), open_detector(str(weights)))
    assert claims.card.exams == ()
    assert claims.card.reach is not None
    assert claims.density is not None
    assert (claims.card.reach.coarsest, claims.card.reach.stored) == (None, 0)  # sixteen pictures draw no line
    claim(str(weights), data=str(data), exam="small", levels="0", current=True, limit=3, device="cpu")
    (again,) = claims_of(str(weights), open_detector(str(weights))).card.exams
    assert again.false_alarms is not None
    assert again.misses is not None
    assert (again.false_alarms.items, again.misses.items, again.current) == (3, 3, True)
    assert "misses" in capsys.readouterr().out


def test_what_is_wrong_is_told_by_name(weights: Path, tmp_path: Path) -> None:
    """Neither exam nor fit, both, a limit of none, too few to fit on, and data of another modality."""
    data = write_images(tmp_path / "data", 2)
    for wrong in ({}, {"exam": "e", "fit": True}):
        with pytest.raises(SettingsError, match="--exam: name the exam"):
            claim(str(weights), data=str(data), device="cpu", **wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="--limit 0"):
        claim(str(weights), data=str(data), exam="e", limit=0, device="cpu")
    with pytest.raises(DataError, match="2 real items .* a threshold needs 40"):
        claim(str(weights), data=str(data), fit=True, device="cpu")
    with pytest.raises(DataError, match=f"holds no {Modality.VIDEO}s"):
        claim(f"frames={weights}", data=str(data), exam="e", device="cpu")
