"""Looking after a pool: nothing whole is lost, nothing damaged is kept."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from subnet.codec import image as codec
from subnet.media.pool import maintenance
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Pool
from subnet.types import Label, Modality
from tests.unit.subnet.media.pool.samples import make_sample

PHOTOS = Cell(Modality.IMAGE, Label.REAL, "photos")
FAKES = Cell(Modality.IMAGE, Label.SYNTHETIC, "org/model")


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """Three photos and two fakes."""
    pool = Pool(tmp_path / "pool", floor=0)
    for n in range(3):
        pool.put(make_sample(n), stream="main", sequence=n)
    for n in range(2):
        pool.put(make_sample(10 + n, label=Label.SYNTHETIC, origin="org/model"), stream="main", sequence=n)
    return pool


def test_status_counts_what_is_there_and_what_is_wanted(pool: Pool) -> None:
    """Items and bytes agree with the disk; an empty wanted cell is listed."""
    missing = Cell(Modality.VIDEO, Label.REAL, "clips")
    report = maintenance.status(pool, time.time(), {PHOTOS: 7, missing: 4})
    assert {s.cell: (s.items, s.target) for s in report.cells} == {PHOTOS: (3, 7), FAKES: (2, None), missing: (0, 4)}
    assert report.items == 5
    assert report.bytes == sum(s.bytes for s in report.cells)
    assert all(s.newest is not None and s.newest < 60 for s in report.cells if s.items)


@pytest.mark.parametrize("decode", [False, True])
def test_verify_sets_damaged_items_aside(pool: Pool, decode: bool) -> None:
    """The damaged one is named and moved; the others stay; a second run finds all well."""
    victim = pool.items(PHOTOS)[1].path
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    report = maintenance.verify(pool, decode=decode)
    assert report.valid == 4
    assert [path for path, _ in report.quarantined] == [victim]
    assert maintenance.verify(pool, decode=decode) == maintenance.Verified(4, ())
    assert maintenance.status(pool, time.time()).quarantined == 1


def test_prune_takes_the_dead_first_and_then_the_oldest(pool: Pool) -> None:
    """Rests of dead writers and quarantined files go; young temporary files stay; items go by age down to the limit."""
    folder = pool.root / PHOTOS.folder
    (folder / ".tmp-1-dead").write_bytes(b"x")
    (folder / ".tmp-2-alive").write_bytes(b"x")
    (folder / "a.item.bad").write_bytes(b"x")
    os.utime(folder / ".tmp-1-dead", (0, 0))
    oldest = pool.items(FAKES)[0].path
    os.utime(oldest, (1000, 1000))
    assert maintenance.prune(pool, time.time()) == maintenance.Pruned(0, 2, 2)
    assert (folder / ".tmp-2-alive").exists()
    size = oldest.stat().st_size
    assert maintenance.prune(pool, time.time(), keep_bytes=pool.used(fresh=True) - size) == maintenance.Pruned(
        1, 0, size
    )
    assert not oldest.exists()
    assert maintenance.prune(pool, time.time() + 100, older_than=50).items == 4


def test_export_is_a_data_set_with_the_same_pixels(pool: Pool, tmp_path: Path) -> None:
    """Each line of the index names a file that decodes to the stored pixels; all files carry one time."""
    out = tmp_path / "out"
    report = maintenance.export(pool, out, limit=2)
    assert report.items == {PHOTOS: 2, FAKES: 2}
    records = [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]
    assert {(r["label"], r["origin"], r["modality"]) for r in records} == {
        (0, "photos", "image"),
        (1, "org/model", "image"),
    }
    for record in records:
        frames = codec.decode_image((out / record["file"]).read_bytes()).frames
        np.testing.assert_array_equal(frames, make_sample(record["seed"]).media.frames)
    assert len({(out / record["file"]).stat().st_mtime for record in records}) == 1
    with pytest.raises(FileExistsError, match="not empty"):
        maintenance.export(pool, out)
