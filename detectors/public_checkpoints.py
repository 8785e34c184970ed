"""Public checkpoints, whatever their layout, as states of our networks.

A layout is recognised by its keys; sizes (width, number of forgery methods, depths) are read off the tensors, so that a
file needs no configuration beside it. PUBLIC says what is known about each published file, above all its preprocessing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from detectors.checkpoints import Checkpoint, load_strictly, locate, read
from detectors.rows import HALF, IMAGENET_MEAN, IMAGENET_STD, ONE, ZERO, Preprocess
from subnet.errors import CheckpointError
from subnet.registry import find, resolve, table

Adapted = tuple[dict[str, Tensor], dict[str, Any]]
METHODS = ("head_spe.mlp.2.weight", "head_spe.mlp.2.bias")  # UCF's layer with one output a forgery method


@dataclass(frozen=True)
class PublicRow:
    """A published file: what it belongs to, where it comes from, and how its input must be prepared."""

    name: str
    family: str
    files: tuple[str, ...]
    origin: str
    licence: str
    preprocess: Preprocess


_IMAGENET = Preprocess(IMAGENET_MEAN, IMAGENET_STD, 256, "squash")
_PLAIN = Preprocess(ZERO, ONE, 256, "centre")
_HALF = Preprocess(HALF, HALF, 256, "squash")

PUBLIC: dict[str, PublicRow] = table(
    (
        PublicRow(
            name="npr-official",
            family="npr",
            files=("NPR.pth", "model_epoch_last_3090.pth"),
            origin="github.com/chuangchuangtan/NPR-DeepfakeDetection",
            licence="none stated",
            preprocess=_IMAGENET,
        ),
        PublicRow(
            name="npr-bitmind",
            family="npr",
            files=("npr.pth",),
            origin="huggingface.co/bitmind/npr",
            licence="MIT",
            preprocess=_PLAIN,
        ),
        PublicRow(
            name="ucf-deepfakebench",
            family="ucf",
            files=("ucf_best.pth",),
            origin="github.com/SCLBD/DeepfakeBench, release v1.0.1",
            licence="CC-BY-NC-4.0",
            preprocess=_HALF,
        ),
        PublicRow(
            name="ucf-bitmind-general",
            family="ucf",
            files=("bm-general-v1.pth", "bm-general.pth"),
            origin="huggingface.co/bitmind/bm-ucf",
            licence="MIT",
            preprocess=_HALF,
        ),
        PublicRow(
            name="ucf-bitmind-faces",
            family="ucf",
            files=("bm-faces-v1.pth", "bm-faces-ffhq.pth"),
            origin="huggingface.co/bitmind/bm-ucf",
            licence="MIT",
            preprocess=_HALF,
        ),
        PublicRow(
            name="tall-deepfakebench",
            family="tall",
            files=("tall_trainFF_testCDF.pth", "tall.pth"),
            origin="github.com/SCLBD/DeepfakeBench",
            licence="CC-BY-NC-4.0",
            preprocess=_IMAGENET,
        ),
        PublicRow(
            name="tall-official",
            family="tall",
            files=(),
            origin="github.com/rainy-xu/TALL4Deepfake",
            licence="MIT",
            preprocess=Preprocess(IMAGENET_MEAN, IMAGENET_STD, 112, "squash"),
        ),
    )
)


def open_checkpoint(spec: Path | str, family: str, default: Preprocess, *, sha256: str = "") -> Checkpoint:
    """Read `spec` (a file, `PUBLIC=FILE`, or a pinned hub address) with the preprocessing that belongs to it.

    Preprocessing comes from the file's own metadata, else from the PUBLIC row that is named or has this file name,
    else it is `default`. Raises CheckpointError, or UnknownName for a PUBLIC name that is not there.
    """
    name, separator, rest = str(spec).partition("=")
    row = find(PUBLIC, name, "public checkpoint") if separator and "/" not in name else None
    path = locate(rest if row else spec)
    if row is not None and row.family != family:
        raise CheckpointError(f"weights: {row.name} holds {row.family} weights, not {family}")
    checkpoint = read(path, sha256=sha256)
    if checkpoint.preprocess is not None:
        return checkpoint
    row = row or next((row for row in PUBLIC.values() if path.name in row.files and row.family == family), None)
    return replace(checkpoint, preprocess=row.preprocess if row else default)


def adapt(state: dict[str, Tensor], family: str) -> Adapted:
    """Keys as in our networks, and the arguments that build the network they fit. Raises CheckpointError."""
    if family in ("npr", "frames"):
        return state, {}
    adapted: Adapted = resolve(f"detectors.{family.partition('-')[0]}.layouts:adapt")(state)
    return adapted


def build(checkpoint: Checkpoint, family: str) -> nn.Module:
    """The network of `family` in the size of the checkpoint, filled strictly. Raises CheckpointError naming keys."""
    from detectors.training.recipes import recipe

    kind = checkpoint.notes.get("detector")
    if kind and recipe(str(kind)).network != recipe(family).network:
        raise CheckpointError(f"weights: {checkpoint.name} holds weights of {kind}, not of {family}")
    state, size = adapt(checkpoint.state, family)
    network: nn.Module = resolve(recipe(family).network)(**size)
    load_strictly(network, state, checkpoint.name)
    return network


def load_into(network: nn.Module, spec: Path | str, family: str) -> None:
    """Start a network from a checkpoint of its own family, or from an ImageNet backbone of it (`start`).

    UCF's layer of methods stays as it is where the checkpoint knows another number of them: methods belong to the data.
    Raises CheckpointError naming what does not fit.
    """
    state = read(locate(spec)).state
    layouts = f"detectors.{family.partition('-')[0]}.layouts"
    if family.startswith(("ucf", "tall")) and resolve(f"{layouts}:is_backbone")(state):
        resolve(f"{layouts}:start")(network, state)
        return
    state, own = adapt(state, family)[0], network.state_dict()
    counts = {key for key in METHODS if key in own and key in state and len(own[key]) != len(state[key])}
    load_strictly(network, {**state, **{key: own[key] for key in counts}}, str(spec))
