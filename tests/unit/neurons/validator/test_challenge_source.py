"""Waiting for media, and drawing it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from neurons.validator.challenge_source import await_media, draw_challenge
from subnet.errors import SourceEmpty
from subnet.game.sampling import RoundPlan
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Pool
from subnet.types import Label, Media, Modality, Provenance, Sample

WANTED = RoundPlan(0, Modality.IMAGE, Label.REAL, "here", 0, 7, ("m1", "m2"))
CELL = Cell(Modality.IMAGE, Label.REAL, "here")
PIXELS = np.random.default_rng(1).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)


def put(pool: Pool) -> None:
    pool.put(Sample(Media(PIXELS), Label.REAL, Provenance("here", "one")), stream="main", sequence=0)


def test_waiting_ends_when_the_item_comes(tmp_path: Path) -> None:
    """It asks nobody anything: the item is there to be drawn, once."""
    pool = Pool(tmp_path)
    threading.Timer(0.2, put, [pool]).start()
    await_media(pool, WANTED, patience=20.0, stopping=lambda: False)
    assert draw_challenge(pool, WANTED, substitute=False).sample.label is Label.REAL
    assert not pool.has(CELL, WANTED.hotkeys)
    with pytest.raises(SourceEmpty, match="image/real/here"):
        draw_challenge(pool, WANTED, substitute=False)


@pytest.mark.parametrize(("patience", "stops"), [(0.1, False), (60.0, True)], ids=["patience", "a stop"])
def test_waiting_has_an_end(tmp_path: Path, patience: float, stops: bool) -> None:
    """After its patience, and at once where the program is to stop; the drawing then says what is missing."""
    began = time.monotonic()
    await_media(Pool(tmp_path), WANTED, patience=patience, stopping=lambda: stops)
    assert time.monotonic() - began < 30.0
