"""How far the size of the encoded file alone tells the classes apart: what a detector has to beat on the same variants.

Sizes are no answer in 0..1, so that only the area under the ROC curve is told. Whether larger files are taken for
synthetic ones or smaller is chosen on the very items that are judged, which flatters the control.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from detectors.dataset.cuts import challenge_media, key_of
from detectors.dataset.items import DatasetItem
from detectors.evaluation.answering import Progress, encoded_size
from detectors.evaluation.evaluation import Task
from detectors.evaluation.intervals import measure
from detectors.evaluation.metrics import Floats
from detectors.evaluation.summary import Answers, Findings, answers, toward
from subnet.media.leak.roc import auc
from subnet.types import Label

NAME = "encoded size"


def sizes(task: Task, records: Sequence[DatasetItem], progress: Progress = lambda done: None) -> Floats:
    """Bytes of every item in every view of the task (records, views). Raises DataError for one that cannot be read."""
    found = np.empty((len(records), len(task.views)))
    for row, record in enumerate(records):
        key = key_of(record, task.root)
        media = challenge_media(record, key, task.seed)
        found[row] = [encoded_size(media, key, view, task.seed) for view in task.views]
        progress((row + 1) * len(task.views))
    return found


def encoded_size_control(
    task: Task, records: Sequence[DatasetItem], progress: Progress = lambda done: None
) -> Findings:
    """AUC of the size: `auc`, `by_level` and `by_generator`, as in the findings of a detector."""
    return findings(answers(records, task.levels, sizes(task, records, progress)))


def findings(given: Answers) -> Findings:
    """The same out of `given`, whose p are sizes."""
    given = toward(given.p, given)
    levels = sorted(set(given.level.tolist()))
    fakes = sorted(set(given.origin[given.y == Label.SYNTHETIC].tolist()))
    return {
        "detector": NAME,
        **_auc(given),
        "by_level": {str(level): _auc(given.where(given.level == level)) for level in levels},
        "by_generator": {name: _auc(given.where((given.y == Label.REAL) | (given.origin == name))) for name in fakes},
    }


def _auc(given: Answers) -> Mapping[str, Mapping[str, float | None]]:
    return {"auc": measure(given.p, given.y, given.cluster, {"auc": auc})["auc"].to_json()}
