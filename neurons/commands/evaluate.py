"""`assay evaluate`: how good a detector is, through the validator's own path."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from neurons import settings as s
from neurons.commands.steps.judging import at_work, check_job, forget, measured
from neurons.commands.tables.findings import difference_table, findings_table, harm_line, null_line, tell_order
from neurons.datasets.no_trace import make_folder, no_trace
from neurons.progress import bar, warn
from neurons.ray_cluster import JOB, JobSettings
from neurons.terminal import terminal
from subnet.errors import SettingsError
from subnet.media.everyday import EVERYDAY
from subnet.types import Modality

if TYPE_CHECKING:
    from detectors.evaluation.evaluation import Evaluation, Task
    from subnet.protocols import Detector

EMBEDDED_ITEMS = 200
CHAIN_ITEMS = 100  # each is shown 29 times


def evaluate(
    detector: str | None = None,
    *,
    data: str = "embedded:test",
    levels: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    chains: Annotated[bool, Parameter(negative="")] = False,
    controls: bool | None = None,
    null: bool | None = None,
    compare: tuple[str, str] | None = None,
    out: Path | None = None,
    device: str = "auto",
    ray: JobSettings = JOB,
    json: s.Json = False,
) -> None:
    """Measure a detector on what validators ask: accuracy, MCC, AUC and more, with intervals; or compare two.

    With --out answers are kept as they come: ended at any moment, the same command goes on. With --ray.address a Ray
    cluster answers, and says the same: pip install 'assay-subnet[ray]'.

    Parameters
    ----------
    detector
        A name of `assay detectors`, a checkpoint file, or NAME=FILE.
    data
        embedded:test, embedded:validation, embedded:train, a folder with real/ and fake/ or of shards, hub:OWNER/NAME,
        or PRESET:DIR, a published data set (`assay dataset presets`): its test set, or else its validation set. Or
        everyday, the exam of what detectors accuse wrongly: false alarms by kind of picture, and consistency.
    levels
        Augmentation levels to ask at; every item is shown at each: 0,1,2,3, and 0 of the everyday exam.
    limit
        Most items; by default all of a folder and of the exam, and 200 of the embedded set.
    seed
        Same seed, same items and variants.
    chains
        Also draw robustness curves: JPEG, WebP, resize, blur, noise, crop, screenshot; H.264 for video.
    controls
        Also show clips (at most 200) with their frames in another order, backwards, and one frame repeated: does the
        detector use motion, and which share of its evidence is temporal? In every report of clips, unless
        --no-controls is given.
    null
        Also ask about the same items with every pixel black: what is told apart then is not in the pixels. In every
        report, unless --no-null is given.
    compare
        Two detectors to be compared on the same variants, in place of one.
    out
        Folder for the report: report.json, index.html, pictures, and matrix.parquet, all answers (`assay compare`).
    device
        auto, cpu, cuda or cuda:N.
    """
    names = _names(detector, compare)
    exam = data == EVERYDAY
    check_job(ray, out)
    asked = levels_of(levels if levels is not None else "0" if exam else "0,1,2,3")
    if exam and (chains or null):
        raise SettingsError(
            f"--{'chains' if chains else 'null'}: needs synthetic items, and {data} has none; leave it away"
        )
    place = s.device(device)
    with ExitStack() as stack:
        with no_trace(out) if out else nullcontext():
            _check(data, limit, out)
            opened = _open(names, place, bool(controls))
            harm = [] if exam else [_harm(name, each) for name, each in zip(names, opened, strict=False)]
            from detectors.evaluation.evaluation import Task, selection
            from detectors.evaluation.frame_order import MOST

            modality = opened[0].modality
            root = _judged_part(data, data_folder(data, modality, limit, seed, place))
            blank = not exam and (out is not None if null is None else null)
            forms = MOST if modality is Modality.VIDEO and (out is not None if controls is None else controls) else 0
            task = Task(data, root, asked, limit, seed, null=blank, exam=exam, in_forms=forms)
            spread = stack.enter_context(at_work(ray))
            records, left_out = selection(task, modality, warn, spread)
        again = partial(_open, names, "cuda" if ray.gpus else place, bool(controls))
        found = measured(opened, again, task, records, left_out, out, ray)
    if not exam:
        found = [replace(each, findings={**each.findings, **known}) for each, known in zip(found, harm, strict=True)]
    robust = _robustness(opened, task) if chains else None
    differences = _difference(found) if compare else None
    if out is not None:
        _write(names, found, out, robust, differences)
    if json:
        print(jsonlib.dumps(_numbers(found, robust, differences)))
    else:
        _tell(found, differences)


def _write(
    names: Sequence[str],
    found: Sequence[Evaluation],
    out: Path,
    robust: Sequence[Mapping[str, Any]] | None,
    differences: Mapping[str, Any] | None,
) -> None:
    """The report of one detector into `out`, of two into folders of their names; the first holds the comparison."""
    from detectors.evaluation.matrix.table import NAME, write_matrix
    from detectors.evaluation.report.write import write_report

    for number, (name, each) in enumerate(zip(names, found, strict=True)):
        folder = out / name.replace("/", "_") if differences else out
        chains = robust[number] if robust else None
        page = write_report(each, folder, robust=chains, comparison=None if number else differences)
        write_matrix(each, folder / NAME)
        print(f"report: {page}", file=sys.stderr)
    forget(out)


def _numbers(
    found: Sequence[Evaluation], robust: Sequence[Mapping[str, Any]] | None, differences: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """What `--json` prints: the findings of one detector, or the differences of two beside those of both."""
    if differences:
        return {**differences, "findings": [each.findings for each in found]}
    return {**found[0].findings, **({"robustness": robust[0]} if robust else {})}


def _names(detector: str | None, compare: tuple[str, str] | None) -> tuple[str, ...]:
    """Who is measured. Raises SettingsError."""
    names = compare or ((detector,) if detector else ())
    if not names or (compare and detector):
        raise SettingsError("detector: name one to evaluate, or two with --compare A B")
    return names


def _difference(found: Sequence[Evaluation]) -> Mapping[str, Any]:
    from detectors.evaluation.evaluation import compare

    return compare(*found)


def _open(names: Sequence[str], device: str, controls: bool) -> list[Detector]:
    """The detectors, served the fast way.

    Raises SettingsError when they judge different modalities, and for `controls` of what judges images.
    """
    from detectors.acceleration.accelerate import accelerated
    from detectors.loading import open_detector

    opened = [accelerated(open_detector(name, device=device), cache=s.home() / "serving") for name in names]
    if len({each.modality for each in opened}) > 1:
        raise SettingsError(f"--compare: {' and '.join(names)} do not judge the same modality")
    if controls and opened[0].modality is not Modality.VIDEO:
        raise SettingsError(
            f"--controls: {opened[0].name} judges images, which have no order of frames; name one of clips"
        )
    return opened


def _harm(name: str, opened: Detector) -> dict[str, Any]:
    """What the card of these weights says of everyday pictures, for the report; nothing where that was not measured."""
    from dataclasses import asdict

    from detectors.claims.shelf import claims_of

    exams = [each for each in claims_of(name, opened).card.exams if each.name == EVERYDAY and each.false_alarms]
    if not exams:
        return {}
    cells = {"all together": exams[0].false_alarms, **exams[0].false_alarms_by}
    rows = {kind: {**asdict(share), "value": share.value} for kind, share in cells.items() if share}
    return {"everyday": {"shown": exams[0].shown, "by_kind": rows}}


def _robustness(opened: Sequence[Detector], task: Task) -> list[dict[str, Any]]:
    from detectors.evaluation.evaluation import items
    from detectors.evaluation.robustness import chain_views, robustness

    few = replace(task, limit=min(task.limit or CHAIN_ITEMS, CHAIN_ITEMS))
    records = items(few, opened[0].modality)
    with bar("distort", len(records) * len(chain_views(opened[0].modality))) as progress:
        return robustness(opened, few, records, progress=progress)


def levels_of(text: str) -> tuple[int, ...]:
    from subnet.game.augment import LEVELS

    try:
        levels = tuple(dict.fromkeys(int(level) for level in text.split(",") if level.strip()))
    except ValueError as error:
        raise SettingsError(f"--levels {text}: give numbers like 0,1,2,3") from error
    if not levels or not set(levels) <= set(LEVELS):
        raise SettingsError(f"--levels {text}: choose from {', '.join(map(str, LEVELS))}")
    return levels


def _check(data: str, limit: int | None, out: Path | None) -> None:
    """What can be known to be wrong before a detector is loaded or a data set is made."""
    from neurons.datasets.spec import parse_spec

    if limit is not None and limit < 2:
        raise SettingsError(f"--limit {limit}: at least 2 items are needed, one of each class")
    spec = parse_spec(data, Modality.IMAGE, EMBEDDED_ITEMS, 0)
    if out is not None:
        if isinstance(spec, Path) and out.resolve().is_relative_to(spec.resolve()):
            raise SettingsError(
                f"--out: {out} lies in --data {data}, and would be read with it next time; name another"
            )
        make_folder(out)


def data_folder(data: str, modality: Modality, limit: int | None, seed: int, device: str) -> Path:
    """The folder that SPEC means; embedded data are written below $ASSAY_HOME/data the first time."""
    from neurons.datasets.arrangement import PresetSpec, arrange, judged
    from neurons.datasets.everyday import EverydaySpec
    from neurons.datasets.spec import materialise, parse_spec

    spec = parse_spec(data, modality, -(-(limit or EMBEDDED_ITEMS) // 2), seed)
    if isinstance(spec, PresetSpec):
        return judged(arrange(spec, s.home() / "data"))
    if isinstance(spec, EverydaySpec):
        return _everyday_folder(modality)
    if isinstance(spec, Path):
        return spec
    with bar(f"{spec.split} set", 2 * spec.count) as progress:
        return materialise(spec, s.home() / "data", device=device, progress=progress)


def _everyday_folder(modality: Modality) -> Path:
    """The everyday exam, made below $ASSAY_HOME/data the first time. Raises SettingsError for a detector of clips."""
    from neurons.datasets.everyday import everyday_folder
    from subnet.media.everyday.pictures import ALL

    if modality is not Modality.IMAGE:
        raise SettingsError(f"--data {EVERYDAY}: its pictures are no {modality}s; name a detector of images")
    with bar("everyday pictures", ALL.total) as progress:
        return everyday_folder(s.home() / "data", progress)


def _judged_part(data: str, folder: Path) -> Path:
    """Of a folder that is divided the part that nothing is trained on, as of a published set; told."""
    from neurons.datasets.arrangement import divided, judged

    if not divided(folder):
        return folder
    part = judged(folder)
    warn(f"--data {data}: judged on {part.name}/ alone, since it is divided; name another part to have that judged")
    return part


def _tell(found: Sequence[Evaluation], differences: Mapping[str, Any] | None) -> None:
    from detectors.evaluation.intervals import FEWEST, TOO_FEW

    for each in found:
        terminal().print(findings_table(each.findings))
    few = min(filter(None, found[0].findings["clusters_by_class"].values()))
    if few < FEWEST:
        print(
            f"intervals: {TOO_FEW} independent photographs or clips ({few} of a class): {FEWEST} are needed",
            file=sys.stderr,
        )
    for each in found:
        if null := each.findings.get("null"):
            print(f"{each.findings['detector']}: {null_line(null)}")
        if harm := each.findings.get("everyday"):
            print(f"{each.findings['detector']}: {harm_line(harm)}")
    for each in found:
        tell_order(each.findings)
    if differences:
        terminal().print(difference_table(differences))
