"""`assay study`: a whole study in one command: train, measure, and tell it in tables and pictures."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from neurons import settings as s
from neurons.datasets.no_trace import MARK, make_folder, no_trace
from neurons.plan import EMBEDDED
from neurons.progress import LogLines, bar, warn
from neurons.terminal import terminal
from subnet.errors import SettingsError
from subnet.files import write_atomically
from subnet.types import Modality, Split

if TYPE_CHECKING:
    from detectors.studies.report import Stage, StudyReport

ITEMS = {Split.TRAIN: 300, Split.VALIDATION: 60, Split.TEST: 100}  # real ones, each with two twins
QUICK = {Split.TRAIN: 60, Split.VALIDATION: 30, Split.TEST: 40}
TWINS = 2
Flag = Annotated[bool, Parameter(negative="")]


def study(
    name: str,
    *,
    data: str = EMBEDDED,
    quick: Flag = False,
    steps: int | None = None,
    out: Path | None = None,
    seed: int = 0,
    force: Flag = False,
    device: str = "auto",
    json: s.Json = False,
) -> None:
    """Run the study NAME: aerial, patchwise, autoencoder, cnn-svm, segment, spectral or retrieval.

    Parameters
    ----------
    name
        Which study: aerial, patchwise, autoencoder, cnn-svm, segment, spectral or retrieval.
    data
        embedded, a folder with train/, validation/ and test/, or PRESET:DIR, a published data set. Folders beside
        them called other-content or other-generator are further test sets of the study patchwise.
    quick
        A short course on fewer items: minutes on two cores.
    steps
        Steps of training, in place of the course's own.
    out
        Folder for report.json, index.html, the pictures and what is trained; by default runs/study-NAME.
    seed
        Same seed and data: same tables, on one machine.
    force
        Study data whose files give the label away.
    device
        auto, cpu, cuda or cuda:N.
    """
    from detectors.studies import STUDIES
    from subnet.registry import find, resolve

    row = find(STUDIES, name, "study")
    folder = (out or Path("runs") / f"study-{name}").expanduser()
    if steps is not None and steps < 1:
        raise SettingsError(f"--steps must be at least 1, not {steps}")
    _check_folder(folder, name)
    place, warnings = s.device(device), dict[str, None]()

    def tell(line: str) -> None:
        if line not in warnings:  # every training of a study would say the same again
            warn(line)
        warnings[line] = None

    from detectors.studies.report import UNSEEN, StudySettings, write_study
    from neurons.datasets.leak_gate import check_leaks

    with no_trace(folder):
        make_folder(folder)
        write_atomically(folder / MARK, jsonlib.dumps({"study": name}).encode())
        (learn, judge, test), further = _folders(data, quick, seed, place, folder)
        left_out = UNSEEN if data == EMBEDDED else ()
        if data != EMBEDDED:  # whose files are all written in one way
            for part in dict.fromkeys((learn, judge, test, *further.values())):
                check_leaks(part, Modality.IMAGE, force=force, tell=tell)
        with _watching(name) as stage:
            report: StudyReport = resolve(row.target)(
                StudySettings(learn, judge, test, folder, quick, steps, seed, place, stage, tell, left_out, further)
            )
    page = write_study(replace(report, facts={**report.facts, "warnings": "; ".join(warnings) or "none"}), folder)
    if json:
        print(jsonlib.dumps(jsonlib.loads((folder / "report.json").read_text(encoding="utf-8"))))
    else:
        _tell(report, page)


def _check_folder(out: Path, name: str) -> None:
    """Raises SettingsError for a folder that holds other things than this study, finished or interrupted."""
    mine = name in (_study_of(out / "report.json"), _study_of(out / MARK))
    if not mine and (others := sorted(path.name for path in out.iterdir()) if out.is_dir() else []):
        raise SettingsError(f"--out {out}: holds {others[0]}, which is none of this study's; name a new folder")


def _study_of(file: Path) -> str | None:
    """The study that a file of a folder says it is of."""
    try:
        found = jsonlib.loads(file.read_text(encoding="utf-8")).get("study")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def _folders(
    data: str, quick: bool, seed: int, device: str, out: Path
) -> tuple[tuple[Path, Path, Path], dict[str, Path]]:
    """Folders to train on, to choose by and to test on, and further test sets by name.

    Raises SettingsError for one of the three that is missing.
    """
    from neurons.datasets.arrangement import arrange, others, parse_preset, resemblance, three_ways
    from neurons.datasets.spec import DataSpec, materialise

    if (chosen := parse_preset(data)) is not None:
        arranged = arrange(chosen, s.home() / "data")
        return three_ways(arranged, out / "data", seed=seed, tell=warn), others(arranged)
    if data != EMBEDDED:
        root = Path(data).expanduser()
        if not root.is_dir():
            raise SettingsError(
                f"--data {data}: neither a folder, nor PRESET:DIR (assay dataset presets), nor {EMBEDDED}"
            )
        folders = [root / split for split in Split]
        if missing := [folder.name for folder in folders if not folder.is_dir()]:
            raise SettingsError(
                f"--data {data}: without {', '.join(missing)}; train/, validation/ and test/ are needed"
                f"{resemblance(root)}"
            )
        return (folders[0], folders[1], folders[2]), others(root)
    made = []
    for split, count in (QUICK if quick else ITEMS).items():
        with bar(f"{split} set", count * (1 + TWINS)) as progress:
            spec = DataSpec(split, count=count, twins=TWINS, seed=seed)
            made.append(materialise(spec, s.home() / "data", device=device, progress=progress))
    return (made[0], made[1], made[2]), {}


@contextmanager
def _watching(name: str) -> Iterator[Stage]:
    """A bar for each stage, with the time left, on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        tasks, tell_log = {}, LogLines(name)

        def stage(what: str, done: int, total: int) -> None:
            tell_log(what, done, total)
            if what not in tasks:
                tasks[what] = progress.add_task(f"{name}: {what}", total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield stage


def _tell(report: StudyReport, page: Path) -> None:
    from rich.markup import escape
    from rich.table import Table

    from detectors.studies.report import words

    console = terminal()
    for found in report.tables.values():
        table = Table("", *found.columns, box=None, title=found.title, title_justify="left")
        for label, cells in found.rows.items():
            table.add_row(escape(label), *(escape(words(cell)) for cell in cells))
        console.print(table)
        console.print()
    print(f"report: {page}")
