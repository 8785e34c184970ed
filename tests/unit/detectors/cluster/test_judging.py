"""Answers in parts, as the processes of a cluster give them; on a cluster itself where Ray is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.cluster import measure
from detectors import load_detector
from detectors.cluster.flow import Crew
from detectors.cluster.judging import Asked, Judge, judge, parts_of, show_part
from detectors.cluster.parts import Part, part_folder
from detectors.dataset.cuts import key_of
from detectors.dataset.items import DatasetItem, read_folder
from detectors.evaluation.answering import ask, records_of_batch
from detectors.evaluation.evaluation import Task
from subnet.errors import DataError, SettingsError, StateError
from subnet.types import Label, Modality
from tests.unit.detectors.cluster.joining import ray_variables
from tests.unit.detectors.folders import write_images

ABOUT = {"data": "d", "seed": 0}


def a_task(root: Path, count: int = 3) -> tuple[Task, list[DatasetItem]]:
    return Task(str(root), write_images(root, count), (0, 2), null=True), read_folder(root)


def test_parts_come_to_what_one_process_answers(tmp_path: Path) -> None:
    """Shown, answered and written part by part, in any order and one of them twice: the numbers of `ask`, each once."""
    task, records = a_task(tmp_path / "data")
    records[2].path.write_bytes(b"no picture")
    views, kept = task.asked, part_folder(tmp_path / "out", ABOUT)
    parts = [Part(4, 6), Part(0, 4), Part(4, 6)]
    work = Judge(lambda: [load_detector("random")], views, kept)
    before: list[bytes] = []
    for part in parts:
        ready = show_part(Asked(part, records[part.start : part.stop]), views, task.root, task.seed)
        assert work(ready) == part
        before.append(kept.path(part).read_bytes())
    assert before[0] == before[2]
    keys = [key_of(record, task.root) for record in records]
    p, lost = kept.read(parts[:2], keys, (1, len(views)))
    expected, unread = ask([load_detector("random")], records, views, task.root)
    assert np.array_equal(p, expected, equal_nan=True)
    assert list(lost) == list(unread) == [2]
    assert kept.finished([*parts, Part(0, 2)]) == set(parts)


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    """Where all parts are there, no cluster is needed."""
    task, records = a_task(tmp_path / "data", 2)
    kept, views = part_folder(tmp_path / "out", ABOUT), task.asked
    expected, _ = ask([load_detector("random")], records, views, task.root)
    for part in parts_of(records, views):
        kept.write(part, [key_of(record, task.root) for record in records], expected, {})
    done: list[int] = []
    p, lost = judge(lambda: [], 1, task, records, kept, Crew(), done.append)
    assert np.array_equal(p, expected)
    assert (lost, done) == ({}, [len(records) * len(views)])


@pytest.mark.parametrize("modality", Modality)
@pytest.mark.parametrize("levels", [(0,), (0, 1, 2, 3)])
def test_parts_are_whole_batches(modality: Modality, levels: tuple[int, ...]) -> None:
    """Every record in one part, parts begin where a batch does, and none is larger than memory likes."""
    views = Task("d", Path(), levels, null=True).asked
    records = [DatasetItem(Path(str(n)), Label.REAL, modality, "camera") for n in range(1000)]
    parts = parts_of(records, views)
    assert [place for part in parts for place in range(part.start, part.stop)] == list(range(1000))
    assert all(part.start % records_of_batch(views) == 0 for part in parts)


def test_parts_of_another_evaluation_are_refused(tmp_path: Path) -> None:
    """What differs is named; a part that is not whole is named, too."""
    kept = part_folder(tmp_path, ABOUT)
    with pytest.raises(SettingsError, match="other seed"):
        part_folder(tmp_path, {**ABOUT, "seed": 1})
    kept.write(Part(0, 2), ["a", "b"], np.zeros((1, 2, 1)), {})
    path = kept.path(Part(0, 2))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StateError, match=f"{path.name} is damaged"):
        kept.read([Part(0, 2)], ["a", "b"], (1, 1))


def test_a_host_without_the_data_says_so(tmp_path: Path) -> None:
    """It is an error of that part, not items that nobody could read."""
    with pytest.raises(DataError, match="not there on a host"):
        show_part(Asked(Part(0, 1), []), (), tmp_path / "nowhere", 0)


@pytest.mark.timeout(600)
def test_a_cluster_gives_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 items on a local Ray and without it: one matrix, one report. Skipped where Ray is not installed."""
    ray_variables(monkeypatch, tmp_path)
    found = measure(tmp_path, 200, "random", 1, 0)
    assert (found["items"], found["rows"], found["items_more_than_once"]) == (200, 200, 0)
    assert found["matrices_equal"]
    assert found["reports_equal"]


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_killed_workers_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 items, a process that answers and one that prepares killed in the middle: every item once, every number."""
    ray_variables(monkeypatch, tmp_path)
    found = measure(tmp_path, 20_000, "random", 1, 2)
    assert len(found["ray"]["killed"]) == 2
    assert (found["items"], found["rows"], found["items_more_than_once"]) == (20_000, 20_000, 0)
    assert found["matrices_equal"]
    assert found["reports_equal"]
