"""The network of patches: what it sees, its published size, and its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from detectors import load_detector
from detectors.acceleration.onnx_export import export
from detectors.checkpoints import read
from detectors.explain.maps import Explainable, heat_map
from detectors.families import family
from detectors.patchwise.losses import objective
from detectors.patchwise.network import Patchwise, adapt, cut, start, start_with_residuals
from detectors.rows import Preprocess
from detectors.torch_detector import TorchDetector
from detectors.training.batches import Batch, BatchPlan
from detectors.training.loop import Training, snapshot, train
from subnet.errors import CheckpointError, DataError, SettingsError
from subnet.types import Label, Modality
from tests.unit.detectors.folders import photos, write_images

PLAN = BatchPlan(pairs=2, crop=64)


def test_size_is_the_published_xception() -> None:
    """At width 1 the body is timm's legacy_xception without its classifier, and one number comes out of it."""
    with torch.device("meta"):
        ours, theirs = Patchwise(), timm.create_model("legacy_xception", num_classes=1)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters()) == 20_809_001


def test_it_judges_like_timms_xception() -> None:
    """With timm's weights a patch as large as the picture gets timm's answer."""
    torch.manual_seed(0)
    theirs = timm.create_model("legacy_xception", num_classes=1).eval()
    network = Patchwise(96).eval()
    start(network, theirs.state_dict())
    network.head.load_state_dict(theirs.fc.state_dict())
    x = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), theirs(x).squeeze(1), atol=1e-4, rtol=1e-4)


def test_patches_are_cut_without_touching_a_pixel() -> None:
    """Row by row, none overlaps, and what does not fill a patch is left out."""
    x = torch.arange(2 * 3 * 70 * 100.0).reshape(2, 3, 70, 100)
    patches = cut(x, 32)
    assert patches.shape == (2 * 2 * 3, 3, 32, 32)
    assert torch.equal(patches[1], x[0, :, :32, 32:64])
    assert torch.equal(patches[3], x[0, :, 32:64, :32])
    assert torch.equal(patches[6], x[1, :, :32, :32])


@pytest.mark.parametrize("patch", [16, 32, 64, 128])
def test_a_picture_gets_the_mean_of_its_patches(patch: int) -> None:
    """Each patch is judged alone, and its log-odds stand at its place."""
    network = Patchwise(patch, 0.0625, 8).eval()
    x = torch.randn(2, 3, 128, 256)
    with torch.inference_mode():
        places = network.by_place(x)
        alone = network.judge(x[1:, :, -patch:, -patch:])
        assert places.shape == (2, 1, 128 // patch, 256 // patch)
        torch.testing.assert_close(places[1, 0, -1, -1], alone[0])
        torch.testing.assert_close(network(x), places.mean(dim=(1, 2, 3)))


def test_a_patch_larger_than_the_picture_is_refused() -> None:
    """The error names both sizes and what would fit; so do sizes that no Xception takes."""
    with pytest.raises(DataError, match="128 pixels a side do not fit into a picture of 200x96; .* at most 96"):
        Patchwise(128, 0.0625)(torch.zeros(1, 3, 96, 200))
    for patch in (8, 512):
        with pytest.raises(ValueError, match=r"16\.\.256"):
            Patchwise(patch)


def test_size_is_read_off_the_file() -> None:
    """A checkpoint of any patch and width builds the network that it fits; another one is refused."""
    state, size = adapt(Patchwise(32, 0.125, 16).state_dict())
    assert size == {"patch": 32, "width": 0.125, "least": 16}
    Patchwise(**size).load_state_dict(state)
    with pytest.raises(CheckpointError, match="not a patchwise checkpoint"):
        adapt({"head.weight": torch.zeros(1, 4)})
    with pytest.raises(CheckpointError, match="not Linear"):
        start_with_residuals(torch.nn.Linear(1, 1))


def test_the_loss_is_of_every_patch() -> None:
    """Cross-entropy over patches, each with the label of its picture, and twins in order, place by place."""
    torch.manual_seed(0)
    network = Patchwise(32, 0.0625, 8).eval()
    x = torch.randn(4, 1, 3, 64, 64)
    labels = torch.tensor([0.0, 0.0, 1.0, 1.0])
    losses = objective(network, x, Batch(torch.empty(0), labels, labels.long()), torch.Generator())
    p = torch.sigmoid(network.by_place(x[:, 0]).flatten(1))
    expected = -(torch.log(p[2:]).mean() + torch.log(1 - p[:2]).mean()) / 2
    torch.testing.assert_close(losses["entropy"], expected)
    odds = network.by_place(x[:, 0]).flatten(1)
    torch.testing.assert_close(losses["order"], torch.log1p(torch.exp(odds[:2] - odds[2:])).mean())


@pytest.mark.slow
def test_it_exports() -> None:
    """onnxruntime answers the same, for any number of pictures."""
    network = Patchwise(64, 0.0625, 8).eval()
    exported = export(network, torch.zeros(1, 3, 256, 256))
    x = torch.randn(2, 3, 256, 256)
    with torch.inference_mode():
        torch.testing.assert_close(exported(x).reshape(-1), network(x), atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_images(root / "train", 3, "train")
    write_images(root / "validation", 2, "validation")
    return root


def run(data: Path, name: str, **changes: object) -> Training:
    small = {"width": 0.0625, "least": 8}
    given: dict[str, object] = {"steps": 2, "plan": PLAN, "evaluate_every": 1, "validation_items": 4, "network": small}
    out = data / name / "patchwise.safetensors"
    return Training(**{"detector": "patchwise", "data": data / "train", "out": out, **given, **changes})  # type: ignore[arg-type]


def test_arguments_of_the_network_are_given_to_a_run(data: Path) -> None:
    """A run trains patches of the size that is asked for, keeps what it judged, and its files answer as detectors."""
    settings = run(data, "asked", network={"patch": 32, "width": 0.0625, "least": 8}, snapshots=True)
    outcome = train(settings)
    assert read(outcome.weights).notes["size"]["patch"] == 32
    last = load_detector("patchwise", weights=snapshot(settings, 2))
    assert isinstance(last, TorchDetector)
    assert last.network.patch == 32
    answers = load_detector("patchwise", weights=outcome.weights).predict([photos(1)[0][1]])
    assert 0 < answers[0].p_synthetic < 1
    assert np.isfinite(last.logits([photos(1)[0][1]]).numpy()).all()


def test_a_run_may_start_from_patches_of_another_size(data: Path) -> None:
    """Weights are those of the file, and the size stays the one that was asked for."""
    first = train(run(data, "first", network={"patch": 64, "width": 0.0625, "least": 8}))
    size = {"patch": 32, "width": 0.0625, "least": 8}
    then = train(run(data, "then", network=size, init=first.weights, learning_rate=1e-9))
    assert int(read(then.weights).state["side"]) == 32
    before, after = (read(each.weights).state["body.conv1.weight"] for each in (first, then))
    torch.testing.assert_close(after, before, atol=1e-3, rtol=1e-3)


def test_wrong_arguments_are_named(data: Path) -> None:
    """An argument that the network does not take, one out of range, and a patch that no crop holds."""
    with pytest.raises(SettingsError, match="no argument side; it takes patch, width, least"):
        train(run(data, "unknown", network={"side": 3}))
    with pytest.raises(SettingsError, match=r"patch of patchwise must be a whole number, not 16\.5"):
        train(run(data, "half", network={"patch": 16.5}))
    with pytest.raises(SettingsError, match=r"patch must be in 16\.\.256 pixels, not 8"):
        train(run(data, "small", network={"patch": 8}))
    with pytest.raises(DataError, match="128 pixels a side do not fit into a picture of 64x64"):
        train(run(data, "large", network={"patch": 128}))


def test_the_family_knows_its_files() -> None:
    """Pictures are judged as they are: nothing resizes a challenge."""
    chosen = family("patchwise")
    assert (chosen.preprocess.rule, chosen.preprocess.size) == ("centre", 256)


@pytest.mark.parametrize("label", [Label.REAL, Label.SYNTHETIC])
def test_the_heat_map_is_the_verdicts(label: Label) -> None:
    """Each patch has the probability that the network gives it, over all of its pixels."""
    network = Patchwise(32, 0.0625, 8)
    detector = TorchDetector("patchwise", Modality.IMAGE, network, preprocess=Preprocess(size=128))
    media = photos(1)[0][1]
    found = heat_map(Explainable(detector, "places", "places"), media, label)
    with torch.inference_mode():
        p = torch.sigmoid(network.by_place(detector.views(media)))[0, 0].numpy()
    expected = np.kron(p if label is Label.SYNTHETIC else 1 - p, np.ones((32, 32)))
    np.testing.assert_allclose(found.heat[0], expected, atol=1e-4)
