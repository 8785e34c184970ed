"""Detectors on a data set, shown exactly what a validator would send: cut, augment, encode, decode, predict.

What is shown of an item follows from (seed, item, view) alone: the same for every detector, on every machine. Media are
made in threads while the network works.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from detectors.dataset.cuts import challenge_media, key_of
from detectors.dataset.items import DatasetItem
from detectors.evaluation.metrics import Floats
from subnet.errors import DataError
from subnet.game.augment import LEVELS, distort
from subnet.game.sampling import derive
from subnet.game.variant import render, variant_frames
from subnet.protocols import Detector
from subnet.types import Media

Progress = Callable[[int], None]  # variants judged so far


@dataclass(frozen=True)
class View:
    """One way to show an item: at a level, after a distortion chain of `strength` 0..1 where one is named."""

    level: int = 0
    chain: str = ""
    strength: float = 0.0


def views_of(levels: Sequence[int]) -> tuple[View, ...]:
    """A view per level. Raises DataError for a level that is not there, or for none."""
    wrong = [level for level in levels if level not in LEVELS]
    if wrong or not levels:
        raise DataError(f"levels: {wrong or 'none'} given; choose from {', '.join(map(str, LEVELS))}")
    return tuple(View(level) for level in dict.fromkeys(levels))


def show(media: Media, key: str, view: View, seed: int) -> Media:
    """What a miner would see of `media` in this view."""
    media, rng = _distorted(media, key, view, seed)
    return variant_frames(media, view.level, rng)


def encoded_size(media: Media, key: str, view: View, seed: int) -> int:
    """Bytes of the file that a miner would get of `media` in this view."""
    media, rng = _distorted(media, key, view, seed)
    return len(render(media, view.level, rng))


def _distorted(media: Media, key: str, view: View, seed: int) -> tuple[Media, np.random.Generator]:
    rng = np.random.default_rng(derive(seed, key, view.level, view.chain, round(view.strength, 6)))
    if view.chain:
        media = Media(distort(media.frames, view.chain, view.strength, rng), media.fps)
    return media, rng


def variants(record: DatasetItem, views: Sequence[View], root: Path, seed: int) -> list[Media]:
    """One item in all views."""
    key = key_of(record, root)
    media = challenge_media(record, key, seed)
    return [show(media, key, view, seed) for view in views]


def score(
    detectors: Sequence[Detector],
    records: Sequence[DatasetItem],
    views: Sequence[View],
    root: Path,
    *,
    seed: int = 0,
    batch: int = 32,
    workers: int = 2,
    progress: Progress = lambda done: None,
) -> Floats:
    """P(synthetic) of every detector for every view of every record: (D, records, views).

    Raises DataError for an item that cannot be read.
    """
    answers = np.empty((len(detectors), len(records) * len(views)))
    waiting: list[Media] = []
    done = 0

    def flush() -> None:
        nonlocal done
        for row, detector in zip(answers, detectors, strict=True):
            row[done : done + len(waiting)] = [prediction.p_synthetic for prediction in detector.predict(waiting)]
        done += len(waiting)
        waiting.clear()
        progress(done)

    for media in _ahead(records, views, root, seed, workers):
        waiting.extend(media)
        if len(waiting) >= batch:
            flush()
    if waiting:
        flush()
    return answers.reshape(len(detectors), len(records), len(views))


def _ahead(
    records: Sequence[DatasetItem], views: Sequence[View], root: Path, seed: int, workers: int
) -> Iterator[list[Media]]:
    """Shown media in order, a few items ahead of who asks."""
    with ThreadPoolExecutor(workers, thread_name_prefix="show") as pool:
        work = iter(records)
        pending: deque[Future[list[Media]]] = deque()
        try:
            while True:
                for record in islice(work, 4 * workers - len(pending)):
                    pending.append(pool.submit(variants, record, views, root, seed))
                if not pending:
                    return
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
