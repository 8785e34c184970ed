"""The items of an exam as they are shown: as they are stored, or as a validator would send them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from detectors.claims.sitting import Picture
from detectors.dataset.contents import clusters
from detectors.dataset.items import DatasetItem, load_media
from detectors.evaluation.answering import variants, views_of
from detectors.whole_picture import fineness_of


def shown(records: Sequence[DatasetItem], root: Path, levels: Sequence[int], seed: int) -> Iterator[Picture]:
    """Every record as it is stored, or once at each of `levels`. Raises DataError for an item that cannot be read."""
    views = views_of(levels) if levels else ()
    for record, content in zip(records, clusters(records).tolist(), strict=True):
        media = variants(record, views, root, seed) if views else [load_media(record)]
        for each in media:
            yield Picture(each, record.label, record.origin, int(content))


def stored_fineness(records: Sequence[DatasetItem]) -> list[float]:
    """How fine the detail is of all records that are told apart by that, as they are stored. Raises DataError."""
    found = (fineness_of(load_media(record)) for record in records)
    return [each for each in found if each is not None]


def manner(levels: Sequence[int]) -> str:
    """In words."""
    return f"at levels {', '.join(map(str, levels))}" if levels else "as stored"
