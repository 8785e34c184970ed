"""Can the label be told without looking? Was the test seen in training? An audit of data sets before they are used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from detectors.dataset.contents import clusters
from detectors.dataset.fingerprints import LookAlike, Prints, prints, twins
from detectors.dataset.items import DatasetItem, stored_bytes, stored_file
from detectors.evaluation.answering import Progress
from subnet.errors import DataError, MediaError
from subnet.media.leak.meter import File, LeakReport, LeakVerdict, measure
from subnet.types import Label

SPLITS = {"train": "train", "training": "train", "val": "validation", "valid": "validation"} | {
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
MOST = 500  # files of each label that probes look at


@dataclass(frozen=True)
class Audit:
    """What was found: the leak meter's report, and look-alikes between each two sets."""

    leak: LeakReport
    duplicates: Mapping[str, Sequence[LookAlike]]

    @property
    def clean(self) -> bool:
        """No leak in the containers, and nothing that lies in two sets."""
        return self.leak.verdict is not LeakVerdict.LEAK and not any(self.duplicates.values())

    def to_json(self) -> dict[str, Any]:
        leak = asdict(self.leak)
        leak["verdict"] = self.leak.verdict.value
        pairs = {name: [asdict(twin) for twin in found] for name, found in self.duplicates.items()}
        return {"clean": self.clean, **leak, "duplicates": pairs}


def audit(
    records: Sequence[DatasetItem],
    others: Mapping[str, Sequence[DatasetItem] | Prints] | None = None,
    *,
    root: Path,
    seed: int = 0,
    most: int = MOST,
    progress: Progress = lambda done: None,
) -> Audit:
    """Probe the files of `records`, and look for look-alikes between its own splits and with the sets `others`.

    Of a set that is not at hand its fingerprints do. Splits are folders called train, validation (or val) and test.
    Raises DataError for too few or unreadable items.
    """
    report = measure(files(records, most, seed), seed=seed)
    sets: dict[str, Sequence[DatasetItem] | Prints] = {**splits(records, root), **(others or {})}
    if len(sets) < 2:
        return Audit(report, {})
    done, printed = 0, {}
    for name, members in sets.items():
        if isinstance(members, Prints):
            printed[name] = members
            continue
        before = done
        printed[name] = prints(members, lambda count, before=before: progress(before + count))  # type: ignore[misc]
        done += len(members)
    found = {f"{a} / {b}": twins(printed[a], printed[b]) for a, b in combinations(sets, 2)}
    return Audit(report, found)


def splits(records: Sequence[DatasetItem], root: Path) -> dict[str, list[DatasetItem]]:
    """Records by the split that a folder on their way names; all under "data" where none does."""
    found: dict[str, list[DatasetItem]] = defaultdict(list)
    for record in records:
        parts = record.path.relative_to(root).parts[:-1] if record.path.is_relative_to(root) else ()
        found[next((SPLITS[part.lower()] for part in parts if part.lower() in SPLITS), "data")].append(record)
    return dict(found)


def files(records: Sequence[DatasetItem], most: int, seed: int) -> Iterator[File]:
    """At most `most` files of each label as the leak meter sees them; items of one photo never judge each other."""
    rng = np.random.default_rng([seed, 5])
    groups = clusters(records)
    chosen: list[int] = []
    for label in Label:
        of_label = [index for index, record in enumerate(records) if record.label is label]
        chosen += [of_label[i] for i in rng.permutation(len(of_label))[:most]]
    return (_file(records[index], str(groups[index])) for index in sorted(chosen))


def _file(record: DatasetItem, group: str) -> File:
    try:
        name = record.path.name if record.path.suffix else ""  # a row of a shard has no name
        changed = stored_file(record).stat().st_mtime
        return File(stored_bytes(record), name, changed, record.label, group)
    except (OSError, MediaError) as error:
        raise DataError(f"data: {record.path} cannot be read: {error}") from error
