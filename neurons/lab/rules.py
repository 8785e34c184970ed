"""Everything that may differ from one laboratory to another, in one flat table that a TOML file can change."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from neurons import settings as s
from subnet.errors import SettingsError
from subnet.game.sampling import Sampling
from subnet.game.scoring import ALPHA, AVERAGING, HEADROOM, VIDEO_SHARE, Smoothing
from subnet.types import Label, Modality

Levels = tuple[float, float, float, float]
BLOCK_SECONDS = 12
TEMPO = 360  # blocks, of the public chain
MOST = {"miners": 4096, "sample_size": 4096, "validators": 64, "tempo": 2**16 - 1, "epoch_length": 10**6}
ORIGINS = {(modality, label): {"lab": 1.0} for modality in Modality for label in Label}


@dataclass(frozen=True)
class LabRules:
    """The rules that are played, the subnet they are played on, and what is assumed of media and models.

    Shares, correlations and probabilities are in 0..1; those with four numbers are one per level of augmentation.
    """

    alpha: float = ALPHA
    averaging: int = AVERAGING  # answers
    headroom: float = HEADROOM

    miners: int = 250
    sample_size: int = s.NeuronSettings.sample_size
    video_share: float = VIDEO_SHARE
    synthetic_share: float = 0.5
    level_weights: Levels = (0.25, 0.25, 0.25, 0.25)
    twin_share: float = 0.0  # of rounds
    min_answers: int = s.NeuronSettings.min_answers
    interval: float = s.NeuronSettings.interval  # seconds from one round of a validator to its next
    epoch_length: int = s.NeuronSettings.epoch_length  # blocks between two settings of weights

    validators: int = 3
    tempo: int = TEMPO  # blocks between two epochs of the chain

    # Measured by `python -m benchmarks.agreement` on the embedded set: benchmarks/results/agreement.json.
    items: Levels = (0.15, 0.12, 0.13, 0.02)  # correlation of two models: hard items are hard for both
    one_model: Levels = (0.86, 0.56, 0.42, 0.18)  # of one model on two variants
    pairing: Levels = (1.0, 0.11, 0.05, 0.09)  # variants of one item that find each other among 24 by perceptual hash
    memory: Levels = (0.56, 0.60, 0.56, 0.60)  # accuracy of who knows all public photographs by perceptual hash
    # Measured by `python benchmarks/leak.py`: AUC of the encoded size, at level 0 and at random levels.
    size_auc: Levels = (0.54, 0.50, 0.50, 0.50)

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            _require(1 <= getattr(self, name) <= most, name, f"at least 1 and at most {most:,}", self)
        _require(self.min_answers >= 0, "min_answers", "0 or more", self)
        _require(0.1 <= self.interval <= 1e6, "interval", "a number of seconds from 0.1 to 1,000,000", self)
        for name in ("items", "one_model", "pairing", "memory"):
            _require(all(0 <= x <= 1 for x in getattr(self, name)), name, "four numbers in [0, 1]", self)
        _require(all(0 < x < 1 for x in self.size_auc), "size_auc", "four numbers in (0, 1)", self)
        _require(sum(self.level_weights) <= 1e9, "level_weights", "four numbers of a sum up to 1,000,000,000", self)
        pairs = zip(self.items, self.one_model, strict=True)
        _require(all(items <= model for items, model in pairs), "one_model", "at least items, at each level", self)
        self.smoothing, self.sampling  # noqa: B018  each checks its own fields

    @property
    def smoothing(self) -> Smoothing:
        return Smoothing(self.alpha, self.averaging, self.headroom)

    @property
    def sampling(self) -> Sampling:
        return Sampling(
            self.video_share, self.synthetic_share, self.level_weights, self.sample_size, ORIGINS, self.twin_share
        )

    @property
    def blocks_a_round(self) -> float:
        return self.interval / BLOCK_SECONDS


def _require(condition: bool, name: str, wanted: str, rules: LabRules) -> None:
    if not condition:
        raise SettingsError(f"{name} must be {wanted}, not {getattr(rules, name)}")


def read_rules(path: Path | None) -> LabRules:
    """The rules with what the TOML file changes, or as they are. Raises SettingsError naming the file and the key."""
    if path is None:
        return LabRules()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"--rules {path}: {reason}") from error
    try:
        return LabRules(**{name: _value(name, value) for name, value in data.items()})
    except SettingsError as error:
        raise SettingsError(f"--rules {path}: {error}") from error


def _value(name: str, value: Any) -> Any:
    """`value` in the type of the field `name`."""
    known = {field.name: field.default for field in fields(LabRules)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known)}"
        raise SettingsError(f"no rule is called {name!r}; {hint}")
    if isinstance(known[name], tuple):
        if not (isinstance(value, list) and len(value) == 4 and all(_is_number(x) for x in value)):
            raise SettingsError(f"{name} must be a list of four numbers, not {value!r}")
        return tuple(map(float, value))
    if isinstance(known[name], int) and not (isinstance(value, int) and _is_number(value)):
        raise SettingsError(f"{name} must be a whole number, not {value!r}")
    if not _is_number(value):
        raise SettingsError(f"{name} must be a number, not {value!r}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def as_json(rules: LabRules) -> Mapping[str, Any]:
    """The rules as plain values, by name."""
    return {field.name: getattr(rules, field.name) for field in fields(rules)}
