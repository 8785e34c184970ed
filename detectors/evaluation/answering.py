"""Detectors on a data set, shown exactly what a validator would send: cut, augment, encode, decode, predict.

What is shown of an item follows from (seed, item, view) alone: the same for every detector, on every machine. Media are
made in threads while the network works. Answers can be kept as they come, and asking goes on where it was ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path

import numpy as np

from detectors.dataset.cuts import held, key_of, reason_of, usable_media
from detectors.dataset.items import DatasetItem
from detectors.evaluation.frame_order import reordered
from detectors.evaluation.keeping import KeptAnswers
from detectors.evaluation.metrics import Floats
from subnet.errors import DataError
from subnet.game.augment import LEVELS, distort
from subnet.game.sampling import derive
from subnet.game.variant import render, variant_frames
from subnet.protocols import Detector
from subnet.types import Media

Progress = Callable[[int], None]  # variants judged so far
BATCH = 32  # variants of a batch
Shown = list[Media] | str  # one item in all views, or why it cannot be read


@dataclass(frozen=True)
class View:
    """One way to show an item: at a level, after a distortion chain of `strength` 0..1 where one is named.

    With `blank` every pixel of the stored picture or clip is black before anything is done to it: its size, the number
    of its frames, its place in the order and the parameters of the augmentation are those of the item. A `form` shows
    the frames of the same variant in another order (`detectors.evaluation.frame_order`).
    """

    level: int = 0
    chain: str = ""
    strength: float = 0.0
    blank: bool = False
    form: str = ""


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
    media = usable_media(record)
    shown = {blank: held(_blanked(media) if blank else media, key, seed) for blank in {view.blank for view in views}}
    return [show(shown[view.blank], key, view, seed) for view in views]


def _blanked(media: Media) -> Media:
    return replace(media, frames=np.zeros_like(media.frames))


def score(
    detectors: Sequence[Detector],
    records: Sequence[DatasetItem],
    views: Sequence[View],
    root: Path,
    *,
    seed: int = 0,
    batch: int = BATCH,
    workers: int = 2,
    progress: Progress = lambda done: None,
) -> Floats:
    """P(synthetic) of every detector for every view of every record: (D, records, views).

    Raises DataError for an item that cannot be read.
    """
    p, lost = ask(detectors, records, views, root, seed=seed, batch=batch, workers=workers, progress=progress)
    for row, reason in lost.items():
        raise DataError(f"data: {records[row].path} cannot be read: {reason}")
    return p


def ask(
    detectors: Sequence[Detector],
    records: Sequence[DatasetItem],
    views: Sequence[View],
    root: Path,
    *,
    seed: int = 0,
    batch: int = BATCH,
    workers: int = 2,
    progress: Progress = lambda done: None,
    kept: KeptAnswers | None = None,
    in_forms: Collection[int] = (),
) -> tuple[Floats, dict[int, str]]:
    """The answers (D, records, views), and for each record that cannot be read, whose answers are NaN, the reason.

    Batches begin at the same records whether or not answers are at hand from a run that was ended, so that a network
    whose last digits depend on its batch says the same. Plain views, blank ones and forms are never in one batch. Only
    records with numbers `in_forms` are shown in forms; those of others are NaN.
    """
    keys = [key_of(record, root) for record in records]
    together = records_of_batch(views, batch)
    p = np.full((len(detectors), len(records), len(views)), np.nan)
    lost: dict[int, str] = {}
    done = kept.restore(keys, together, p, lost) if kept else 0
    progress(done * len(views))
    coming = _ahead(records[done:], without_forms(views), root, seed, workers)
    while rows := list(islice(coming, together)):
        block = slice(done, done + len(rows))
        p[:, block], unread = answer(detectors, views, rows, {row - done for row in in_forms})
        lost |= {done + at: why for at, why in unread.items()}
        if kept:
            kept.keep(keys[block], p[:, block], unread)
        done += len(rows)
        progress(done * len(views))
    return p, lost


def without_forms(views: Sequence[View]) -> list[View]:
    """The views that are made of an item itself; a form is another order of the frames of one of them."""
    return [view for view in views if not view.form]


def records_of_batch(views: Sequence[View], batch: int = BATCH) -> int:
    """How many records are judged together, so that about `batch` variants are."""
    return -(-batch // sum(not view.blank for view in without_forms(views)))


def answer(
    detectors: Sequence[Detector], views: Sequence[View], rows: Sequence[Shown], in_forms: Collection[int] = ()
) -> tuple[Floats, dict[int, str]]:
    """The answers (D, rows, views) to one batch, NaN for what cannot be read, and the reasons by place.

    `rows` are shown `without_forms(views)`; `in_forms` are places of those that are asked about in forms, too.
    """
    p = np.full((len(detectors), len(rows), len(views)), np.nan)
    made = without_forms(views)
    media = {at: dict(zip(made, shown, strict=True)) for at, shown in enumerate(rows) if not isinstance(shown, str)}
    for of_one, detector in zip(p, detectors, strict=True):
        _answer(detector, views, media, of_one, in_forms)
    return p, {at: shown for at, shown in enumerate(rows) if isinstance(shown, str)}


def _answer(
    detector: Detector,
    views: Sequence[View],
    media: Mapping[int, Mapping[View, Media]],
    p: Floats,
    in_forms: Collection[int],
) -> None:
    """Write the answers to `media`, by row and view, into `p` (records, views)."""
    for (_, form), group in groupby(range(len(views)), lambda column: (views[column].blank, views[column].form)):
        columns = list(group)
        rows = [row for row in media if not form or row in in_forms]
        asked = [reordered(media[row][replace(views[column], form="")], form) for row in rows for column in columns]
        if asked:
            given = [prediction.p_synthetic for prediction in detector.predict(asked)]
            p[np.ix_(rows, columns)] = np.reshape(given, (len(rows), len(columns)))


def show_item(record: DatasetItem, views: Sequence[View], root: Path, seed: int) -> Shown:
    """One item in all views, or why it cannot be read."""
    try:
        return variants(record, views, root, seed)
    except DataError as error:
        return reason_of(error)


def _ahead(
    records: Sequence[DatasetItem], views: Sequence[View], root: Path, seed: int, workers: int
) -> Iterator[Shown]:
    """What is shown, or why not, in order, a few items ahead of who asks."""
    with ThreadPoolExecutor(workers, thread_name_prefix="show") as pool:
        work = iter(records)
        pending: deque[Future[Shown]] = deque()
        try:
            while True:
                for record in islice(work, 4 * workers - len(pending)):
                    pending.append(pool.submit(show_item, record, views, root, seed))
                if not pending:
                    return
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
