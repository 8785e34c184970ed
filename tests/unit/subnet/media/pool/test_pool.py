"""The pool: whole items only, in order, once per hotkey, within its budget."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from subnet.errors import SourceEmpty, StateError
from subnet.files import walk
from subnet.media.pool.item import Cell, parse_name
from subnet.media.pool.ledger import Ledger
from subnet.media.pool.pool import Fate, Pool
from subnet.types import Label, Modality
from tests.unit.subnet.media.pool.samples import make_sample

PHOTOS = Cell(Modality.IMAGE, Label.REAL, "photos")


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path / "pool", floor=0)


@pytest.mark.parametrize("frames", [1, 4])
def test_what_comes_out_is_what_went_in(pool: Pool, frames: int) -> None:
    """Pixels, rate, label and provenance survive storage bit by bit."""
    before = make_sample(3, label=Label.SYNTHETIC, origin="org/model-1", frames=frames)
    stored = pool.put(before, stream="main", sequence=0)
    assert stored.item is not None
    drawn = pool.take(stored.item.cell, ["alice"])
    assert drawn is not None
    np.testing.assert_array_equal(drawn.sample.media.frames, before.media.frames)
    assert drawn.sample.media.fps == before.media.fps
    assert (drawn.sample.label, drawn.sample.provenance) == (before.label, before.provenance)


def test_lowest_sequence_first_whatever_the_order_of_arrival(pool: Pool) -> None:
    """Items come in the order of their numbers, not of their writing."""
    for n in (2, 0, 1):
        pool.put(make_sample(n), stream="main", sequence=n)
    taken = [pool.take(PHOTOS, ["alice"]) for _ in range(4)]
    assert [drawn.item.sequence if drawn else None for drawn in taken] == [0, 1, 2, None]


def test_never_twice_of_a_hotkey_but_again_of_another(tmp_path: Path) -> None:
    """An item asked of one of the hotkeys is passed over, also after a restart; strangers still get it."""
    root, book = tmp_path / "pool", tmp_path / "ledger.db"
    with Ledger(book) as ledger:
        pool = Pool(root, ledger=ledger, floor=0)
        for n in range(3):
            pool.put(make_sample(n), stream="main", sequence=n)
        first = pool.take(PHOTOS, ["alice"])
        assert first is not None
        assert first.item.sequence == 0
    with Ledger(book) as ledger:
        pool = Pool(root, ledger=ledger, floor=0)
        both, bob = pool.take(PHOTOS, ["alice", "bob"]), pool.take(PHOTOS, ["bob"])
        assert both is not None
        assert bob is not None
        assert [both.item.sequence, bob.item.sequence] == [1, 0]


def test_the_same_pixels_under_another_number_are_not_new(pool: Pool) -> None:
    """A hotkey that saw an item is not asked its twin from another stream."""
    pool.put(make_sample(0), stream="one", sequence=0)
    pool.put(make_sample(0), stream="two", sequence=5)
    assert pool.take(PHOTOS, ["alice"]) is not None
    assert pool.take(PHOTOS, ["alice"]) is None


def test_putting_again_changes_nothing(pool: Pool) -> None:
    """A number that is there already is not written a second time, even with other pixels."""
    assert pool.put(make_sample(0), stream="main", sequence=0).fate is Fate.STORED
    assert pool.put(make_sample(1), stream="main", sequence=0).fate is Fate.EXISTS
    assert pool.levels() == {PHOTOS: 1}


def test_new_and_retired_items_are_seen_at_once_when_needed(tmp_path: Path) -> None:
    """A reader that has used up what it knew finds what a producer wrote since; retired items are gone for all."""
    writer, reader = Pool(tmp_path, floor=0), Pool(tmp_path, floor=0, refresh=3600)
    assert reader.take(PHOTOS, ["alice"]) is None
    writer.put(make_sample(0), stream="main", sequence=0)
    drawn = reader.take(PHOTOS, ["alice"])
    assert drawn is not None
    reader.retire(drawn.item)
    reader.retire(drawn.item)
    assert writer.levels() == {PHOTOS: 0}
    assert writer.take(PHOTOS, ["bob"]) is None


def test_numbers_go_on_after_items_were_retired(tmp_path: Path) -> None:
    """The next number is behind the noted one and behind every number on disk, by stream."""
    pool = Pool(tmp_path, floor=0)
    pool.put(make_sample(4), stream="main", sequence=4)
    assert pool.next_sequence(PHOTOS, "main") == 5
    pool.advance(PHOTOS, "main", 9)
    assert Pool(tmp_path, floor=0).next_sequence(PHOTOS, "main") == 9
    assert pool.next_sequence(PHOTOS, "other") == 0
    assert list(pool.levels()) == [PHOTOS]


@pytest.mark.parametrize("position", [5, 40, 90, 200, -1])
def test_a_flipped_bit_anywhere_is_found(tmp_path: Path, position: int) -> None:
    """Damage in checksum, header or media sets the item aside as .bad; the next one is given."""
    told: list[str] = []
    pool = Pool(tmp_path, floor=0, on_bad=lambda path, reason: told.append(path.name))
    first = pool.put(make_sample(0), stream="main", sequence=0).item
    pool.put(make_sample(1), stream="main", sequence=1)
    assert first is not None
    data = bytearray(first.path.read_bytes())
    data[position] ^= 0x10
    first.path.write_bytes(data)
    drawn = pool.take(PHOTOS, ["alice"])
    assert drawn is not None
    assert drawn.item.sequence == 1
    assert told == [first.path.name]
    assert first.path.with_name(first.path.name + ".bad").exists()


@pytest.mark.parametrize("keep", [0, 1, 60, 2000])
def test_a_cut_file_is_found(pool: Pool, keep: int) -> None:
    """A file of any shorter length is set aside, an empty one too."""
    item = pool.put(make_sample(0), stream="main", sequence=0).item
    assert item is not None
    item.path.write_bytes(item.path.read_bytes()[:keep])
    assert pool.take(PHOTOS, ["alice"]) is None
    assert pool.levels() == {PHOTOS: 0}


def test_over_budget_and_under_the_floor_are_results_not_errors(tmp_path: Path) -> None:
    """A pool that is full, or a disk that would become so, refuses with a reason and writes nothing."""
    full = Pool(tmp_path / "a", floor=0, budget=1000)
    assert full.put(make_sample(), stream="s", sequence=0).fate is Fate.OVER_BUDGET
    refused = Pool(tmp_path / "b", floor=10**18).put(make_sample(), stream="s", sequence=0)
    assert refused.fate is Fate.NO_SPACE
    assert "must stay free" in refused.reason
    assert [entry.path for entry in walk(tmp_path)] == []


def test_a_disk_that_fills_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    """A write refused half way (by a real limit on file size) is a typed result, and no rest lies there."""
    program = f"""
import pathlib, resource, signal
from subnet.media.pool.pool import Pool
from tests.unit.subnet.media.pool.samples import make_sample
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
print(Pool(pathlib.Path({str(tmp_path)!r}), floor=0).put(make_sample(), stream="s", sequence=0).fate)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "no_space"
    assert list(walk(tmp_path)) == []


def test_draw_goes_on_to_another_origin_and_says_when_all_are_empty(pool: Pool) -> None:
    """A random origin is drawn; empty ones are passed over; nothing at all is SourceEmpty."""
    for n, origin in enumerate(["ae", "gan"]):
        pool.put(make_sample(n, label=Label.SYNTHETIC, origin=origin), stream="main", sequence=0)
    rng = np.random.default_rng(0)
    origins = {pool.draw(Modality.IMAGE, Label.SYNTHETIC, ["a"], rng).item.cell.origin for _ in range(2)}
    assert origins == {"ae", "gan"}
    with pytest.raises(SourceEmpty, match="1 hotkeys"):
        pool.draw(Modality.IMAGE, Label.SYNTHETIC, ["a"], rng)


def test_readers_and_writers_at_once(tmp_path: Path) -> None:
    """Three streams write while two readers take: each gets every item once, whole, and nothing is set aside."""
    bad: list[Path] = []
    samples = [make_sample(n) for n in range(45)]

    def write(stream: int) -> None:
        pool = Pool(tmp_path, floor=0)
        for n in range(15):
            pool.put(samples[stream * 15 + n], stream=f"s{stream}", sequence=n)

    got: dict[str, list[str]] = {"alice": [], "bob": []}

    def read(name: str) -> None:
        pool = Pool(tmp_path, floor=0, on_bad=lambda path, reason: bad.append(path))
        while len(got[name]) < 45:
            drawn = pool.take(PHOTOS, [name])
            if drawn is not None:
                got[name].append(drawn.item.id)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    threads += [threading.Thread(target=read, args=(name,)) for name in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not bad
    assert all(len(set(ids)) == 45 for ids in got.values())


@pytest.mark.parametrize("origin", ["a/b", "bitmind/ffhq-256", "ünï cödé", "a%2Fb", "x" * 60])
def test_any_origin_is_a_folder_and_comes_back(pool: Pool, origin: str) -> None:
    """Names with slashes, spaces and percent signs are kept apart and read back as they were."""
    pool.put(make_sample(0), stream="main", sequence=0, origin=origin)
    assert [cell.origin for cell in pool.cells()] == [origin]


@pytest.mark.parametrize("origin", ["", "..", ".hidden", "x" * 300])
def test_names_that_cannot_be_stored_are_refused(pool: Pool, origin: str) -> None:
    """An origin that would escape or hide is the caller's mistake."""
    with pytest.raises(ValueError, match="origin"):
        pool.put(make_sample(0), stream="main", sequence=0, origin=origin or ".")
    with pytest.raises(ValueError, match="stream"):
        pool.put(make_sample(0), stream="../x", sequence=0)


@pytest.mark.parametrize("name", [".tmp-1-ab", "0000000000-main-00.item", "x.item.bad", "0000000000-main-" + "0" * 32])
def test_foreign_names_are_no_items(name: str) -> None:
    """Temporary, quarantined and foreign files are not listed."""
    assert parse_name(name, PHOTOS, Path()) is None


def test_labels_of_coming_challenges_are_nobodys_to_see(tmp_path: Path) -> None:
    """The folder is closed to other users, also one that an older version made; so is every file in it."""
    (tmp_path / "pool").mkdir(mode=0o755)
    pool = Pool(tmp_path / "pool", floor=0)
    pool.put(make_sample(1), stream="main", sequence=0)
    pool.advance(PHOTOS, "main", 1)
    assert pool.root.stat().st_mode & 0o777 == 0o700
    assert {Path(entry.path).stat().st_mode & 0o777 for entry in walk(pool.root)} == {0o600}


def test_marks_that_cannot_be_kept_are_state_errors(pool: Pool) -> None:
    """Written or read, the error names the file."""
    (pool.root / ".streams").write_text("a file where a folder should be")
    with pytest.raises(StateError, match=r"\.streams.*cannot be written"):
        pool.advance(PHOTOS, "main", 1)
    with pytest.raises(StateError, match=r"\.streams.*cannot be read"):
        pool.next_sequence(PHOTOS, "main")
    with pytest.raises(StateError, match="cannot be made"):
        Pool(pool.root / ".streams" / "below")
