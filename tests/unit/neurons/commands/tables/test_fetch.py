"""`assay fetch`: what can be fetched, the question before, and the detector after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save

import detectors
from detectors.npr.safe import SAFE
from detectors.rows import Origin
from tests.unit.detectors.fetching.served import COMMIT, Served, serving
from tests.unit.neurons.running import Assay


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The row `safe` with a file of this machine's server."""
    origin = Origin("people/repository", COMMIT, "safe.safetensors", 5_800_000, host="github")
    with serving() as served:
        torch.manual_seed(0)
        served.files[f"/{origin.repository}/{COMMIT}/{origin.file}"] = save(SAFE().state_dict())
        monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
        monkeypatch.setitem(detectors.TABLE, "safe", replace(detectors.TABLE["safe"], files=(origin,)))
        yield served


def test_told_asked_fetched_and_used(assay: Assay, server: Served, tmp_path: Path) -> None:
    """Size and licence first; without --yes nothing happens; then it judges a picture."""
    refused = assay("fetch", "safe")
    assert refused.status == 2
    assert "6 MB, licence Apache-2.0" in refused.out
    assert f"github.com/people/repository/safe.safetensors@{COMMIT}" in refused.out
    assert "--yes" in refused.err
    assert server.asked == []
    assert [row["fetched"] for row in assay("fetch", "--json").json if row["name"] == "safe"] == [False]
    found = assay("fetch", "safe", "--yes", "--github", server.url, "--json").json
    assert found["fetched"]
    assert found["files"][0]["sha256"]
    assert "assay detect --detector safe" in assay("fetch", "safe", "--github", server.url).out
    assert len(server.asked) == 1
    listed = {row["name"]: row for row in assay("detectors", "--json").json}
    assert (listed["safe"]["fetched"], listed["dda"]["fetched"], listed["npr"]["fetched"]) == (True, False, None)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)).save(tmp_path / "a.png")
    judged = assay("detect", str(tmp_path / "a.png"), "--detector", "safe", "--device", "cpu", "--json").json
    assert 0 <= judged[0]["p_synthetic"] <= 1


def test_names(assay: Assay, server: Served) -> None:
    """A misspelt name gets the nearest, one that ships is told so, and one that is not here names the command."""
    assert "did you mean univfd" in assay("fetch", "unifvd").err
    assert "npr: nothing is to be fetched for it" in assay("fetch", "npr").err
    told = assay("fetch").out
    assert all(row.name in told and row.licence in told for row in detectors.TABLE.values() if row.files)


def test_the_real_pin_holds_against_other_bytes(assay: Assay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a mirror gives in place of the published file is refused by its name."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    origin = detectors.TABLE["safe"].files[0]
    with serving() as served:
        served.files[f"/{origin.repository}/{origin.revision}/{origin.file}"] = save(SAFE().state_dict())
        found = assay("fetch", "safe", "--yes", "--github", served.url)
    assert found.status == 2
    assert f"{origin.address} has sha256" in found.err
    assert "is pinned" in found.err
