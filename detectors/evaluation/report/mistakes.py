"""The answers that were most wrong, as a contact sheet of what the detector saw."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from detectors.dataset.cuts import challenge_media, key_of
from detectors.evaluation.answering import show
from detectors.evaluation.evaluation import Evaluation
from subnet.media.contact_sheet import Layout, Tile, contact_sheet
from subnet.media.leak.appearance import middle
from subnet.types import THRESHOLD, Label

SIDE = 176  # of a picture, pixels
LAYOUT = Layout(gap=6, caption=34, font=11, ground="white")
INK = {Label.REAL: "#0072B2", Label.SYNTHETIC: "#B5179E"}


def worst(evaluation: Evaluation, most: int = 12) -> list[tuple[int, int]]:
    """(record, view) of the worst answers, at most one per record, the most wrong first."""
    answers = evaluation.answers
    wrong = np.where((answers.p > THRESHOLD) != answers.y, np.abs(answers.p - answers.y), 0.0)
    by_record = wrong.reshape(len(evaluation.records), -1)
    views, depths = by_record.argmax(axis=1), by_record.max(axis=1)
    order = np.argsort(-depths, kind="stable")[:most]
    return [(int(record), int(views[record])) for record in order if depths[record] > 0]


def sheet(evaluation: Evaluation, most: int = 12, columns: int = 4) -> bytes | None:
    """PNG of the worst mistakes; below each the truth, the answer, its origin and level. None without mistakes."""
    tiles = [_tile(evaluation, index, view) for index, view in worst(evaluation, most)]
    if not tiles:
        return None
    buffer = io.BytesIO()
    contact_sheet(tiles, min(columns, len(tiles)), LAYOUT).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _tile(evaluation: Evaluation, index: int, number: int) -> Tile:
    task, record = evaluation.task, evaluation.records[index]
    key, view = key_of(record, task.root), task.views[number]
    variant = show(challenge_media(record, key, task.seed), key, view, task.seed)
    picture = Image.fromarray(np.asarray(middle(variant))).resize((SIDE, SIDE))
    p = evaluation.answers.p.reshape(len(evaluation.records), -1)[index, number]
    lines = f"{record.label.name.lower()}, answered {p:.2f}", f"{record.origin}, level {view.level}"
    return Tile(picture, lines, INK[record.label])
