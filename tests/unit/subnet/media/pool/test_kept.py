"""Media that was asked stays for a while, within a budget, and nothing else is ever given out under its name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from subnet.errors import MediaUnreadable
from subnet.media.pool.item import PoolItem
from subnet.media.pool.kept import Kept, sample_of
from subnet.media.pool.pool import Pool
from subnet.types import Label
from tests.unit.subnet.media.pool.samples import make_sample


def items(folder: Path, count: int) -> list[PoolItem]:
    pool = Pool(folder, floor=0)
    stored = (
        pool.put(make_sample(n, label=Label.SYNTHETIC, origin="a/b"), stream="main", sequence=n) for n in range(count)
    )
    return [one.item for one in stored if one.item is not None]


def test_a_kept_item_reads_back(tmp_path: Path) -> None:
    """The same pixels, label and provenance, whatever its origin is called."""
    (item,) = items(tmp_path / "pool", 1)
    kept = Kept(tmp_path / "kept", 10**9, 3600)
    kept.keep(item)
    data = kept.read(item.content)
    assert data is not None
    sample, original = sample_of(data, item.content), make_sample(0, label=Label.SYNTHETIC, origin="a/b")
    assert (sample.media.frames == original.media.frames).all()
    assert (sample.label, sample.provenance) == (original.label, original.provenance)
    assert not item.path.exists()


def test_the_oldest_go_first(tmp_path: Path) -> None:
    """By age, and where the budget is full."""
    three = items(tmp_path / "pool", 3)
    size = three[0].path.stat().st_size
    kept = Kept(tmp_path / "kept", int(2.5 * size), 100.0)
    for number, item in enumerate(three):
        kept.keep(item, now=1000.0 + number)
    assert [kept.read(item.content) is not None for item in three] == [False, True, True]
    assert kept.trim(1101.5) == 1
    assert [kept.read(item.content) is not None for item in three] == [False, False, True]


@pytest.mark.parametrize(("budget", "seconds"), [(0, 3600.0), (10**9, 0.0)])
def test_keeping_nothing_leaves_the_item_to_the_pool(tmp_path: Path, budget: int, seconds: float) -> None:
    """Off, it makes no folder."""
    (item,) = items(tmp_path / "pool", 1)
    Kept(tmp_path / "kept", budget, seconds).keep(item)
    assert item.path.exists()
    assert not (tmp_path / "kept").exists()


def test_other_media_is_not_taken_for_it(tmp_path: Path) -> None:
    """A file that is damaged, or another item's, is none of that content."""
    one, other = items(tmp_path / "pool", 2)
    kept = Kept(tmp_path / "kept", 10**9, 3600)
    kept.keep(one)
    path = tmp_path / "kept" / f"{one.content}.item"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert kept.read(one.content) is None
    for data in (other.path.read_bytes(), whole[:-1], b"", b"assay-item 1 \n{}\n"):
        with pytest.raises(MediaUnreadable):
            sample_of(data, one.content)


@pytest.mark.parametrize(
    "change",
    [
        {"fps": "x"},
        {"fps": [1]},
        {"fps": 1e308},
        {"provenance": 5},
        {"provenance": {"a": 1}},
        {"provenance": None},
        {"sha256": 5},
        {"id": 5},
        {"id": ""},
        {"id": "a/b/c"},
        {"id": None},
    ],
)
def test_a_header_of_odd_values_is_no_item(tmp_path: Path, change: dict[str, object]) -> None:
    """A stranger may have made it, checksums and all: it is unreadable media, and nothing else is raised."""
    (item,) = items(tmp_path / "pool", 1)
    first, header, media = item.path.read_bytes().split(b"\n", 2)
    for text in (json.dumps({**json.loads(header), **change}).encode(), b"[" * 100_000, b"5"):
        rest = text + b"\n" + media
        data = first[:-64] + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest
        with pytest.raises(MediaUnreadable):
            sample_of(data, item.content)
