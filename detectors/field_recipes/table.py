"""Recipes that the field found to work: what each changes of the recipe of the detector that is trained.

Several go together. What a row needs of the data and of the detector is checked before training; `source` is where it
comes from. Data only, and pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from detectors.dataset.items import DatasetItem
from detectors.training.recipes import Recipe, recipe
from subnet.errors import DataError, SettingsError
from subnet.registry import find, table
from subnet.types import Label, Modality

BATCHES = Recipe.__dataclass_fields__["batches"].default


@dataclass(frozen=True)
class FieldRecipe:
    """`plan` has the fields of `BatchPlan` that it sets; `twins` says that photographs get twins by autoencoders;
    `pairs` that the data must have twins; `detector` is what is trained where none is named."""

    name: str
    summary: str
    source: str
    detector: str = "npr"
    plan: Mapping[str, Any] = field(default_factory=dict)
    twins: bool = False
    pairs: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan", MappingProxyType(dict(self.plan)))


FIELD_RECIPES: dict[str, FieldRecipe] = table(
    (
        FieldRecipe(
            "vae-twins",
            "fakes are the data's own photographs through autoencoders of public models: no content tells the classes",
            "Aligned Forensics, arXiv 2410.11835; DDA, arXiv 2505.14359",
            twins=True,
        ),
        FieldRecipe(
            "inpainted",
            "of every other twin only a region stands, in its own photograph",
            "B-Free, arXiv 2412.17671",
            plan={"inpainted": 0.5},
            pairs=True,
        ),
        FieldRecipe(
            "matched-history",
            "both of a pair go through the JPEG of the other's file, then one resize and one JPEG together",
            "arXiv 2403.17608; DDA, arXiv 2505.14359",
            plan={"history": 1.0},
        ),
        FieldRecipe(
            "chains",
            "one to four distortions after each other before what validators do, the same for both of a pair",
            "NTIRE 2026 challenge on robust detection",
            plan={"distortion": 0.7, "chain": 4},
        ),
        FieldRecipe(
            "probe",
            "a linear head on the features of a frozen tower (--tower), kept with --features",
            "UnivFD, arXiv 2302.10174; arXiv 2602.01738",
            detector="tower",
        ),
        FieldRecipe(
            "adapters",
            "linear probing first, then low-rank adapters on every linear layer of the tower (--tower, --rank)",
            "arXiv 2106.09685; arXiv 2202.10054",
            detector="tower-adapters",
        ),
        FieldRecipe(
            "aligned",
            "vae-twins, inpainted, matched-history and chains together, with adapters on a tower",
            "DDA, arXiv 2505.14359; B-Free, arXiv 2412.17671",
            detector="tower-adapters",
            plan={"inpainted": 0.3, "history": 1.0, "distortion": 0.5, "chain": 3},
            twins=True,
            pairs=True,
        ),
    )
)


def combined(names: Sequence[str]) -> FieldRecipe:
    """Rows together, the later before the earlier where both set a number.

    Raises UnknownName with the nearest names, SettingsError for two that train different things.
    """
    rows = [find(FIELD_RECIPES, name, "field recipe") for name in names]
    whole = FieldRecipe(" ".join(names), "", "", twins=any(r.twins for r in rows), pairs=any(r.pairs for r in rows))
    trained = list(dict.fromkeys(row.detector for row in rows if row.detector != whole.detector))
    if len(trained) > 1:
        raise SettingsError(f"--recipe {whole.name}: {' and '.join(trained)} are trained one at a time: leave one out")
    plan = {name: value for row in rows for name, value in row.plan.items()}
    return FieldRecipe(
        whole.name, "", "", detector=(*trained, whole.detector)[0], plan=plan, twins=whole.twins, pairs=whole.pairs
    )


def check_detector(chosen: FieldRecipe, detector: str) -> None:
    """Raises SettingsError where what the rows change is nothing that this detector is trained by."""
    own = recipe(detector)
    if chosen.detector not in (detector, "npr"):
        raise SettingsError(f"--recipe {chosen.name}: trains {chosen.detector}, not {detector}")
    if (chosen.twins or chosen.plan.keys() & {"history", "inpainted"}) and own.family.modality is Modality.VIDEO:
        raise SettingsError(f"--recipe {chosen.name}: it is of pictures, and {detector} judges clips")
    if chosen.plan and (own.trainer or own.batches != BATCHES):
        raise SettingsError(
            f"--recipe {chosen.name}: it changes pairs, which {detector} is not trained on; npr, ucf-plain, patchwise, "
            "vit_cam, cnn-residual and tower-adapters are"
        )


def check_records(chosen: FieldRecipe, records: Sequence[DatasetItem], what: str) -> None:
    """Raises DataError where rows need twins in the data, and there are none."""
    reals = {record.pair for record in records if record.label is Label.REAL and record.pair}
    if chosen.pairs and not any(r.pair in reals for r in records if r.label is Label.SYNTHETIC):
        raise DataError(
            f"data: --recipe {chosen.name} needs fakes that are twins of photographs (the same `pair` in index.jsonl), "
            f"and {what} has none: add --recipe vae-twins, which makes them"
        )
