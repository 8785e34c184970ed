"""Chain, pool and disks as they are at the moment somebody reads the metrics, however the rounds go."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from subnet.media.pool.item import Cell
from subnet.types import Label, Modality


class HostCollector(Collector):
    """Read at every scrape, in the metrics server's thread. What a disk refuses to tell is left out of that scrape.

    `age` gives the seconds since the chain was read, `levels` the items of each cell of the pool; `folders` are the
    folders, by a short name, on whose disks there must be room.
    """

    def __init__(
        self, age: Callable[[], float], levels: Callable[[], Mapping[Cell, int]], folders: Mapping[str, Path]
    ) -> None:
        self._age, self._levels, self._folders = age, levels, folders

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("assay_snapshot_age_seconds", "Seconds since the chain was read", value=self._age())
        pool = GaugeMetricFamily("assay_pool_items", "Items ready in the pool", labels=["modality", "label"])
        for (modality, label), count in self._counts().items():
            pool.add_metric([modality.value, label.name.lower()], count)
        yield pool
        disk = GaugeMetricFamily("assay_disk_free_bytes", "Free space on the folder's disk", labels=["folder"])
        for name, free in self._free().items():
            disk.add_metric([name], free)
        yield disk

    def _counts(self) -> dict[tuple[Modality, Label], int]:
        """Items by kind, every kind told: none of one is what an alert must hear of."""
        counts = dict.fromkeys(product(Modality, Label), 0)
        try:
            for cell, count in self._levels().items():
                counts[cell.modality, cell.label] += count
        except OSError:
            return {}
        return counts

    def _free(self) -> dict[str, int]:
        free = {}
        for name, folder in self._folders.items():
            try:
                free[name] = shutil.disk_usage(folder).free
            except OSError:
                continue
        return free
