"""`assay detect`: judge files, and on request say why."""

from __future__ import annotations

import json as jsonlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from neurons import settings as s
from neurons.datasets.no_trace import make_folder
from neurons.progress import bar
from subnet.errors import MediaError, MediaUnreadable, SettingsError
from subnet.printing import printable
from subnet.types import Media, Modality

if TYPE_CHECKING:
    from detectors.calibration import Calibration
    from detectors.claims.shelf import Claims
    from detectors.explain.timeline import Moment
    from detectors.whole_picture import Judgement, View
    from subnet.codec.sandbox import VideoDecoder
    from subnet.codec.video import Clip
    from subnet.protocols import Detector

    Found = dict[str, Any]

STEPS = 3  # of an explanation: the answer, the heat map, the test of the map
LONGEST = 48  # characters of a file's name in that of its explanation: file systems take 255 bytes
COLOURS = {"no trace found": "blue", "synthetic": "magenta", "uncertain": "yellow", "cannot tell": "dim"}


def detect(
    *files: Path,
    detector: str | None = None,
    explain: Annotated[bool, Parameter(negative="")] = False,
    out: Path = Path("explained"),
    device: str = "auto",
    json: s.Json = False,
) -> None:
    """Judge images and clips: P(synthetic), and whether that is sure enough to say so.

    Exit status 0 when every file was looked at, whatever the answers; 2 when one could not be read.

    Parameters
    ----------
    files
        JPEG, PNG, WebP, GIF, TIFF or BMP images; MP4, QuickTime, Matroska, WebM or AVI clips; folders of them.
    detector
        A name of `assay detectors`, a checkpoint file, or NAME=FILE; by default the best that is on this machine.
    explain
        Write a heat map of each file, and all numbers, below --out.
    out
        Folder for explanations.
    device
        auto, cpu, cuda or cuda:N.
    """
    from neurons.commands.files import decoder, find

    if not files:
        raise SettingsError("FILE: name at least one image, clip or folder")
    place = s.device(device)
    if explain:
        make_folder(out)

    @cache
    def opened(modality: Modality) -> tuple[Detector, Claims]:
        return _open(detector, modality, place)

    chosen = find(files)
    if chosen.skipped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(chosen.skipped.items()))
        print(f"skipped {chosen.skipped.total()} files: {reasons}", file=sys.stderr)
    if not chosen.files:
        raise MediaUnreadable("the folders that were named hold no images or clips")
    found: list[Found] = []
    steps = STEPS if explain else 1
    with decoder() as clips, bar("files" if steps == 1 else "steps", steps * len(chosen.files)) as progress:
        for number, file in enumerate(chosen.files):
            found.append(_judged(file, clips, opened, out if explain else None, _from(steps * number, progress)))
            progress(steps * len(found))
    if json:
        print(jsonlib.dumps(found))
    else:
        _tell(found)
    _fail([each for each in found if "error" in each], len(found), told=json)


def _open(name: str | None, modality: Modality, device: str) -> tuple[Detector, Claims]:
    """The detector that was named, or the best for this modality, and what is known of it."""
    from detectors.claims.choice import best, better
    from detectors.claims.shelf import claims_of
    from detectors.loading import open_detector

    chosen = name or best(modality).name
    detector = open_detector(chosen, device=device)
    if name is None and (rows := better(modality)):
        names = ", ".join(row.name for row in rows)
        print(f"{chosen} answers; better ones can be fetched with `assay fetch NAME`: {names}", file=sys.stderr)
    return detector, claims_of(chosen, detector)


def _from(start: int, progress: Callable[[int], None]) -> Callable[[int], None]:
    """The progress of one file, whose steps come after `start` others."""
    return lambda step: progress(start + step)


def _fail(failed: Sequence[Mapping[str, Any]], count: int, *, told: bool) -> None:
    """Raises MediaUnreadable when a file could not be read; each reason is told once."""
    if len(failed) == 1:
        raise MediaUnreadable(f"{failed[0]['file']}: {failed[0]['error']}")
    for each in () if told else failed:
        print(printable(f"{each['file']}: {each['error']}"), file=sys.stderr)
    if failed:
        raise MediaUnreadable(f"{len(failed)} of {count} files could not be read")


def _judged(
    file: Path,
    clips: VideoDecoder,
    opened: Callable[[Modality], tuple[Detector, Claims]],
    out: Path | None,
    progress: Callable[[int], None],
) -> Found:
    """What is said of one file; a file that cannot be read gets its reason under "error"."""
    from neurons.commands.files import read
    from subnet.codec.video import Clip

    try:
        media = read(file, clips)
        modality = Modality.VIDEO if isinstance(media, Clip) else Modality.IMAGE
        chosen, claims = opened(modality)
        if chosen.modality is not modality:
            from detectors.claims.choice import best

            fitting = best(modality).name
            raise MediaUnreadable(f"{chosen.name} judges {chosen.modality}s; for this take --detector {fitting}")
        return judge(file, media, chosen, out, progress, claims)
    except MediaError as error:
        return {"file": str(file), "error": str(error)}


def judge(
    file: Path,
    given: Media | Clip,
    detector: Detector,
    out: Path | None,
    progress: Callable[[int], None] = lambda step: None,
    claims: Claims | None = None,
) -> Found:
    """The answer to one file: verdict, why, parts and timeline; with `out` its heat map and the test of that, too.

    `progress` is told the steps done, of STEPS. Without `claims` nothing is known of the detector's weights.
    """
    from detectors import whole_picture
    from detectors.calibration import Calibration
    from detectors.claims.card import Card
    from detectors.claims.shelf import Claims
    from detectors.claims.verdict import synthetic_from
    from detectors.explain.timeline import timeline
    from subnet.codec import image as codec
    from subnet.codec.video import Clip

    media = given.media if isinstance(given, Clip) else given
    known = claims or Claims(Card(detector.name, detector.weights_hash))
    calibration: Calibration = getattr(detector, "calibration", Calibration())
    band = [calibration.low, synthetic_from(known.card, calibration)]
    found = {**_about(file, given, detector), "uncertain_between": band}
    reason = whole_picture.unfit(media)
    if reason:
        return {**found, "p_synthetic": None, "verdict": "cannot tell", "reason": reason, "views": [], "timeline": []}
    whole, told = _answered(media, detector, known, calibration)
    small = codec.normalise(media, None)
    moments = timeline(detector, small, given.times if isinstance(given, Clip) else None)
    found |= told | {"timeline": [asdict(moment) for moment in moments]}
    if out is None:
        return found
    view = _loudest(whole.views, whole.p_synthetic)
    part = codec.normalise(whole_picture.cut(media, view.box), None)
    progress(1)
    found["explained_box"] = view.box
    return {**found, **_explained(file, part, detector, out, found, moments, progress)}


def _answered(media: Media, detector: Detector, claims: Claims, calibration: Calibration) -> tuple[Judgement, Found]:
    """The whole of `media` in front of the detector, and what is said of that."""
    from detectors import whole_picture
    from detectors.claims.features import listening
    from detectors.claims.showing import manner
    from detectors.claims.sitting import distance_of
    from detectors.claims.verdict import answer

    with listening(detector) as heard:
        whole = whole_picture.judge(detector, media)
        distance = distance_of(claims.density, heard.take(len(whole.views)))
    said = answer(claims.card, calibration, whole.p_synthetic, distance, whole.fineness, shown=manner(()))
    return whole, {
        "p_synthetic": round(whole.p_synthetic, 6),
        "verdict": said.verdict.value,
        "reason": said.sentence,
        "exam": said.exam or None,
        "distance": None if distance is None else round(distance, 4),
        "fineness": None if whole.fineness is None else round(whole.fineness, 4),
        "spread": [round(edge, 6) for edge in whole.spread],
        "views": [{**asdict(view), "p_synthetic": round(view.p_synthetic, 6)} for view in whole.views],
        "hottest": _hottest(whole, media),
    }


def _hottest(whole: Judgement, media: Media) -> Found | None:
    """The tile that looks most synthetic, and where it lies; None for a picture that has no tiles."""
    from detectors.whole_picture import where

    if whole.hottest is None:
        return None
    view = whole.hottest
    place = where(view.box, *media.frames.shape[1:3])
    return {"box": view.box, "place": place, "p_synthetic": round(view.p_synthetic, 6)}


def _about(file: Path, given: Media | Clip, detector: Detector) -> Found:
    """What was looked at, and by whom."""
    from subnet.codec.video import Clip

    media = given.media if isinstance(given, Clip) else given
    count, height, width, _ = media.frames.shape
    found: Found = {
        "file": str(file),
        "modality": media.modality.value,
        "width": width,
        "height": height,
        "frames": count,
        "detector": detector.name,
        "weights_hash": detector.weights_hash,
    }
    if isinstance(given, Clip):
        begin, end = round(given.times[0], 3), round(given.times[-1], 3)
        found["seen"] = {"from": begin, "to": end, "frames": count, "duration": round(given.duration, 3)}
    return found


def _loudest(views: Sequence[View], p_synthetic: float) -> View:
    """The part that speaks loudest for the answer."""
    return (max if p_synthetic > 0.5 else min)(views, key=lambda view: view.p_synthetic)


def _explained(
    file: Path,
    part: Media,
    detector: Detector,
    out: Path,
    found: Mapping[str, Any],
    moments: Sequence[Moment],
    progress: Callable[[int], None],
) -> Found:
    """Write PNG and JSON below `out`; returns what they add."""
    import numpy as np

    from detectors.calibration import Verdict
    from detectors.explain.account import account
    from detectors.explain.deletion import deletion
    from detectors.explain.maps import cells, explainable, heat_map
    from detectors.explain.picture import draw
    from subnet.game.sampling import derive

    subject = explainable(detector)
    heat = heat_map(subject, part)
    progress(2)
    test = deletion(subject, part, heat, np.random.default_rng(derive(file.name)))
    out.mkdir(parents=True, exist_ok=True)
    stem = out / f"{file.stem[:LONGEST]}-{derive(os.path.abspath(file)) % 16**6:06x}-{detector.name}"
    told = Verdict(found["verdict"])
    p, calibration = found["p_synthetic"], subject.detector.calibration
    png = draw(printable(file.name), p, calibration, heat, moments, gain=test.gain, verdict=told)
    stem.with_name(stem.name + ".png").write_bytes(png)
    added: Found = {
        **account(detector, part),
        "heat_map": f"{stem}.png",
        "evidence_for": heat.evidence_for.name.lower(),
        "view": heat.strongest,
        "cells": [[round(float(value), 3) for value in row] for row in cells(heat.heat[heat.strongest])],
        "deletion": {**asdict(test), "gain": round(test.gain, 4), "faithful": test.faithful},
    }
    stem.with_name(stem.name + ".json").write_text(jsonlib.dumps({**found, **added}, indent=1) + "\n", encoding="utf-8")
    return added


def _tell(found: Sequence[Mapping[str, Any]]) -> None:
    from detectors.explain.account import lines

    judged = [each for each in found if "error" not in each]
    table = Table(Column("file", overflow="fold"), "verdict", "P(synthetic)", "its parts", "detector", box=None)
    for each in judged:
        verdict = f"[{COLOURS[each['verdict']]}]{each['verdict']}[/]"
        known = each["p_synthetic"] is not None
        numbers = (f"{each['p_synthetic']:.3f}", "{:.3f} .. {:.3f}".format(*each["spread"])) if known else ("", "")
        table.add_row(Text(printable(each["file"])), verdict, *numbers, each["detector"])
    if judged:
        Console().print(table)
    for each in judged:
        print(printable(f"{each['file']}: {each['verdict']}: {each['reason']}"))
        if part := each.get("hottest"):
            left, top, width, height = part["box"]
            place = f"{part['place']} ({width}x{height} at {left},{top})"
            print(printable(f"{each['file']}: most synthetic at the {place}: {part['p_synthetic']:.3f}"))
        if "seen" in each:
            text = "{}: {frames} frames between {from} s and {to} s of {duration} s"
            print(printable(text.format(each["file"], **each["seen"])))
        if "heat_map" in each:
            for line in lines(each):
                print(printable(f"{each['file']}: {line}"))
            print(printable(f"explained: {each['heat_map']}"))
