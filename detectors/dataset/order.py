"""The order in which a data set that does not fit in memory is read: in blocks of contents, shuffled, kinds in turn.

A content is what shows one photograph or clip, so that twins come together; a block is a few that lie side by side in
a shard. `datasets` shuffles shards and blocks by the seed (its `IterableDataset`, with a buffer), and mixes the kinds:
each generator alike, and as many reals without a fake of theirs. After the longest kind has come to its end everything
is shuffled again and goes on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from detectors.dataset.contents import clusters
from detectors.dataset.items import DatasetItem, stored_file
from subnet.types import Label

BLOCK = 16  # contents that are read one after another
BUFFER = 64  # blocks among which one is drawn
TURNS = 8  # blocks of a kind in a window, at least
FILES = 64  # blocks of loose files that count as a shard
Block = tuple[int, ...]  # places of items


def windows(records: Sequence[DatasetItem], size: int, *, seed: int) -> Iterator[list[DatasetItem]]:
    """At least `size` items at a time, both classes among them, without end: the same for the same seed and records.

    Both classes must be among `records`.
    """
    stream = _blocks(records, size, seed)
    while True:
        window: list[DatasetItem] = []
        while len(window) < size or len({record.label for record in window}) < len(Label):
            window += next(stream)
        yield window


def _blocks(records: Sequence[DatasetItem], size: int, seed: int) -> Iterator[list[DatasetItem]]:
    from datasets import interleave_datasets

    kinds = _kinds(records, size)
    shards = list(kinds.values())
    streams = [_stream(number, homes, seed) for number, homes in enumerate(shards)]
    generators = max(1, sum(1 for kind in kinds if kind))
    shares = np.array([1.0 if kind else generators for kind in kinds])
    mixed = streams[0]
    if len(streams) > 1:
        odds = (shares / shares.sum()).tolist()
        mixed = interleave_datasets(streams, probabilities=odds, seed=seed, stopping_strategy="all_exhausted")
    for epoch in count():
        mixed.set_epoch(epoch)
        for at in mixed:
            yield [records[place] for place in shards[at["kind"]][at["shard"]][at["block"]]]


def _stream(kind: int, homes: list[list[Block]], seed: int) -> Any:
    from datasets import IterableDataset

    places = {"shards": [(kind, number, len(home)) for number, home in enumerate(homes)]}
    return IterableDataset.from_generator(_places, gen_kwargs=places).shuffle(seed=seed + kind, buffer_size=BUFFER)


def _places(shards: list[tuple[int, int, int]]) -> Iterator[dict[str, int]]:
    for kind, number, many in shards:
        for block in range(many):
            yield {"kind": kind, "shard": number, "block": block}


def _kinds(records: Sequence[DatasetItem], size: int) -> dict[str, list[list[Block]]]:
    """Blocks by shard, by the rarest generator in their contents; "" is for contents that are real alone.

    Blocks are small enough for each kind to come up several times in a window of `size` items.
    """
    many = Counter(record.origin for record in records if record.label is Label.SYNTHETIC)
    contents: dict[int, list[int]] = defaultdict(list)
    for place, number in enumerate(clusters(records).tolist()):
        contents[number].append(place)
    kinds: dict[str, dict[Path, list[list[int]]]] = defaultdict(lambda: defaultdict(list))
    loose: Counter[str] = Counter()
    for places in contents.values():
        origins = {records[place].origin for place in places if records[place].label is Label.SYNTHETIC}
        kind = min(origins, key=lambda origin: (many[origin], origin), default="")
        first = records[places[0]]
        if first.at is None:
            loose[kind] += 1
        home = stored_file(first) if first.at is not None else Path(str(loose[kind] // (FILES * BLOCK)))
        kinds[kind][home].append(places)
    most = size * len(contents) // (TURNS * len(kinds) * len(records))
    block = min(BLOCK, max(1, most))
    return {
        kind: [_in_blocks(shards[home], block) for home in sorted(shards)] for kind, shards in sorted(kinds.items())
    }


def _in_blocks(contents: list[list[int]], block: int) -> list[Block]:
    parts = (contents[start : start + block] for start in range(0, len(contents), block))
    return [tuple(place for places in part for place in places) for part in parts]
