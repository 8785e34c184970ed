"""Generators in files: our safetensors, and checkpoints of the public PyTorch layout of StyleGAN2 and SWAGAN.

Sizes are read off the tensors. Nothing is unpickled but tensors, and the arguments that training scripts keep beside
them.
"""

from __future__ import annotations

import argparse
import json
import pickle
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from generators.stylegan.network import Generator, Sizes
from subnet.errors import CheckpointError
from subnet.types import JSON

AVERAGED = "g_ema"  # under which a checkpoint keeps the averaged generator
METADATA = "assay"
_UNREADABLE = (
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,
    struct.error,
)


def save_generator(
    network: Generator, path: Path, facts: Mapping[str, JSON], dtype: torch.dtype = torch.float32
) -> None:
    """Write the weights as safetensors with `facts` in the metadata, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    tensors = {key: value.detach().to(dtype).contiguous() for key, value in network.state_dict().items()}
    save_file(tensors, part, {METADATA: json.dumps(dict(facts), sort_keys=True)})
    part.replace(path)


def load_generator(path: Path, device: str = "cpu") -> Generator:
    """The generator in a file, ready to use: ours in safetensors, or a checkpoint with its generator under "g_ema".

    Raises CheckpointError naming the file and the keys: for a missing or damaged file, a pickled network, and weights
    of another network.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(9)
        state = _safetensors(path) if beginning[8:] == b"{" else _checkpoint(path, beginning)
    except OSError as error:
        raise CheckpointError(f"weights: cannot read {path}: {error.strerror}") from error
    network = Generator(sizes_of(state, path))
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"weights: {path} does not fit a StyleGAN2 generator: {error}") from error
    return network.to(device).eval().requires_grad_(False)


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(f"weights: {path} is damaged or cut short: fetch it again ({error})") from error


def _checkpoint(path: Path, beginning: bytes) -> dict[str, Tensor]:
    try:
        with (  # torch's warnings advise on how the file was saved
            path.open("rb") as file,
            torch.serialization.safe_globals([argparse.Namespace]),
            warnings.catch_warnings(action="ignore"),
        ):
            content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        if beginning[:1] == b"\x80":
            raise CheckpointError(
                f"weights: {path} is a pickled network, which may run any code when it is opened: turn it into the "
                'public PyTorch layout (a table of tensors under "g_ema", or its state_dict() as safetensors) elsewhere'
            ) from error
        kind = type(error).__name__  # torch's own words advise to unpickle everything
        raise CheckpointError(f"weights: {path} is damaged, or holds more than tensors ({kind})") from error
    table = content.get(AVERAGED, content) if isinstance(content, dict) else None
    if not isinstance(table, dict) or not all(isinstance(value, Tensor) for value in table.values()):
        raise CheckpointError(f'weights: {path} holds no table of tensors, neither itself nor under "{AVERAGED}"')
    return {str(key).removeprefix("module."): value for key, value in table.items()}


def sizes_of(state: Mapping[str, Tensor], path: Path) -> Sizes:
    """The sizes of the network that `state` belongs to. Raises CheckpointError naming a key that is missing."""
    widths = [("input.input", 1)]
    widths += [(key, 1) for at in range(0, len(state), 2) if (key := f"convs.{at}.conv.weight") in state]
    for key, dimensions in (("input.input", 4), ("style.1.weight", 2), ("to_rgb1.bias", 4)):
        if key not in state or state[key].ndim != dimensions:
            raise CheckpointError(
                f"weights: {path} is no StyleGAN2 generator: it lacks {key} of {dimensions} dimensions"
            )
    layers = sum(f"style.{at}.weight" in state for at in range(1, len(state)))
    return Sizes(
        style=state["style.1.weight"].shape[0],
        layers=layers,
        widths=tuple(int(state[key].shape[axis]) for key, axis in widths),
        wavelet=state["to_rgb1.bias"].shape[1] == 12,
    )
