"""What a file of this room holds: the autoencoder alone, or one with a head."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from detectors.autoencoder.network import Classifier
from detectors.checkpoints import load_strictly
from detectors.heads.head import head_size
from subnet.errors import CheckpointError


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An autoencoder with its fitted head, whose sizes are read off its tensors. Raises CheckpointError."""
    if not is_reconstruction(state):
        raise CheckpointError("weights: no autoencoder: encoder.0.weight and decoder.0.weight are needed")
    return state, {"head": head_size(state)} if "head.mean" in state else {}


def is_reconstruction(state: dict[str, Tensor]) -> bool:
    """Whether there is an encoder with its decoder."""
    return "encoder.0.weight" in state and "decoder.0.weight" in state


def start(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Give a classifier the encoder of a trained autoencoder. Raises CheckpointError naming keys."""
    if not isinstance(network, Classifier):
        raise CheckpointError(f"weights: an autoencoder starts a Classifier, not {type(network).__name__}")
    encoder = {key.removeprefix("encoder."): value for key, value in state.items() if key.startswith("encoder.")}
    load_strictly(network.encoder, encoder, "the autoencoder")
