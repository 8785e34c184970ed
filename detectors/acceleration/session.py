"""A model in onnxruntime on the CPU; importing this imports no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from subnet.errors import SubnetError

INPUT, OUTPUT = "views", "log_odds"


class ExportError(SubnetError):
    """A network that cannot be exported, or whose export does not answer the same."""


def session(model: bytes, threads: int = 0) -> Any:
    """An `onnxruntime.InferenceSession`; `threads` 0 is one per core. Raises ExportError for what is no model."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph, InvalidProtobuf
    from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NoKernel) as error:
        raise ExportError(f"onnxruntime does not take the model: {error}") from error


def log_odds(model: Any, views: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of views (V, ...): (V,). Raises RuntimeError where onnxruntime fails."""
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

    try:
        (answer,) = model.run(None, {INPUT: np.ascontiguousarray(views, dtype=np.float32)})
    except (Fail, RuntimeException) as error:
        raise RuntimeError(f"onnxruntime: {error}") from error
    result: NDArray[np.float32] = answer
    return result


def out_of_memory(text: str) -> bool:
    """Whether an allocator's complaint, of torch on the CPU or of onnxruntime, is about memory."""
    text = text.lower()
    return "allocat" in text and "memory" in text
