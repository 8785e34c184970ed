"""Which items of a data set are judged, and what belongs together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from detectors.dataset.cuts import Spread, in_threads
from detectors.dataset.items import DatasetItem, both_classes, stored_bytes
from subnet.codec.image import stored_size
from subnet.errors import DataError, MediaError, MediaUnreadable
from subnet.media import embedded
from subnet.types import Label, Modality


def select(
    records: Sequence[DatasetItem],
    modality: Modality,
    limit: int | None,
    seed: int,
    what: str,
    *,
    reals_alone: bool = False,
) -> list[DatasetItem]:
    """At most `limit` items of a modality: half of them real, origins of fakes equally often, twins together.

    With `reals_alone` kinds of reals equally often, what shows the same together. Without a limit all items, in their
    order. Raises DataError when a class is missing that is needed.
    """
    kept = [record for record in records if record.modality is modality]
    if not kept:
        raise DataError(f"data: {what} holds no {modality}s; give a data set with them, or another detector")
    if not reals_alone:
        both_classes(kept, what)
    if limit is None or limit >= len(kept):
        return kept
    if reals_alone:
        return _of_each_kind(kept, limit, seed)
    if limit < 2:
        raise DataError(f"limit: at least 2 items are needed, one of each class, not {limit}")
    rng = np.random.default_rng([seed, 3])
    groups: dict[str, list[DatasetItem]] = defaultdict(list)
    reals = [kept[i] for i in rng.permutation(len(kept)) if kept[i].label is Label.REAL]
    for index in rng.permutation(len(kept)):
        if kept[index].label is Label.SYNTHETIC:
            groups[kept[index].origin].append(kept[index])
    queues = [group for _, group in sorted(groups.items())]
    longest = max(map(len, queues))
    fakes = [queue[i] for i in range(longest) for queue in queues if i < len(queue)][: max(1, limit // 2)]
    wanted = {record.pair for record in fakes if record.pair}
    reals.sort(key=lambda record: record.pair not in wanted)
    chosen = {id(record) for record in [*fakes, *reals[: limit - len(fakes)]]}
    return [record for record in kept if id(record) in chosen]


def _of_each_kind(reals: Sequence[DatasetItem], limit: int, seed: int) -> list[DatasetItem]:
    """Kinds take turns; of each the items of one content, by chance, as long as they are at most `limit`."""
    order = np.random.default_rng([seed, 6]).permutation(len(reals)).tolist()
    kinds: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for at in order:
        kinds[reals[at].origin][reals[at].item].append(at)
    queues = [list(contents.values()) for _, contents in sorted(kinds.items())]
    chosen: set[int] = set()
    for turn in range(max(map(len, queues))):
        for queue in queues:
            if turn < len(queue) and len(chosen) + len(queue[turn]) <= limit:
                chosen.update(queue[turn])
    return [record for at, record in enumerate(reals) if at in chosen]


def sources(records: Sequence[DatasetItem]) -> list[str]:
    """Where the content of each item comes from: the origin of a real item, for the embedded set with its subject.

    A twin has the source of its real item; "" for a synthetic item without one.
    """
    subjects = {item.id: item.category for item in embedded.items()}
    named = {
        record.pair or str(record.path): _source(record, subjects) for record in records if record.label is Label.REAL
    }
    return [
        _source(record, subjects) if record.label is Label.REAL else named.get(record.pair, "") if record.pair else ""
        for record in records
    ]


def _source(record: DatasetItem, subjects: dict[str, str]) -> str:
    return f"{record.origin}: {subjects[record.item]}" if record.item in subjects else record.origin


def sizes(records: Sequence[DatasetItem], spread: Spread = in_threads) -> tuple[list[int], list[int]]:
    """The shorter side of each image as stored, in pixels, and the bytes of each file.

    The side is 0 for clips and for files whose header does not say, both are 0 for what cannot be read.
    """
    pairs = spread(_sizes, records)
    return [side for side, _ in pairs], [count for _, count in pairs]


def _sizes(record: DatasetItem) -> tuple[int, int]:
    try:
        data = stored_bytes(record)
    except (OSError, MediaError):
        return 0, 0
    if record.modality is Modality.VIDEO:
        return 0, len(data)
    try:
        return min(stored_size(data)), len(data)
    except MediaUnreadable:
        return 0, len(data)
