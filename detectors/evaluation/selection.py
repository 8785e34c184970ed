"""Which items of a data set are judged, and what belongs together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePath

import numpy as np

from detectors.data import IMAGES, SIDES, VIDEOS, DatasetItem, both_classes
from detectors.evaluation.intervals import connected_components
from detectors.evaluation.metrics import Ints
from subnet.codec.image_header import read_header
from subnet.errors import DataError, MediaUnreadable
from subnet.media import embedded
from subnet.types import Label, Modality

_COUNTED = re.compile(
    r"(?P<rest>.*[^ _.-])[ _.-]+"
    r"(?:frame|frm|fr|f|face|crop|tile|patch|clip|cut|part|segment|seg|scene|shot|chunk)[ _.-]*\d+",
    re.IGNORECASE,
)


def select(
    records: Sequence[DatasetItem], modality: Modality, limit: int | None, seed: int, what: str
) -> list[DatasetItem]:
    """At most `limit` items of a modality: half of them real, origins of fakes equally often, twins together.

    Without a limit all items, in their order. Raises DataError when a class is missing.
    """
    kept = [record for record in records if record.modality is modality]
    if not kept:
        raise DataError(f"data: {what} holds no {modality}s; give a data set with them, or another detector")
    both_classes(kept, what)
    if limit is None or limit >= len(kept):
        return kept
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


def clip_of(name: str) -> str:
    """What a file was cut from, by its name without suffix: "clip3_frame012" and "clip3_frame013" are both of "clip3".

    Ends that count are taken off where the word before the number says so (frame, crop, clip, part and the like): bare
    numbers may as well count photographs.
    """
    while (counted := _COUNTED.fullmatch(name)) is not None:
        name = counted["rest"]
    return name


def clusters(records: Sequence[DatasetItem]) -> Ints:
    """Numbers (N,): equal for what shows the same content, so that it counts once.

    That is: items of one pair or one item; of one photograph or clip of the embedded set; in folders without an index
    frames, crops and parts cut from one file, and a fake with the real of its name where only one real has it.
    """
    photos = {item.id: item.source for item in embedded.items()}
    namesakes: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if record.label is Label.REAL and _by_path(record):
            namesakes[_content(record)].add(record.origin)
    links = []
    for record in records:
        keys: list[tuple[str, str]] = []
        if record.item in photos:
            keys.append(("photo", photos[record.item]))
        elif _by_path(record):
            content = _content(record)
            keys.append(("content", f"{record.label.name}/{record.origin}/{content}"))
            if record.label is Label.SYNTHETIC and len(namesakes[content]) == 1:
                keys.append(("content", f"{Label.REAL.name}/{next(iter(namesakes[content]))}/{content}"))
        elif record.item:
            keys.append(("item", _source_file(record.item)))
        if record.pair:
            keys.append(("pair", record.pair))
        links.append(keys or [("file", str(record.path))])
    return connected_components(links)


def _by_path(record: DatasetItem) -> bool:
    """Whether the item is named by its place in a folder without an index."""
    return bool(record.item) and record.path.as_posix().endswith("/" + PurePath(record.item).as_posix())


def _source_file(item: str) -> str:
    """The name that an index gives an item; that of the file it was cut from, where the name is a media file's."""
    path = PurePath(item)
    return str(path.with_name(clip_of(path.stem))) if path.suffix.lower() in IMAGES | VIDEOS else item


def _content(record: DatasetItem) -> str:
    """The place below side and origin, less what counts frames: bare numbers too, in a folder of their own."""
    parts = PurePath(record.item).parts
    at = next((i for i, part in enumerate(parts) if SIDES.get(part.lower()) is record.label), -1)
    below = parts[at + 2 :] if at + 2 < len(parts) else parts[at + 1 :]
    folder, name = "/".join(below[:-1]), PurePath(below[-1]).stem
    if folder and name.isdigit():
        return folder
    return f"{folder}/{clip_of(name)}" if folder else clip_of(name)


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


def sizes(records: Sequence[DatasetItem]) -> list[int]:
    """The shorter side of each image as stored, in pixels; 0 for clips and for files whose header does not say."""
    return [_size(record) for record in records]


def _size(record: DatasetItem) -> int:
    if record.modality is Modality.VIDEO:
        return 0
    try:
        header = read_header(record.path.read_bytes())
    except (OSError, MediaUnreadable) as error:
        raise DataError(f"data: {record.path} cannot be read: {error}") from error
    return min(header.width, header.height)
