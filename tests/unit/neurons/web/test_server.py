"""The site over HTTP, by a real server on the loopback."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from fastapi import Response

from neurons.web.book import Book
from neurons.web.server import HEADERS, KEPT, Drawn, application, respond
from neurons.web.site import Site
from neurons.web.sources import JournalFile
from subnet.evidence.journal import Journal
from subnet.evidence.state import StateStore
from subnet.wire.http.server import serve
from tests.unit.neurons.commands.evidence.rig import MINERS, Story
from tests.unit.subnet.evidence.journals import play, write_journal


@dataclass
class Running:
    """A site that is served; `get` and `ask` call it."""

    session: aiohttp.ClientSession
    url: str
    book: Book
    file: Path

    async def ask(self, path: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
        async with self.session.request(method, f"{self.url}{path}") as response:
            return response.status, await response.text(), {k.lower(): v for k, v in response.headers.items()}


@pytest.fixture
async def running(tmp_path: Path, story: Story) -> AsyncIterator[Running]:
    file = tmp_path / "journal.db"
    shutil.copy(story.journal, file)
    book = Book(1, JournalFile(file))
    book.refresh()
    server = await serve(application(Site((book,), {}), hosts={"assay.example"}), "127.0.0.1", 0, flags="--")
    async with aiohttp.ClientSession() as session:
        yield Running(session, f"http://127.0.0.1:{server.port}", book, file)
    await server.stop()


async def test_every_page_and_its_json_with_strict_headers(running: Running) -> None:
    """Pages, JSON, styles, errors: none may run a script, be framed, or be taken for another type."""
    miner = f"1/miner/{MINERS[0].ss58_address}"
    for path in ("", "index", "1/scoreboard", miner, "1/rounds", "1/rounds/0", "1/round/3", "incentive", "health"):
        status, text, headers = await running.ask(f"/{path}")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert text.startswith("<!doctype html>")
        assert headers.items() >= HEADERS.items()
        if path:
            status, text, headers = await running.ask(f"/{path}.json")
            assert (status, headers["content-type"]) == (200, "application/json")
            assert text.startswith("{")
    for path, expected in (
        ("/site.css", 200),
        ("/icon.svg", 200),
        ("/nothing", 404),
        ("/docs", 404),
        ("/openapi.json", 404),
    ):
        status, _, headers = await running.ask(path)
        assert status == expected
        assert headers.items() >= HEADERS.items()
    assert "script-src" not in HEADERS["content-security-policy"]  # so that 'none' holds for it


async def test_pages_say_what_they_are_read_from(running: Running) -> None:
    """All of a site with journals, and none to which files are sent."""
    for path in ("/", "/1/scoreboard", "/health"):
        assert "Read from journals" in (await running.ask(path))[1]


async def test_nothing_can_be_sent(running: Running) -> None:
    """GET and HEAD only; HEAD has the same head and no body."""
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        status, _, headers = await running.ask("/1/scoreboard", method)
        assert (status, headers["allow"]) == (405, "GET, HEAD")
        assert headers.items() >= HEADERS.items()
    status, text, headers = await running.ask("/1/scoreboard", "HEAD")
    assert (status, text) == (200, "")
    assert int(headers["content-length"]) > 1000


@pytest.mark.parametrize(
    "path",
    ["/2/scoreboard", "/0/scoreboard", "/1/miner/nobody", "/1/round/16", "/1/round/-1", "/1/round/99999999999999999999", "/1/rounds/7", "/1/rounds/x", "/1/scoreboard/x", "/..%2f..%2fetc%2fpasswd", "/%00", "/1/miner/%3Cscript%3E"],
)  # fmt: skip
async def test_what_is_not_there_is_told_so(running: Running, path: str) -> None:
    """404, for people and for machines, without what was asked for in it."""
    status, text, _ = await running.ask(path)
    assert status == 404
    assert "There is no such page" in text
    assert "script" not in text
    status, text, headers = await running.ask(f"{path}.json")
    assert (status, headers["content-type"]) == (404, "application/problem+json")


async def test_a_damaged_journal_is_a_page_and_the_program_lives_on(running: Running) -> None:
    """503 with the reason and when to try again; pages that need no journal go on, and all do once it is mended."""
    whole = running.file.read_bytes()
    running.file.write_bytes(b"no journal at all" * 100)
    running.book.refresh()
    for path in ("/1/scoreboard", "/1/round/3", "/health", "/"):
        status, text, headers = await running.ask(path)
        assert (status, headers["retry-after"]) == (503, "5")
        assert "cannot read the journal" in text
        assert str(running.file.parent) not in text
        status, _, _ = await running.ask(f"{path.rstrip('/') or '/index'}.json")
        assert status == 503
    assert (await running.ask("/incentive"))[0] == 200
    running.file.write_bytes(whole)
    running.book.refresh()
    assert (await running.ask("/1/scoreboard"))[0] == 200
    assert (await running.ask("/health"))[0] == 200


async def test_requests_read_nothing_of_a_journal(running: Running) -> None:
    """Without the file, what was gathered is shown; only a round itself is looked up in it."""
    running.file.rename(running.file.with_name("elsewhere.db"))
    for path in ("/1/scoreboard", f"/1/miner/{MINERS[0].ss58_address}", "/1/rounds", "/"):
        assert (await running.ask(path))[0] == 200
    assert (await running.ask("/1/round/3"))[0] == 503


async def test_a_page_is_drawn_once_until_the_journal_moves(tmp_path: Path) -> None:
    """Readers share it; the next round draws it anew, a damaged file ends it, and no more than a bound are kept."""
    file = tmp_path / "journal.db"
    write_journal(file, 5)
    book = Book(1, JournalFile(file))
    book.refresh()
    drawn = Drawn(Site((book,), {}), trying=False)
    first = await drawn.answer("1/scoreboard")
    assert (await drawn.answer("1/scoreboard")).body is first.body
    assert (await drawn.answer("1/scoreboard.json")).body is not first.body
    assert (await drawn.answer("health")).body is not (await drawn.answer("health")).body
    journal = Journal(file)
    play(StateStore(journal), 1)
    journal.close()
    book.refresh()
    after = await drawn.answer("1/scoreboard")
    assert (after.status_code, after.body == first.body) == (200, False)
    for number in range(2 * KEPT):
        assert (await drawn.answer(f"1/rounds/{number}")).status_code in (200, 404)
    file.write_bytes(b"no journal at all" * 100)
    book.refresh()
    assert (await drawn.answer("1/scoreboard")).status_code == 503


async def test_many_readers_share_the_drawing_of_a_page(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks while it is drawn waits for that drawing, and one page that is drawn already waits for no other."""
    drawn: list[str] = []
    started, going = threading.Semaphore(0), threading.Event()

    def slow(site: Site, path: str, *, trying: bool) -> Response:
        drawn.append(path)
        if path:
            started.release()
            assert going.wait(20)
        return respond(site, path, trying=trying)

    monkeypatch.setattr("neurons.web.server.respond", slow)
    assert (await running.ask("/"))[0] == 200
    board = [asyncio.create_task(running.ask("/1/scoreboard")) for _ in range(8)]
    others = [asyncio.create_task(running.ask(f"/1/round/{number}")) for number in range(8)]
    for _ in ("pages", "rounds"):
        assert await asyncio.to_thread(started.acquire, timeout=20)
    assert (await running.ask("/"))[0] == 200
    going.set()
    texts = {text for _, text, _ in await asyncio.gather(*board)}
    await asyncio.gather(*others)
    assert len(texts) == 1
    assert sorted(drawn) == sorted(["", "1/scoreboard", *(f"1/round/{number}" for number in range(8))])


async def test_only_pages_of_the_journal_that_moved_are_drawn_anew(tmp_path: Path) -> None:
    """The other journal's pages stand; the front page tells of both."""
    books = []
    for number in (1, 2):
        write_journal(tmp_path / f"{number}" / "journal.db", 5)
        books.append(Book(number, JournalFile(tmp_path / f"{number}" / "journal.db")))
        books[-1].refresh()
    drawn = Drawn(Site(tuple(books), {}), trying=False)
    paths = ("", "1/scoreboard", "1/round/3.json", "2/scoreboard")
    before = [(await drawn.answer(path)).body for path in paths]
    books[0].version += 1
    after = [(await drawn.answer(path)).body for path in paths]
    assert [one is other for one, other in zip(before, after, strict=True)] == [False, False, False, True]


async def test_an_error_while_drawing_is_not_kept(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next reader has the page drawn again."""
    with monkeypatch.context() as patch:
        patch.setattr("neurons.web.server.respond", lambda *_, **__: 1 / 0)
        assert (await running.ask("/1/scoreboard"))[0] == 500
    assert (await running.ask("/1/scoreboard"))[0] == 200


async def test_a_journal_that_is_slow_to_read_holds_no_other_page(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a round is looked up, on a failing disk or afar, pages that tell what was gathered are drawn."""
    going = threading.Event()

    def slow(source: JournalFile, seq: int) -> None:
        assert going.wait(20)

    monkeypatch.setattr(JournalFile, "find", slow)
    waiting = asyncio.create_task(running.ask("/1/round/3"))
    for path in ("/1/scoreboard", "/1/rounds", "/health", "/"):
        assert (await running.ask(path))[0] == 200
    assert not waiting.done()
    going.set()
    assert (await waiting)[0] == 503


@pytest.mark.parametrize("path", ["/", "/1/scoreboard.json", "/health", "/site.css", "/nothing"])
async def test_pages_of_strangers_cannot_ask(running: Running, path: str) -> None:
    """By a name that is bound to this machine anew: 421 with the fix, under the same headers; its own names go on."""
    for host, expected in (("evil.example", 421), ("localhost", None), ("127.0.0.1:1", None), ("assay.example", None)):
        async with running.session.get(f"{running.url}{path}", headers={"Host": host}) as response:
            text = await response.text()
            assert (response.status == 421) is (expected == 421)
            assert ("--host" in text) is (expected == 421)
            assert {k.lower(): v for k, v in response.headers.items()}.items() >= HEADERS.items()
