"""Classifiers of transformers and discriminators of GANs as detectors, built on disk here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

from detectors import load_detector
from detectors.checkpoints import sha256_of
from detectors.evaluation.self_test import self_test
from detectors.explain.maps import explainable, heat_map
from detectors.hub.repository import label_of_word, polarity
from detectors.loading import open_detector
from detectors.torch_detector import TorchDetector
from subnet.errors import CheckpointError
from subnet.types import Label, Media, Modality

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]


def vit(labels: dict[int, str]) -> ViTForImageClassification:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return ViTForImageClassification(ViTConfig(**sizes, image_size=32, patch_size=8, id2label=labels))


def swin(labels: dict[int, str]) -> SwinForImageClassification:
    sizes = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
    return SwinForImageClassification(SwinConfig(**sizes, image_size=32, patch_size=4, id2label=labels))


def save(folder: Path, model: nn.Module) -> Path:
    """The model with seeded weights and a processor, as `save_pretrained` writes them."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)  # type: ignore[operator]
    ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=MEAN, image_std=STD).save_pretrained(folder)
    return folder


def picture(seed: int = 0, height: int = 40, width: int = 56) -> Media:
    return Media(np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("build", [vit, swin])
def test_a_repository_answers_as_by_its_own_hands(build, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Pixels by its own processor, classes by their words: P(synthetic) is the softmax over the synthetic ones."""
    folder = save(tmp_path / "repository", build({0: "Real", 1: "Deepfake", 2: "AI-generated"}))
    detector = open_detector(f"hub={folder}")
    assert isinstance(detector, TorchDetector)
    assert (detector.name, detector.modality) == ("hub", Modality.IMAGE)
    assert detector.weights_hash == sha256_of(folder / "model.safetensors")
    media = [picture(0), picture(1)]
    model = build({0: "a", 1: "b", 2: "c"}).from_pretrained(folder).eval()
    values = ViTImageProcessor.from_pretrained(folder)([item.frames[0].copy() for item in media], return_tensors="pt")
    with torch.inference_mode():
        wanted = model(**values).logits.softmax(dim=1)[:, 1:].sum(dim=1)
    assert [p.p_synthetic for p in detector.predict(media)] == pytest.approx(wanted.tolist(), abs=1e-4)
    self_test(detector)


def test_odd_pictures_are_answered_and_explained(tmp_path: Path) -> None:
    """One pixel, one row; and a picture is explained by occlusion."""
    detector = open_detector(f"hub={save(tmp_path / 'repository', vit({0: 'fake', 1: 'real'}))}")
    assert len(detector.predict([picture(0, 1, 1), picture(0, 1, 90), picture(0, 301, 217)])) == 3
    found = heat_map(explainable(detector), picture(0, 64, 64))
    assert found.heat.shape == (1, 64, 64)
    assert found.heat.max() == 1.0


def test_a_single_output_is_its_own_class(tmp_path: Path) -> None:
    """One label: the logit is that class's log-odds, turned where the class is the real one."""
    answers = []
    for word in ("fake", "real"):
        folder = save(tmp_path / word, vit({0: word}))
        detector = open_detector(f"hub={folder}")
        assert isinstance(detector, TorchDetector)
        answers.append(float(detector.logits([picture()])[0]))
    assert answers[0] == pytest.approx(-answers[1], abs=1e-5)
    assert answers[0] != 0


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("REAL", Label.REAL),
        ("Realism", Label.REAL),
        ("human", Label.REAL),
        ("hum", Label.REAL),
        ("Fake", Label.SYNTHETIC),
        ("Deep-Fake", Label.SYNTHETIC),
        (" FAKE ", Label.SYNTHETIC),
        ("REAL\n", Label.REAL),
        ("ai_generated", Label.SYNTHETIC),
        ("artificial", Label.SYNTHETIC),
        ("LABEL_0", None),
        ("cat", None),
    ],
)
def test_words_of_labels(word: str, label: Label | None) -> None:
    """The words of published classifiers, in any case; what says nothing is not guessed."""
    assert label_of_word(word) is label


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"0": "real", "1": "LABEL_1"}, "real, LABEL_1"),
        ({"0": "cat", "1": "dog"}, "cat, dog"),
        ({"0": "fake", "1": "synthetic"}, "say the same"),
        ({"x": "fake"}, "wrongly"),
        ({}, "none, .*LABEL_0, LABEL_1"),
    ],
)
def test_labels_that_say_nothing_are_refused(labels: dict[str, str], message: str) -> None:
    """Unknown words are named, with what to write in their place."""
    with pytest.raises(CheckpointError, match=message):
        polarity({"id2label": labels})


@pytest.mark.parametrize("labels", [{"0": "LABEL_0", "1": "LABEL_1"}, {}])
def test_default_labels_are_told_with_what_to_pass(tmp_path: Path, labels: dict[str, str]) -> None:
    """Labels that transformers numbers, or leaves out, are named, with the line to write and what to pass then."""
    folder = save(tmp_path / "repository", vit({0: "fake", 1: "real"}))
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "id2label": labels}))
    with pytest.raises(CheckpointError) as caught:
        open_detector(f"hub={folder}")
    told = str(caught.value)
    assert all(label in told for label in ("LABEL_0", "LABEL_1"))
    assert '"id2label": {"0": "real", "1": "fake"}' in told
    assert str(path) in told
    assert "hub=FOLDER" in told


def test_what_is_no_repository_is_refused(tmp_path: Path) -> None:
    """No folder, an unpinned address, no config, code of its own, pickled weights, other weights, no processor."""
    with pytest.raises(CheckpointError, match="40 hex"):
        open_detector("hub=owner/name")
    with pytest.raises(CheckpointError, match="40 hex"):
        open_detector("hub=owner/name@main")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        open_detector(f"hub={tmp_path}")
    folder = save(tmp_path / "repository", vit({0: "fake", 1: "real"}))
    config = json.loads((folder / "config.json").read_text())

    def broken(change: dict[str, object], message: str) -> None:
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(CheckpointError, match=message):
            open_detector(f"hub={folder}")

    broken({"auto_map": {"AutoModel": "own.Model"}}, "code of its own")
    broken({"hidden_size": 32}, "fit|loaded")
    broken({"num_hidden_layers": 2}, "do not fit")
    broken({"model_type": "nothing-known"}, "no image classifier")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").rename(tmp_path / "kept.json")
    with pytest.raises(CheckpointError, match="image processor"):
        open_detector(f"hub={folder}")
    (tmp_path / "kept.json").rename(folder / "preprocessor_config.json")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-200])
    with pytest.raises(CheckpointError, match="no image classifier"):
        open_detector(f"hub={folder}")
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="no safetensors"):
        open_detector(f"hub={folder}")


def tutorial(channels: int = 8) -> nn.Sequential:
    """PyTorch's DCGAN tutorial's discriminator for 32 pixels, written out."""
    return nn.Sequential(
        nn.Conv2d(3, channels, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(channels, channels * 2, 4, 2, 1, bias=False),
        nn.BatchNorm2d(channels * 2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(channels * 2, channels * 4, 4, 2, 1, bias=False),
        nn.BatchNorm2d(channels * 4),
        nn.LeakyReLU(0.2),
        nn.Conv2d(channels * 4, 1, 4, 1, 0, bias=False),
        nn.Sigmoid(),
    ).eval()


def test_a_discriminator_calls_synthetic_what_it_does_not_believe(tmp_path: Path) -> None:
    """Its own probability of real, turned round, at its own size; other layouts are refused."""
    torch.manual_seed(0)
    network = tutorial()
    path = tmp_path / "netD.pth"
    torch.save({f"main.{key}": value for key, value in network.state_dict().items()}, path)
    detector = open_detector(f"discriminator={path}")
    assert isinstance(detector, TorchDetector)
    assert detector.preprocess.size == 32
    media = [picture(0, 32, 32), picture(1, 32, 32)]
    pixels = torch.cat([torch.from_numpy(item.frames.copy()).permute(0, 3, 1, 2) for item in media]).float() / 127.5 - 1
    with torch.inference_mode():
        real = network(pixels).flatten()
    assert [p.p_synthetic for p in detector.predict(media)] == pytest.approx((1 - real).tolist(), abs=1e-5)
    torch.save({"main.0.weight": torch.zeros(4, 3, 3, 3)}, path)
    with pytest.raises(CheckpointError, match="no DCGAN discriminator"):
        open_detector(f"discriminator={path}")
    with pytest.raises(CheckpointError, match="discriminator=FILE"):
        load_detector("discriminator")
