"""The state of a training run in one safetensors file: weights, their moving average, the best, the optimiser."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from detectors.checkpoints import load_strictly
from detectors.dataset.cuts import key_of
from detectors.dataset.items import DatasetItem, stored_file
from subnet.errors import SettingsError, StateError
from subnet.files import write_atomically

KEY = "assay-training"
PATHS = frozenset({"data", "validation", "init"})  # settings that are paths
# Settings that leave weights as they are; of data that are read in windows, the size of those is told besides.
WITHOUT_EFFECT = frozenset({"out", "save_every", "workers", "snapshots", "memory", "features"})
FILES = frozenset({"training set", "validation set"})  # what the folders held; states of older versions do not say


@dataclass
class TrainingState:
    """What must survive a crash. `mean` is the moving average of the weights; `waited` counts evaluations in vain."""

    fingerprint: str
    mean: dict[str, Tensor]
    best_weights: dict[str, Tensor]
    step: int = 0
    best: float | None = None
    best_step: int = 0
    waited: int = 0
    history: list[tuple[int, float]] = field(default_factory=list)

    @classmethod
    def fresh(cls, fingerprint: str, weights: Mapping[str, Tensor]) -> TrainingState:
        """Step 0 of a run."""
        return cls(fingerprint, _copy(weights), _copy(weights))

    def average(self, weights: Mapping[str, Tensor], decay: float) -> None:
        """mean <- decay * mean + (1 - decay) * weights; integers are copied."""
        for key, value in weights.items():
            held = self.mean[key]
            if held.is_floating_point():
                held.lerp_(value.detach().to(held), 1 - decay)
            else:
                held.copy_(value)

    def record(self, step: int, measured: float) -> None:
        """Keep the moving average as the best weights when it is; ties go to the later step."""
        self.history.append((step, measured))
        if self.best is None or measured >= self.best:
            self.best, self.best_step, self.waited, self.best_weights = measured, step, 0, _copy(self.mean)
        else:
            self.waited += 1


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().clone() for key, value in weights.items()}


def store(path: Path, state: TrainingState, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Write everything, atomically."""
    tensors = {f"weights/{key}": value for key, value in network.state_dict().items()}
    tensors |= {f"mean/{key}": value for key, value in state.mean.items()}
    tensors |= {f"best/{key}": value for key, value in state.best_weights.items()}
    for number, values in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{number}/{name}": torch.as_tensor(value) for name, value in values.items()}
    about = {
        "fingerprint": state.fingerprint,
        "step": state.step,
        "best": state.best,
        "best_step": state.best_step,
        "waited": state.waited,
        "history": state.history,
    }
    kept = {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}
    write_atomically(path, save(kept, metadata={KEY: json.dumps(about)}))


def restore(path: Path, fingerprint: str, network: nn.Module, optimiser: torch.optim.Optimizer) -> TrainingState:
    """Fill network and optimiser from `path` and return the state. Raises SettingsError for other settings."""
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(KEY, ""))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError) as error:
        raise StateError(f"the training state {path} is damaged ({error}); delete it to start again") from error
    if other := differences(about["fingerprint"], fingerprint):
        raise SettingsError(
            f"out: {path} belongs to a run with other settings ({'; '.join(other)}); "
            "give the same flags, delete it, or choose another --out"
        )
    load_strictly(network, _under(tensors, "weights/"), str(path))
    kept: dict[int, dict[str, Tensor]] = {}
    for key, value in _under(tensors, "optimiser/").items():
        number, _, name = key.partition("/")
        kept.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({"state": kept, "param_groups": optimiser.state_dict()["param_groups"]})
    history = [(int(step), float(value)) for step, value in about["history"]]
    return TrainingState(
        fingerprint,
        _under(tensors, "mean/"),
        _under(tensors, "best/"),
        step=int(about["step"]),
        best=about["best"],
        best_step=int(about["best_step"]),
        waited=int(about["waited"]),
        history=history,
    )


def fingerprint(settings: Mapping[str, Any], trained: Sequence[DatasetItem], judged: Sequence[DatasetItem]) -> str:
    """The run of `settings` on these items of its folders `data` and `validation`, as one text."""
    data = Path(settings["data"])
    held = settings["validation"] or data.parent / "validation"
    files = {"training set": _files(trained, data), "validation set": _files(judged, Path(held))}
    return json.dumps({**settings, **files}, sort_keys=True, default=_resolved)


def _files(records: Sequence[DatasetItem], root: Path) -> str:
    """How many there are, and a digest of their names, sizes in bytes, labels and what else is said of them."""
    rows = (
        (key_of(each, root), stored_file(each).stat().st_size, each.label, each.origin, each.pair, each.item)
        for each in records
    )
    digest = hashlib.sha256("".join(sorted(map(repr, rows))).encode())
    return f"{len(records)} items ({digest.hexdigest()[:8]})"


def _resolved(value: object) -> str:
    return str(value.expanduser().resolve()) if isinstance(value, Path) else str(value)


def differences(stored: str, wanted: str) -> list[str]:
    """The settings in which two fingerprints of runs differ, as text, or else the folders that hold other items now.

    Where the weights go and how often they are saved changes nothing in them; a path is the same in all its forms.
    """
    before, now = json.loads(stored), json.loads(wanted)
    names = sorted((before.keys() | now.keys()) - WITHOUT_EFFECT - (FILES - before.keys()))
    changed = [name for name in names if _same_form(name, before.get(name)) != _same_form(name, now.get(name))]
    told = [name for name in changed if name not in FILES] or changed
    return [f"{name} was {before.get(name)}, not {now.get(name)}" for name in told]


def _same_form(name: str, value: Any) -> Any:
    if name in PATHS and isinstance(value, str):
        return str(Path(value).expanduser().resolve())
    if name == "experts":
        return [[key, str(Path(path).expanduser().resolve())] for key, path in value or []]
    return value


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
