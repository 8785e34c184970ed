"""CAMO: a mixture of experts by content. Gates look at a picture, and experts trained on that content judge it.

The idea is BitMind's "content-aware model orchestration" (subnet v2.2). Their rule, "max", is an option: every open
gate's expert judges that gate's picture, the highest answer stands, and the general expert is asked only where no gate
opens. By ours, "combine", the general expert always runs, and weights fitted on validation data combine the answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
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
        """Which experts run on a picture, where they look and what each says; the general one first, where it runs."""
        return self._routes([codec.normalise(media, None)])[0]

    def _routes(self, pictures: Sequence[Media]) -> list[list[Route]]:
        """Experts that see everything look at all pictures together, the others at what their gates let in."""
        if self.configuration.rule == "max":
            return [self._gated(picture) or [self._general(picture)] for picture in pictures]
        steady = [expert.name for expert in self.configuration.experts if expert.steady]
        columns = [self.experts[name].logits(pictures).tolist() for name in steady]
        logits = zip(*columns, strict=True)
        return [
            self._route(picture, dict(zip(steady, row, strict=True)))
            for picture, row in zip(pictures, logits, strict=True)
        ]

    def _route(self, picture: Media, logits: Mapping[str, float]) -> list[Route]:
        """Steady experts with their log-odds, then each of the others once, at the first of its gates that opens."""
        routes = [Route(name, "none", whole(picture.frames[0]), logit) for name, logit in logits.items()]
        for expert, opened in self._open(picture):
            routes.extend(self._judge(picture, expert, gate, region) for gate, region in opened[:1])
        return routes

    def _gated(self, picture: Media) -> list[Route]:
        """Every open gate with the expert that it belongs to."""
        return [
            self._judge(picture, expert, gate, region)
            for expert, opened in self._open(picture)
            for gate, region in opened
        ]

    def _general(self, picture: Media) -> Route:
        return self._judge(picture, self.configuration.experts[0], "none", whole(picture.frames[0]))

    def _open(self, picture: Media) -> Iterator[tuple[Expert, list[tuple[str, Region]]]]:
        """The experts that are not steady, each with those of its gates that open."""
        frame = picture.frames[0]
        shares = self.content.shares(frame)
        for expert in self.configuration.experts:
            found = [(gate, GATES[gate].find(frame, shares)) for gate in expert.gates if not expert.steady]
            yield expert, [(gate, region) for gate, region in found if region is not None]

    def _judge(self, picture: Media, expert: Expert, gate: str, region: Region) -> Route:
        logit = float(self.experts[expert.name].logits([Media(region.cut(picture.frames))])[0])
        return Route(expert.name, gate, region, logit)

    def _combine(self, routes: Sequence[Route]) -> float:
        """One probability. Several experts weigh the same; who has no say beside the general one is not asked."""
        if self.configuration.rule == "max":
            return max(self.experts[route.expert].calibration.probability(route.logit) for route in routes)
        general = routes[0].logit
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
    except CheckpointError:
        raise
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"weights: {checkpoint.name} does not fit camo.toml: {error} is missing") from error
    except (ValueError, OverflowError) as error:
        raise CheckpointError(f"weights: the metadata of {checkpoint.name} is not ours: {error}") from error
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
