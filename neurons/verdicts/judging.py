"""The verdict on one file: what the detector says of all of it and of its parts, and what is known of that detector.

`assay detect` and the page *Try a file* say the same of a file because both ask here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from detectors import whole_picture
from detectors.calibration import Calibration
from detectors.claims.card import Card
from detectors.claims.features import listening
from detectors.claims.shelf import Claims, claims_of
from detectors.claims.showing import manner
from detectors.claims.sitting import distance_of, typical
from detectors.claims.verdict import answer, synthetic_from
from detectors.cluster.elsewhere import Elsewhere
from detectors.explain.account import account
from detectors.explain.deletion import Deletion, deletion
from detectors.explain.maps import HeatMap, cells, explainable, heat_map, needs_layer
from detectors.explain.timeline import Moment, timeline
from detectors.whole_picture import Judgement, View
from subnet.codec import image as codec
from subnet.codec.video import Clip
from subnet.errors import MediaUnreadable, SettingsError
from subnet.game.sampling import derive
from subnet.protocols import Detector
from subnet.types import Media, Modality

Found = dict[str, Any]  # what `assay detect --json` says of one file
Opened = Callable[[Modality], tuple[Detector, Claims]]


@dataclass(frozen=True, eq=False)
class Judged:
    """A file that was judged. `views` is empty where nothing in it can be judged, and `found` says why."""

    found: Found
    given: Media | Clip
    detector: Detector
    card: Card
    views: tuple[View, ...] = ()
    moments: tuple[Moment, ...] = ()

    @property
    def media(self) -> Media:
        return media_of(self.given)


@dataclass(frozen=True, eq=False)
class Explained:
    """The part of a file that speaks loudest for the answer, in its `box`: where the evidence in it lies, and whether
    that map can be believed. `found` is what `--json` adds."""

    box: tuple[int, int, int, int]
    heat: HeatMap
    test: Deletion
    found: Found


def media_of(given: Media | Clip) -> Media:
    """The frames of a picture or clip."""
    return given.media if isinstance(given, Clip) else given


def open_chosen(name: str | None, modality: Modality, device: str) -> tuple[Detector, Claims]:
    """The detector that was named, or the best for this modality, and what is known of it. Raises what loading does."""
    from detectors.claims.choice import best
    from detectors.loading import open_detector

    chosen = name or best(modality).name
    detector = open_detector(chosen, device=device)
    return detector, claims_of(chosen, detector)


def judge_by(opened: Opened, name: str, given: Media | Clip, *, several: bool = False) -> Judged:
    """The verdict of the detector for this modality, as `judge`'s. Raises MediaUnreadable where that judges the other
    one."""
    modality = media_of(given).modality
    chosen, claims = opened(modality)
    if chosen.modality is not modality:
        from detectors.claims.choice import best

        fitting = best(modality).name
        raise MediaUnreadable(f"{chosen.name} judges {chosen.modality}s; for this take --detector {fitting}")
    return judge(name, given, chosen, claims, several=several)


def judge(
    name: str, given: Media | Clip, detector: Detector, claims: Claims | None = None, *, several: bool = False
) -> Judged:
    """The answer to the file called `name`: verdict, why, parts and timeline.

    Without `claims` nothing is known of the detector's weights. `several` is whether `given` is one picture of several
    in its file, of which the reason then tells.
    """
    media, several = media_of(given), several and not isinstance(given, Clip)
    beside = "; the file has other pictures beside this one, which were not looked at" if several else ""
    known = claims or Claims(Card(detector.name, detector.weights_hash))
    calibration: Calibration = getattr(detector, "calibration", Calibration())
    band = [calibration.low, synthetic_from(known.card, calibration)]
    found = {**_about(name, given, detector), "several": several, "uncertain_between": band}
    reason = whole_picture.unfit(media)
    if reason:
        found |= {"p_synthetic": None, "verdict": "cannot tell", "reason": reason + beside}
        found |= {"views": [], "timeline": []}
        return Judged(found, given, detector, known.card)
    whole, told = _answered(media, detector, known, calibration)
    small = codec.normalise(media, None)
    moments = timeline(detector, small, given.times if isinstance(given, Clip) else None)
    found |= told | {"timeline": [asdict(moment) for moment in moments]}
    found["reason"] += beside
    if isinstance(detector, Elsewhere) and detector.way == "layer":
        found["unexplained"] = needs_layer(detector)
    return Judged(found, given, detector, known.card, whole.views, moments)


def explains(judged: Judged) -> bool:
    """Whether there is something to explain: parts that were judged, by a detector that looks at them."""
    try:
        return bool(judged.views and explainable(judged.detector))
    except SettingsError:
        return False


def explain(judged: Judged, progress: Callable[[int], None] = lambda step: None) -> Explained:
    """Explain the answer to a file that has views. `progress` is told 1 before the map and 2 before its test.

    Raises SettingsError for a detector that looks at nothing.
    """
    subject = explainable(judged.detector)
    view = _loudest(judged.views, judged.found["p_synthetic"])
    part = codec.normalise(whole_picture.cut(judged.media, view.box), None)
    progress(1)
    heat = heat_map(subject, part)
    progress(2)
    test = deletion(subject, part, heat, np.random.default_rng(derive(judged.found["file"].rpartition("/")[2])))
    found: Found = {
        "explained_box": view.box,
        **account(judged.detector, part),
        "evidence_for": heat.evidence_for.name.lower(),
        "view": heat.strongest,
        "cells": [[round(float(value), 3) for value in row] for row in cells(heat.heat[heat.strongest])],
        "deletion": {**asdict(test), "gain": round(test.gain, 4), "faithful": test.faithful},
    }
    return Explained(view.box, heat, test, found)


def _answered(media: Media, detector: Detector, claims: Claims, calibration: Calibration) -> tuple[Judgement, Found]:
    """The whole of `media` in front of the detector, and what is said of that."""
    whole, distance = _looked_at(media, detector, claims)
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


def _looked_at(media: Media, detector: Detector, claims: Claims) -> tuple[Judgement, float | None]:
    """The answers to all parts of `media`, and how far it lies; None where nothing is known of that."""
    if isinstance(detector, Elsewhere):
        answers, distances = detector.parts(whole_picture.shown(media))
        return whole_picture.judgement(media, answers), typical(distances)
    with listening(detector) as heard:
        whole = whole_picture.judge(detector, media)
        return whole, distance_of(claims.density, heard.take(len(whole.views)))


def _hottest(whole: Judgement, media: Media) -> Mapping[str, Any] | None:
    """The tile that looks most synthetic, and where it lies; None for a picture that has no tiles."""
    if whole.hottest is None:
        return None
    view = whole.hottest
    place = whole_picture.where(view.box, *media.frames.shape[1:3])
    return {"box": view.box, "place": place, "p_synthetic": round(view.p_synthetic, 6)}


def _about(name: str, given: Media | Clip, detector: Detector) -> Found:
    """What was looked at, and by whom."""
    media = media_of(given)
    count, height, width, _ = media.frames.shape
    found: Found = {
        "file": name,
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
