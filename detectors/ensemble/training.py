"""Fitting a stack on validation items, which its members were not trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from detectors.calibration import fit
from detectors.checkpoints import write
from detectors.dataset.contents import clusters
from detectors.dataset.items import Tell, silence
from detectors.ensemble.stack import HEAD, Ensemble, notes_of
from detectors.heads.fitting import fit_head
from detectors.heads.head import Head
from detectors.loading import open_detector
from detectors.training.fitting import shown_items
from detectors.training.loop import Progress, Training, TrainingResult, held_out, paced
from detectors.training.recipes import recipe
from subnet.errors import SettingsError
from subnet.media.leak.roc import plain_auc

MEMBERS = ("npr", "ucf", "spectral")  # of the stack that ships
CHUNK = 16  # items between two reports of progress


def train_ensemble(
    settings: Training, report: Callable[[Progress], None] | None = None, tell: Tell = silence
) -> TrainingResult:
    """Fit the weights of MEMBERS, or of `settings.experts`, on the validation items, and write `settings.out`.

    The AUC that is reported is on those same items, for a handful of numbers. Raises DataError and SettingsError.
    """
    chosen, report = recipe(settings.detector), report or (lambda progress: None)
    specs = [f"{name}={path}" for name, path in settings.experts] or list(MEMBERS)
    members = {spec: open_detector(spec, device=settings.device) for spec in specs}
    if len(members) < 2:
        raise SettingsError("--expert: a stack takes at least two members, each as --expert NAME=FILE")
    judged = held_out(settings, chosen, tell)
    shown = shown_items(judged, chosen, settings)
    stack = Ensemble(chosen.name, members, Head(len(members)))
    rows, tick = [], paced(report, len(shown.media))
    for start in range(0, len(shown.media), CHUNK):
        rows.append(stack.opinions(shown.media[start : start + CHUNK]).double().numpy())
        tick(min(start + CHUNK, len(shown.media)))
    x, labels = np.concatenate(rows), np.array(shown.labels)
    stack.head = fit_head(x, labels, clusters(shown.records), chosen.head, seed=settings.seed)
    logits = stack.head(stack.head.mean.new_tensor(x)).tolist()
    sha256 = write(
        settings.out,
        {f"{HEAD}{key}": value for key, value in stack.head.state_dict().items()},
        preprocess=chosen.family.preprocess,
        calibration=fit(logits, shown.labels),
        notes={"detector": chosen.name, **notes_of(members), "items": len(judged), "rows": len(x)},
    )
    measured = plain_auc(np.array(logits), labels)
    return TrainingResult(settings.out, sha256, len(x), len(x), measured, [(len(x), measured)])
