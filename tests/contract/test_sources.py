"""Every row of the table of public data sets: complete, and drawn from as the hub would serve it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from subnet.codec import image as codec
from subnet.media.hub.catalog import SOURCES, SourceRow
from subnet.media.hub.client import Hub
from subnet.media.hub.source import HubSource
from subnet.types import Label, Modality
from tests.unit.subnet.media.hub.hub_server import HubServer, serve
from tests.unit.subnet.media.hub.shard_files import media_bytes, shard_bytes

PATHS = {
    "parquet": "data/train-00000-of-00001.parquet",
    "OpenVid-1M": "OpenVid_part7.zip",
    "imagenet-vidvrd": "vidvrd-videos.zip",
}
REQUIRED = {
    *("bm-real", "open-image-v7-256", "celeb-a-hq", "ffhq-256", "MS-COCO-unique-256", "AFHQ", "lfw"),
    *("caltech-256", "caltech-101", "dtd", "OpenVid-1M", "imagenet-vidvrd"),
}


def test_all_sets_of_the_design_are_there() -> None:
    """Ten image sets and two video sets, all real."""
    assert SOURCES.keys() == REQUIRED
    assert sum(row.modality is Modality.IMAGE for row in SOURCES.values()) == 10


@pytest.mark.parametrize("row", SOURCES.values(), ids=lambda row: row.name)
def test_a_row_is_complete_and_can_be_drawn_from(row: SourceRow, tmp_path: Path) -> None:
    """Its repository, pattern and kind fit together: a set laid out like it gives a sample of its modality."""
    assert row.repository.count("/") == 1
    assert row.licence
    assert row.about
    assert row.size_gb > 0
    shard = shard_bytes(row.kind, media_bytes(2, row.modality), row.modality)
    files = {PATHS.get(row.name, PATHS["parquet"]): shard, "README.md": b"x", "OpenVid-1M.csv": b"x"}
    with serve(HubServer({row.repository: files})) as server:
        hub = Hub(server.url)
        source = HubSource(hub, row, tmp_path, decode_video=codec.decode_video, floor=0)
        sample = source.draw(row.modality, Label.REAL, np.random.default_rng(0))
        source.close()
        hub.close()
    assert sample.modality is row.modality
    assert (sample.label, sample.provenance.source, sample.provenance.licence) == (Label.REAL, row.name, row.licence)
