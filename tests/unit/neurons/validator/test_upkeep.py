"""What keeps the state from growing: old rounds are packed, old claims are forgotten, and trouble is only told."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import structlog
from structlog.testing import capture_logs

from neurons.validator import upkeep as module
from neurons.validator.upkeep import REMEMBER, Upkeep, give_back
from subnet.evidence.entries.segments import list_segments
from subnet.evidence.journal import Journal
from subnet.media.pool.ledger import Ledger
from subnet.media.pool.pool import Pool
from tests.unit.subnet.media.pool.samples import make_sample


class State:
    """A validator's files, and who looks after them."""

    def __init__(self, folder: Path, executor: ThreadPoolExecutor) -> None:
        self.journal = Journal(folder / "journal.db", segment_bytes=1000)
        self.ledger = Ledger(folder / "ledger.db")
        self.pool = Pool(folder / "pool", ledger=self.ledger, floor=0)
        self.upkeep = Upkeep(self.journal, self.ledger, self.pool, executor, structlog.get_logger())

    def write(self, count: int) -> None:
        for _ in range(count):
            self.journal.append("fact", '{"text": "%s"}' % ("x" * 200))


async def until(true: Callable[[], bool]) -> None:
    """Wait for it, ten seconds at most."""
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within ten seconds")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with ThreadPoolExecutor(1) as executor:
        made = State(tmp_path, executor)
        yield made
        made.journal.close()
        made.ledger.close()


async def test_it_works_beside_the_rounds_until_told_to_stop(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries move into segments while others are appended; a stop ends it within its wait."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    stop = asyncio.Event()
    running = asyncio.create_task(state.upkeep.run(stop))
    for _ in range(20):
        state.write(5)
        await asyncio.sleep(0.01)
    await until(lambda: len(list_segments(state.journal.segments)) >= 10)
    monkeypatch.setattr(module, "LOOK_SECONDS", 60.0)
    stop.set()
    await asyncio.wait_for(running, 2)
    assert len(list(state.journal.entries())) == 100


def test_only_what_left_the_pool_long_ago_is_forgotten(state: State) -> None:
    """An item that still lies there may be drawn, one of yesterday's is remembered: neither can be asked twice."""
    stored = state.pool.put(make_sample(1), stream="main", sequence=0).item
    assert stored
    for content, at in ((stored.content, 0.0), ("old", 0.0), ("young", 100.0)):
        state.ledger.claim(content, ["m"], now=at)
    state.upkeep.forget(now=REMEMBER + 50.0)
    assert state.ledger.blocked([stored.content, "old", "young"], ["m"]) == {stored.content, "young"}
    state.pool.retire(stored)
    state.upkeep.forget(now=REMEMBER + 50.0)
    assert state.ledger.blocked([stored.content, "young"], ["m"]) == {"young"}


def test_a_refusing_ledger_is_told(state: State) -> None:
    """What waits in memory is no secret."""
    state.ledger._db.execute("PRAGMA max_page_count=1")
    state.ledger.claim("a", ["x" * 9000], now=1e12)
    with capture_logs() as lines:
        state.upkeep.forget()
    assert [(line["event"], line["unwritten"]) for line in lines] == [("the ledger cannot be written", 1)]
    state.ledger._db.execute("PRAGMA max_page_count=1000000")


async def test_trouble_is_logged_and_tried_again(state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of segments that cannot be written ends nothing, and costs no entry; it is told once, and when it is over."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    (tmp_path / "file").write_text("")
    state.journal.segments, stop = tmp_path / "file" / "segments", asyncio.Event()
    state.write(20)
    with capture_logs() as lines:
        running = asyncio.create_task(state.upkeep.run(stop))
        await until(lambda: bool(lines))
        await asyncio.sleep(0.1)
        state.journal.segments = tmp_path / "segments"
        await until(lambda: bool(list_segments(state.journal.segments)))
        stop.set()
        await running
    told = [(line["log_level"], line.get("why")) for line in lines if line["event"] == "upkeep: finish_segment"]
    assert told == [("error", None), ("info", "mended")]
    assert len(list(state.journal.entries())) == 20


def test_freed_memory_goes_back() -> None:
    """What a thread freed between things that stay, its share of the process's memory shrinks by."""
    give_back()
    before = psutil.Process().memory_info().rss
    stay = []
    for _ in range(2000):
        freed, kept = bytes(20_000), bytes(600)
        stay.append((freed, kept))
    stay = [(b"", kept) for _, kept in stay]
    held = psutil.Process().memory_info().rss
    assert held - before > 30_000_000
    if hasattr(ctypes.CDLL(None), "malloc_trim"):
        assert give_back()
        assert psutil.Process().memory_info().rss < held - 20_000_000
    assert len(stay) == 2000
