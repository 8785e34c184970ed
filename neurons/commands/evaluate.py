"""`assay evaluate`: how good a detector is, through the validator's own path."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from neurons import settings as s
from neurons.bar import bar
from neurons.datasets import DataSpec, materialise, parse_spec
from subnet.errors import SettingsError
from subnet.types import Modality

if TYPE_CHECKING:
    from detectors.evaluation.evaluate import Evaluation, Task

EMBEDDED_ITEMS = 200


def evaluate(
    detector: str | None = None,
    *,
    data: str = "embedded:test",
    levels: str = "0,1,2,3",
    limit: int | None = None,
    seed: int = 0,
    chains: Annotated[bool, Parameter(negative="")] = False,
    compare: tuple[str, str] | None = None,
    out: Path | None = None,
    device: str = "auto",
    json: s.Json = False,
) -> None:
    """Measure a detector on what validators ask: accuracy, MCC, AUC and more, with intervals; or compare two.

    Parameters
    ----------
    detector
        A name of `assay detectors`, a checkpoint file, or NAME=FILE.
    data
        embedded:test, embedded:validation, embedded:train, or a folder with real/ and fake/.
    levels
        Augmentation levels to ask at; every item is shown at each.
    limit
        Most items; by default all of a folder, and 200 of the embedded set.
    seed
        Same seed, same items and variants.
    chains
        Also draw robustness curves: JPEG, WebP, resize, blur, noise, crop, screenshot; H.264 for video.
    compare
        Two detectors to be compared on the same variants, in place of one.
    out
        Folder for the report: report.json, index.html and pictures.
    device
        auto, cpu, cuda or cuda:N.
    """
    names = compare or ((detector,) if detector else ())
    if not names or (compare and detector):
        raise SettingsError("detector: name one to evaluate, or two with --compare A B")
    from detectors.evaluation.opening import open_detector

    place = s.device(device)
    from detectors.serving.accelerate import accelerated

    opened = [accelerated(open_detector(name, device=place), cache=s.home() / "serving") for name in names]
    if len({each.modality for each in opened}) > 1:
        raise SettingsError(f"--compare: {' and '.join(names)} do not judge the same modality")
    task = _task(data, levels, limit, seed, opened[0].modality, place)
    from detectors.evaluation.evaluate import evaluate as measure
    from detectors.evaluation.evaluate import items

    records = items(task, opened[0].modality)
    with bar("evaluate", len(records) * len(task.views)) as progress:
        found = measure(opened, task, records, progress=progress)
    findings = found[0].findings
    if json:
        print(jsonlib.dumps(findings))
    else:
        _tell(found[0])


def _task(data: str, levels: str, limit: int | None, seed: int, modality: Modality, device: str) -> Task:
    from detectors.evaluation.evaluate import Task

    try:
        wanted = tuple(int(level) for level in levels.split(",") if level.strip())
    except ValueError as error:
        raise SettingsError(f"--levels {levels}: give numbers like 0,1,2,3") from error
    return Task(data, data_folder(data, modality, limit, seed, device), wanted, limit, seed)


def data_folder(data: str, modality: Modality, limit: int | None, seed: int, device: str) -> Path:
    """The folder that SPEC means; embedded data are written below $ASSAY_HOME/data the first time."""
    if limit is not None and limit < 2:
        raise SettingsError(f"--limit {limit}: at least 2 items are needed, one of each class")
    spec = parse_spec(data, modality, -(-(limit or EMBEDDED_ITEMS) // 2), seed)
    if not isinstance(spec, DataSpec):
        return spec
    with bar(f"{spec.split} set", 2 * spec.count) as progress:
        return materialise(spec, s.home() / "data", device=device, progress=progress)


def _tell(found: Evaluation) -> None:
    findings = found.findings
    title = f"{findings['detector']} on {findings['data']}: {findings['items']} items, {findings['answers']} answers"
    table = Table("", "all", *(f"level {level}" for level in findings["by_level"]), box=None, title=title)
    for name in ("accuracy", "balanced_accuracy", "mcc", "auc", "ap", "brier", "ece", "reward"):
        cells = [findings[name], *(level[name] for level in findings["by_level"].values())]
        table.add_row(
            name.replace("_", " "), *(f"{c['value']:.3f}  [dim]{c['low']:.2f}-{c['high']:.2f}[/]" for c in cells)
        )
    Console().print(table)
