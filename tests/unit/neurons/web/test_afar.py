"""Journals of published evidence at an address that is slow, or does not answer: only they wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import aiohttp
import pytest

from neurons.signals import pause
from neurons.web.book import Book
from neurons.web.program import follow
from neurons.web.server import application
from neurons.web.site import Site
from neurons.web.sources import JournalFile, Published
from subnet.evidence.journal import Journal
from subnet.evidence.state import StateStore
from subnet.wire.http.server import serve
from tests.unit.neurons.commands.evidence.rig import Story, published
from tests.unit.subnet.evidence.journals import play, write_journal


@dataclass
class Afar:
    """A server of files that answers nothing while it does not go on, and counts what it is asked."""

    address: str = ""
    going: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


class Files(SimpleHTTPRequestHandler):
    afar: Afar

    def log_request(self, *_: object) -> None:
        pass

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        self.afar.asked.append(f"{self.command} {self.path}")
        if not self.afar.going.is_set():
            self.afar.waiting.release()
        return self.afar.going.wait(60)


@pytest.fixture
def afar(story: Story, tmp_path: Path) -> Iterator[Afar]:
    """The story, published on a server of its own."""
    published(story, story.entries, tmp_path / "evidence", media=False)
    found = Afar()
    handler = type("Handler", (Files,), {"afar": found})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found.address = f"http://127.0.0.1:{server.server_port}/evidence"
        found.going.set()
        yield found
        found.going.set()
        server.shutdown()


def two(afar: Afar, file: Path) -> tuple[Book, Book]:
    """A journal there, and one on this disk."""
    write_journal(file, 5)
    return Book(1, Published(afar.address)), Book(2, JournalFile(file))


async def test_an_address_that_does_not_answer_holds_up_pages_of_its_rounds_only(afar: Afar, tmp_path: Path) -> None:
    """Not the front page, not its own other pages, and nothing of another journal; the pages come when it goes on."""
    books = two(afar, tmp_path / "here" / "journal.db")
    for book in books:
        await asyncio.to_thread(book.refresh)
    server = await serve(application(Site(books, {})), "127.0.0.1", 0, flags="--")
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as client:

        async def status(path: str) -> int:
            async with client.get(path) as answer:
                return answer.status

        afar.going.clear()
        held = [asyncio.create_task(status(f"/1/round/{number}")) for number in range(4)]
        assert await asyncio.to_thread(afar.waiting.acquire, timeout=20)
        others = ("/", "/health", "/1/scoreboard", "/1/rounds", "/2/scoreboard", "/2/rounds")
        assert {await status(path) for path in others} == {200}
        assert not any(task.done() for task in held)
        afar.going.set()
        assert await asyncio.gather(*held) == [200] * 4
    await server.stop()


async def test_rounds_of_a_journal_wait_for_no_other_journal(afar: Afar, tmp_path: Path, story: Story) -> None:
    """Each journal has its own reader."""
    books = Book(1, Published(afar.address)), Book(2, JournalFile(story.journal))
    for book in books:
        await asyncio.to_thread(book.refresh)
    server = await serve(application(Site(books, {})), "127.0.0.1", 0, flags="--")
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as client:
        afar.going.clear()
        held = asyncio.create_task(client.get("/1/round/3"))
        assert await asyncio.to_thread(afar.waiting.acquire, timeout=20)
        async with client.get("/2/round/3") as answer:
            assert answer.status == 200
        assert not held.done()
        afar.going.set()
        (await held).close()
    await server.stop()


async def test_a_journal_is_followed_while_another_does_not_answer(afar: Afar, tmp_path: Path) -> None:
    """From the start on, and as it grows."""
    site, stop = Site(two(afar, tmp_path / "here" / "journal.db"), {}), asyncio.Event()
    afar.going.clear()
    following = asyncio.create_task(follow(site, 0.05, stop))
    journal = Journal(tmp_path / "here" / "journal.db")
    store = StateStore(journal)
    async with asyncio.timeout(30):
        for count in (5, 8):
            play(store, count - store.state.next_round)
            while rounds(site, 2) < count:
                await pause(stop, 0.02)
    assert "nothing so far" in site.page("1/scoreboard").facts["detail"]
    afar.going.set()
    async with asyncio.timeout(30):
        while not rounds(site, 1):
            await pause(stop, 0.02)
    stop.set()
    await following
    journal.close()


def rounds(site: Site, journal: int) -> int:
    """How many are told of."""
    told: int = site.page("index").facts["validators"][journal - 1].get("rounds", 0)
    return told


def test_rounds_of_one_part_ask_for_it_once(afar: Afar) -> None:
    """Nothing is asked for again that the last look, or the page of the round before, has brought."""
    book = Book(1, Published(afar.address))
    book.refresh()
    afar.asked.clear()
    assert book.round(5) is not None
    assert {line.partition(" /evidence/")[2].partition("/")[0] for line in afar.asked} == {"entries"}
    afar.asked.clear()
    assert [book.round(number) is not None for number in (6, 7, 5)] == [True] * 3
    assert afar.asked == []
