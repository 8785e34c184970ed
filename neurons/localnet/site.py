"""The game as the pages of `assay web`: served while it runs, and left behind as files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from neurons.web.book import Book
from neurons.web.export import export_site
from neurons.web.program import follow, listening
from neurons.web.site import Site
from neurons.web.sources import JournalFile
from neurons.web.summary import ROUNDS

FOLDER: Final = "site"  # below the run's
PAGES: Final = 500  # of the newest rounds, that are left behind
LOOK_SECONDS: Final = 1.0


@asynccontextmanager
async def shown(folder: Path, hotkeys: Mapping[str, str], validators: Sequence[str]) -> AsyncIterator[str]:
    """The validators' journals are served and followed, also those that are not there yet; gives the address."""
    site, stop = _site(folder, hotkeys, validators, ROUNDS), asyncio.Event()
    async with listening(site) as address:
        following = asyncio.create_task(follow(site, LOOK_SECONDS, stop))
        try:
            yield address
        finally:
            stop.set()
            await following


def leave(folder: Path, hotkeys: Mapping[str, str], validators: Sequence[str]) -> Path:
    """Write the site below the folder of the run; its first page, as seen from there. Raises Unready, StateError."""
    site = _site(folder, hotkeys, validators, PAGES)
    for book in site.books:
        book.refresh()
    export_site(site, folder / FOLDER)
    return Path(FOLDER) / "index.html"


def _site(folder: Path, hotkeys: Mapping[str, str], validators: Sequence[str], keep: int) -> Site:
    sources = [JournalFile(folder / name / "journal.db") for name in validators]
    books = tuple(Book(number, source, keep) for number, source in enumerate(sources, 1))
    return Site(books, {hotkey: name for name, hotkey in hotkeys.items()})
