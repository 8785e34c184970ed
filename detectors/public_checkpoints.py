"""Public checkpoints, whatever their layout, as states of our networks.

A layout is recognised by its keys; sizes (width, number of forgery methods, depths) are read off the tensors, so that a
file needs no configuration beside it. PUBLIC says what is known about each published file, above all its preprocessing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from detectors.checkpoints import Checkpoint, load_strictly, locate, read
from detectors.families import FAMILIES, Family, family
from detectors.rows import HALF, IMAGENET_MEAN, IMAGENET_STD, ONE, ZERO, Preprocess
from detectors.tensor_files import some
from subnet.errors import CheckpointError
from subnet.registry import find, resolve, table

Adapted = tuple[dict[str, Tensor], dict[str, Any]]
SHAPELESS = (RuntimeError, ValueError, LookupError, ArithmeticError, MemoryError)  # what shapes of no network raise


@dataclass(frozen=True)
class PublicRow:
    """A published file: what it belongs to, where it comes from, and how its input must be prepared."""

    name: str
    family: str
    files: tuple[str, ...]
    origin: str
    licence: str
    preprocess: Preprocess


# How each publication resizes: with what library, and what it cuts. Read in its sources, and held to them by
# tests/unit/detectors/test_parity.py.
_SQUASHED = Preprocess(IMAGENET_MEAN, IMAGENET_STD, 256, "squash", "pillow-bilinear")
_SQUARE = Preprocess(ZERO, ONE, 256, "centre", "pillow-bilinear")
_DEEPFAKEBENCH_UCF = Preprocess(HALF, HALF, 256, "squash", "opencv-cubic")
_BITMIND_UCF = replace(_DEEPFAKEBENCH_UCF, resample="pillow-lanczos")
_DEEPFAKEBENCH_TALL = Preprocess(IMAGENET_MEAN, IMAGENET_STD, 224, "squash", "opencv-cubic")
_BITMIND_TALL = replace(_SQUARE, clips="first", frame_side=224)
_TALL4DEEPFAKE = Preprocess(
    IMAGENET_MEAN, IMAGENET_STD, 112, "short-edge", "pillow-bilinear", clips="spread", frame_side=224
)

PUBLIC: dict[str, PublicRow] = table(
    (
        PublicRow(
            name="npr-official",
            family="npr",
            files=("NPR.pth", "model_epoch_last_3090.pth"),
            origin="github.com/chuangchuangtan/NPR-DeepfakeDetection",
            licence="none stated",
            preprocess=_SQUASHED,
        ),
        PublicRow(
            name="npr-bitmind",
            family="npr",
            files=("npr.pth",),
            origin="huggingface.co/bitmind/npr",
            licence="MIT",
            preprocess=_SQUARE,
        ),
        PublicRow(
            name="ucf-deepfakebench",
            family="ucf",
            files=("ucf_best.pth",),
            origin="github.com/SCLBD/DeepfakeBench, release v1.0.1",
            licence="CC-BY-NC-4.0",
            preprocess=_DEEPFAKEBENCH_UCF,
        ),
        PublicRow(
            name="ucf-bitmind-general",
            family="ucf",
            files=("bm-general-v1.pth", "bm-general.pth"),
            origin="huggingface.co/bitmind/bm-ucf",
            licence="MIT",
            preprocess=_BITMIND_UCF,
        ),
        PublicRow(
            name="ucf-bitmind-faces",
            family="ucf",
            files=("bm-faces-v1.pth", "bm-faces-ffhq.pth"),
            origin="huggingface.co/bitmind/bm-ucf",
            licence="MIT",
            preprocess=_BITMIND_UCF,
        ),
        PublicRow(
            name="tall-deepfakebench",
            family="tall",
            files=("tall_trainFF_testCDF.pth", "tall.pth"),
            origin="github.com/SCLBD/DeepfakeBench",
            licence="CC-BY-NC-4.0",
            preprocess=_DEEPFAKEBENCH_TALL,
        ),
        PublicRow(  # the file above, as BitMind configures it: without normalisation, its first clip only
            name="tall-bitmind",
            family="tall",
            files=(),
            origin="huggingface.co/bitmind/tall",
            licence="CC-BY-NC-4.0",
            preprocess=_BITMIND_TALL,
        ),
        PublicRow(
            name="tall-official",
            family="tall",
            files=(),
            origin="github.com/rainy-xu/TALL4Deepfake",
            licence="MIT",
            preprocess=_TALL4DEEPFAKE,
        ),
    )
)


def open_checkpoint(spec: Path | str, owner: str, default: Preprocess, *, sha256: str = "") -> Checkpoint:
    """Read weights of the family `owner` with the preprocessing that belongs to them.

    `spec` is a file, `PUBLIC=FILE`, or a pinned hub address. Preprocessing comes from the file's own metadata, else
    from the PUBLIC row that is named or has this file name, else it is `default`.
    Raises CheckpointError, or UnknownName for a PUBLIC name that is not there.
    """
    name, separator, rest = str(spec).partition("=")
    row = find(PUBLIC, name, "public checkpoint") if separator and "/" not in name else None
    path = locate(rest if row else spec)
    if row is not None and row.family != owner:
        raise CheckpointError(f"weights: {row.name} holds {row.family} weights, not {owner}")
    checkpoint = read(path, sha256=sha256)
    if checkpoint.preprocess is not None:
        return checkpoint
    row = row or next((row for row in PUBLIC.values() if path.name in row.files and row.family == owner), None)
    return replace(checkpoint, preprocess=row.preprocess if row else default)


def join(parts: Sequence[Checkpoint]) -> Checkpoint:
    """Files that hold the tensors of one network as one checkpoint; its sha256 is that of theirs in their order.

    Raises CheckpointError for a tensor that two of them hold.
    """
    first, *rest = parts
    if not rest:
        return first
    state: dict[str, Tensor] = {}
    for part in parts:
        if twice := [key for key in part.state if key in state]:
            raise CheckpointError(f"weights: {part.name} holds {some(twice)} again")
        state |= part.state
    digest = hashlib.sha256("".join(part.sha256 for part in parts).encode()).hexdigest()
    return replace(first, name=", ".join(part.name for part in parts), state=state, sha256=digest)


def adapt(state: dict[str, Tensor], chosen: Family) -> Adapted:
    """Keys as in our networks, and the arguments that build the network they fit. Raises CheckpointError."""
    if not chosen.adapt:
        return state, {}
    try:
        adapted: Adapted = resolve(chosen.adapt)(state)
    except CheckpointError:
        raise
    except SHAPELESS as error:
        raise CheckpointError(f"weights: some keys are of {chosen.name}, others are missing or misshapen") from error
    return adapted


def build(checkpoint: Checkpoint, name: str) -> nn.Module:
    """The network of the family `name` in the size of the checkpoint, filled strictly.

    Raises CheckpointError naming keys, UnknownName for a family that is not there.
    """
    chosen, kind = family(name), checkpoint.notes.get("detector")
    if kind and (str(kind) not in FAMILIES or FAMILIES[str(kind)].network != chosen.network):
        raise CheckpointError(f"weights: {checkpoint.name} holds weights of {kind}, not of {name}")
    try:
        state, size = adapt(checkpoint.state, chosen)
        network: nn.Module = resolve(chosen.network)(**size)
    except CheckpointError as error:
        raise CheckpointError(f"{error} ({checkpoint.name})") from error
    except SHAPELESS as error:
        raise CheckpointError(f"weights: {checkpoint.name} has the keys of {name}, but not its shapes") from error
    load_strictly(network, state, checkpoint.name)
    return network


def load_into(network: nn.Module, spec: Path | str, name: str) -> None:
    """Start a network from a checkpoint of its family `name`, or from an ImageNet backbone of it.

    A layer with one output a forgery method stays as it is where the checkpoint knows another number of methods:
    methods belong to the data. Raises CheckpointError naming what does not fit.
    """
    chosen, checkpoint = family(name), read(locate(spec))
    state, kind = checkpoint.state, checkpoint.notes.get("detector")
    if chosen.is_backbone and resolve(chosen.is_backbone)(state):
        resolve(chosen.start_from_backbone)(network, state)
        return
    try:
        state, own = adapt(state, chosen)[0], network.state_dict()
        counts = {k for k in chosen.per_method if k in own and k in state and len(own[k]) != len(state[k])}
        load_strictly(network, {**state, **{key: own[key] for key in counts.union(chosen.own)}}, str(spec))
    except CheckpointError as error:
        if kind is None or kind == name:
            raise
        raise CheckpointError(f"{error}; {spec} says that it is of {kind}: give weights of {name}") from error
