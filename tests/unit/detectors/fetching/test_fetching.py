"""Published weights are brought from a real server, kept, held to their sha256, and used; what goes wrong is told."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save
from torch import Tensor

from detectors import TABLE
from detectors.fetching import store
from detectors.fetching.download import fetch
from detectors.fetching.memory import free, needed, refuse_if_too_large
from detectors.loading import check_layout, network_detector
from detectors.npr.safe import SAFE
from detectors.rows import DetectorRow, Origin
from subnet.errors import CheckpointError, SettingsError, StateError
from subnet.files import hold
from tests.unit.detectors.fetching.served import COMMIT, Served, serving

HUB, GITHUB = "people/hub-repository", "people/github-repository"


def tensors(seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return {key: value.clone() for key, value in SAFE().state_dict().items()}


def halves(seed: int = 0) -> tuple[bytes, bytes]:
    """SAFE's tensors in two files, as UnivFD's are."""
    state = tensors(seed)
    last = {key: state.pop(key) for key in ("fc1.weight", "fc1.bias")}
    return save(state), save(last)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serving() as served:
        monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # what the suite runs under
        publish(served)
        yield served


def publish(served: Served, seed: int = 0) -> None:
    body, last = halves(seed)
    served.files[f"/{HUB}/resolve/{COMMIT}/models/body.safetensors"] = body
    served.files[f"/{GITHUB}/{COMMIT}/last.safetensors"] = last


def row(**changes: str) -> DetectorRow:
    files = (
        Origin(HUB, COMMIT, "models/body.safetensors", 5_800_000, sha256=changes.get("sha256", "")),
        Origin(GITHUB, COMMIT, "last.safetensors", 4_000, host="github"),
    )
    return replace(TABLE["safe"], name="two-files", files=files)


def bring(chosen: DetectorRow, served: Served) -> list[Path]:
    return fetch(chosen, lambda files: check_layout(chosen, files), github=served.url)


def test_brought_once_and_used(server: Served) -> None:
    """Both files come, from the hub and from GitHub; the sha256 of each is written down; the detector answers by them."""
    chosen = row()
    with pytest.raises(CheckpointError, match=r"assay fetch two-files.*6 MB.*Apache-2\.0"):
        network_detector(chosen)
    paths = bring(chosen, server)
    assert store.fetched(chosen)
    assert store.record() == {
        origin.address: hashlib.sha256(path.read_bytes()).hexdigest()
        for origin, path in zip(chosen.files, paths, strict=True)
    }
    detector = network_detector(chosen)
    assert detector.weights_hash == store.weights_hash(chosen)
    own = detector.network.state_dict()
    assert all(torch.equal(own[key], value) for key, value in tensors().items())
    count = len(server.asked)
    bring(chosen, server)
    assert len(server.asked) == count
    assert list((paths[0].parents[1] / ".fetch").iterdir()) == []


def test_other_bytes_are_refused_by_name(server: Served) -> None:
    """What was fetched first counts: a file that changed later is not taken, nor one that differs from a pinned hash."""
    chosen = row()
    paths = bring(chosen, server)
    first = [path.read_bytes() for path in paths]
    publish(server, seed=1)
    paths[0].unlink()
    with pytest.raises(
        CheckpointError, match=r"hub-repository/models/body\.safetensors@c+ has sha256 .* was fetched first"
    ):
        bring(chosen, server)
    assert not paths[0].exists()
    assert paths[1].read_bytes() == first[1]
    with pytest.raises(CheckpointError, match="is pinned"):
        bring(row(sha256="0" * 64), server)
    publish(server)
    assert bring(chosen, server)[0].read_bytes() == first[0]


def test_a_file_that_was_changed_here_is_not_loaded_and_brought_again(server: Served) -> None:
    """Bytes that are others on disk than at the first fetch are refused at loading; a fetch mends them."""
    chosen = row()
    paths = bring(chosen, server)
    first = paths[0].read_bytes()
    paths[0].write_bytes(halves(seed=2)[0])
    with pytest.raises(CheckpointError, match="is pinned"):
        network_detector(chosen)
    bring(chosen, server)
    assert paths[0].read_bytes() == first
    network_detector(chosen)


def test_another_layout_is_not_kept(server: Served) -> None:
    """Tensors that are not the network's are told as a layout that changed, with keys, and nothing is kept."""
    chosen = row()
    server.files[f"/{GITHUB}/{COMMIT}/last.safetensors"] = save({"fc2.weight": torch.zeros(2, 512)})
    with pytest.raises(CheckpointError, match=r"another layout than two-files knows.*fc1\.weight.*fc2\.weight"):
        bring(chosen, server)
    assert not store.fetched(chosen)
    assert store.record() == {}


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (404, "RepoNotFound", "gone from the hub, or private"),
        (401, "GatedRepo", "is gated: accept its conditions.*HF_TOKEN"),
        (404, "RevisionNotFound", "no longer has models/body"),
        (404, "EntryNotFound", "no longer has models/body"),
    ],
)
def test_moved_and_gated_repositories(server: Served, status: int, code: str, message: str) -> None:
    """Each has its own message, and nothing is kept."""
    server.refusals[f"/{HUB}/resolve/{COMMIT}/models/body.safetensors"] = (status, code)
    with pytest.raises(CheckpointError, match=message):
        bring(row(), server)
    assert not store.fetched(row())


@pytest.mark.parametrize(("status", "message"), [(404, "moved, or closed.*two-files=FILE"), (503, "try again later")])
def test_github_refuses(server: Served, status: int, message: str) -> None:
    """A file that is not there, and a server in trouble."""
    server.refusals[f"/{GITHUB}/{COMMIT}/last.safetensors"] = (status, "")
    with pytest.raises(CheckpointError, match=message):
        bring(row(), server)
    assert not store.fetched(row())


@pytest.mark.parametrize(
    "path",
    [
        f"/{GITHUB}/{COMMIT}/last.safetensors",
        pytest.param(f"/{HUB}/resolve/{COMMIT}/models/body.safetensors", marks=pytest.mark.slow),  # tries for a while
    ],
)
def test_a_transfer_that_breaks_is_told_and_can_be_tried_again(server: Served, path: str) -> None:
    """An answer that ends in the middle keeps nothing that counts; the next fetch brings it whole."""
    server.broken[path] = 100
    with pytest.raises(CheckpointError, match="broke off.*fetch again"):
        bring(row(), server)
    assert not store.fetched(row())
    server.broken.clear()
    bring(row(), server)
    network_detector(row())


def test_no_network(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GitHub that cannot be reached is told so, with the way round it; and so is a hub that may not be asked."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="cannot be reached.*HF_HUB_OFFLINE"):
        bring(row(), server)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(CheckpointError, match="cannot be reached.*on another machine"):
        fetch(row(), lambda files: None, github="http://127.0.0.1:9")
    count = len(server.asked)
    bring(row(), server)
    assert server.asked[count:] == [f"/{GITHUB}/{COMMIT}/last.safetensors"]  # what had come is not asked for again


@pytest.mark.slow  # the hub's client tries for a while
def test_no_hub(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that cannot be reached is told so, with the way round it."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CheckpointError, match=r"127\.0\.0\.1:9 cannot be reached.*on another machine"):
        bring(row(), server)


def test_two_at_once(server: Served) -> None:
    """A fetch that another process is at is refused with its id, and goes through after it."""
    folder = store.home() / "weights" / ".fetch" / row().name
    folder.mkdir(parents=True)
    held = hold(folder / "lock", "the fetch", "wait")
    with pytest.raises(StateError, match=f"the fetch of two-files is in use by the process {os.getpid()}"):
        bring(row(), server)
    os.close(held)
    bring(row(), server)


def test_a_damaged_record_is_told(server: Served) -> None:
    """Without the record a changed file would go unnoticed, so that it is not begun anew in silence."""
    bring(row(), server)
    path = store.home() / "weights" / store.RECORD
    for text in ("{", json.dumps([1]), json.dumps({"a": 1})):
        path.write_text(text)
        with pytest.raises(StateError, match="backup"):
            network_detector(row())


def test_a_machine_that_is_too_small_is_told_before_loading() -> None:
    """What is needed, what is free, and the largest row for the same media that fits."""
    dda, rows = TABLE["dda"], list(TABLE.values())
    assert 2.9e9 < needed(dda, "cpu") < 3.2e9
    assert 1.6e9 < needed(dda, "cuda:0") < 1.9e9
    refuse_if_too_large(dda, rows, "cpu", int(4e9))
    with pytest.raises(SettingsError, match=r"dda needs about 3\.0 GB .* 1\.0 GB are free: take community-forensics"):
        refuse_if_too_large(dda, rows, "cpu", int(1e9))
    with pytest.raises(SettingsError, match=r"--device cuda:0: .*take .*or --device cpu"):
        refuse_if_too_large(dda, rows, "cuda:0", int(1e9))
    with pytest.raises(SettingsError, match="no other row fits either"):
        refuse_if_too_large(dda, rows, "cpu", 1000)
    assert free("cpu") > 0
