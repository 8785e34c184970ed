"""The network of masks: sizes, files, losses, batches, and what it shows."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from pickle import loads

import numpy as np
import pytest
import timm
import torch
from torch import nn

from detectors import load_detector
from detectors.acceleration.onnx_export import export
from detectors.dataset.items import load_media, read_folder
from detectors.explain.maps import Explainable, heat_map
from detectors.rows import Preprocess
from detectors.segment.batches import MaskedBatches
from detectors.segment.losses import dice, objective
from detectors.segment.network import Segment, adapt, is_imagenet, start, start_with_residuals
from detectors.torch_detector import TorchDetector
from detectors.training.batches import Batch, BatchPlan
from detectors.training.loop import Training, train
from subnet.errors import CheckpointError
from subnet.types import Label, Modality
from tests.unit.detectors.folders import photos, write_images

PLAN = BatchPlan(pairs=2, crop=64)


@pytest.fixture(scope="module")
def small() -> Segment:
    torch.manual_seed(0)
    return Segment("resnet10t", 8).eval()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_images(root / "train", 3, "train")
    write_images(root / "validation", 2, "validation")
    return root


def test_a_mask_as_large_as_the_picture(small: Segment) -> None:
    """One answer a picture, and one for each of its pixels; the mask passes through `places`."""
    kept: list[torch.Tensor] = []
    handle = small.places.register_forward_hook(lambda _m, _g, output: kept.append(output))
    with torch.inference_mode():
        answers = small(torch.randn(2, 3, 64, 96))
    handle.remove()
    assert answers.shape == (2,)
    assert kept[0].shape == (2, 1, 64, 96)


def test_the_published_size_starts_from_imagenet() -> None:
    """A ResNet-34 of timm fills the encoder, its classifier and nothing else left behind."""
    theirs, network = timm.create_model("resnet34", pretrained=False), Segment()
    assert is_imagenet(theirs.state_dict())
    assert sum(p.numel() for p in network.parameters()) == 8_954_658
    start(network, theirs.state_dict())
    assert torch.equal(network.encoder.layer3[5].conv2.weight, theirs.layer3[5].conv2.weight)
    with pytest.raises(CheckpointError, match="not Linear"):
        start_with_residuals(nn.Linear(1, 1))


def test_size_is_read_off_the_file(small: Segment) -> None:
    """Encoder and width follow from the tensors; other files are refused, and encoders that are not known."""
    state, size = adapt(small.state_dict())
    assert size == {"encoder": "resnet10t", "width": 8}
    Segment(**size).load_state_dict(state)
    with pytest.raises(CheckpointError, match="resnet34 or resnet10t"):
        adapt({"mask.weight": torch.zeros(1, 4, 1, 1)})
    with pytest.raises(ValueError, match="must be one of resnet34, resnet10t"):
        Segment("resnet9")


def test_dice_is_the_overlap() -> None:
    """Hard masks have the textbook value, up to the one pixel that keeps empty ones defined."""
    ours, theirs = torch.zeros(1, 20, 20), torch.zeros(1, 20, 20)
    ours[:, :10], theirs[:, 5:15] = 1, 1
    found = dice((ours - 0.5) * 200, theirs)
    assert float(found) == pytest.approx(1 - (2 * 100 + 1) / (200 + 200 + 1))
    assert float(dice(theirs * 200 - 100, theirs)) == pytest.approx(0, abs=1e-6)
    assert float(dice(torch.full((1, 20, 20), -100.0), torch.zeros(1, 20, 20))) == pytest.approx(0, abs=1e-6)


def test_batches_hold_reals_twins_and_composites(data: Path) -> None:
    """N of each, masks of none, all and some of the pixels; where the mask is empty, the composite is the real."""
    plan = BatchPlan(pairs=4, crop=96, early=(1, 0, 0, 0), late=(1, 0, 0, 0))
    batches = MaskedBatches(read_folder(data / "train"), load_media, plan, steps=5, seed=2)
    batch, again = batches[3], loads(ForkingPickler.dumps(batches[3]))
    assert batch.masks is not None
    assert torch.equal(batch.masks, again.masks)
    assert torch.equal(batch.frames, again.frames)
    assert batch.frames.shape == (12, 1, 3, 96, 96)
    assert batch.labels.tolist() == [0.0] * 4 + [1.0] * 8
    assert batch.masks[:4].max() == 0
    assert batch.masks[4:8].min() == 1
    assert 0 < float(batch.masks[8:].mean()) < 1
    apart = (batch.frames[8:].float() - batch.frames[:4].float()).abs().mean(dim=(1, 2))
    outside, inside = batch.masks[8:] == 0, batch.masks[8:] == 1
    assert float(apart[inside].mean()) > 2 * float(apart[outside].mean())


def test_the_loss_teaches_pixels_and_pictures(small: Segment) -> None:
    """Every part has a gradient; a batch without masks is refused."""
    network = Segment("resnet10t", 8)
    labels = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    masks = torch.zeros(6, 64, 64)
    masks[2:4], masks[4:, :32] = 1, 1
    batch = Batch(torch.empty(0), labels, labels.long(), masks)
    losses = objective(network, torch.randn(6, 1, 3, 64, 64), batch, torch.Generator())
    losses["loss"].backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []
    assert set(losses) == {"loss", "pixel", "dice", "order", "picture"}
    with pytest.raises(TypeError, match="with masks"):
        objective(small, torch.randn(6, 1, 3, 64, 64), Batch(torch.empty(0), labels, labels.long()), torch.Generator())


def test_a_run_leaves_a_detector(data: Path) -> None:
    """Trained by the one loop, with a state; the file says its encoder and answers."""
    out = data / "run" / "segment.safetensors"
    settings = Training("segment", data / "train", out, steps=2, plan=PLAN, evaluate_every=1, validation_items=4)
    outcome = train(settings)
    (answer,) = load_detector("segment", weights=outcome.weights).predict([photos(1)[0][1]])
    assert 0 < answer.p_synthetic < 1


@pytest.mark.parametrize("label", [Label.REAL, Label.SYNTHETIC])
def test_the_heat_map_is_the_mask(small: Segment, label: Label) -> None:
    """Nothing is derived: the map is the probability that the network gives to every pixel."""
    detector = TorchDetector("segment", Modality.IMAGE, small, preprocess=Preprocess(size=64))
    media = photos(1)[0][1]
    found = heat_map(Explainable(detector, "places", "places"), media, label)
    with torch.inference_mode():
        mask = torch.sigmoid(small.both(detector.views(media))[1])[0, 0].numpy()
    np.testing.assert_allclose(found.heat[0], mask if label is Label.SYNTHETIC else 1 - mask, atol=1e-6)
    assert found.evidence_for is label


@pytest.mark.slow
def test_it_exports(small: Segment) -> None:
    """onnxruntime answers the same, for any number of pictures."""
    exported = export(small, torch.zeros(1, 3, 128, 128))
    x = torch.randn(2, 3, 128, 128)
    with torch.inference_mode():
        torch.testing.assert_close(exported(x).reshape(-1), small(x), atol=1e-4, rtol=1e-4)
