"""What a training run leaves behind: weights with their calibration, and how they came about."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from detectors.calibration import fit
from detectors.checkpoints import write
from detectors.dataset.items import DatasetItem
from detectors.training.batches import numbered
from detectors.training.recipes import Recipe


def write_trained(
    course: Mapping[str, Any],
    chosen: Recipe,
    state: Mapping[str, Tensor],
    validation: tuple[Sequence[float], Sequence[int]],
    records: Sequence[DatasetItem],
    about: Mapping[str, Any],
    *,
    exact: str = "",
) -> str:
    """Write weights with a calibration fitted on `validation`, log-odds and labels; returns their sha256.

    `course` is the settings of the run: `out` names the file, `half` says whether tensors are rounded to half
    precision, save those whose keys begin with `exact`. The metadata name the detector, the settings, the origins of
    the fakes and what `about` adds of the run.
    """
    recipe = {**course, "network": chosen.family.network}
    notes = {"detector": chosen.name, "recipe": recipe, "origins": sorted(numbered(records)), **about}
    return write(
        course["out"],
        state,
        preprocess=chosen.family.preprocess,
        calibration=fit(*validation),
        notes=json.loads(json.dumps(notes, default=_plain)),
        half=course["half"],
        exact=exact,
    )


def _plain(value: object) -> str:
    return value.name if isinstance(value, Path) else str(value)
