"""A stack of detectors (Wolpert 1992): logistic regression on the calibrated log-odds of its members.

A file of it holds no weights of its members: it names them and pins the sha256 of what each answered with when the
stack was fitted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detectors.calibration import Calibration
from detectors.checkpoints import HERE, load_strictly, locate, read
from detectors.heads.head import Head, head_size
from detectors.loading import open_detector
from detectors.rows import DetectorRow
from subnet.errors import CheckpointError, MediaUnreadable, SettingsError
from subnet.protocols import Detector
from subnet.types import Media, Prediction

HEAD = "head."
CERTAIN = 1e-6  # probabilities are kept this far from 0 and 1


@dataclass(frozen=True)
class Share:
    """What a member says of an item, in calibrated log-odds, and how much that moved the answer, in raw log-odds."""

    member: str
    log_odds: float
    contribution: float


class Ensemble:
    """A `Detector` over others of one modality. `members` are detectors by what was typed for each."""

    def __init__(
        self,
        name: str,
        members: Mapping[str, Detector],
        head: Head,
        calibration: Calibration | None = None,
        weights_hash: str = "",
    ) -> None:
        modalities = {member.modality for member in members.values()}
        if len(modalities) != 1:
            kinds = ", ".join(f"{each} ({member.modality})" for each, member in members.items())
            raise SettingsError(f"ensemble: members must judge the same kind of media, not {kinds or 'none'}")
        (self.modality,) = modalities
        self.name, self.members, self.head = name, dict(members), head.eval()
        self.calibration, self.weights_hash = calibration or Calibration(), weights_hash

    def opinions(self, batch: Sequence[Media]) -> Tensor:
        """Calibrated log-odds of every member for every item: (N, M). Raises what members raise."""
        if wrong := next((media for media in batch if media.modality is not self.modality), None):
            raise MediaUnreadable(f"{self.name} judges {self.modality} media and was given {wrong.modality}")
        columns = [[log_odds(answer) for answer in member.predict(batch)] for member in self.members.values()]
        return torch.tensor(columns).reshape(len(self.members), len(batch)).T

    @torch.inference_mode()
    def logits(self, batch: Sequence[Media]) -> Tensor:
        """Raw log-odds of the stack (N,)."""
        result: Tensor = self.head(self.opinions(batch))
        return result

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        """Calibrated P(synthetic), in order."""
        return [Prediction(self.calibration.probability(float(logit))) for logit in self.logits(batch)]

    @torch.inference_mode()
    def shares(self, media: Media) -> list[Share]:
        """What each member says and how much it moved the answer; with the head's bias these sum up to the logit."""
        (said,) = self.opinions([media])
        moved = self.head.project(said) * self.head.weight
        return [
            Share(name, round(float(own), 4), round(float(part), 4))
            for name, own, part in zip(self.members, said, moved, strict=True)
        ]


def log_odds(answer: Prediction) -> float:
    """Of a probability, which is kept CERTAIN away from 0 and 1."""
    p = min(max(answer.p_synthetic, CERTAIN), 1 - CERTAIN)
    return math.log(p / (1 - p))


def ensemble(row: DetectorRow, *, device: str = "cpu", weights: Path | str | None = None) -> Ensemble:
    """The stack that ships, one out of a file, or the plain mean of members that are named: `npr,ucf`.

    Raises CheckpointError for a file that is no stack or whose members answer with other weights than it was fitted
    on, SettingsError for members of several modalities, UnknownName for a name that is not there.
    """
    if weights is not None and "," in str(weights) and not Path(weights).exists():
        return mean_of(row.name, [name.strip() for name in str(weights).split(",")], device)
    path, pinned = (locate(weights), "") if weights is not None else (HERE / row.weights, row.sha256)
    checkpoint = read(path, sha256=pinned)
    try:
        pairs = [(str(each["detector"]), str(each["sha256"])) for each in checkpoint.notes["members"]]
        head = Head(**head_size(checkpoint.state))
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"weights: {path} is no stack of detectors: it lacks {error}") from error
    load_strictly(head, {key.removeprefix(HEAD): value for key, value in checkpoint.state.items()}, checkpoint.name)
    if len(head.weight) != len(pairs):
        raise CheckpointError(f"weights: {path} weighs {len(head.weight)} members and names {len(pairs)}")
    members = {name: _member(name, sha256, path, device) for name, sha256 in pairs}
    return Ensemble(row.name, members, head, checkpoint.calibration, checkpoint.sha256)


def _member(name: str, sha256: str, path: Path, device: str) -> Detector:
    member = open_detector(name, device=device)
    if member.weights_hash != sha256:
        raise CheckpointError(
            f"weights: {path} was fitted on {name} with weights {sha256[:12]}..., and {name} has "
            f"{member.weights_hash[:12]}... now: fit it again with `assay train ensemble`"
        )
    return member


def mean_of(name: str, specs: Sequence[str], device: str) -> Ensemble:
    """Members that weigh the same, not fitted on anything."""
    specs = list(dict.fromkeys(spec for spec in specs if spec))
    if len(specs) < 2:
        raise SettingsError(f"ensemble: name at least two different members, as in ensemble=npr,ucf, not {specs}")
    members = {spec: open_detector(spec, device=device) for spec in specs}
    head = Head(len(members))
    head.weight.fill_(1 / len(members))
    hashes = "".join(member.weights_hash for member in members.values())
    return Ensemble(name, members, head, weights_hash=hashlib.sha256(hashes.encode()).hexdigest())


def notes_of(members: Mapping[str, Detector]) -> dict[str, Any]:
    """What a stack's file says of its members."""
    return {"members": [{"detector": name, "sha256": member.weights_hash} for name, member in members.items()]}
