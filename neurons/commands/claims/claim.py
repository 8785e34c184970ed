"""`assay claim`: let a detector sit an exam, and write what came of it on the card beside its weights."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from neurons import settings as s
from neurons.progress import bar, warn
from subnet.errors import DataError, SettingsError

if TYPE_CHECKING:
    from detectors.claims.sitting import Opinion
    from detectors.dataset.items import DatasetItem
    from subnet.protocols import Detector

LEAST_TO_FIT = 40  # real items


def claim(
    detector: str,
    *,
    data: str,
    exam: str | None = None,
    current: Annotated[bool, Parameter(negative="")] = False,
    fit: Annotated[bool, Parameter(negative="")] = False,
    levels: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    device: str = "auto",
    json: s.Json = False,
) -> None:
    """Measure what may be said of a detector's answers, and write it on the card beside its weights.

    Parameters
    ----------
    detector
        A name of `assay detectors`, a checkpoint file, or NAME=FILE.
    data
        embedded:test, embedded:validation, or a folder with real/ or fake/ or both: the first folder below real/ names
        the kind of picture, that below fake/ the generator.
    exam
        Name of the exam; an earlier one of that name is replaced.
    current
        The fakes are of generators in use today: few misses let the detector say "no trace found".
    fit
        In place of an exam: from which probability an item is called synthetic, and how far the detector can judge, on
        data that it was neither trained on nor is examined with. Exams are to be taken again afterwards.
    levels
        Show items as validators do, at these levels (0,1,2,3), in place of files as they are stored.
    limit
        Most items of each label.
    seed
        Same seed, same items and variants.
    device
        auto, cpu, cuda or cuda:N.
    """
    if (exam is None) != fit:
        raise SettingsError("--exam: name the exam (or give --fit alone, to fit threshold and reach)")
    if limit is not None and limit < 1:
        raise SettingsError(f"--limit {limit}: at least 1 item of each label")
    from neurons.commands.evaluate import levels_of

    asked = levels_of(levels) if levels is not None else ()
    from detectors.loading import open_detector

    opened = open_detector(detector, device=s.device(device))
    records, root = _records(data, opened, asked, limit, seed)
    found = _opinions(opened, records, root, asked, seed)
    if not found:
        raise DataError(f"data: nothing in {data} can be judged: all of it is flat, small or short")
    if fit:
        told = _fitted(detector, opened, found, data, records)
    else:
        told = _examined(detector, opened, found, str(exam), asked, current)
    print(jsonlib.dumps(told) if json else "\n".join(f"{key.replace('_', ' ')}: {each}" for key, each in told.items()))


def _records(
    data: str, detector: Detector, levels: Sequence[int], limit: int | None, seed: int
) -> tuple[list[DatasetItem], Path]:
    """The items, and the folder that they are in. Raises DataError and SettingsError."""
    from detectors.dataset.cuts import sift
    from detectors.dataset.items import read_folder
    from neurons.commands.evaluate import data_folder

    folder = data_folder(data, detector.modality, 2 * limit if limit else None, seed, "cpu")
    records = [each for each in read_folder(folder, warn) if each.modality is detector.modality]
    if not records:
        raise DataError(f"data: {data} holds no {detector.modality}s, which {detector.name} judges")
    return _some(sift(records, data, warn) if levels else records, limit, seed), folder


def _some(records: Sequence[DatasetItem], limit: int | None, seed: int) -> list[DatasetItem]:
    """At most `limit` items of each label, by chance, in their order."""
    import numpy as np

    from subnet.types import Label

    order = np.random.default_rng([seed, 5]).permutation(len(records)).tolist()
    kept = {place for label in Label for place in [at for at in order if records[at].label is label][:limit]}
    return [each for place, each in enumerate(records) if place in kept]


def _opinions(
    detector: Detector, records: Sequence[DatasetItem], root: Path, levels: Sequence[int], seed: int
) -> list[Opinion]:
    from detectors.claims.showing import shown
    from detectors.claims.sitting import opinions

    found = []
    with bar("claim", len(records) * max(1, len(levels))) as progress:
        for each in opinions(detector, shown(records, root, levels, seed)):
            found.append(each)
            progress(len(found))
    return found


def _fitted(
    detector: str, opened: Detector, found: Sequence[Opinion], data: str, records: Sequence[DatasetItem]
) -> Mapping[str, Any]:
    """The card gets a new threshold and reach; exams that were taken under another are struck off."""
    from dataclasses import asdict, replace

    from detectors.claims.shelf import claims_of, keep, keep_density, place, trained_on, weights_file
    from detectors.claims.showing import stored_fineness
    from detectors.claims.sitting import reach_of
    from subnet.types import Label

    real = sum(each.label is Label.REAL for each in found)
    if real < LEAST_TO_FIT:
        raise DataError(f"data: {real} real items of {data} can be judged, and a threshold needs {LEAST_TO_FIT}")
    stem, file = place(detector, opened), weights_file(detector, opened)
    reach, density = reach_of(found, data, stored_fineness(records))
    reach = replace(reach, density=keep_density(stem, density) if density else "")
    before = claims_of(detector, opened).card
    if before.exams:
        warn(f"{len(before.exams)} exams were taken under another threshold and are struck off: take them again")
    card = replace(before, reach=reach, exams=(), trained_on=trained_on(file) if file else ())
    print(f"card: {keep(stem, card)}", file=sys.stderr)
    return asdict(reach)


def _examined(
    detector: str, opened: Detector, found: Sequence[Opinion], name: str, levels: Sequence[int], current: bool
) -> Mapping[str, Any]:
    """The exam, which is on the card now."""
    from dataclasses import asdict

    from detectors.calibration import Calibration
    from detectors.claims.shelf import claims_of, keep, place
    from detectors.claims.showing import manner
    from detectors.claims.sitting import exam_of

    claims = claims_of(detector, opened)
    calibration = getattr(opened, "calibration", Calibration())
    exam = exam_of(found, claims.card, calibration, claims.density, name=name, shown=manner(levels), current=current)
    print(f"card: {keep(place(detector, opened), claims.card.with_exam(exam))}", file=sys.stderr)
    return asdict(exam)
