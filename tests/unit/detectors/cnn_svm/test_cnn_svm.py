"""Bodies, public layouts of their weights, and the machine on top."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor
from torch.nn import functional

from detectors.acceleration.onnx_export import PARITY, export, parity
from detectors.checkpoints import Checkpoint, read, write
from detectors.cnn_svm.bodies import Custom, Dense, Vgg
from detectors.cnn_svm.layouts import FACE_MEAN, adapt, face, is_backbone, start
from detectors.cnn_svm.network import Classifier, CnnSvm, densenet, plain, residual, separable, vgg16
from detectors.families import network_size
from detectors.loading import open_detector
from detectors.public_checkpoints import build
from detectors.rows import IMAGENET_MEAN, IMAGENET_STD
from detectors.studies.cnn_svm import purity
from detectors.training.batches import BatchPlan
from detectors.training.loop import Training, train
from detectors.training.recipes import CNNS, RECIPES
from subnet.errors import CheckpointError, DataError
from subnet.registry import resolve
from tests.unit.detectors.folders import photos, write_images

THIN = 1 / 64


def small(name: str) -> Classifier:
    chosen = RECIPES[name].family
    network: Classifier = resolve(chosen.network)(**network_size(chosen, 0))
    return network.eval()


@pytest.mark.parametrize("name", CNNS)
def test_a_body_is_rebuilt_from_its_tensors(name: str) -> None:
    """The layout tells the body and its size, and the same features come out."""
    network, x = small(name), torch.rand(2, 3, 96, 96)
    state, size = adapt(network.state_dict())
    again = CnnSvm(**size)
    body = {key.removeprefix("body."): value for key, value in state.items() if key.startswith("body.")}
    again.body.load_state_dict(body)
    opened = build(Checkpoint("x", dict(network.state_dict()), ""), name).eval()
    assert torch.equal(opened(x), network(x))
    assert torch.equal(again.eval().features(x), network.features(x))


@pytest.mark.parametrize("name", ["cnn-densenet", "ucf-plain", "autoencoder-reconstruction"])
def test_what_is_trained_for_others_is_opened_by_its_file(name: str, tmp_path: Path) -> None:
    """As `assay evaluate FILE` has it: networks in no table of detectors answer, and one that judges nothing says so."""
    chosen = RECIPES[name].family
    network = resolve(chosen.network)(**network_size(chosen, 0))
    file = tmp_path / "weights.safetensors"
    write(file, network.state_dict(), preprocess=chosen.preprocess, notes={"detector": name})
    if name == "autoencoder-reconstruction":
        with pytest.raises(CheckpointError, match="judges nothing"):
            open_detector(str(file))
        return
    detector = open_detector(str(file))
    assert detector.name == name
    assert 0 <= detector.predict([photos(1)[0][1]])[0].p_synthetic <= 1


def test_published_sizes() -> None:
    """The vector before the classifier: 4,096 of VGG16, 1,024 of DenseNet-121, 512 of ours; timm's own counts of weights."""
    with torch.device("meta"):
        vgg, dense = vgg16(), densenet()
        counted = {name: timm.create_model(name, num_classes=1) for name in ("vgg16", "densenet121")}
    assert (vgg.classifier.in_features, dense.classifier.in_features) == (4096, 1024)
    for name, ours in (("vgg16", vgg), ("densenet121", dense)):
        assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in counted[name].parameters())
    assert {kind().classifier.in_features for kind in (plain, residual, separable)} == {512}


def test_timm_weights_give_timm_features() -> None:
    """DenseNet of timm, with its classifier: recognised, sized, and the features before the classifier are its own."""
    theirs = timm.models.densenet.DenseNet(growth_rate=8, block_config=(1, 2, 1, 1), num_classes=5).eval()
    state, size = adapt(theirs.state_dict())
    assert size == {"body": "densenet", "growth": 8, "blocks": (1, 2, 1, 1)}
    ours = Dense(size["growth"], size["blocks"]).eval()
    ours.load_state_dict({key.removeprefix("body."): value for key, value in state.items()})
    x = torch.rand(2, 3, 64, 64)
    assert torch.allclose(ours(x), theirs.forward_head(theirs.forward_features(x), pre_logits=True), atol=1e-5)


def test_imagenet_weights_start_a_classifier() -> None:
    """VGG16 in timm's keys fills the body of a classifier of its size; another size is refused by keys."""
    body, network = Vgg(THIN), Classifier("vgg16", width=THIN)
    keys = {"maps.": "features.", "dense.": "pre_logits."}
    state = {
        new + key.removeprefix(old): v
        for old, new in keys.items()
        for key, v in body.state_dict().items()
        if key.startswith(old)
    }
    assert is_backbone(state)
    start(network, state)
    assert torch.equal(network.body.state_dict()["dense.fc1.weight"], body.dense.fc1.weight)
    with pytest.raises(CheckpointError, match="another shape"):
        start(Classifier("vgg16", width=2 * THIN), state)


def faces(width: float = THIN) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random VGGFace weights in PyTorch's layout, and the same in Keras's."""
    body = {key: value.detach() for key, value in Vgg(width).state_dict().items()}
    torch.manual_seed(0)
    names = [f"conv{block}_{layer}" for block, count in enumerate((2, 2, 3, 3, 3), 1) for layer in range(1, count + 1)]
    places = [key.removesuffix(".weight") for key in body if key.endswith("weight")]
    oxford: dict[str, Tensor] = {}
    keras: dict[str, Tensor] = {}
    for name, place in zip([*names, "fc6", "fc7"], places, strict=True):
        weight = torch.randn_like(body[f"{place}.weight"]) * 0.05
        bias = torch.randn_like(body[f"{place}.bias"])
        oxford |= {f"{name}.weight": weight.flatten(1) if name[0] == "f" else weight, f"{name}.bias": bias}
        kernel = weight.flip(1) if name == "conv1_1" else weight
        kernel = kernel.permute(2, 3, 1, 0)
        keras[f"{name}/kernel:0"] = kernel.reshape(-1, kernel.shape[-1]) if name[0] == "f" else kernel
        keras[f"{name}/bias:0"] = bias
    return oxford, keras


def test_vggface_is_converted_from_both_layouts() -> None:
    """Random tensors in either layout come to the same body, which loads strictly."""
    oxford, keras = faces()
    first, second = face(oxford), face(keras)
    assert first.keys() == second.keys() == Vgg(THIN).state_dict().keys()
    assert all(torch.allclose(first[key], second[key], atol=1e-5) for key in first)
    Vgg(THIN).load_state_dict(first)
    state, size = adapt({**oxford, "fc8.weight": torch.zeros(2622, 4096), "fc8.bias": torch.zeros(2622)})
    assert size == {"body": "vgg16"}
    assert len(state) == len(first)


def test_vggface_sees_its_own_colours() -> None:
    """The first layer on ImageNet's normalisation answers as VGGFace's own on 0..255 less its mean, but at the edge."""
    oxford, _ = faces()
    converted, pixels = face(oxford), torch.rand(1, 3, 16, 16)
    own = functional.conv2d(
        pixels * 255 - torch.tensor(FACE_MEAN).view(1, 3, 1, 1), oxford["conv1_1.weight"], oxford["conv1_1.bias"]
    )
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    ours = functional.conv2d((pixels - mean) / std, converted["maps.0.weight"], converted["maps.0.bias"])
    assert torch.allclose(own, ours, atol=1e-2)


def test_vggface_that_lacks_a_layer_is_told() -> None:
    """The layers that are missing are named."""
    oxford, _ = faces()
    with pytest.raises(CheckpointError, match="conv3_2, fc7"):
        face({key: value for key, value in oxford.items() if not key.startswith(("conv3_2", "fc7"))})
    with pytest.raises(CheckpointError, match="no body that is known"):
        adapt({"conv1.weight": torch.zeros(1)})


def test_a_body_alone_does_not_judge() -> None:
    """Weights of a network without its machine, or of another study, are refused by their keys when they are to judge."""
    state = dict(small("cnn-separable").state_dict())
    with pytest.raises(CheckpointError, match=r"head\.mean"):
        build(Checkpoint("x", state, ""), "cnn_svm")
    with pytest.raises(CheckpointError, match=r"holds weights of autoencoder, not of cnn_svm"):
        build(Checkpoint("x", state, "", notes={"detector": "autoencoder"}), "cnn_svm")


def test_levels_and_colours_do_not_reach_a_custom_network() -> None:
    """What is even or slopes evenly leaves nothing after the blur: two even pictures get the same features."""
    body = Custom("separable").eval()
    dark, light = torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32)
    assert torch.allclose(body(dark), body(light), atol=1e-5)


def test_the_machine_exports() -> None:
    """Body, scaler, components and support vectors in onnxruntime."""
    torch.manual_seed(0)
    network = CnnSvm("separable", {"features": 512, "components": 5, "vectors": 7}).eval()
    for name in ("components", "vectors", "weight"):
        value = network.head.get_buffer(name)
        value.copy_(torch.randn_like(value) * 0.1)
    example = torch.rand(1, 3, 96, 96)
    assert parity(network, export(network, example), example) <= PARITY


def test_a_machine_is_fitted_on_a_trained_body(tmp_path: Path) -> None:
    """Trained, fitted, written and read: the head keeps full precision; too few items for it are told first."""
    data, held = write_images(tmp_path / "train", 13), write_images(tmp_path / "validation", 2, "validation")

    def run(name: str, folder: Path, **changes: object) -> Path:
        out = tmp_path / f"{name}-{folder.name}.safetensors"
        settings = {"validation": held, "validation_items": 4, **changes}
        return train(Training(name, folder, out, **settings)).weights  # type: ignore[arg-type]

    body = run("cnn-separable", data, steps=2, evaluate_every=2, plan=BatchPlan(pairs=2, crop=32))
    state, size = adapt(read(run("cnn_svm", data, init=body)).state)
    assert size["body"] == "separable"
    assert (size["head"]["features"], size["head"]["components"]) == (512, 50)
    assert not torch.equal(state["head.mean"], state["head.mean"].half().float())
    assert torch.equal(state["body.dense.weight"], read(body).state["body.dense.weight"])
    few = write_images(tmp_path / "few", 4)
    before = sorted(tmp_path.glob("*.safetensors"))
    with pytest.raises(
        DataError, match=r"50 principal components, for which 8 items in .*few are too few; .* least 25"
    ):
        run("cnn_svm", few)
    assert sorted(tmp_path.glob("*.safetensors")) == before


def test_purity() -> None:
    """The textbook's example (Manning et al. 2008, figure 16.4): three clusters of 17 items, 5 + 4 + 3 right."""
    import numpy as np

    clusters = np.repeat([0, 1, 2], [6, 6, 5])
    labels = np.array([0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 2, 0, 0, 2, 2, 2])
    assert purity(clusters, labels) == pytest.approx(12 / 17)
