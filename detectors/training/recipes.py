"""How each detector learns: network, loss, optimiser and examples, as one readable table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from detectors.rows import HALF, IMAGENET_MEAN, IMAGENET_STD, Preprocess
from detectors.training.batches import BatchPlan
from subnet.registry import find, table
from subnet.types import Modality


@dataclass(frozen=True)
class Recipe:
    """`network` is a "module:factory" called with `size`; `views` tells how media is shown to it when judged."""

    name: str
    modality: Modality
    network: str
    views: str
    objective: str
    preprocess: Preprocess
    plan: BatchPlan
    size: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 1500
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    init: str = ""  # the detector whose embedded weights training starts from
    first: str = ""  # the recipe whose training comes first, where no weights to start from are given
    start: str = ""  # "module:function" that prepares a network which starts from nothing
    trainer: str = ""  # "module:function" that trains it in place of the loop, out of networks that the loop trains


_NPR = Preprocess(IMAGENET_MEAN, IMAGENET_STD, 256, "centre")
_UCF = Preprocess(HALF, HALF, 256, "centre")
_TALL = Preprocess(IMAGENET_MEAN, IMAGENET_STD, 112, "tiles")
_SMALL_SWIN = {"width": 32, "depths": (2, 2, 2, 2), "heads": (1, 2, 4, 8), "drop_path": 0.0}

RECIPES: dict[str, Recipe] = table(
    (
        Recipe(
            name="npr",
            modality=Modality.IMAGE,
            network="detectors.npr.network:NPR",
            views="detectors.torch_detector:image_view",
            objective="detectors.training.losses:binary",
            preprocess=_NPR,
            plan=BatchPlan(pairs=8, crop=128),
        ),
        Recipe(
            name="frames",
            modality=Modality.VIDEO,
            network="detectors.npr.network:NPR",
            views="detectors.npr.frames:frame_views",
            objective="detectors.training.losses:binary",
            preprocess=_NPR,
            plan=BatchPlan(pairs=8, crop=128, frames=1, span=4),
            steps=400,
            learning_rate=5e-4,
            init="npr",
        ),
        Recipe(
            name="ucf",
            modality=Modality.IMAGE,
            network="detectors.ucf.network:UCF",
            views="detectors.torch_detector:image_view",
            objective="detectors.ucf.losses:objective",
            preprocess=_UCF,
            plan=BatchPlan(pairs=6, crop=96),
            size={"width": 0.25, "least": 32},
            first="ucf-plain",
            steps=1000,
            learning_rate=6e-4,
        ),
        Recipe(  # UCF's judging half as a plain classifier: what ucf starts from where ImageNet weights are not at hand
            name="ucf-plain",
            modality=Modality.IMAGE,
            network="detectors.ucf.network:UCF",
            views="detectors.torch_detector:image_view",
            objective="detectors.training.losses:paired",
            preprocess=_UCF,
            plan=BatchPlan(pairs=8, crop=96, early=(0.55, 0.3, 0.1, 0.05), late=(0.3, 0.3, 0.2, 0.2)),
            size={"width": 0.25, "least": 32},
            start="detectors.ucf.network:start_with_residuals",
            steps=1500,
            learning_rate=8e-4,
        ),
        Recipe(
            name="tall",
            modality=Modality.VIDEO,
            network="detectors.tall.network:TALL",
            views="detectors.tall.network:clip_views",
            objective="detectors.tall.network:objective",
            preprocess=_TALL,
            plan=BatchPlan(
                pairs=4, crop=112, frames=4, span=8, early=(0.35, 0.35, 0.2, 0.1), late=(0.25, 0.3, 0.25, 0.2)
            ),
            size=_SMALL_SWIN,
            start="detectors.tall.network:start_with_cosines",
            steps=1200,
            learning_rate=3e-4,
            weight_decay=5e-2,
        ),
        Recipe(  # TALL's network on still images, which teaches it textures at a quarter of the cost of clips
            name="tall-stills",
            modality=Modality.IMAGE,
            network="detectors.tall.network:TALL",
            views="detectors.tall.network:still_views",
            objective="detectors.tall.network:still_objective",
            preprocess=_TALL,
            plan=BatchPlan(pairs=4, crop=224, early=(0.7, 0.25, 0.05, 0.0), late=(0.35, 0.3, 0.2, 0.15)),
            size=_SMALL_SWIN,
            start="detectors.tall.network:start_with_cosines",
            steps=1800,
            learning_rate=3e-4,
            weight_decay=5e-2,
        ),
        Recipe(
            name="camo",
            modality=Modality.IMAGE,
            network="detectors.npr.network:NPR",
            views="detectors.torch_detector:image_view",
            objective="detectors.training.losses:binary",
            preprocess=_NPR,
            plan=BatchPlan(pairs=8, crop=112),
            steps=300,
            learning_rate=4e-4,
            init="npr",
            trainer="detectors.camo.training:train_camo",
        ),
    )
)


def recipe(name: str) -> Recipe:
    """Raises UnknownName with the nearest names."""
    return find(RECIPES, name, "recipe")
