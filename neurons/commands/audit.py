"""`assay audit`: does a data set give its labels away, and do its splits overlap?"""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from neurons import settings as s
from neurons.progress import bar, warn
from neurons.terminal import terminal
from subnet.errors import DataError
from subnet.media.everyday import EVERYDAY
from subnet.types import Modality

if TYPE_CHECKING:
    from detectors.dataset.items import DatasetItem
    from detectors.evaluation.dataset_audit import Audit


def audit(
    data: str,
    *,
    against: tuple[str, ...] = (),
    known: tuple[Path, ...] = (),
    modality: Modality = Modality.IMAGE,
    seed: int = 0,
    json: s.Json = False,
) -> None:
    """Try to tell real from synthetic by the files alone; look for near-duplicates across splits.

    Exit status 2 when the container leaks the label or something lies in two sets.

    Parameters
    ----------
    data
        A folder with real/ and fake/ or an index, or embedded:train, embedded:validation, embedded:test.
    against
        Other data sets that must share nothing with this one.
    known
        Indexes of known pictures (`assay train retrieval`) of which none may lie in this one.
    modality
        image or video.
    """
    from detectors.dataset.items import both_classes
    from detectors.evaluation.dataset_audit import audit as examine
    from detectors.evaluation.dataset_audit import splits

    if data == EVERYDAY:
        raise DataError(f"data: {EVERYDAY} is an exam of real pictures alone, so that no file gives its label away")
    records, root = _records(data, modality, seed)
    both_classes(records, data)
    from detectors.retrieval.index import open_index

    others = {name: _records(name, modality, seed)[0] for name in against}
    indexes = {str(path): open_index(path).prints() for path in known}
    compared = others or indexes or len(splits(records, root)) > 1
    total = sum(map(len, others.values())) + len(records) if compared else 0
    with bar("fingerprints", total) as progress:
        found = examine(records, {**others, **indexes}, root=root, seed=seed, progress=progress)
    if json:
        print(jsonlib.dumps(found.to_json()))
    else:
        _tell(data, found)
    if not found.clean:
        overlaps = sum(map(len, found.duplicates.values()))
        raise DataError(
            f"data: {data} is not fit for training: verdict {found.leak.verdict}, {overlaps} look-alikes across sets; "
            "store both classes the same way (assay dataset, assay pool export) and split by source"
        )


def _records(data: str, modality: Modality, seed: int) -> tuple[list[DatasetItem], Path]:
    from detectors.dataset.cuts import sift
    from detectors.dataset.items import read_folder
    from neurons.commands.evaluate import data_folder

    root = data_folder(data, modality, None, seed, "cpu")
    records = [record for record in read_folder(root, warn) if record.modality is modality]
    if not records:
        raise DataError(f"data: {data} holds no {modality}s; give --modality or another data set")
    return sift(records, data, warn), root


def _tell(data: str, found: Audit) -> None:
    leak, console = found.leak, terminal()
    table = Table(
        "probe", "AUC", "95 % interval", "", box=None, title=f"{data}: {leak.real} real, {leak.synthetic} synthetic"
    )
    for probe in leak.container:
        table.add_row(
            f"container: {probe.name}", f"{probe.auc:.3f}", f"{probe.low:.2f} to {probe.high:.2f}", "chance is 0.5"
        )
    for probe in (leak.size, leak.sharpness, leak.colour):
        table.add_row(
            probe.name, f"{probe.auc:.3f}", f"{probe.low:.2f} to {probe.high:.2f}", "of the pictures themselves"
        )
    console.print(table)
    for warning in leak.warnings:
        console.print(f"[yellow]warning:[/] {warning}", highlight=False)
    for name, pairs in found.duplicates.items():
        console.print(f"look-alikes {name}: {len(pairs)}", highlight=False)
        for twin in pairs[:5]:
            line = f"  {twin.first}  {twin.second}  ({twin.bits} bits, {twin.similarity:.3f})"
            console.print(line.encode(errors="backslashreplace").decode(), highlight=False, markup=False)
    console.print(f"verdict: {leak.verdict}")
