"""Features of a frozen tower from a Ray cluster: the rows that one process computes, kept before a head is fitted.

Tasks show items, actors with the tower in them compute features of as many together as one process would, and the
program alone writes them, in order. A worker that dies has its chunk done again; what is kept is not computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from detectors.cluster.flow import Crew, check_data, flow, spread
from detectors.dataset.items import Tell, read_folder
from detectors.training.feature_cache import CHUNK, FeatureCache, Floats32, Shown, computed, usable
from detectors.training.fitting import below_head, frozen, in_turns, once
from detectors.training.loop import Progress, Training, held_out, paced, wanted
from detectors.training.recipes import recipe
from subnet.errors import CheckpointError
from subnet.types import Media

T = TypeVar("T")


@dataclass(frozen=True)
class Chunk(Generic[T]):
    """Items that are computed together, by key: how they are shown, then what is seen, then features."""

    number: int
    items: Mapping[bytes, T]


def gather(settings: Training, crew: Crew, report: Callable[[Progress], None], tell: Tell) -> None:
    """Keep in `settings.features` whatever `train_fitted` will ask for of `settings`, whose body is given.

    Items that cannot be read are left to it. Raises DataError, CheckpointError, and SettingsError for features of
    another tower.
    """
    assert settings.features is not None
    chosen = recipe(settings.detector)
    learn = wanted(read_folder(settings.data, tell), chosen, settings)
    judged = held_out(settings, chosen, tell)
    tower = frozen(below_head(settings, chosen)[0])
    cache = FeatureCache(settings.features, tower)
    missing = [*_missing(cache, in_turns(learn, chosen, settings)), *_missing(cache, once(judged, settings))]
    chunks = [Chunk(number, items) for number, items in enumerate(missing)]
    if not chunks:
        return
    tick = paced(report, sum(len(each.items) for each in chunks))
    done = 0
    for found in in_order(flow(chunks, show, partial(Tower, settings, tower.sha256), crew)):
        cache.add(found.items)
        done += len(chunks[found.number].items)
        tick(done)


def _missing(cache: FeatureCache, shown: Sequence[Shown]) -> Iterator[dict[bytes, Shown]]:
    """What is not kept of `shown`, cut where one process would cut it."""
    keys = spread(Shown.key, shown)
    for start in range(0, len(shown), CHUNK):
        if new := cache.new(keys[start : start + CHUNK], shown[start : start + CHUNK]):
            yield new


def in_order(chunks: Iterator[Chunk[T]]) -> Iterator[Chunk[T]]:
    """Chunks by their numbers from 0 on, whatever order they come in."""
    waiting: dict[int, Chunk[T]] = {}
    due = 0
    for each in chunks:
        waiting[each.number] = each
        while due in waiting:
            yield waiting.pop(due)
            due += 1


def show(chunk: Chunk[Shown]) -> Chunk[Media]:
    """What is seen of those items that can be read. Raises DataError on a host without the data."""
    for root in {each.root for each in chunk.items.values()}:
        check_data(root)
    return Chunk(chunk.number, usable({key: each.media() for key, each in chunk.items.items()}))


class Tower:
    """Computes features of chunks."""

    def __init__(self, settings: Training, sha256: str) -> None:
        """Raises CheckpointError where this host has another tower than the one with `sha256`."""
        self._tower = frozen(below_head(settings, recipe(settings.detector))[0])
        if self._tower.sha256 != sha256:
            raise CheckpointError(
                f"--tower: a host of the cluster has another one ({self._tower.sha256[:12]}, not {sha256[:12]}); every "
                "host has to see the same"
            )

    def __call__(self, chunk: Chunk[Media]) -> Chunk[Floats32]:
        return Chunk(chunk.number, computed(self._tower, chunk.items))
