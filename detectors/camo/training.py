"""Training CAMO: an expert for each row of camo.toml, the content classifier, and the blends on validation data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from detectors import TABLE
from detectors.calibration import Calibration, fit
from detectors.camo.configuration import GENERAL, Configuration, Expert, configuration
from detectors.camo.content_gates import KIND_OF
from detectors.camo.content_gates import fit as fit_content
from detectors.camo.mixture import Blend, assemble
from detectors.checkpoints import HERE, Checkpoint, read, write
from detectors.dataset.items import DatasetItem, Tell, load_media, read_folder, silence
from detectors.families import family
from detectors.public_checkpoints import open_checkpoint
from detectors.rows import Preprocess
from detectors.training.loop import Progress, Training, TrainingResult, train
from detectors.training.recipes import recipe
from detectors.training.validation_set import Examples, auc, examples
from subnet.errors import DataError
from subnet.media import embedded
from subnet.media.leak.roc import plain_auc
from subnet.types import Label, Modality, Split

LEAST = 16  # validation pictures through a gate below which its expert gets no say of its own


def train_camo(
    settings: Training,
    report: Callable[[Progress], None] | None = None,
    tell: Tell = silence,
    table: Configuration | None = None,
) -> TrainingResult:
    """Train every expert from the general one, whose weights are `settings.init`, and write one file.

    Raises DataError where an expert's categories have no items of both classes, and what `train` raises.
    """
    if settings.init is None:
        raise DataError("init: camo starts from a trained npr; give its weights")
    configured = table or configuration()
    names = [expert.name for expert in configured.experts[1:]]
    if unknown := [name for name, _ in settings.experts if name not in names]:
        raise DataError(f"expert: camo.toml has {', '.join(names)} beside the general one, not {unknown[0]}")
    ready = {expert.name: _ready(settings, expert) for expert in configured.experts[1:]}
    general = read(settings.init)
    content = fit_content(*_pictures(settings.data))
    experts = {GENERAL: general}
    for expert in configured.experts[1:]:
        weights = ready[expert.name] or train(_own(settings, expert), report, tell).weights
        experts[expert.name] = open_checkpoint(weights, expert.family, family(expert.family).preprocess)
    state = {f"{name}.{key}": value for name, part in experts.items() for key, value in part.state.items()}
    for key in ("weight", "bias", "mean", "scale"):
        state[f"gate.{key}"] = torch.from_numpy(getattr(content, key))
    return _finish(settings, configured, state, experts)


def _ready(settings: Training, expert: Expert) -> Path | None:
    """What is given for an expert, None where it is trained on its categories, or else what ships of its family."""
    given = dict(settings.experts).get(expert.name)
    if given is not None or expert.categories:
        return given
    if settings.exclude:
        raise DataError(
            f"exclude: the weights that ship for the expert {expert.name} were trained on all generators; "
            f"give others with --expert {expert.name}=FILE"
        )
    return HERE / TABLE[expert.family].weights


def _own(settings: Training, expert: Expert) -> Training:
    """The run that trains one expert on the photographs of its categories, from the general one where that fits."""
    out = settings.out.with_name(f"{settings.out.stem}-{expert.name}.safetensors")
    items = tuple(item.id for item in embedded.items(Modality.IMAGE) if item.category in expert.categories)
    own = recipe("camo")
    steps, learning_rate = settings.steps or own.steps, settings.learning_rate or own.learning_rate
    plan = settings.plan or own.plan
    fits = family(expert.family).network == family(settings.detector).network
    return replace(
        settings,
        detector=expert.family,
        out=out,
        items=items,
        init=settings.init if fits else None,
        steps=steps,
        learning_rate=learning_rate,
        plan=plan,
    )


def _pictures(root: Path) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Real training pictures and their categories, for the content classifier."""
    categories = {item.id: item.category for item in embedded.items(Modality.IMAGE, Split.TRAIN)}
    records = [record for record in read_folder(root) if record.label is Label.REAL and record.item in categories]
    known = [record for record in records if record.modality is Modality.IMAGE and categories[record.item] in KIND_OF]
    if not known:
        raise DataError(f"data: {root} has no embedded photographs, which the content classifier learns from")
    return [load_media(record).frames[0] for record in known], [categories[record.item] for record in known]


def _finish(
    settings: Training,
    configured: Configuration,
    state: Mapping[str, torch.Tensor],
    experts: Mapping[str, Checkpoint],
) -> TrainingResult:
    preprocess = experts[GENERAL].preprocess or Preprocess()
    notes: dict[str, Any] = {
        "detector": "camo",
        "experts": {expert.name: list(expert.categories) for expert in configured.experts},
        "calibrations": {name: (part.calibration or Calibration()).to_json() for name, part in experts.items()},
        "preprocesses": {name: asdict(part.preprocess or preprocess) for name, part in experts.items()},
        "blends": {expert.name: [1.0, 0.0, 0.0] for expert in configured.experts[1:]},
    }
    judged = examples(_images(settings), settings.validation_items, seed=settings.seed)
    draft = Checkpoint(settings.out.name, dict(state), "", preprocess, None, notes)
    blends = fit_blends(configured, draft, judged)
    notes["blends"] = {name: [blend.general, blend.expert, blend.bias] for name, blend in blends.items()}
    sha256 = write(settings.out, state, preprocess=preprocess, notes=notes, half=settings.half)
    mixture = assemble("camo", read(settings.out), configured, torch.device("cpu"))
    answers = np.array([prediction.p_synthetic for prediction in mixture.predict(judged.media)])
    measured = plain_auc(answers, np.array(judged.labels))
    return TrainingResult(settings.out, sha256, 0, 0, measured, [(0, auc(mixture.general, judged))])


def _images(settings: Training) -> list[DatasetItem]:
    records = read_folder(settings.validation or settings.data.parent / "validation")
    return [r for r in records if r.modality is Modality.IMAGE and r.origin not in settings.exclude]


def fit_blends(configured: Configuration, draft: Checkpoint, judged: Examples) -> dict[str, Blend]:
    """For each expert, logistic regression on (general, expert) log-odds over the pictures that its gates let in.

    Weights below zero are not believed: then, and where a gate lets in too few, the general expert decides alone.
    """
    mixture = assemble("camo", draft, replace(configured, rule="combine"), torch.device("cpu"))
    seen: dict[str, list[tuple[float, float, int]]] = {expert.name: [] for expert in configured.experts[1:]}
    for media, label in zip(judged.media, judged.labels, strict=True):
        first, *others = mixture.routes(media)
        for route in others:
            seen[route.expert].append((first.logit, route.logit, label))
    alone = mixture.calibration
    fallback = Blend(1 / alone.temperature, 0.0, alone.bias)
    return {name: _blend(np.array(rows), fallback) for name, rows in seen.items()}


def _blend(rows: NDArray[np.float64], fallback: Blend) -> Blend:
    from sklearn.linear_model import LogisticRegression

    if len(rows) < LEAST or len(set(rows[:, 2])) < 2:
        return fallback
    scale = rows[:, :2].std(axis=0) + 1e-6
    model = LogisticRegression(C=1.0, class_weight="balanced").fit(rows[:, :2] / scale, rows[:, 2].astype(int))
    general, expert = (model.coef_[0] / scale).tolist()
    if general < 0:
        only = fit(rows[:, 1].tolist(), rows[:, 2].astype(int).tolist())
        return Blend(0.0, 1 / only.temperature, only.bias)
    return Blend(general, expert, float(model.intercept_[0])) if expert > 0 else fallback
