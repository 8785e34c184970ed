"""Tensors out of files that strangers wrote: safetensors, and torch's two formats without executing anything.

Every file that cannot be used is told in one line that names it and says what to do.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import pickle
import struct
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from subnet.errors import CheckpointError

METADATA = "assay"
MAX_BYTES = 4 << 30  # the largest published file is TALL's with its optimiser, 1.05 GB
# What unpickling raises for bytes that no pickler wrote. Python's `pickle` promises no shorter list, these have no base
# class but Exception, and each came up when files of both of torch's formats were damaged at random.
NOT_A_PICKLE = (
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
)
# Beginnings of files that are taken for weights by mistake, and what to do about each.
OTHERS = {
    b"version https://git-lfs": "is the pointer of a Git LFS file: fetch the file itself with `git lfs pull`",
    b"<": "is a web page: download the file itself (on a hub: its `resolve` address)",
    b"\xff\xd8\xff": "is a picture: give the weights here and pictures as FILE",
    b"\x89PNG": "is a picture: give the weights here and pictures as FILE",
    b"RIFF": "is a picture or sound: give the weights here",
    b"\x1f\x8b": "is packed with gzip: unpack it",
    b"7z\xbc\xaf": "is packed with 7-Zip: unpack it",
    b"\x89HDF": "is in Keras's format: only safetensors and torch files of tensors can be read",
    b"GGUF": "is in GGUF format: only safetensors and torch files of tensors can be read",
}
WRAPPERS = ("model_state_dict", "state_dict", "model_state", "model", "net", "network", "weights")
WRAPPED_BY_TORCH = ("module.", "_orig_mod.")  # DataParallel and torch.compile put these before every key


def recognise(path: Path) -> None:
    """Raises CheckpointError for what can be no weights by its size or its beginning, and OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        beginning = file.read(64)
    if size == 0:
        raise CheckpointError(f"weights: {path} is empty: fetch it again")
    if size > MAX_BYTES:
        raise CheckpointError(
            f"weights: {path} has {size} bytes, but weights of a network here have at most {MAX_BYTES}"
        )
    for start, advice in OTHERS.items():
        if beginning.startswith(start):
            raise CheckpointError(f"weights: {path} {advice}")


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Tensors by key, floats as float32, and the text of our metadata ("{}" where there is none).

    Raises CheckpointError naming the file and the fix, and OSError.
    """
    tensors, text = _read_safetensors(path) if _is_safetensors(path) else (_read_torch(path), "{}")
    return _usable(_plain_keys(tensors), path), text


def _is_safetensors(path: Path) -> bool:
    """By its content: eight bytes of length, then JSON, which has to begin with a brace (the format's description)."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], str]:
    try:
        data = path.read_bytes()  # and not mapped: a file that is cut short meanwhile would end the process by SIGBUS
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, OSError, RuntimeError, LookupError) as error:  # the last two: numbers that torch has not
        raise CheckpointError(f"weights: {path} is damaged or cut short: fetch it again ({error})") from error
    return tensors, header.get("__metadata__", {}).get(METADATA, "{}")


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        # A file, not its path: of a path torch looks at the ending. Its warnings advise on how the file was saved.
        with (
            path.open("rb") as file,
            torch.serialization.safe_globals(list(_harmless())),
            warnings.catch_warnings(action="ignore"),
        ):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, *NOT_A_PICKLE) as error:  # RuntimeError: the archive around the pickle
        kind = type(error).__name__  # torch's own words advise to unpickle everything
        raise CheckpointError(
            f"weights: {path} is damaged, or holds more than tensors ({kind}): fetch it again, or save its state_dict()"
        ) from error
    while isinstance(content, dict) and (inner := _wrapped(content)) is not None:
        content = inner
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"weights: {path} holds {type(content).__name__}, not a table of tensors")
    if odd := [str(key) for key, value in content.items() if not isinstance(value, Tensor)]:
        raise CheckpointError(f"weights: {path} holds entries that are not tensors: {some(odd)}")
    return {str(key): value for key, value in content.items()}


def _harmless() -> Iterator[Any]:
    """What training scripts keep beside tensors: numpy's numbers and arrays, their arguments, paths. No code."""
    array = np.empty(0)
    reconstruct, scalar = array.__reduce__()[0], np.float64(0).__reduce__()[0]
    yield from (np.ndarray, np.dtype, argparse.Namespace, pathlib.PosixPath, pathlib.PurePosixPath)
    for module in ("numpy._core.multiarray", "numpy.core.multiarray"):  # numpy 2 and 1
        yield from ((scalar, f"{module}.scalar"), (reconstruct, f"{module}._reconstruct"))
    for name in ("Float16", "Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "UInt8", "Bool"):
        yield getattr(np.dtypes, f"{name}DType")


def _wrapped(content: Mapping[Any, Any]) -> Mapping[Any, Any] | None:
    """The table of tensors inside a training script's table, by its usual names."""
    return next((content[name] for name in WRAPPERS if isinstance(content.get(name), dict)), None)


def _plain_keys(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keys without what torch's wrappers put before them, and without `model.` where all have it."""

    def plain(key: str) -> str:
        while (start := next((p for p in WRAPPED_BY_TORCH if key.startswith(p)), None)) is not None:
            key = key.removeprefix(start)
        return key

    renamed = {plain(key): value for key, value in tensors.items()}
    if all(key.startswith("model.") for key in renamed):
        return _plain_keys({key.removeprefix("model."): value for key, value in renamed.items()}) if renamed else {}
    return renamed


def _usable(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Floats as float32. Raises CheckpointError for tensors without plain numbers, and for NaN and infinity."""
    if odd := [key for key, value in tensors.items() if value.is_meta or value.is_sparse or value.is_quantized]:
        raise CheckpointError(f"weights: {path} holds no plain numbers in {some(odd)}: save its dense state_dict()")
    result = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
    broken = [key for key, value in result.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise CheckpointError(f"weights: {path} holds NaN or infinity in {some(broken)}: take another checkpoint")
    return result


def some(keys: Iterable[str], most: int = 6) -> str:
    """The first few of many names, as text."""
    names = list(keys)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
