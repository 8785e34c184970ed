"""What a training run leaves behind: weights with their calibration, and how they came about."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from detectors.calibration import fit
from detectors.checkpoints import write
from detectors.dataset.items import DatasetItem
from detectors.training.batches import numbered
from detectors.training.recipes import Recipe

if TYPE_CHECKING:
    from detectors.training.loop import Training


def write_trained(
    settings: Training,
    chosen: Recipe,
    state: Mapping[str, Tensor],
    validation: tuple[Sequence[float], Sequence[int]],
    records: Sequence[DatasetItem],
    about: Mapping[str, Any],
    *,
    exact: str = "",
) -> str:
    """Write `settings.out` with a calibration fitted on `validation`, log-odds and labels; returns its sha256.

    Tensors whose keys begin with `exact` are not rounded to half precision. The metadata name the detector, the
    settings, the origins of the fakes and what `about` adds of the run.
    """
    plan, steps = about.get("plan", settings.plan), about.get("steps", settings.steps)
    course = {**asdict(replace(settings, plan=plan)), "steps": steps, "network": chosen.family.network}
    notes = {"detector": chosen.name, "recipe": course, "origins": sorted(numbered(records))}
    notes |= {key: value for key, value in about.items() if key not in ("plan", "steps")}
    return write(
        settings.out,
        state,
        preprocess=chosen.family.preprocess,
        calibration=fit(*validation),
        notes=json.loads(json.dumps(notes, default=_plain)),
        half=settings.half,
        exact=exact,
    )


def _plain(value: object) -> str:
    return value.name if isinstance(value, Path) else str(value)
