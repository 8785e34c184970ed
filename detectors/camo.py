"""CAMO: a mixture of experts by content. Gates look at a picture, and experts trained on that content judge it.

The idea is BitMind's "content-aware model orchestration" (subnet v2.2), with two changes: the general expert always
runs, and answers are combined by weights fitted on validation data; their rule, the maximum, is an option. `camo.toml`
is the table of experts, `detectors.gates` that of gates.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from detectors.calibration import Calibration, sigmoid
from detectors.checkpoints import HERE, Checkpoint, load_strictly
from detectors.gates import GATES, Content, Region
from detectors.npr import NPR
from detectors.public import open_checkpoint
from detectors.rows import DetectorRow, Preprocess
from detectors.torch_detector import TorchDetector, torch_device
from subnet.errors import CheckpointError, SettingsError
from subnet.media import codec
from subnet.registry import find
from subnet.types import Media, Modality, Prediction

CONFIGURATION = Path(__file__).with_name("camo.toml")
GENERAL = "general"


@dataclass(frozen=True)
class Expert:
    """One row of camo.toml: runs where one of its gates opens; trained on items of these categories (none: all)."""

    name: str
    gates: tuple[str, ...]
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Configuration:
    """camo.toml. The first expert is the general one."""

    rule: Literal["combine", "max"]
    experts: tuple[Expert, ...]


@dataclass(frozen=True)
class Blend:
    """Calibrated log-odds of the general expert and one other: general * g + expert * e + bias."""

    general: float
    expert: float
    bias: float

    def __call__(self, general: float, expert: float) -> float:
        return self.general * general + self.expert * expert + self.bias


@dataclass(frozen=True)
class Route:
    """One expert that ran: the gate that opened, what it looked at, its raw log-odds."""

    expert: str
    gate: str
    region: Region
    logit: float


def configuration(path: Path = CONFIGURATION) -> Configuration:
    """Read the table. Raises SettingsError naming what is wrong, UnknownName for a gate that is not there."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        rows = [Expert(row["name"], tuple(row["gates"]), tuple(row["categories"])) for row in content["experts"]]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise SettingsError(f"camo: {path} is not a table of experts: {type(error).__name__} {error}") from error
    for row in rows:
        for gate in row.gates:
            find(GATES, gate, "gate")
    rule = content.get("rule", "combine")
    if rule not in ("combine", "max"):
        raise SettingsError(f"camo: rule in {path} must be combine or max, not {rule!r}")
    if not rows or rows[0] != Expert(GENERAL, ("none",), rows[0].categories):
        raise SettingsError(f'camo: the first expert in {path} must be called "general" and have the gate "none"')
    return Configuration(rule, tuple(rows))


class Camo:
    """A `Detector` of images. `general` is a whole detector on its own; heat maps are taken from it."""

    modality = Modality.IMAGE

    def __init__(
        self,
        name: str,
        configured: Configuration,
        experts: Mapping[str, TorchDetector],
        content: Content,
        blends: Mapping[str, Blend],
        weights_hash: str = "",
    ) -> None:
        self.name, self.configuration, self.weights_hash = name, configured, weights_hash
        self.experts, self.content, self.blends = dict(experts), content, dict(blends)
        self.general = self.experts[GENERAL]
        self.calibration = self.general.calibration

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        """Calibrated P(synthetic), in order. Raises MediaUnreadable for a video."""
        pictures = [codec.normalise(media, None) if media.modality is self.modality else media for media in batch]
        general = self.general.logits(pictures).tolist()
        return [Prediction(self._combine(self._routes(*pair))) for pair in zip(pictures, general, strict=True)]

    def routes(self, media: Media) -> list[Route]:
        """Which experts run on a picture, where they look and what each of them says; the general one first."""
        picture = codec.normalise(media, None)
        return self._routes(picture, float(self.general.logits([picture])[0]))

    def _routes(self, picture: Media, general: float) -> list[Route]:
        frame = picture.frames[0]
        shares = self.content.shares(frame)
        routes = [Route(GENERAL, "none", Region(0, frame.shape[0], 0, frame.shape[1]), general)]
        for expert in self.configuration.experts[1:]:
            for gate in expert.gates:
                region = GATES[gate].find(frame, shares)
                if region is not None:
                    logit = float(self.experts[expert.name].logits([Media(region.cut(picture.frames))])[0])
                    routes.append(Route(expert.name, gate, region, logit))
                    break
        return routes

    def _combine(self, routes: Sequence[Route]) -> float:
        """One probability. Several open gates weigh the same."""
        general, others = routes[0].logit, routes[1:]
        if self.configuration.rule == "max":
            return max(self.experts[route.expert].calibration.probability(route.logit) for route in routes)
        if not others:
            return self.calibration.probability(general)
        return sigmoid(math.fsum(self.blends[route.expert](general, route.logit) for route in others) / len(others))


def camo(
    row: DetectorRow, *, device: str = "cpu", weights: Path | str | None = None, table: Path = CONFIGURATION
) -> Camo:
    """The mixture with its embedded weights, or those of `weights`. Raises CheckpointError and SettingsError."""
    place = torch_device(device)
    spec, pinned = (weights, "") if weights is not None else (HERE / row.weights, row.sha256)
    return assemble(row.name, open_checkpoint(spec, "camo", row.preprocess, sha256=pinned), configuration(table), place)


def assemble(name: str, checkpoint: Checkpoint, configured: Configuration, device: torch.device) -> Camo:
    """Experts, gates and blends out of one file. Raises CheckpointError naming what is missing."""
    notes = checkpoint.notes
    try:
        blends = {key: Blend(*(float(value) for value in values)) for key, values in notes["blends"].items()}
        calibrations = {key: Calibration.from_json(values) for key, values in notes["calibrations"].items()}
        parts = {key: checkpoint.state[f"gate.{key}"].numpy() for key in ("weight", "bias", "mean", "scale")}
        content = Content(**{key: value.astype(np.float32) for key, value in parts.items()})
        experts = {
            expert.name: _expert(expert.name, checkpoint, calibrations[expert.name], device)
            for expert in configured.experts
        }
        for expert in configured.experts[1:]:
            blends[expert.name]
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"weights: {checkpoint.name} does not fit camo.toml: {error} is missing") from error
    return Camo(name, configured, experts, content, blends, checkpoint.sha256)


def _expert(name: str, checkpoint: Checkpoint, calibration: Calibration, device: torch.device) -> TorchDetector:
    network = NPR()
    load_strictly(network, under(checkpoint.state, name), f"{checkpoint.name}, expert {name},")
    given = checkpoint.preprocess or Preprocess()
    preprocess = Preprocess(given.mean, given.std, given.size, "keep")
    return TorchDetector(name, Modality.IMAGE, network, preprocess=preprocess, calibration=calibration, device=device)


def under(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one expert, without its name in front."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
