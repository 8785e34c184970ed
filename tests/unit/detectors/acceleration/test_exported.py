"""Detectors that are served from a kept export, without torch."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from detectors.acceleration.exported import (
    ABOUT,
    EXPORTS,
    NONE,
    About,
    Exported,
    Place,
    about_from,
    kept,
    open_exported,
    place,
)
from detectors.acceleration.session import ExportError
from detectors.calibration import Calibration, sigmoid
from detectors.evaluation.self_test import example
from detectors.pixels.views import image_view
from detectors.rows import HALF, Preprocess
from subnet.errors import MediaUnreadable
from subnet.types import Modality

PREPROCESS = Preprocess(HALF, HALF, 32, "centre")
VIEWS = "detectors.torch_detector:image_view"
WANTED = float(image_view(example(Modality.IMAGE), PREPROCESS).mean())
OURS = About("npr", Modality.IMAGE, "ab" * 32, VIEWS, PREPROCESS, Calibration(2.0, 0.5), WANTED)


def model(about: str) -> bytes:
    """A graph that answers the mean of each view, with what stands around it."""
    shapes = (("views", ["V", 3, 32, 32]), ("log_odds", ["V"]))
    given, answer = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes)
    axes = helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3])
    node = helper.make_node("ReduceMean", ["views", "axes"], ["log_odds"], keepdims=0)
    graph = helper.make_graph([node], "means", [given], [answer], [axes])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    proto.metadata_props.append(onnx.StringStringEntryProto(key=ABOUT, value=about))
    whole: bytes = proto.SerializeToString()
    return whole


def test_what_stands_around_a_network_travels_with_it() -> None:
    """Written and read back it is the same; the detector answers as the preprocessing and the calibration say."""
    assert about_from(OURS.to_text()) == OURS
    detector, media = Exported(model(OURS.to_text()), batch=2), example(Modality.IMAGE)
    answers = [each.p_synthetic for each in detector.predict([media] * 5)]
    assert np.abs(np.array(answers) - sigmoid(WANTED / 2.0 + 0.5)).max() <= 1e-6
    assert (detector.name, detector.weights_hash) == ("npr", "ab" * 32)
    assert detector.predict([]) == []
    with pytest.raises(MediaUnreadable, match="judges image media"):
        detector.predict([example(Modality.VIDEO)])


def test_exports_that_are_not_believed(tmp_path: Path) -> None:
    """Damaged files, models of nobody, and answers other than torch gave to the example; a good one is kept."""
    file = tmp_path / "npr.onnx"
    here = Place(file, OURS.weights_hash)
    assert kept(here) is None
    for text in (
        "",
        "{}",
        "[1]",
        OURS.to_text().replace("image_view", "no_view"),
        replace(OURS, example=3.0).to_text(),
    ):
        file.write_bytes(model(text))
        assert kept(here) is None, text
    file.write_bytes(b"not a model")
    assert kept(here) is None
    with pytest.raises(ExportError, match="onnxruntime does not take"):
        Exported(b"not a model")
    file.write_bytes(model(OURS.to_text()))
    assert kept(here) is not None
    assert kept(replace(here, weights="cd" * 32)) is None


def test_an_export_is_made_once_and_belongs_to_its_weights(tmp_path: Path) -> None:
    """The second start reads the file; other weights have another; what makes none leaves it to torch."""
    made: list[Path] = []

    def make(text: str, file: Path) -> None:
        made.append(file)
        digest = hashlib.sha256(mine.read_bytes()).hexdigest()
        file.write_bytes(model(replace(OURS, weights_hash=digest).to_text()))

    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"first")
    for _ in range(2):
        assert open_exported(f"npr={mine}", tmp_path, make) is not None
    assert len(made) == 1
    mine.write_bytes(b"second")
    second = place(f"npr={mine}", tmp_path)
    assert second is not None
    assert second.file != made[0]
    assert open_exported(f"npr={mine}", tmp_path, lambda text, file: None) is None
    for text in ("camo", "ensemble", "random", "ensemble=npr,ucf", "nowhere.safetensors", "npr=hub:a/b/c@1#2"):
        assert place(text, tmp_path) is None


def test_an_export_of_other_weights_is_made_again(tmp_path: Path) -> None:
    """A file that changed between its hash and its export has left other weights under that name: they never answer."""
    mine, made = tmp_path / "mine.safetensors", []

    def make(text: str, file: Path) -> None:
        made.append(file)
        digest = hashlib.sha256(b"first" if len(made) > 1 else b"what stood there meanwhile").hexdigest()
        file.write_bytes(model(replace(OURS, weights_hash=digest).to_text()))

    mine.write_bytes(b"first")
    assert open_exported(f"npr={mine}", tmp_path, make) is None
    again = open_exported(f"npr={mine}", tmp_path, make)
    assert again is not None
    assert again.weights_hash == hashlib.sha256(b"first").hexdigest()


def test_what_has_no_export_is_tried_once(tmp_path: Path) -> None:
    """A network that ONNX cannot express is known by an empty file from then on: no start waits for torch to say so."""
    mine, made = tmp_path / "mine.safetensors", []
    mine.write_bytes(b"weights")

    def make(text: str, file: Path) -> None:
        made.append(file)
        file.write_bytes(NONE)

    assert [open_exported(str(mine), tmp_path, make) for _ in range(3)] == [None] * 3
    assert len(made) == 1


def test_exports_do_not_pile_up(tmp_path: Path) -> None:
    """Of weights that follow each other the newest exports stay, and one that is in use counts as new."""
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"served")

    def make(text: str, file: Path) -> None:
        digest = hashlib.sha256(mine.read_bytes()).hexdigest()
        file.write_bytes(model(replace(OURS, weights_hash=digest).to_text()))

    for number in range(EXPORTS + 3):
        (old := tmp_path / f"old-{number}.onnx").write_bytes(b"")
        os.utime(old, (number, number))
    assert open_exported(str(mine), tmp_path, make) is not None
    left = {file.stem for file in tmp_path.glob("*.onnx")}
    assert len(left) == EXPORTS
    assert {f"old-{number}" for number in range(4, EXPORTS + 3)} < left
