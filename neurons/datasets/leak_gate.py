"""The gate before training and studies: data whose files give the label away are refused; detectors would learn that.

How a file was coded stays in its pixels, or tells where it came from. Names never reach a detector; where they tell the
classes apart, the classes were collected apart, and something else may tell them apart as well. Times are set by
copying class after class and say nothing about the pixels: they are warned of.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detectors.dataset.items import DatasetItem, Tell, read_folder, stored_bytes, stored_file
from subnet.errors import DataError, MediaError
from subnet.media.leak.meter import FEWEST, LIMIT, TIME, File, measure
from subnet.types import Label, Modality

MOST = 300  # files of each label that are looked at


def check_leaks(folder: Path, modality: Modality, *, force: bool, tell: Tell) -> None:
    """`refuse_leaks` for the items of a modality in a folder; warnings are told."""
    records = [record for record in read_folder(folder) if record.modality is modality]
    for warning in refuse_leaks(records, force=force, what=f"{folder}: "):
        tell(warning)


def refuse_leaks(records: Sequence[DatasetItem], *, force: bool, seed: int = 0, what: str = "") -> list[str]:
    """Warnings about `records`, which may be trained on. Raises DataError for a container leak.

    With `force` a leak is a warning, too. `what` comes before each text.
    """
    rng = np.random.default_rng(seed)
    chosen = [record for label in Label for record in _sample(records, label, rng)]
    if min(sum(record.label is label for record in chosen) for label in Label) < FEWEST:
        return [f"{what}fewer than {FEWEST} items of a label: not checked for leaks"]
    report = measure(map(_file, chosen), seed=seed)
    leaks = [probe for probe in report.container if probe.low > LIMIT and probe.name != TIME]
    if leaks and not force:
        traits = "; ".join(f"{p.name} tells the label: AUC {p.auc:.2f} ({p.low:.2f}-{p.high:.2f})" for p in leaks)
        raise DataError(
            f"data: {what}the files give the label away ({traits}): store both classes the same way, in one size and "
            "format, with names that say nothing, as assay pool export and assay dataset do; --force trains anyway"
        )
    return [f"{what}{warning}" for warning in report.warnings]


def _sample(records: Sequence[DatasetItem], label: Label, rng: np.random.Generator) -> list[DatasetItem]:
    chosen = [record for record in records if record.label is label]
    return [chosen[i] for i in rng.permutation(len(chosen))[:MOST]]


def _file(record: DatasetItem) -> File:
    try:
        return File(
            stored_bytes(record),
            record.path.name if record.path.suffix else "",  # a row of a shard has no name
            stored_file(record).stat().st_mtime,
            record.label,
            record.pair or record.item,
        )
    except (OSError, MediaError) as error:
        raise DataError(f"data: {record.path} cannot be read: {error}") from error
