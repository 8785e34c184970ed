"""How each family of weights is trained: loss, optimiser and examples, as one readable table."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.families import Family, family
from detectors.heads.fitting import HeadPlan
from detectors.training.batches import BatchPlan
from subnet.registry import find, table

NO_HEAD = HeadPlan()
CNNS = ("cnn-plain", "cnn-residual", "cnn-separable", "cnn-densenet", "cnn-vgg16")


@dataclass(frozen=True)
class Recipe:
    """How weights of the family called `name` are trained. Targets are "module:name"."""

    name: str
    objective: str
    plan: BatchPlan
    published: BatchPlan | None = None  # for the published size, where that needs others
    steps: int = 1500
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    batches: str = "detectors.training.batches:Batches"  # makes the batch of a step
    init: str = ""  # the detector whose embedded weights training starts from
    first: str = ""  # the recipe whose training comes first, where no weights to start from are given
    start: str = ""  # prepares a network which starts from nothing
    measure: str = "detectors.training.validation_set:auc"  # of validation; the weights with the highest are kept
    trainer: str = ""  # trains it in place of the loop, out of networks that the loop trains
    adversary: str = ""  # gives the encoder and the decoder of `trainer` detectors.training.adversarial
    motion: bool = False  # of the embedded set it learns from temporal twins, whose single frames tell nothing
    head: HeadPlan = NO_HEAD  # of networks with a fitted head, whose trainer is detectors.training.fitting

    def plan_for(self, size: str) -> BatchPlan:
        """Examples for a network of the size "small" or "published"."""
        return self.published if size == "published" and self.published is not None else self.plan

    @property
    def family(self) -> Family:
        """Network, views and size of the weights."""
        return family(self.name)

    @property
    def measure_name(self) -> str:
        """What is measured on validation, for people: AUC, PSNR."""
        return self.measure.rpartition(":")[2].upper()


RECIPES: dict[str, Recipe] = table(
    (
        Recipe(
            name="npr",
            objective="detectors.training.losses:binary",
            plan=BatchPlan(pairs=8, crop=128),
        ),
        Recipe(  # turns of npr and of a decoder that is trained to fool it
            name="npr-adversarial",
            objective="detectors.training.losses:binary",
            plan=BatchPlan(pairs=8, crop=128),
            steps=180,
            learning_rate=2e-4,
            init="npr",
            first="npr",
            trainer="detectors.training.adversarial:train_adversarial",
            adversary="generators.embedded.autoencoder:open_adversary",
        ),
        Recipe(
            name="frames",
            objective="detectors.training.losses:binary",
            plan=BatchPlan(pairs=8, crop=128, frames=1, span=4),
            steps=400,
            learning_rate=5e-4,
            init="npr",
        ),
        Recipe(
            name="ucf",
            objective="detectors.ucf.losses:objective",
            plan=BatchPlan(pairs=6, crop=96),
            first="ucf-plain",
            steps=1000,
            learning_rate=6e-4,
        ),
        Recipe(  # UCF's judging half as a plain classifier: what ucf starts from where ImageNet weights are not at hand
            name="ucf-plain",
            objective="detectors.training.losses:binary_and_ranking",
            plan=BatchPlan(pairs=8, crop=96, early=(0.55, 0.3, 0.1, 0.05), late=(0.3, 0.3, 0.2, 0.2)),
            start="detectors.ucf.network:start_with_residuals",
            steps=1500,
            learning_rate=8e-4,
        ),
        Recipe(
            name="patchwise",
            objective="detectors.patchwise.losses:objective",
            plan=BatchPlan(pairs=12, crop=64, early=(0.55, 0.3, 0.1, 0.05), late=(0.3, 0.3, 0.2, 0.2)),
            start="detectors.patchwise.network:start_with_residuals",
            steps=500,
            learning_rate=8e-4,
        ),
        Recipe(
            name="segment",
            objective="detectors.segment.losses:objective",
            plan=BatchPlan(pairs=3, crop=96, early=(0.55, 0.3, 0.1, 0.05), late=(0.3, 0.3, 0.2, 0.2)),
            batches="detectors.segment.batches:MaskedBatches",
            start="detectors.segment.network:start_with_residuals",
            steps=500,
            learning_rate=1e-3,
        ),
        Recipe(
            name="tall",
            objective="detectors.tall.losses:objective",
            plan=BatchPlan(
                pairs=4, crop=112, frames=4, span=8, early=(0.35, 0.35, 0.2, 0.1), late=(0.25, 0.3, 0.25, 0.2)
            ),
            start="detectors.tall.network:start_with_cosines",
            steps=1200,
            learning_rate=3e-4,
            weight_decay=5e-2,
        ),
        Recipe(  # TALL's network on still images, which teaches it textures at a quarter of the cost of clips
            name="tall-stills",
            objective="detectors.tall.losses:still_objective",
            plan=BatchPlan(pairs=4, crop=224, early=(0.7, 0.25, 0.05, 0.0), late=(0.35, 0.3, 0.2, 0.15)),
            start="detectors.tall.network:start_with_cosines",
            steps=1800,
            learning_rate=3e-4,
            weight_decay=5e-2,
        ),
        Recipe(
            name="temporal-lstm",
            objective="detectors.training.losses:clips_and_ranking",
            plan=BatchPlan(pairs=3, crop=96, frames=8, span=8),
            steps=100,
            learning_rate=5e-4,
            init="npr",
        ),
        Recipe(
            name="temporal-3d",
            objective="detectors.training.losses:clips_and_ranking",
            plan=BatchPlan(pairs=3, crop=96, frames=8, span=8),
            steps=100,
            learning_rate=2e-4,
            init="npr",
        ),
        Recipe(
            name="temporal-trajectory",
            objective="",
            plan=BatchPlan(frames=8, span=8),
            init="npr",
            trainer="detectors.training.fitting:train_fitted",
        ),
        Recipe(
            name="temporal-d3",
            objective="",
            plan=BatchPlan(frames=8, span=8),
            init="npr",
            trainer="detectors.training.fitting:train_fitted",
            head=HeadPlan(variants=1),
        ),
        Recipe(
            name="temporal-order",
            objective="",
            plan=BatchPlan(frames=8, span=8),
            trainer="detectors.training.fitting:train_fitted",
            head=HeadPlan(variants=2),
            motion=True,
        ),
        Recipe(
            name="spectral",
            objective="",
            plan=BatchPlan(),
            trainer="detectors.training.fitting:train_fitted",
            head=HeadPlan("elastic-net", strengths=(0.003, 0.01, 0.03, 0.1, 0.3), variants=2),
        ),
        Recipe(
            name="retrieval",
            objective="",
            plan=BatchPlan(),
            trainer="detectors.retrieval.training:fill_index",
        ),
        Recipe(
            name="ensemble",
            objective="",
            plan=BatchPlan(),
            trainer="detectors.ensemble.training:train_ensemble",
            head=HeadPlan("elastic-net", strengths=(0.01, 0.1, 1.0), l1_ratio=0.0, variants=2),
        ),
        Recipe(
            name="vit_cam",
            objective="detectors.training.losses:binary_and_ranking",
            published=BatchPlan(pairs=8, crop=224, early=(0.55, 0.3, 0.1, 0.05), late=(0.3, 0.3, 0.2, 0.2)),
            plan=BatchPlan(pairs=8, crop=128, early=(0.55, 0.3, 0.1, 0.05), late=(0.3, 0.3, 0.2, 0.2)),
            start="detectors.vit_cam.network:start_with_residuals",
            steps=1500,
            learning_rate=8e-4,
            weight_decay=5e-2,
        ),
        Recipe(
            name="camo",
            objective="detectors.training.losses:binary",
            plan=BatchPlan(pairs=8, crop=112),
            steps=300,
            learning_rate=4e-4,
            init="npr",
            trainer="detectors.camo.training:train_camo",
        ),
        Recipe(
            name="autoencoder-reconstruction",
            objective="detectors.autoencoder.losses:reconstruction",
            measure="detectors.autoencoder.losses:psnr",
            plan=BatchPlan(pairs=8, crop=64),
            steps=150,
            weight_decay=0.0,
        ),
        Recipe(
            name="autoencoder-denoising",
            objective="detectors.autoencoder.losses:denoising",
            measure="detectors.autoencoder.losses:psnr",
            plan=BatchPlan(pairs=8, crop=64),
            steps=150,
            weight_decay=0.0,
        ),
        Recipe(
            name="autoencoder-softmax",
            objective="detectors.autoencoder.losses:classification",
            first="autoencoder-reconstruction",
            plan=BatchPlan(pairs=4, crop=256),
            steps=200,
            weight_decay=0.0,
        ),
        Recipe(
            name="autoencoder-sigmoid",
            objective="detectors.autoencoder.losses:classification",
            first="autoencoder-reconstruction",
            plan=BatchPlan(pairs=4, crop=256),
            steps=200,
            weight_decay=0.0,
        ),
        Recipe(
            name="autoencoder",
            objective="detectors.autoencoder.losses:reconstruction",
            first="autoencoder-reconstruction",
            plan=BatchPlan(pairs=8, crop=64),
            trainer="detectors.training.fitting:train_fitted",
            head=HeadPlan("elastic-net", strengths=(0.03, 0.3, 3.0), variants=2),
        ),
        *(
            Recipe(
                name=name,
                objective="detectors.training.losses:binary_and_ranking",
                plan=BatchPlan(pairs=8, crop=96),
                steps=400,
                learning_rate=1e-3,
            )
            for name in CNNS
        ),
        Recipe(
            name="cnn_svm",
            objective="detectors.training.losses:binary_and_ranking",
            first="cnn-residual",
            plan=BatchPlan(pairs=8, crop=96),
            trainer="detectors.training.fitting:train_fitted",
            head=HeadPlan("svm", components=50, strengths=(0.01, 0.1, 1.0), variants=2),
        ),
        Recipe(  # a linear head on a tower that stays as it is
            name="tower",
            objective="",
            plan=BatchPlan(crop=256),
            trainer="detectors.training.fitting:train_fitted",
            head=HeadPlan(l1_ratio=0.0),
        ),
        Recipe(
            name="tower-adapters",
            objective="detectors.training.losses:binary",
            first="tower",
            plan=BatchPlan(pairs=8, crop=256),
            steps=1000,
            learning_rate=1e-4,
            weight_decay=0.0,
        ),
    )
)


def recipe(name: str) -> Recipe:
    """Raises UnknownName with the nearest names."""
    return find(RECIPES, name, "recipe")
