"""How answers hold up as media are spoilt: one curve per distortion chain, from untouched to severe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detectors.dataset.items import DatasetItem
from detectors.evaluation.answering import Progress, View, score
from detectors.evaluation.evaluation import Task
from detectors.evaluation.intervals import RESAMPLES, measure
from detectors.evaluation.metrics import balanced_accuracy, type_1_error, type_2_error
from detectors.evaluation.summary import answers
from subnet.game.augment import DISTORTIONS
from subnet.media.leak.roc import auc
from subnet.protocols import Detector
from subnet.types import Modality

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
FOR_IMAGES = ("jpeg", "webp", "resize", "blur", "noise", "crop", "screenshot")
FOR_VIDEOS = ("h264", "resize", "blur", "noise", "crop")
MEASURED = {
    "auc": auc,
    "balanced_accuracy": balanced_accuracy,
    "type_1_error": type_1_error,
    "type_2_error": type_2_error,
}


def chain_views(modality: Modality, strengths: Sequence[float] = STRENGTHS) -> tuple[View, ...]:
    """Untouched once, then every chain for this modality at every strength; each ends as a level 0 variant."""
    names = FOR_IMAGES if modality is Modality.IMAGE else FOR_VIDEOS
    return (View(0), *(View(0, name, strength) for name in names for strength in strengths))


def robustness(
    detectors: Sequence[Detector],
    task: Task,
    records: Sequence[DatasetItem],
    *,
    strengths: Sequence[float] = STRENGTHS,
    times: int = RESAMPLES,
    progress: Progress = lambda done: None,
) -> list[dict[str, Any]]:
    """For each detector `{chain: {"parameter", "unit", "points": [{"strength", "value", "auc", ...}]}}`.

    The first point of every curve is the untouched one. Raises DataError for an item that cannot be read.
    """
    views = chain_views(detectors[0].modality, strengths)
    p = score(detectors, records, views, task.root, seed=task.seed, workers=task.workers, progress=progress)
    given = answers(records, [0], p[0, :, :1])
    found = []
    for row in p:
        points = {
            view: {
                "strength": view.strength,
                **{
                    name: value.to_json()
                    for name, value in measure(
                        row[:, index], given.y, given.cluster, MEASURED, times=times, seed=task.seed
                    ).items()
                },
            }
            for index, view in enumerate(views)
        }
        found.append(_curves(points))
    return found


def _curves(points: dict[View, dict[str, Any]]) -> dict[str, Any]:
    clean = points[View(0)]
    curves: dict[str, Any] = {}
    for view, point in points.items():
        if not view.chain:
            continue
        chain = DISTORTIONS[view.chain]
        curve = curves.setdefault(
            view.chain,
            {"parameter": chain.parameter, "unit": chain.unit, "points": [{**clean, "value": chain.value(0.0)}]},
        )
        curve["points"].append({**point, "value": chain.value(view.strength)})
    return curves
