"""What training holds in memory of its data: all of it where it fits, else a window after another.

A window is a part of the data in the order of `detectors.dataset.order`, for a fixed number of steps. Its batches
follow from the seed and the step alone, so that a run goes on at any step with the batches that it would have had;
decoded is what the batches of this rank draw. The next window is read while one is trained on: both are within the
memory that was asked for. Items that cannot be read are told, and others drawn in their place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from torch.utils.data import DataLoader

from detectors.dataset.cuts import THREADS, challenge_media, key_of, media_or_flaw, pixel_bytes
from detectors.dataset.items import DatasetItem, Tell, stored_file
from detectors.dataset.order import windows
from detectors.training.batches import Batch, Batches
from subnet.errors import DataError
from subnet.types import Media

GIB = 2**30
SMALLEST = 64  # items of a window
FEWEST_READ = 100  # items, before too many of no use end a run
MOST_LOST = 0.5  # of the items that were read
Make = Callable[..., Batches]  # of records and what gives their pixels; takes `usable`, too


def window_items(records: Sequence[DatasetItem], memory: float) -> int | None:
    """Items of a window where two of them fit into `memory` GiB; None where all of `records` do at once."""
    size = pixel_bytes(records[0].modality)
    return None if len(records) * size <= memory * GIB else max(SMALLEST, int(memory * GIB / 2 / size))


class Supply:
    """The batches of every step, from any step on. `window` is items of a window; None holds all of `records`.

    `root` is the folder that the names of items are relative to, `pairs` how many each step draws over all ranks.
    """

    def __init__(
        self,
        records: Sequence[DatasetItem],
        make: Make,
        root: Path,
        *,
        steps: int,
        pairs: int,
        seed: int,
        window: int | None,
        tell: Tell,
    ) -> None:
        self._records, self._make, self._root, self._steps, self._seed = records, make, root, steps, seed
        self._size, self._tell = window, tell
        self._length = steps if window is None else max(1, window // (2 * pairs))
        self._flaws: dict[Path, str] = {}
        self._read = 0

    def batches(self, first: int, workers: int) -> Iterator[tuple[int, Batch]]:
        """Step and batch, from step `first` to the last."""
        for start, made in self._windows(first):
            steps = range(max(first, start), min(self._steps, start + self._length))
            loader = DataLoader(
                made,
                batch_size=None,
                sampler=steps,
                num_workers=workers,
                prefetch_factor=4 if workers else None,
            )
            yield from zip(steps, loader, strict=True)

    def _windows(self, first: int) -> Iterator[tuple[int, Batches]]:
        """The first step of each window and its batches, from the window of step `first` on."""
        if self._size is None:
            pixels = {each.path: challenge_media(each, self._key(each), self._seed) for each in self._records}
            yield 0, self._make(self._records, lambda record: pixels[record.path])
            return
        number = first // self._length
        parts = islice(windows(self._records, self._size, seed=self._seed), number, None)
        with ThreadPoolExecutor(1, thread_name_prefix="window") as ahead:
            coming: Future[Batches] = ahead.submit(self._load, parts, number)
            for start in range(number * self._length, self._steps, self._length):
                made = coming.result()
                if start + self._length < self._steps:
                    coming = ahead.submit(self._load, parts, start // self._length + 1)
                yield start, made

    def _load(self, parts: Iterator[Sequence[DatasetItem]], number: int) -> Batches:
        """The batches of a window with the pixels that its steps draw. Raises DataError where most are of no use."""
        records, pixels = next(parts), dict[Path, Media]()
        steps = range(number * self._length, min(self._steps, (number + 1) * self._length))
        made = self._make(records, lambda record: pixels[record.path], usable=self._is_sound)
        if made.needs_all:
            self._decode(list(records), pixels)
            return self._make(list(filter(self._is_sound, records)), lambda record: pixels[record.path])
        while missing := {each.path: each for each in _drawn(made, steps) if each.path not in pixels}:
            self._decode(list(missing.values()), pixels)  # of which some may be of no use, and others are drawn
        return made

    def _is_sound(self, record: DatasetItem) -> bool:
        return record.path not in self._flaws

    def _decode(self, records: list[DatasetItem], pixels: dict[Path, Media]) -> None:
        """Fill in the pixels of `records`, read in the order in which they lie on the disk."""
        records.sort(key=lambda record: (stored_file(record), record.at or 0))
        with ThreadPoolExecutor(THREADS, thread_name_prefix="decode") as pool:
            found = list(pool.map(lambda each: media_or_flaw(each, self._key(each), self._seed), records))
        flaws = {each.path: what for each, what in zip(records, found, strict=True) if isinstance(what, str)}
        pixels |= {each.path: what for each, what in zip(records, found, strict=True) if not isinstance(what, str)}
        self._read += len(records)
        self._flaws |= flaws
        for reason, many in Counter(flaws.values()).most_common():
            example = next(path for path in flaws if flaws[path] == reason)
            self._tell(f"left out {many:,} of {len(records):,} items that were drawn: {reason} ({example})")
        if self._read >= FEWEST_READ and len(self._flaws) > MOST_LOST * self._read:
            raise DataError(
                f"data: {len(self._flaws):,} of the {self._read:,} items read so far are of no use, such as {example}: "
                f"{reason}; the state of the run is kept: mend the data and go on with --resume"
            )

    def _key(self, record: DatasetItem) -> str:
        return key_of(record, self._root)


def _drawn(made: Batches, steps: range) -> list[DatasetItem]:
    return [each for step in steps for draw in made.draws(step) for each in (draw.real, draw.fake)]
