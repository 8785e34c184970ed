"""Weights on disk: ours (safetensors with metadata) and files of other projects, read safely and loaded strictly.

Nothing is unpickled: `torch.load` runs with `weights_only=True`, and only to read what is not safetensors.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from detectors.calibration import Calibration
from detectors.rows import Preprocess
from subnet.errors import CheckpointError
from subnet.files import write_atomically

HERE = Path(__file__).parent / "weights"
METADATA = "assay"
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
_HUB = re.compile(r"^hub:(?P<repo>[^/]+/[^/]+)/(?P<file>[^@]+)@(?P<revision>[0-9a-f]{40})#(?P<sha256>[0-9a-f]{64})$")


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by key, the sha256 of the file, and what the file says about itself (None where it says nothing)."""

    name: str
    state: dict[str, Tensor]
    sha256: str
    preprocess: Preprocess | None = None
    calibration: Calibration | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


def locate(spec: Path | str) -> Path:
    """A local file, or `hub:OWNER/NAME/FILE@REVISION#SHA256` fetched from the hub at exactly that commit.

    Raises CheckpointError for a file that is not there, an unpinned hub address, or other bytes than pinned.
    """
    if not str(spec).startswith("hub:"):
        path = Path(spec)
        if not path.is_file():
            raise CheckpointError(f"weights: {path} is not a file")
        return path
    match = _HUB.match(str(spec))
    if match is None:
        raise CheckpointError(f"weights: write hub:OWNER/NAME/FILE@<40 hex commit>#<64 hex sha256>, not {spec}")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        path = Path(hf_hub_download(match["repo"], match["file"], revision=match["revision"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(f"weights: {spec} cannot be fetched: {error}") from error
    digest = sha256_of(path)
    if digest != match["sha256"]:
        raise CheckpointError(f"weights: {spec} has sha256 {digest}: not the file that was pinned")
    return path


def sha256_of(path: Path) -> str:
    """sha256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(path: Path, *, sha256: str = "") -> Checkpoint:
    """Read safetensors or a torch file of tensors. Half precision comes back as float32.

    Raises CheckpointError when the file is damaged, holds anything but tensors, or differs from the pinned `sha256`.
    """
    try:
        digest, safetensors = sha256_of(path), _is_safetensors(path)
    except OSError as error:
        raise CheckpointError(f"weights: {path} cannot be read: {error.strerror}") from error
    if sha256 and digest != sha256:
        raise CheckpointError(f"weights: {path} has sha256 {digest[:12]}..., but {sha256[:12]}... is pinned")
    state, text = _read_safetensors(path) if safetensors else (_read_torch(path), "{}")
    state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    try:
        notes: dict[str, Any] = dict(json.loads(text))
        preprocess = preprocess_from(notes["preprocess"]) if "preprocess" in notes else None
        calibration = Calibration.from_json(notes["calibration"]) if "calibration" in notes else None
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f"weights: the metadata of {path} is not ours: {error}") from error
    return Checkpoint(path.name, state, digest, preprocess, calibration, notes)


def _is_safetensors(path: Path) -> bool:
    """By its content: eight bytes of length, then JSON, which has to begin with a brace (the format's description)."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def preprocess_from(values: Mapping[str, Any]) -> Preprocess:
    """What `asdict` made of a Preprocess, read back. Raises ValueError, TypeError and KeyError."""
    mean, std = (tuple(float(v) for v in values[key]) for key in ("mean", "std"))
    if len(mean) != 3 or len(std) != 3:
        raise ValueError("mean and std need three numbers each")
    return Preprocess((mean[0], mean[1], mean[2]), (std[0], std[1], std[2]), int(values["size"]), values["rule"])


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], str]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            return {key: file.get_tensor(key) for key in file.keys()}, metadata.get(METADATA, "{}")  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"weights: {path} is damaged or not safetensors: {error}") from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:  # of a path torch looks at the ending
            content = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, *NOT_A_PICKLE) as error:  # RuntimeError: the archive around the pickle
        kind = type(error).__name__  # torch's own words advise to unpickle everything
        raise CheckpointError(f"weights: {path} is damaged, or holds more than tensors ({kind})") from error
    for wrapper in ("model", "state_dict", "net"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"weights: {path} holds {type(content).__name__}, not a table of tensors")
    odd = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if odd:
        raise CheckpointError(f"weights: {path} holds entries that are not tensors: {_some(odd)}")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def write(
    path: Path,
    state: Mapping[str, Tensor],
    *,
    preprocess: Preprocess,
    calibration: Calibration | None = None,
    notes: Mapping[str, Any] | None = None,
    half: bool = False,
) -> str:
    """Save tensors and what serving needs to know beside them, atomically; returns the sha256. `half` stores fp16."""
    about = {**(notes or {}), "preprocess": asdict(preprocess)}
    if calibration is not None:
        about["calibration"] = calibration.to_json()
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    if half:
        tensors = {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}
    write_atomically(path, save(tensors, metadata={METADATA: json.dumps(about, sort_keys=True)}))
    return sha256_of(path)


def load_strictly(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Fill `network` with `state`. Raises CheckpointError naming every missing, extra or misshapen key."""
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in state.items()}
    problems = []
    if missing := [key for key in wanted if key not in given]:
        problems.append(f"missing: {_some(missing)}")
    if extra := [key for key in given if key not in wanted]:
        problems.append(f"not known: {_some(extra)}")
    both = [key for key in wanted if key in given]
    if wrong := [f"{key} is {given[key]}, not {wanted[key]}" for key in both if given[key] != wanted[key]]:
        problems.append(f"of another shape: {_some(wrong)}")
    if problems:
        raise CheckpointError(f"weights: {what} does not fit {type(network).__name__}; " + "; ".join(problems))
    network.load_state_dict(dict(state), strict=True)


def _some(keys: list[str], most: int = 6) -> str:
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")
