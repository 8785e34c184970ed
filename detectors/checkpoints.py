"""Weights on disk: ours (safetensors with metadata) and files of other projects, read safely and loaded strictly.

Nothing is unpickled: `torch.load` runs with `weights_only=True`, and only to read what is not safetensors.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from detectors.calibration import Calibration
from detectors.rows import Preprocess
from detectors.tensor_files import METADATA, read_tensors, recognise, some
from subnet.errors import CheckpointError
from subnet.files import write_atomically

HERE = Path(__file__).parent / "weights"
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
        path = Path(spec).expanduser()
        if path.is_dir():
            raise CheckpointError(f"weights: {path} is a folder: name the file in it")
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
    """Read safetensors or a torch file of tensors (`detectors.tensor_files`).

    Raises CheckpointError when the file is damaged, holds anything but tensors, or differs from the pinned `sha256`.
    """
    try:
        recognise(path)
        digest = sha256_of(path)
    except OSError as error:
        raise CheckpointError(f"weights: {path} cannot be read: {error.strerror}") from error
    if sha256 and digest != sha256:
        raise CheckpointError(f"weights: {path} has sha256 {digest[:12]}..., but {sha256[:12]}... is pinned")
    state, text = read_tensors(path)
    try:
        notes: dict[str, Any] = dict(json.loads(text))
        preprocess = preprocess_from(notes["preprocess"]) if "preprocess" in notes else None
        calibration = Calibration.from_json({**notes["calibration"]}) if "calibration" in notes else None
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise CheckpointError(
            f"weights: the metadata of {path} is not ours ({type(error).__name__}: {error}): "
            "take another copy, or save its tensors without metadata"
        ) from error
    return Checkpoint(path.name, state, digest, preprocess, calibration, notes)


def preprocess_from(values: Mapping[str, Any]) -> Preprocess:
    """What `asdict` made of a Preprocess, read back. Raises ValueError, TypeError and KeyError."""
    mean, std = (tuple(float(v) for v in values[key]) for key in ("mean", "std"))
    if len(mean) != 3 or len(std) != 3:
        raise ValueError("mean and std need three numbers each")
    later = {key: values[key] for key in ("resample", "clips", "frame_side", "crop") if key in values}
    size, rule = int(values["size"]), values["rule"]
    return Preprocess((mean[0], mean[1], mean[2]), (std[0], std[1], std[2]), size, rule, **later)


def write(
    path: Path,
    state: Mapping[str, Tensor],
    *,
    preprocess: Preprocess,
    calibration: Calibration | None = None,
    notes: Mapping[str, Any] | None = None,
    half: bool = False,
    exact: str = "",
) -> str:
    """Save tensors and what serving needs to know beside them, atomically; returns the sha256.

    `half` stores floats as fp16, but for keys that begin with `exact`, where that is given.
    """
    about = {**(notes or {}), "preprocess": asdict(preprocess)}
    if calibration is not None:
        about["calibration"] = calibration.to_json()
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    if half:
        whole = {
            key for key, value in tensors.items() if not value.is_floating_point() or (exact and key.startswith(exact))
        }
        tensors = {key: value if key in whole else value.half() for key, value in tensors.items()}
    write_atomically(path, save(tensors, metadata={METADATA: json.dumps(about, sort_keys=True)}))
    return sha256_of(path)


def load_strictly(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Fill `network` with `state`. Raises CheckpointError naming every missing, extra or misshapen key."""
    own = network.state_dict()
    wanted = {key: tuple(value.shape) for key, value in own.items()}
    given = {key: tuple(value.shape) for key, value in state.items()}
    problems = []
    if missing := [key for key in wanted if key not in given]:
        problems.append(f"missing: {some(missing)}")
    if extra := [key for key in given if key not in wanted]:
        problems.append(f"not known: {some(extra)}")
    both = [key for key in wanted if key in given]
    if other := [key for key in both if own[key].is_floating_point() and not state[key].is_floating_point()]:
        problems.append(f"of integers where floats belong: {some(other)}")
    if wrong := [f"{key} is {given[key]}, not {wanted[key]}" for key in both if given[key] != wanted[key]]:
        problems.append(f"of another shape: {some(wrong)}")
    if problems:
        raise CheckpointError(f"weights: {what} does not fit {type(network).__name__}; " + "; ".join(problems))
    network.load_state_dict(dict(state), strict=True)
