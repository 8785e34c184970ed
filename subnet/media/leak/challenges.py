"""What the leak meter is shown: challenges as miners get them, or the files of a data set as they lie there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from subnet.game.sampling import derive
from subnet.game.variant import render
from subnet.media.leak.meter import File
from subnet.media.pool.item import PoolItem
from subnet.media.pool.pool import Pool
from subnet.types import Label, Modality, Sample


def scene_of(sample: Sample) -> str:
    """The photo or clip that a sample shows: items of one scene, real or synthetic, must not judge each other."""
    about = sample.provenance
    return f"{about.source}/{about.parameters.get('source', about.item)}" if about.item else ""


def challenges(
    pool: Pool, modality: Modality, *, level: int | None = None, limit: int | None = None, seed: int = 0
) -> Iterator[File]:
    """Items of `pool` as one miner would get them: augmented and encoded, without a name or a time.

    At `level`, or at a random one each; at most `limit` of each label, origins in turn. Nothing is taken or recorded.
    """
    for label in Label:
        for item in _in_turn(pool, modality, label, limit):
            sample = pool.read(item)
            if sample is not None:
                rng = np.random.default_rng(derive(seed, item.id))
                drawn = int(rng.integers(4)) if level is None else level
                yield File(render(sample.media, drawn, rng), "", 0.0, label, scene_of(sample))


def _in_turn(pool: Pool, modality: Modality, label: Label, limit: int | None) -> list[PoolItem]:
    cells = [cell for cell in pool.cells() if (cell.modality, cell.label) == (modality, label)]
    return sorted((item for cell in cells for item in pool.items(cell)), key=lambda item: item.sequence)[:limit]


def files(entries: Iterable[tuple[Path, Label, str]]) -> Iterator[File]:
    """Files of a data set as they lie there, with name and time of change; the text is the group (see `File`)."""
    for path, label, group in entries:
        yield File(path.read_bytes(), path.name, path.stat().st_mtime, label, group)
