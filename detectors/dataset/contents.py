"""What shows the same content: items of one photograph, clip, pair or file, which count once and stay together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.dataset.folder_names import file_of
from detectors.dataset.items import DatasetItem
from subnet.media import embedded

Ints = NDArray[np.int64]


def numbers_of(keys: Iterable[Hashable]) -> Ints:
    """0.. for each distinct key, in the order of first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def connected_components(links: Sequence[Sequence[Hashable]]) -> Ints:
    """Clusters of items: two items that share any of their keys, or a chain of such, get the same number."""
    parent: dict[Hashable, Hashable] = {}

    def root(key: Hashable) -> Hashable:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for keys in links:
        for key in keys[1:]:
            parent[root(key)] = root(keys[0])
    return numbers_of(root(keys[0]) for keys in links)


def clusters(records: Sequence[DatasetItem]) -> Ints:
    """Numbers (N,): equal for what shows the same content, so that it counts once.

    That is: items of one pair, of one photograph or clip of the embedded set, or of one content as an index or the
    names in a folder tell it (`detectors.dataset.folder_names`): frames, crops and parts cut from one file, and twins
    by name.
    """
    photos = {item.id: item.source for item in embedded.items()}
    links = []
    for record in records:
        keys: list[tuple[str, str]] = []
        if record.item:
            keys.append(("photo", photos[record.item]) if record.item in photos else ("item", file_of(record.item)))
        if record.pair:
            keys.append(("pair", record.pair))
        links.append(keys or [("file", str(record.path))])
    return connected_components(links)
