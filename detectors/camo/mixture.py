"""CAMO: a mixture of experts by content. Gates look at a picture, and experts trained on that content judge it.

The idea is BitMind's "content-aware model orchestration" (subnet v2.2), with two changes: the general expert always
runs, and answers are combined by weights fitted on validation data; their rule, the maximum, is an option.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from detectors.calibration import Calibration, sigmoid
from detectors.camo.configuration import CONFIGURATION, GENERAL, Configuration, Expert, configuration
from detectors.camo.content_gates import GATES, Content, Region, whole
from detectors.checkpoints import HERE, Checkpoint, preprocess_from
from detectors.public_checkpoints import build, open_checkpoint
from detectors.rows import DetectorRow
from detectors.torch_detector import TorchDetector, torch_device
from subnet.codec import image as codec
from subnet.errors import CheckpointError
from subnet.types import Media, Modality, Prediction


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
        return [Prediction(self._combine(routes)) for routes in self._routes(pictures)]

    def routes(self, media: Media) -> list[Route]:
        """Which experts run on a picture, where they look and what each of them says; the general one first."""
        return self._routes([codec.normalise(media, None)])[0]

    def _routes(self, pictures: Sequence[Media]) -> list[list[Route]]:
        """Experts that see everything look at all pictures together, the others at what their gates let in."""
        steady = [expert.name for expert in self.configuration.experts if expert.steady]
        columns = [self.experts[name].logits(pictures).tolist() for name in steady]
        logits = zip(*columns, strict=True)
        return [
            self._route(picture, dict(zip(steady, row, strict=True)))
            for picture, row in zip(pictures, logits, strict=True)
        ]

    def _route(self, picture: Media, logits: Mapping[str, float]) -> list[Route]:
        frame = picture.frames[0]
        shares = self.content.shares(frame)
        routes = [Route(name, "none", whole(frame), logit) for name, logit in logits.items()]
        for expert in self.configuration.experts:
            for gate in () if expert.steady else expert.gates:
                region = GATES[gate].find(frame, shares)
                if region is not None:
                    logit = float(self.experts[expert.name].logits([Media(region.cut(picture.frames))])[0])
                    routes.append(Route(expert.name, gate, region, logit))
                    break
        return routes

    def _combine(self, routes: Sequence[Route]) -> float:
        """One probability. Several experts weigh the same; who has no say beside the general one is not asked."""
        general = routes[0].logit
        if self.configuration.rule == "max":
            return max(self.experts[route.expert].calibration.probability(route.logit) for route in routes)
        pairs = [(self.blends[route.expert], route.logit) for route in routes[1:]]
        opinions = [blend(general, logit) for blend, logit in pairs if blend.expert > 0]
        return sigmoid(math.fsum(opinions) / len(opinions)) if opinions else self.calibration.probability(general)


def camo(
    row: DetectorRow, *, device: str = "cpu", weights: Path | str | None = None, table: Path = CONFIGURATION
) -> Camo:
    """The mixture with its embedded weights, or those of `weights`. Raises CheckpointError and SettingsError."""
    place = torch_device(device)
    spec, pinned = (weights, "") if weights is not None else (HERE / row.weights, row.sha256)
    checkpoint = open_checkpoint(spec, row.family, row.preprocess, sha256=pinned)
    return assemble(row.name, checkpoint, configuration(table), place)


def assemble(name: str, checkpoint: Checkpoint, configured: Configuration, device: torch.device) -> Camo:
    """Experts, gates and blends out of one file. Raises CheckpointError naming what is missing."""
    notes = checkpoint.notes
    try:
        blends = {key: Blend(*(float(value) for value in values)) for key, values in notes["blends"].items()}
        parts = {key: checkpoint.state[f"gate.{key}"].numpy() for key in ("weight", "bias", "mean", "scale")}
        content = Content(**{key: value.astype(np.float32) for key, value in parts.items()})
        experts = {expert.name: _expert(expert, checkpoint, device) for expert in configured.experts}
        for expert in configured.experts[1:]:
            blends[expert.name]
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"weights: {checkpoint.name} does not fit camo.toml: {error} is missing") from error
    return Camo(name, configured, experts, content, blends, checkpoint.sha256)


def _expert(expert: Expert, checkpoint: Checkpoint, device: torch.device) -> TorchDetector:
    given = preprocess_from(checkpoint.notes["preprocesses"][expert.name])
    part = Checkpoint(f"{checkpoint.name}, expert {expert.name},", under(checkpoint.state, expert.name), "")
    return TorchDetector(
        expert.name,
        Modality.IMAGE,
        build(part, expert.family),
        preprocess=replace(given, rule="keep"),
        calibration=Calibration.from_json(checkpoint.notes["calibrations"][expert.name]),
        device=device,
    )


def under(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one expert, without its name in front."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
