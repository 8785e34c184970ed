"""The autoencoder: published shapes, the study's losses, and both ways to a classifier."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from detectors.acceleration.onnx_export import PARITY, export, parity
from detectors.autoencoder.layouts import adapt
from detectors.autoencoder.losses import L1, L2, classification, denoising, fidelity, reconstruction
from detectors.autoencoder.network import (
    WIDTHS,
    Autoencoder,
    Classifier,
    Reconstruction,
    details,
    energies,
    middle,
    softmax,
)
from detectors.families import FAMILIES
from detectors.public_checkpoints import load_into
from detectors.training.batches import Batch, BatchPlan
from detectors.training.loop import Training, train
from subnet.errors import CheckpointError
from tests.unit.detectors.folders import write_images


def batch(pairs: int = 2, side: int = 256) -> tuple[torch.Tensor, Batch]:
    x = torch.rand(2 * pairs, 1, 3, side, side, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0.0] * pairs + [1.0] * pairs)
    return x, Batch((x * 255).byte(), labels, labels.long())


def test_shapes_are_the_published_ones() -> None:
    """168, 64 and 32 channels at a half, a quarter and an eighth; back to three colours in [0, 1]."""
    network, x = Reconstruction(), torch.rand(1, 3, 64, 96)
    shapes = []
    for layer in network.encoder:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes[::2] == [(168, 32, 48), (64, 16, 24), (32, 8, 12)]
    rebuilt = network.decoder(x)
    assert rebuilt.shape == (1, 3, 64, 96)
    assert bool(((rebuilt >= 0) & (rebuilt <= 1)).all())
    widths = [layer.out_channels for layer in network.decoder if hasattr(layer, "out_channels")]
    assert widths == [*reversed(WIDTHS), 3]


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_loss_is_keras_own(outputs: int) -> None:
    """Cross entropy of the probabilities, plus 0.01 times the sum of |w| and 0.1 times that of w squared."""
    network = Classifier(outputs)
    x, given = batch()
    found = classification(network, x, given, torch.Generator())
    p = torch.softmax(network.outputs(x[:, 0]), 1)[:, 1] if outputs == 2 else network.outputs(x[:, 0])[:, 0].sigmoid()
    entropy = -(given.labels * p.log() + (1 - given.labels) * (1 - p).log()).mean()
    w = network.dense.weight
    whole = (entropy + L1 * w.abs().sum() + L2 * w.square().sum()).item()
    assert found["loss"].item() == pytest.approx(whole, rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx(float(((p > 0.5) == (given.labels > 0)).float().mean()))
    assert torch.allclose(network(x[:, 0]).sigmoid(), p, atol=1e-5)


class Copy(torch.nn.Module):
    """A network that rebuilds everything as it is."""

    def rebuild(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_denoising_aims_at_the_clean_picture() -> None:
    """Same noise for the same generator; the target has none of it."""
    network, (x, given) = Reconstruction(), batch(side=32)
    first, again = (denoising(network, x, given, torch.Generator().manual_seed(1))["loss"] for _ in range(2))
    assert torch.equal(first, again)
    noise = torch.randn(x[:, 0].shape, generator=torch.Generator().manual_seed(1)) * 0.1
    noisy = (x[:, 0] + noise).clamp(0, 1)
    assert torch.allclose(first, functional.mse_loss(network.rebuild(noisy), x[:, 0]))
    assert float(reconstruction(Copy(), x, given, torch.Generator())["loss"]) == 0.0
    assert float(denoising(Copy(), x, given, torch.Generator().manual_seed(1))["loss"]) == pytest.approx(
        float((noisy - x[:, 0]).square().mean())
    )


def test_fidelity_is_in_decibels_of_the_middle() -> None:
    """10 log10(1 / error), where the error counts only within the middle half."""
    network, x = Reconstruction(), torch.rand(1, 3, 64, 64)
    inner = x[..., 16:48, 16:48]
    assert torch.equal(middle(x, 8), inner)
    error = (network.rebuild(inner) - inner).square().mean()
    assert float(fidelity(network, x)) == pytest.approx(float(-10 * error.detach().log10()), abs=1e-4)


def test_it_exports() -> None:
    """The same log-odds in onnxruntime."""
    network = Autoencoder({"features": 103}).eval()
    network.head.weight.copy_(torch.linspace(-1, 1, 103))
    example = torch.rand(1, 3, 64, 64)
    assert parity(network, export(network, example), example) <= PARITY


def test_features_say_how_much_was_lost() -> None:
    """103 numbers: the latent's means first, and after its deviations the log of the residual's mean square by colour."""
    network, x = Autoencoder(), torch.rand(2, 3, 64, 64)
    features = network.features(x)
    assert features.shape == (2, 2 * WIDTHS[-1] + 3 + 4 * 9)
    latent = network.encoder(x)
    assert torch.allclose(features[:, : WIDTHS[-1]], latent.mean(dim=(2, 3)))
    lost = x[..., 16:48, 16:48] - network.decoder(latent[..., 2:6, 2:6])
    assert torch.allclose(features[:, 64:67], lost.square().mean(dim=(2, 3)).log(), atol=1e-4)


def test_details_are_haars() -> None:
    """An orthonormal transform: a block's details and its mean hold all of its energy; doubling leaves even blocks none."""
    x = torch.rand(1, 3, 8, 8)
    low = functional.avg_pool2d(x, 2) * 2
    assert float(details(x).square().sum() + low.square().sum()) == pytest.approx(float(x.square().sum()), rel=1e-5)
    doubled = functional.interpolate(torch.rand(1, 3, 4, 4), scale_factor=2.0, mode="nearest")
    assert float(details(doubled).abs().max()) < 1e-6
    by_place = energies(doubled)[0]
    assert bool((by_place[3:12] > by_place[12:21] + 5).all())


def test_stage_two_starts_from_stage_one(tmp_path: Path) -> None:
    """A course of both stages: the classifier's encoder begins as the reconstruction's; the fitted head's body stays."""
    data, held = write_images(tmp_path / "train", 4), write_images(tmp_path / "validation", 2, "validation")
    plan = BatchPlan(pairs=2, crop=32)

    def run(name: str, **changes: object) -> Path:
        out = tmp_path / f"{name}.safetensors"
        settings = {"validation": held, "steps": 2, "evaluate_every": 2, "validation_items": 4, **changes}
        return train(Training(name, data, out, **settings)).weights  # type: ignore[arg-type]

    first = run("autoencoder-reconstruction", plan=plan, half=False)
    classifier = softmax()
    load_into(classifier, first, "autoencoder-softmax")
    from detectors.checkpoints import read

    state = read(first).state
    assert torch.equal(classifier.encoder.state_dict()["0.weight"], state["encoder.0.weight"])
    fitted = read(run("autoencoder", init=first, half=False)).state
    assert torch.equal(fitted["decoder.0.weight"], state["decoder.0.weight"])
    assert adapt(fitted)[1] == {"head": {"features": 103, "components": 0, "vectors": 0}}
    assert "head.weight" not in state


def test_other_weights_are_told() -> None:
    """A file of another room is no autoencoder."""
    with pytest.raises(CheckpointError, match=r"encoder\.0\.weight"):
        adapt({"conv1.weight": torch.zeros(1)})
    assert FAMILIES["autoencoder"].preprocess.std == (1.0, 1.0, 1.0)
