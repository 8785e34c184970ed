"""A frame encoder under an LSTM.

Güera & Delp, "Deepfake Video Detection Using Recurrent Neural Networks", AVSS 2018: features of single frames, an LSTM
of 2048 units, a layer of 512. Their encoder is Inception-v3; ours is NPR, whose own mean over the frames the LSTM
corrects: it begins with nothing to say, so that a network which starts from a trained NPR starts as good as that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from detectors.checkpoints import load_strictly
from detectors.npr.network import FEATURES, NPR
from subnet.errors import CheckpointError


class FramesLSTM(nn.Module):
    """Normalised clips (B, T, 3, h, w) -> log-odds of synthetic (B,). The defaults are the published size.

    The encoder's batch statistics stay as they are in training: a batch has few clips.
    """

    def __init__(self, width: int = 2048, dense: int = 512) -> None:
        super().__init__()
        self.encoder = NPR()
        self.lstm = nn.LSTM(FEATURES, width, batch_first=True)
        self.dense = nn.Linear(width, dense)
        self.correction = nn.Linear(dense, 1)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    def train(self, mode: bool = True) -> FramesLSTM:
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, x_BTCHW: Tensor) -> Tensor:
        features = self.encoder.features(x_BTCHW.flatten(0, 1)).reshape(-1, x_BTCHW.shape[1], FEATURES)
        frames: Tensor = self.encoder.fc1(features).mean(dim=(1, 2))
        states, _ = self.lstm(features)
        corrections: Tensor = self.correction(torch.relu(self.dense(states[:, -1])))
        return frames + corrections.squeeze(1)


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The sizes that the tensors show. Raises CheckpointError when it is not such a network."""
    dense = state.get("dense.weight")
    if dense is None or dense.ndim != 2 or "lstm.weight_ih_l0" not in state:
        raise CheckpointError("weights: not a frame encoder with an LSTM: dense.weight, lstm.weight_ih_l0 are needed")
    return state, {"width": dense.shape[1], "dense": dense.shape[0]}


def start(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Start the encoder from a trained NPR, of which the last block goes on learning and the rest rests."""
    if not isinstance(network, FramesLSTM):
        raise CheckpointError(f"weights: an NPR starts a frame encoder with an LSTM, not {type(network).__name__}")
    load_strictly(network.encoder, state, "the NPR")
    network.encoder.requires_grad_(False)
    for part in (network.encoder.layer2[-1], network.encoder.fc1):
        part.requires_grad_(True)
