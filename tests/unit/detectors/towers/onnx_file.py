"""A small frozen tower as a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, WIDTH = 256, 12


def tower_file(folder: Path, seed: int = 0, *, quantised: bool = False) -> Path:
    """A small tower as `optimum` would export it: differences of neighbouring pixels, how large they are on average.

    With `quantised` pixels are rounded to 256 steps between the least and the greatest of all that come together.
    """
    folder.mkdir()
    kernel = np.random.default_rng(seed).normal(size=(WIDTH, 3, 3, 3)).astype(np.float32)
    kernel -= kernel.mean(axis=(2, 3), keepdims=True)
    steps = [
        helper.make_node("DynamicQuantizeLinear", ["pixels"], ["whole", "step", "zero"]),
        helper.make_node("DequantizeLinear", ["whole", "step", "zero"], ["rounded"]),
    ]
    nodes = [
        *(steps if quantised else ()),
        helper.make_node("Conv", ["rounded" if quantised else "pixels", "kernel"], ["edges"]),
        helper.make_node("Abs", ["edges"], ["sizes"]),
        helper.make_node("ReduceMean", ["sizes", "axes"], ["features"], keepdims=0),
    ]
    held = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(np.array([2, 3]), "axes")]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["B", 3, SIDE, SIDE])
    found = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["B", WIDTH])
    graph = helper.make_graph(nodes, "tower", [pixels], [found], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, folder / "tower.onnx")
    about = {"size": {"height": SIDE, "width": SIDE}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2}
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    return folder / "tower.onnx"
