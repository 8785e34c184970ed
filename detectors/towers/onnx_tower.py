"""A tower as an ONNX file, as `optimum` lays one out, with preprocessor_config.json beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from subnet.errors import CheckpointError


class OnnxTower(nn.Module):
    """Normalised RGB (B, 3, side, side) -> the first output of the file (B, D), computed by onnxruntime on the CPU.

    Pictures are computed one by one: files in int8 scale by all that they are given together, so that what they say of
    a picture would depend on those beside it.
    """

    exportable = False  # it is an export

    def __init__(self, session: Any) -> None:
        super().__init__()
        self._session, self._input = session, session.get_inputs()[0].name

    def __deepcopy__(self, memo: object) -> OnnxTower:
        """Itself: a session cannot be copied, and has nothing that changes."""
        return self

    def forward(self, x_BCHW: Tensor) -> Tensor:
        pixels = np.ascontiguousarray(x_BCHW.cpu().numpy())
        rows = [self._session.run(None, {self._input: pixels[at : at + 1]})[0] for at in range(len(pixels))]
        return torch.from_numpy(np.concatenate(rows)).flatten(1).to(x_BCHW.device)


def open_onnx(path: Path) -> OnnxTower:
    """The file as a network. Raises CheckpointError."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return OnnxTower(onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]))
    except (Fail, InvalidGraph, InvalidProtobuf) as error:
        raise CheckpointError(f"weights: onnxruntime does not take {path}: {error}") from error
