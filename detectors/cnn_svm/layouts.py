"""Layouts of the bodies' weights: ours, timm's of ImageNet, and those of VGGFace, converted.

VGGFace (Parkhi et al. 2015) is VGG16 with dense layers fc6 and fc7. Two layouts are about: PyTorch's, of the Oxford
group's conversion (`conv1_1.weight` (out, in, 3, 3), RGB), and Keras's (kernels (3, 3, in, out), BGR, fc6 over places
before channels). Both take colours of 0..255 less their mean and divide by nothing.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from detectors.checkpoints import load_strictly
from detectors.cnn_svm.network import Classifier
from detectors.heads.head import head_size
from detectors.rows import IMAGENET_MEAN, IMAGENET_STD
from detectors.tensor_files import some
from subnet.errors import CheckpointError

FACE_MEAN = (129.186279296875, 104.76238250732422, 93.59396362304688)  # red, green, blue, in 0..255
# Layers of VGG16 by their names in VGGFace, in the order of timm's `features`: each block ends in a pooling.
BLOCKS = (2, 2, 3, 3, 3)
DENSE = {"fc6": ("dense.fc1", 7), "fc7": ("dense.fc2", 1)}  # name in our body, and its kernel's side
_FACE = re.compile(r"^(conv\d_\d|fc[678])(?:\.|/|_)(?:\1[._/])?(weight|bias|kernel|W|b)(?:_\d+)?(?::0)?$")


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A body in our keys, and the arguments that build it; a head where the file has one.

    Raises CheckpointError for what is no body that is known here.
    """
    if any(_FACE.match(key) for key in state):
        return {f"body.{key}": value for key, value in face(state).items()}, {"body": "vgg16"}
    if timm := _of_timm(state):
        return timm
    if not any(key.startswith("body.") for key in state):
        raise CheckpointError("weights: no body that is known: ours, timm's VGG16 or DenseNet, or VGGFace are")
    size = _size({key.removeprefix("body."): value for key, value in state.items() if key.startswith("body.")})
    return state, {**size, **({"head": head_size(state)} if "head.mean" in state else {})}


def adapt_classifier(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A network with its own classifier, as it is trained here; its size alone. Raises CheckpointError."""
    if not any(key.startswith("body.") for key in state):
        raise CheckpointError("weights: no network that was trained here: keys that begin with body. are needed")
    return state, {name: value for name, value in adapt(state)[1].items() if name not in ("body", "head")}


def is_backbone(state: dict[str, Tensor]) -> bool:
    """Whether this is a network of another project that a body can start from."""
    return (
        any(_FACE.match(key) for key in state) or "features.conv0.weight" in state or "pre_logits.fc1.weight" in state
    )


def start(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Give a classifier the body of a public network of its size. Raises CheckpointError naming keys."""
    if not isinstance(network, Classifier):
        raise CheckpointError(f"weights: a body starts a Classifier, not {type(network).__name__}")
    adapted, _ = adapt(state)
    load_strictly(network.body, {key.removeprefix("body."): value for key, value in adapted.items()}, "the body")


def _size(body: dict[str, Tensor]) -> dict[str, Any]:
    """The arguments of the body whose tensors these are, by what only it has. Raises CheckpointError."""
    if "maps.conv0.weight" in body:
        growth = len(body["maps.denseblock1.denselayer1.conv2.weight"])
        blocks = [0, 0, 0, 0]
        for key in body:
            if found := re.match(r"maps\.denseblock(\d)\.denselayer(\d+)\.conv2\.weight", key):
                blocks[int(found[1]) - 1] = max(blocks[int(found[1]) - 1], int(found[2]))
        return {"body": "densenet", "growth": growth, "blocks": tuple(blocks)}
    if "dense.fc1.weight" in body:
        return {"body": "vgg16", "width": len(body["dense.fc1.weight"]) / 4096}
    marks = {"maps.0.shortcut.0.weight": "residual", "maps.0.1.weight": "separable", "maps.0.1.0.weight": "plain"}
    if kind := next((name for key, name in marks.items() if key in body), ""):
        return {"body": kind}
    raise CheckpointError(f"weights: of no body that is known here, though keys begin with body.: {some(sorted(body))}")


def _of_timm(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """timm's DenseNet or VGG16 without its classifier; None for anything else."""
    if "features.conv0.weight" in state:
        keys = {"features.": "maps."}
    elif "pre_logits.fc1.weight" in state:
        keys = {"features.": "maps.", "pre_logits.": "dense."}
    else:
        return None
    body = {
        new + key.removeprefix(old): state[key] for old, new in keys.items() for key in state if key.startswith(old)
    }
    return {f"body.{key}": value for key, value in body.items()}, _size(body)


def face(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """VGGFace's weights under our body's keys, its mean and scale of colours folded into the first layer.

    Input is then normalised as ImageNet's. At the picture's edge, where the convolution pads, the first layer differs
    from VGGFace's: what is padded is the mean colour of ImageNet there. Raises CheckpointError for missing layers.
    """
    layers: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        if match := _FACE.match(key):
            kind = "bias" if match[2] in ("bias", "b") else "weight"
            layers.setdefault(match[1], {})[kind] = value
    places = _places()
    if missing := [name for name in places if layers.get(name, {}).keys() != {"weight", "bias"}]:
        raise CheckpointError(f"weights: VGGFace without weight and bias of {', '.join(missing)}")
    keras = layers["conv1_1"]["weight"].shape[-1] != 3
    converted: dict[str, Tensor] = {}
    for name, (place, side) in places.items():
        weight = _kernel(layers[name]["weight"], side, keras)
        converted |= {f"{place}.weight": weight, f"{place}.bias": layers[name]["bias"]}
    _fold(converted, keras)
    return converted


def _places() -> dict[str, tuple[str, int]]:
    """Names in VGGFace -> our keys, and the side of the kernel."""
    places, number = {}, 0
    for block, count in enumerate(BLOCKS, start=1):
        for layer in range(1, count + 1):
            places[f"conv{block}_{layer}"] = f"maps.{number}", 3
            number += 2  # a ReLU after each convolution
        number += 1  # the pooling
    return places | DENSE


def _kernel(weight: Tensor, side: int, keras: bool) -> Tensor:
    """A kernel of any layout as (out, in, side, side)."""
    if weight.ndim == 4:
        return weight.permute(3, 2, 0, 1).contiguous() if keras else weight
    if keras:  # (places * in, out), places row by row
        return weight.T.reshape(weight.shape[1], side, side, -1).permute(0, 3, 1, 2).contiguous()
    return weight.reshape(len(weight), -1, side, side)


def _fold(converted: dict[str, Tensor], bgr: bool) -> None:
    """Let the first layer take ImageNet's normalisation: 255 * (std * z + mean) - FACE_MEAN in place of z."""
    weight = converted["maps.0.weight"].flip(1) if bgr else converted["maps.0.weight"]
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    offset = 255.0 * mean - torch.tensor(FACE_MEAN).view(1, 3, 1, 1)
    converted["maps.0.bias"] = converted["maps.0.bias"] + (weight * offset).sum(dim=(1, 2, 3))
    converted["maps.0.weight"] = weight * 255.0 * std
