"""Training of networks with a fitted head: a body that is given or trained before, then `detectors.heads` on top.

Such a network has `features(x)`, views (V, ...) to features (V, F), and a `head`; its class takes `head`, the sizes of
a `Head`, beside its own arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detectors.calibration import fit, threshold
from detectors.checkpoints import load_strictly, locate, read
from detectors.dataset.contents import clusters
from detectors.dataset.items import DatasetItem, Tell, read_folder, silence
from detectors.heads.fitting import fit_head
from detectors.heads.linear import fit_linear
from detectors.public_checkpoints import adapt
from detectors.torch_detector import TorchDetector, torch_device
from detectors.training.feature_cache import FeatureCache, FrozenTower, Shown, describe
from detectors.training.loop import (
    Progress,
    Training,
    TrainingResult,
    before,
    held_out,
    paced,
    sound,
    train,
    wanted,
)
from detectors.training.networks import arguments, build
from detectors.training.recipes import Recipe, recipe
from detectors.training.results import write_trained
from detectors.training.validation_set import Examples, examples, some
from subnet.errors import DataError, SettingsError
from subnet.media.leak.roc import plain_auc
from subnet.registry import resolve
from subnet.types import Media

MANY = 20_000_000  # features, of which more are not fitted on as a whole
FALSE_ALARMS = 0.01  # of held-out reals, at most, above the threshold that is told
CHUNK = 16  # items whose features are computed between two reports of progress
HEAD = "head."

Report = Callable[[Progress], None]
Tick = Callable[[int], None]  # items done so far


def train_fitted(settings: Training, report: Report | None = None, tell: Tell = silence) -> TrainingResult:
    """Train the body where the recipe says so, fit the head on its features, and write `settings.out`.

    Every training item gives `head.variants` variants, at levels 0-3 in turn. Held-out items are shown once: all of
    them where features are kept, else some. Raises DataError for data that no head
    can be fitted on, CheckpointError for weights of another body, SettingsError for settings that cannot run.
    """
    chosen, report = recipe(settings.detector), report or (lambda progress: None)
    records = wanted(read_folder(settings.data, tell), chosen, settings)
    if settings.features is None:
        records = sound(records, chosen, settings, tell)
    judged = held_out(settings, chosen, tell)
    enough_for_components(chosen, len(records), settings)
    if chosen.first and settings.init is None:
        settings = replace(settings, init=train(before(settings, chosen.first), report, tell).weights)
    detector, size = below_head(settings, chosen)
    network = detector.network
    count = chosen.head.variants * len(records)
    cache = None if settings.features is None else FeatureCache(settings.features, frozen(detector))
    asked = judged if cache else some(judged, settings.validation_items, seed=settings.seed)
    tick = paced(report, count + len(asked))
    x, shown = _features(detector, records, chosen, settings, cache, tick, tell)
    labels = np.array([int(record.label) for record in shown])
    if chosen.head.kind == "elastic-net" and x.size > MANY:
        head = fit_linear(x, labels, seed=settings.seed)
    else:
        head = fit_head(x.astype(np.float64), labels, clusters(shown), chosen.head, seed=settings.seed)
    network.head = head.to(detector.device)
    logits, truth = _judged(detector, judged, settings, cache, lambda done: tick(count + done), tell)
    measured = plain_auc(logits.double().numpy(), np.array(truth))
    state = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    answers = (logits.tolist(), truth)
    about = {"size": size, "head": {**vars(chosen.head), "items": len(records), "rows": len(x)}}
    about |= {"threshold": _threshold(*answers, tell)}
    digest = write_trained(asdict(settings), chosen, state, answers, records, about, exact=HEAD)
    return TrainingResult(settings.out, digest, count, count, measured, [(count, measured)])


def _features(
    detector: TorchDetector,
    records: Sequence[DatasetItem],
    chosen: Recipe,
    settings: Training,
    cache: FeatureCache | None,
    tick: Tick,
    tell: Tell,
) -> tuple[NDArray[np.floating], Sequence[DatasetItem]]:
    """Features (rows, F) and the item of each row: kept ones where there is a cache, else all computed now."""
    if cache is None:
        shown = shown_items(records, chosen, settings)
        x, places = features(detector, shown, tick)
        return x, [shown.records[place] for place in places]
    turns = in_turns(records, chosen, settings)
    rows, kept = cache.rows(turns, tell, tick)
    return rows, [turns[place].record for place in kept]


def in_turns(records: Sequence[DatasetItem], chosen: Recipe, settings: Training) -> list[Shown]:
    """Training items as they are shown where features are kept."""
    return [Shown(each, settings.data, settings.seed, turn) for turn in range(chosen.head.variants) for each in records]


def once(judged: Sequence[DatasetItem], settings: Training) -> list[Shown]:
    """Held-out items as they are shown where features are kept."""
    held = settings.validation or settings.data.parent / "validation"
    return [Shown(each, held, settings.seed) for each in judged]


def _judged(
    detector: TorchDetector,
    judged: Sequence[DatasetItem],
    settings: Training,
    cache: FeatureCache | None,
    tick: Tick,
    tell: Tell,
) -> tuple[Tensor, list[int]]:
    """Raw log-odds and labels of held-out items: of all `judged` where there is a cache, else of some of them."""
    if cache is None:
        validation = examples(judged, settings.validation_items, seed=settings.seed)
        return judge(detector, validation, tick), validation.labels
    x, places = cache.rows(once(judged, settings), tell, tick)
    with torch.inference_mode():
        log_odds: Tensor = detector.network.head(torch.from_numpy(np.array(x)).to(detector.device))  # type: ignore[operator]
    return log_odds.cpu(), [int(judged[place].label) for place in places]


def _threshold(log_odds: Sequence[float], labels: Sequence[int], tell: Tell) -> dict[str, float]:
    """The calibrated probability above which at most FALSE_ALARMS of the held-out reals lie; told."""
    classes = [[value for value, label in zip(log_odds, labels, strict=True) if label == each] for each in (0, 1)]
    line = threshold(classes[0], FALSE_ALARMS)
    p = fit(log_odds, labels).probability(line)
    above = [sum(value > line for value in each) for each in classes]
    tell(
        f"threshold: above p = {p:.4f} lie {above[0]} of {len(classes[0])} held-out reals (at most {FALSE_ALARMS:.0%}) "
        f"and {above[1]} of {len(classes[1])} fakes"
    )
    return {"p": p, "false_alarms": FALSE_ALARMS, "reals": len(classes[0])}


def frozen(detector: TorchDetector) -> FrozenTower:
    """What lies below the head of a detector of images, as what features are kept for."""
    body = {key: value for key, value in detector.network.state_dict().items() if not key.startswith(HEAD)}
    digest = sha256()
    for key, value in body.items():
        digest.update(f"{key} {value.dtype} {tuple(value.shape)} ".encode() + value.cpu().numpy().tobytes())

    @torch.inference_mode()
    def found(media: Sequence[Media]) -> NDArray[np.floating]:
        views = [detector.views(each) for each in media]
        if any(len(view) != 1 for view in views):
            raise SettingsError("--features: kept are features of images, of which each gives one row; leave it away")
        rows: Tensor = detector.network.features(torch.cat(views))  # type: ignore[operator]
        return rows.float().cpu().numpy()

    blank = Media(np.zeros((1, 256, 256, 3), dtype=np.uint8))
    width = found([blank]).shape[1]
    own = getattr(detector.network, "preprocess", detector.preprocess)  # of a network that prepares pixels itself
    return FrozenTower(digest.hexdigest(), describe(own), width, found)


def enough_for_components(chosen: Recipe, count: int, settings: Training) -> None:
    """Raises DataError where `count` items are too few for the principal components of the head."""
    if count * chosen.head.variants < chosen.head.components:
        least = -(-chosen.head.components // chosen.head.variants)
        raise DataError(
            f"data: {chosen.name} fits {chosen.head.components} principal components, for which {count} items "
            f"in {settings.data} are too few; give at least {least}"
        )


def below_head(settings: Training, chosen: Recipe) -> tuple[TorchDetector, dict[str, Any]]:
    """The body as it is stored, as a detector that lacks its head, and the arguments of its size. Raises as `body`."""
    torch.manual_seed(settings.seed)
    network, size = body(settings, chosen)
    if settings.half:
        network.half().float()
    return served(chosen, network, settings.device), size


def served(chosen: Recipe, network: nn.Module, device: str) -> TorchDetector:
    """`network` as the detector that it will be, uncalibrated."""
    rules = chosen.family
    views = resolve(rules.views)
    return TorchDetector(
        rules.name, rules.modality, network, preprocess=rules.preprocess, views=views, device=torch_device(device)
    )


def body(settings: Training, chosen: Recipe) -> tuple[nn.Module, dict[str, Any]]:
    """The network without its head, and the arguments of its size.

    Its weights are those of the checkpoint to start from, which may hold more, or be a backbone of the family; what its
    layout tells of the size is believed. Raises CheckpointError naming keys.
    """
    size, rules = arguments(chosen, 0, settings.size, settings.network), chosen.family
    if settings.init is None:
        return build(chosen, size), size
    state = read(locate(settings.init)).state
    if rules.is_backbone and resolve(rules.is_backbone)(state):
        network = build(chosen, size)
        resolve(rules.start_from_backbone)(network, state)
        return network, size
    state, told = adapt(state, rules)
    size |= {name: value for name, value in told.items() if name != "head"}
    network = build(chosen, size)
    own = network.state_dict()
    held = {key: state[key] for key in own if not key.startswith(HEAD) and key in state}
    load_strictly(network, {**held, **{key: own[key] for key in own if key.startswith(HEAD)}}, str(settings.init))
    return network, size


@torch.inference_mode()
def features(detector: TorchDetector, shown: Examples, tick: Tick) -> tuple[NDArray[np.float64], list[int]]:
    """Features of all views (rows, F), and for each row the place of its item in `shown`."""
    rows: list[Tensor] = []
    places: list[int] = []
    count = len(shown.media)
    for start in range(0, count, CHUNK):
        for place, media in enumerate(shown.media[start : start + CHUNK], start):
            found = detector.network.features(detector.views(media)).float().cpu()  # type: ignore[operator]
            rows.append(found)
            places.extend([place] * len(found))
        tick(min(start + CHUNK, count))
    return torch.cat(rows).double().numpy(), places


def judge(detector: TorchDetector, shown: Examples, tick: Tick) -> Tensor:
    """Raw log-odds of all items (N,)."""
    parts = []
    for start in range(0, len(shown.media), CHUNK):
        part = shown.media[start : start + CHUNK]
        parts.append(detector.logits(part))
        tick(start + len(part))
    return torch.cat(parts)


def shown_items(records: Sequence[DatasetItem], chosen: Recipe, settings: Training) -> Examples:
    """Every item as it is shown to the head: `head.variants` variants, at levels in turn."""
    parts = [examples(records, len(records), seed=settings.seed + turn) for turn in range(chosen.head.variants)]
    whole = Examples([], [], [], [])
    for part in parts:
        for name, values in vars(whole).items():
            values.extend(getattr(part, name))
    return whole
