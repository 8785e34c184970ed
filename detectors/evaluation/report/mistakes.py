"""The answers that were most wrong, as a contact sheet of what the detector saw."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from detectors.evaluation.answering import challenge_media, key_of, show
from detectors.evaluation.evaluation import Evaluation
from subnet.media.leak.appearance import middle
from subnet.types import Label

SIDE, CAPTION, GAP = 176, 34, 6  # pixels
INK = {Label.REAL: "#0072B2", Label.SYNTHETIC: "#B5179E"}


def worst(found: Evaluation, most: int = 12) -> list[tuple[int, int]]:
    """(record, view) of the worst answers, at most one per record, the most wrong first."""
    wrong = np.abs(found.answers.p - found.answers.y).reshape(len(found.records), -1)
    views = wrong.argmax(axis=1)
    order = np.argsort(-wrong.max(axis=1), kind="stable")[:most]
    return [(int(record), int(views[record])) for record in order if wrong[record].max() > 0.5]


def sheet(found: Evaluation, most: int = 12, columns: int = 4) -> bytes | None:
    """PNG of the worst mistakes; below each the truth, the answer, its origin and level. None without mistakes."""
    cells = worst(found, most)
    if not cells:
        return None
    columns = min(columns, len(cells))
    rows = -(-len(cells) // columns)
    size = (columns * (SIDE + GAP) + GAP, rows * (SIDE + CAPTION + GAP) + GAP)
    canvas = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(11)
    for number, (index, view) in enumerate(cells):
        record = found.records[index]
        key, seed = key_of(record, found.task.root), found.task.seed
        seen = show(challenge_media(record, key, seed), key, found.task.views[view], seed)
        left = GAP + number % columns * (SIDE + GAP)
        top = GAP + number // columns * (SIDE + CAPTION + GAP)
        canvas.paste(Image.fromarray(np.asarray(middle(seen))).resize((SIDE, SIDE)), (left, top))
        p = found.answers.p.reshape(len(found.records), -1)[index, view]
        lines = (
            f"{record.label.name.lower()}, answered {p:.2f}",
            f"{record.origin}, level {found.task.views[view].level}",
        )
        for line, text in enumerate(lines):
            draw.text((left, top + SIDE + 2 + 14 * line), text[:30], INK[record.label], font=font)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
