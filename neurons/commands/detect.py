"""`assay detect`: judge files, and on request say why."""

from __future__ import annotations

import json as jsonlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter
from rich.console import Console
from rich.table import Column, Table

from neurons import settings as s
from subnet.codec import image as codec
from subnet.codec.sandbox import VideoDecoder
from subnet.errors import MediaError, MediaTooLarge, MediaUnreadable, SettingsError
from subnet.game.sampling import derive
from subnet.media.folder import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from subnet.protocols import Detector
from subnet.types import Media, Modality

if TYPE_CHECKING:
    from collections.abc import Callable

    from detectors.explain.timeline import Moment

    Found = dict[str, Any]

DEFAULTS = {Modality.IMAGE: "npr", Modality.VIDEO: "frames"}
SMALLEST = 32  # pixels along the shorter side: below that there is nothing to judge
FEWEST_FRAMES = 4


def detect(
    *files: Path,
    detector: str | None = None,
    explain: Annotated[bool, Parameter(negative="")] = False,
    out: Path = Path("explained"),
    device: str = "auto",
    json: s.Json = False,
) -> None:
    """Judge images and clips: P(synthetic), and whether that is sure enough to say so.

    Parameters
    ----------
    files
        JPEG, PNG or WebP images; MP4 or QuickTime clips.
    detector
        A name of `assay detectors`, a checkpoint file, or NAME=FILE; by default npr for images, frames for clips.
    explain
        Write a heat map of each file, and all numbers, below --out.
    out
        Folder for explanations.
    device
        auto, cpu, cuda or cuda:N.
    """
    if not files:
        raise SettingsError("FILE: name at least one image or clip")
    place = s.device(device)

    @cache
    def opened(modality: Modality) -> Detector:
        from detectors.loading import open_detector

        return open_detector(detector or DEFAULTS[modality], device=place)

    with VideoDecoder(timeout=30.0) as decoder:
        found = [_judged(file, decoder, opened, out if explain else None) for file in files]
    if json:
        print(jsonlib.dumps(found))
    else:
        _tell(found)
    failed = [each for each in found if "error" in each]
    if failed:
        raise MediaUnreadable(f"{len(failed)} of {len(files)} files could not be judged: {failed[0]['error']}")


def read(file: Path, decoder: VideoDecoder) -> Media:
    """Decode a file that nobody vouches for. Raises MediaError naming the file and what to do."""
    clip = file.suffix.lower() in VIDEO_SUFFIXES
    if not clip and file.suffix.lower() not in IMAGE_SUFFIXES:
        raise MediaUnreadable(f"{file}: give an image ({_list(IMAGE_SUFFIXES)}) or a clip ({_list(VIDEO_SUFFIXES)})")
    try:
        if file.stat().st_size > codec.MAX_BYTES:
            raise MediaTooLarge(f"{file.stat().st_size} bytes are more than the {codec.MAX_BYTES} allowed")
        data = file.read_bytes()
        media = decoder.decode(data) if clip else codec.decode_image(data)
    except OSError as error:
        raise MediaUnreadable(f"{file} cannot be read: {error.strerror}") from error
    except MediaTooLarge as error:
        raise MediaTooLarge(f"{file}: {error}; give a smaller copy or a cut of it") from error
    except MediaError as error:
        raise MediaUnreadable(f"{file}: {error}; export it again as JPEG, PNG, WebP or MP4") from error
    count, height, width, _ = media.frames.shape
    if min(height, width) < SMALLEST:
        raise MediaUnreadable(
            f"{file} is {width}x{height} pixels: at least {SMALLEST} on each side are needed, so give the original"
        )
    if clip and count < FEWEST_FRAMES:
        raise MediaUnreadable(f"{file} has {count} frames: a clip needs {FEWEST_FRAMES}, so give a longer one")
    return media


def _list(suffixes: Sequence[str]) -> str:
    return ", ".join(suffix.removeprefix(".") for suffix in suffixes)


def _judged(file: Path, decoder: VideoDecoder, opened: Callable[[Modality], Detector], out: Path | None) -> Found:
    """What is said of one file; a file that cannot be judged gets its reason under "error"."""
    try:
        media = read(file, decoder)
        chosen = opened(media.modality)
        if chosen.modality is not media.modality:
            fitting = DEFAULTS[media.modality]
            raise MediaUnreadable(
                f"{file}: {chosen.name} judges {chosen.modality}s; for this take --detector {fitting}"
            )
        return judge(file, media, chosen, out)
    except MediaError as error:
        return {"file": str(file), "error": str(error)}


def judge(file: Path, media: Media, detector: Detector, out: Path | None) -> Found:
    """The answer to one file with its verdict and timeline; with `out` its heat map and the test of that, too."""
    from detectors.calibration import Calibration
    from detectors.explain.timeline import timeline

    p_synthetic = detector.predict([media])[0].p_synthetic
    calibration: Calibration = getattr(detector, "calibration", Calibration())
    moments = timeline(detector, media)
    count, height, width, _ = media.frames.shape
    found: Found = {
        "file": str(file),
        "modality": media.modality.value,
        "width": width,
        "height": height,
        "frames": count,
        "detector": detector.name,
        "weights_hash": detector.weights_hash,
        "p_synthetic": round(p_synthetic, 6),
        "verdict": calibration.verdict(p_synthetic).value,
        "uncertain_between": [calibration.low, calibration.high],
        "timeline": [asdict(moment) for moment in moments],
    }
    return found if out is None else {**found, **_explained(file, media, detector, out, found, moments)}


def _explained(
    file: Path, media: Media, detector: Detector, out: Path, found: Mapping[str, Any], moments: Sequence[Moment]
) -> Found:
    """Write PNG and JSON below `out`; returns what they add."""
    from detectors.explain.deletion import deletion
    from detectors.explain.maps import cells, explainable, heat_map
    from detectors.explain.picture import draw

    subject = explainable(detector)
    heat = heat_map(subject, media)
    test = deletion(subject, media, heat, np.random.default_rng(derive(file.name)))
    out.mkdir(parents=True, exist_ok=True)
    stem = out / f"{file.stem}-{derive(os.path.abspath(file)) % 16**6:06x}-{detector.name}"
    png = draw(file.name, found["p_synthetic"], subject.detector.calibration, heat, moments)
    stem.with_name(stem.name + ".png").write_bytes(png)
    added: Found = {
        "heat_map": f"{stem}.png",
        "evidence_for": heat.evidence_for.name.lower(),
        "view": heat.strongest,
        "cells": [[round(float(value), 3) for value in row] for row in cells(heat.heat[heat.strongest])],
        "deletion": {**asdict(test), "gain": round(test.gain, 4), "faithful": test.faithful},
    }
    stem.with_name(stem.name + ".json").write_text(jsonlib.dumps({**found, **added}, indent=1) + "\n", encoding="utf-8")
    return added


def _tell(found: Sequence[Mapping[str, Any]]) -> None:
    table = Table(Column("file", overflow="fold"), "verdict", "P(synthetic)", "detector", box=None)
    colours = {"real": "blue", "synthetic": "magenta", "uncertain": "yellow"}
    for each in found:
        if "error" in each:
            table.add_row(each["file"], "[red]not judged[/]", "", "")
            continue
        verdict = f"[{colours[each['verdict']]}]{each['verdict']}[/]"
        table.add_row(each["file"], verdict, f"{each['p_synthetic']:.3f}", each["detector"])
    Console().print(table)
    for each in found:
        if "error" in each:
            print(f"{each['file']}: {each['error']}")
        elif "heat_map" in each:
            print(f"explained: {each['heat_map']}")
