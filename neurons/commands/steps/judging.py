"""Who answers in an evaluation, this process or a Ray cluster; where answers are kept until the report is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurons.progress import bar
from neurons.ray_cluster import JobSettings, joined_for
from subnet.errors import SettingsError

if TYPE_CHECKING:
    from detectors.dataset.cuts import Spread
    from detectors.dataset.items import DatasetItem
    from detectors.evaluation.evaluation import Evaluation, LeftOut, Task
    from subnet.protocols import Detector

KEPT = "answers.jsonl"  # below --out, while answers come
PARTS = "answers"  # the same of a cluster, a folder


def check_job(job: JobSettings, out: Path | None) -> None:
    """Raises SettingsError where a cluster is to answer and has no place for that."""
    if job.address and out is None:
        raise SettingsError("--ray.address: name a folder with --out, which every host sees; answers are kept there")


@contextmanager
def at_work(job: JobSettings) -> Iterator[Spread]:
    """Inside, the cluster of `job` is joined, where it names one. Gives what looks at items, there or here."""
    from detectors.dataset.cuts import in_threads

    if job.address is None:
        yield in_threads
        return
    with joined_for(job, spare=1.0):
        from detectors.cluster.flow import spread

        yield spread


def measured(
    opened: Sequence[Detector],
    again: Callable[[], Sequence[Detector]],
    task: Task,
    records: Sequence[DatasetItem],
    left_out: Sequence[LeftOut],
    out: Path | None,
    job: JobSettings,
) -> list[Evaluation]:
    """Ask all detectors, which each replica of a cluster opens `again`; with `out` answers are kept there.

    Raises SettingsError where they are of another evaluation.
    """
    from detectors.evaluation.evaluation import evaluate

    with bar("evaluate", len(records) * len(task.asked)) as progress:
        if out is None:
            return evaluate(opened, task, records, left_out=left_out, progress=progress)
        if job.address:
            return _by_cluster(opened, again, task, records, left_out, out.resolve(), job, progress)
        from detectors.evaluation.keeping import kept_answers
        from detectors.evaluation.selection import sizes

        with kept_answers(out / KEPT, _about(opened, task, records, sizes(records)[1])) as kept:
            return evaluate(opened, task, records, left_out=left_out, progress=progress, kept=kept)


def _by_cluster(
    opened: Sequence[Detector],
    again: Callable[[], Sequence[Detector]],
    task: Task,
    records: Sequence[DatasetItem],
    left_out: Sequence[LeftOut],
    out: Path,
    job: JobSettings,
    progress: Callable[[int], None],
) -> list[Evaluation]:
    from detectors.cluster.flow import Crew, spread
    from detectors.cluster.judging import judge
    from detectors.cluster.parts import part_folder
    from detectors.evaluation.evaluation import evaluations
    from detectors.evaluation.selection import sizes

    kept = part_folder(out / PARTS, _about(opened, task, records, sizes(records, spread)[1]))
    crew = Crew(job.replicas, job.cpus, job.gpus)
    p, lost = judge(again, len(opened), task, records, kept, crew, progress)
    return evaluations(opened, task, records, p, lost, left_out=left_out, spread=spread)


def forget(out: Path) -> None:
    """Take the kept answers away: the report has them."""
    from detectors.cluster.parts import forget as forget_parts

    (out / KEPT).unlink(missing_ok=True)
    forget_parts(out / PARTS)


def _about(
    opened: Sequence[Detector], task: Task, records: Sequence[DatasetItem], stored: Sequence[int]
) -> Mapping[str, Any]:
    """Which evaluation it is; `stored` are the bytes of the records' files."""
    from detectors.dataset.cuts import key_of

    items = [[key_of(record, task.root), record.label, size] for record, size in zip(records, stored, strict=True)]
    return {
        "detectors": [[type(each).__name__, each.name, each.weights_hash] for each in opened],
        "data": task.data,
        "seed": task.seed,
        "levels": task.levels,
        "null": task.null,
        "in_forms": task.in_forms,
        "items": hashlib.sha256(json.dumps(items).encode()).hexdigest(),
    }
