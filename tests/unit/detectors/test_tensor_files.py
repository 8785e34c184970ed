"""Files that people give as weights: what training scripts save is read, what is no weights is told in one line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from detectors.checkpoints import load_strictly, read
from detectors.npr.network import NPR
from detectors.tensor_files import MAX_BYTES, WRAPPERS
from subnet.errors import CheckpointError

STATE = {"conv1.weight": torch.arange(6.0).view(2, 3), "bn1.num_batches_tracked": torch.tensor(7)}


def same(path: Path) -> bool:
    found = read(path).state
    return found.keys() == STATE.keys() and all(torch.equal(found[key], STATE[key]) for key in STATE)


def prefixed(*prefixes: str) -> dict[str, Tensor]:
    return {"".join(prefixes) + key: value.clone() for key, value in STATE.items()}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_of_training_scripts(tmp_path: Path, wrapper: str) -> None:
    """The table of tensors is found inside a script's own table, beside an epoch, an optimiser and numpy's numbers."""
    beside = {
        "epoch": 3,
        "best": np.float64(0.9),
        "step": np.int64(4),
        "history": np.arange(3.0),
        "mean": np.float32(0.5),
        "args": argparse.Namespace(lr=1e-3, out=Path("runs")),
        "optimizer": {"state": {}, "param_groups": [{"lr": np.float32(0.1)}]},
    }
    torch.save({**beside, wrapper: STATE}, tmp_path / "a.pth")
    assert same(tmp_path / "a.pth")
    torch.save({"state_dict": {wrapper: prefixed("module.")}}, tmp_path / "b.pth")
    assert same(tmp_path / "b.pth")


@pytest.mark.parametrize(
    "prefixes",
    [
        ("module.",),
        ("_orig_mod.",),
        ("module.", "_orig_mod."),
        ("_orig_mod.", "module."),
        ("model.",),
        ("module.", "model."),
    ],
)
def test_prefixes_of_torchs_wrappers(tmp_path: Path, prefixes: tuple[str, ...]) -> None:
    """What DataParallel, torch.compile and a module around the network put before keys is taken off, in both formats."""
    torch.save(prefixed(*prefixes), tmp_path / "a.pth")
    save_file(prefixed(*prefixes), tmp_path / "a.safetensors")
    assert same(tmp_path / "a.pth")
    assert same(tmp_path / "a.safetensors")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_floats_of_any_width_come_back_as_float32(tmp_path: Path, kind: torch.dtype) -> None:
    """Half, brain, double and eighth precision hold the same small whole numbers."""
    narrow = {key: value.to(kind) if value.is_floating_point() else value for key, value in STATE.items()}
    torch.save(narrow, tmp_path / "a.pth")
    save_file(narrow, tmp_path / "a.safetensors")
    assert same(tmp_path / "a.pth")
    assert same(tmp_path / "a.safetensors")
    assert read(tmp_path / "a.pth").state["conv1.weight"].dtype is torch.float32


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
@pytest.mark.parametrize("format", ["pth", "safetensors"])
def test_nan_and_infinity_are_refused(tmp_path: Path, value: float, format: str) -> None:
    """One value that is no number, or none in single precision, is refused with the file and the tensor."""
    spoilt = {**STATE, "conv1.weight": STATE["conv1.weight"].double()}
    spoilt["conv1.weight"][1, 2] = value
    path = tmp_path / f"bad.{format}"
    torch.save(spoilt, path) if format == "pth" else save_file(spoilt, path)
    with pytest.raises(CheckpointError, match=rf"bad\.{format} holds NaN or infinity in conv1\.weight"):
        read(path)


def pointer(path: Path) -> None:
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        os.truncate(path, MAX_BYTES + 1)


def cut_torch(path: Path) -> None:
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:300])


def cut_safetensors(path: Path) -> None:
    save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:-4])


def odd_type(path: Path) -> None:
    header = b'{"a":{"dtype":"X7","shape":[1],"data_offsets":[0,1]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (pointer, "Git LFS.*git lfs pull"),
        (lambda path: path.write_bytes(b"<!DOCTYPE html><html>"), "a web page: download"),
        (lambda path: path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(99)), "is a picture"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n" + bytes(99)), "is a picture"),
        (lambda path: path.write_bytes(b"\x1f\x8b" + bytes(99)), "gzip: unpack"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n" + bytes(99)), "Keras"),
        (lambda path: path.write_bytes(b""), "is empty: fetch"),
        (huge, "bytes, but"),
        (cut_torch, "damaged.*fetch it again"),
        (cut_safetensors, "damaged.*fetch it again"),
        (odd_type, "damaged"),
        (lambda path: torch.save([1, 2], path), "holds list"),
        (lambda path: torch.save({}, path), "holds dict"),
        (lambda path: torch.save({"a": STATE["conv1.weight"].to_sparse()}, path), "no plain numbers in a"),
        (lambda path: torch.save({"a": torch.empty(3, device="meta")}, path), "no plain numbers in a"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_is_no_weights_is_told(tmp_path: Path, make: Callable[[Path], Any], told: str) -> None:
    """One line with the file and the fix, and never torch's advice to execute what a stranger wrote."""
    path = tmp_path / "given.pth"
    make(path)
    with pytest.raises(CheckpointError, match=told) as caught:
        read(path)
    assert "given.pth" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)


class Surprise:
    """An object that an unpickler would have to build."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("echo unpickled",))


@pytest.mark.parametrize("place", ["alone", "args", "array"])
def test_nothing_in_a_file_is_executed(tmp_path: Path, place: str, capfd: pytest.CaptureFixture[str]) -> None:
    """What is allowed beside tensors opens no door: not inside arguments, nor inside an array of objects."""
    held: Any = Surprise()
    if place == "args":
        held = argparse.Namespace(out=held)
    elif place == "array":
        held = np.array([held], dtype=object)
    torch.save({"state_dict": STATE, "args": held}, tmp_path / "code.pth")
    with pytest.raises(CheckpointError, match="more than tensors"):
        read(tmp_path / "code.pth")
    assert "unpickled" not in capfd.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"calibration": []}',
        '{"preprocess": {"mean": [0,0,0], "std": [1,1,1], "size": Infinity, "rule": "keep"}}',
        '{"preprocess": {"mean": [0,0,NaN], "std": [1,1,1], "size": 64, "rule": "keep"}}',
        '{"preprocess": {"mean": [0,0,0], "std": [1,1,1], "size": 64, "rule": "keep", "resample": "nearest"}}',
        '{"preprocess": {"mean": [0,0,0], "std": [1,1,1], "size": 64, "rule": "keep", "clips": 3}}',
    ],
)
def test_metadata_that_is_not_ours(tmp_path: Path, text: str) -> None:
    """However our metadata are spoilt, one line names the file."""
    save_file(STATE, tmp_path / "odd.safetensors", metadata={"assay": text})
    with pytest.raises(CheckpointError, match=r"metadata of .*odd\.safetensors is not ours") as caught:
        read(tmp_path / "odd.safetensors")
    assert "\n" not in str(caught.value)


def test_integers_are_no_floats() -> None:
    """Quantised weights fit by their shapes, and would be read as noise."""
    state = dict(NPR().state_dict())
    state["conv1.weight"] = state["conv1.weight"].mul(100).to(torch.int8)
    with pytest.raises(CheckpointError, match=r"integers where floats belong: conv1\.weight"):
        load_strictly(NPR(), state, "this file")
