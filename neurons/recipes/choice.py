"""What `--recipe` chooses: the detector that is trained, its examples, its data, and what that will take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurons.progress import warn
from neurons.ray_cluster import JobSettings
from neurons.recipes.flags import Choice, Course, Data
from subnet.errors import SettingsError

if TYPE_CHECKING:
    from detectors.field_recipes.table import FieldRecipe
    from detectors.training.loop import Training

PROBE = "tower"
TOWERS = (PROBE, "tower-adapters")  # what is trained on a tower of the user's choice


def trained(detector: str | None, choice: Choice) -> str:
    """The detector that is trained: the one that is named, or the recipes' own.

    Raises SettingsError where none is, where the recipes do not fit it, and for a tower too many or too few.
    """
    chosen = chosen_recipe(choice)
    name = detector or (chosen.detector if chosen else None)
    if name is None:
        raise SettingsError("DETECTOR: name what to train, such as npr, or a recipe of `assay recipes` with --recipe")
    if chosen:
        from detectors.field_recipes.table import check_detector

        check_detector(chosen, name)
    if choice.autoencoder and not (chosen and chosen.twins):
        raise SettingsError("--autoencoder: makes the twins of --recipe vae-twins, which was not asked for")
    if (name in TOWERS) != (choice.tower is not None) or (choice.rank and name != "tower-adapters"):
        raise SettingsError(
            f"--tower: {name} is trained on one: give a folder, OWNER/NAME@<40 hex commit> or FILE.onnx"
            if name in TOWERS and choice.tower is None
            else f"--{'rank' if choice.tower else 'tower'}: {name} takes none; --recipe probe and adapters do"
        )
    return name


def chosen_recipe(choice: Choice) -> FieldRecipe | None:
    """The rows of --recipe together; None where there are none. Raises UnknownName, SettingsError."""
    if not choice.recipe:
        return None
    from detectors.field_recipes.table import combined

    return combined(choice.recipe)


def check_tower(choice: Choice, detector: str) -> None:
    """Look for the tower before any data are made. Raises CheckpointError naming what is wrong, SettingsError."""
    if choice.tower is None:
        return
    from detectors.hub.repository import config_of, locate
    from detectors.towers.folder import is_onnx, open_tower

    if not is_onnx(choice.tower):
        config_of(locate(choice.tower, detector))
    elif detector != PROBE:
        raise SettingsError(f"--tower {choice.tower}: an ONNX file takes no adapters; give the folder it was made from")
    else:
        open_tower(choice.tower, detector)


def check_cluster(job: JobSettings, detector: str) -> None:
    """Raises SettingsError where a cluster is to help and has nothing to do."""
    if job.address and detector != PROBE:
        raise SettingsError(f"--ray.address: a cluster computes features of a frozen {PROBE}; {detector} takes none")


def features_folder(data: Data, detector: str, folder: Path) -> Path | None:
    """Where features are kept: in the folder that is named; of a tower else beside the head; else nowhere."""
    if data.features:
        return data.features.expanduser()
    return folder / "features" if detector == PROBE else None


def plan_changes(choice: Choice, course: Course) -> dict[str, Any]:
    """Fields of the plan that recipes and flags set, the flags before the recipes."""
    chosen = chosen_recipe(choice)
    flags = {name: value for name in ("crop", "pairs") if (value := getattr(course, name)) is not None}
    return {**(chosen.plan if chosen else {}), **flags}


def check_data(choice: Choice, learn: Path, what: str) -> None:
    """Raises DataError where the recipes need of the data what is not there."""
    if chosen := chosen_recipe(choice):
        from detectors.dataset.items import read_folder
        from detectors.field_recipes.table import check_records

        check_records(chosen, read_folder(learn), what)


def tell_estimate(choice: Choice, settings: Training, tell: Callable[[str], None] = warn) -> None:
    """Say what a run with recipes will take. Raises SettingsError where it does not fit."""
    if not choice.recipe:
        return
    from detectors.dataset.items import read_folder
    from detectors.field_recipes.estimate import estimate
    from detectors.training.loop import wanted
    from detectors.training.recipes import recipe

    chosen = recipe(settings.detector)
    records = wanted(read_folder(settings.data), chosen, settings)
    measured = estimate(settings, records) or "what it will take is not known before"
    said = f"{settings.detector}: {measured}"
    tell(f"{said}; {chosen.first} comes first" if chosen.first and settings.init is None else said)


def judged_as(weights: Path, choice: Choice) -> str:
    """What `--detector` is given for the trained weights."""
    return str(weights) if choice.tower is None else f"tower={choice.tower},{weights}"
