"""A site over a real journal: rounds of the validator's own loop, with epochs that are over and one that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurons.web.book import Book
from neurons.web.site import Site
from neurons.web.sources import JournalFile
from tests.unit.neurons.commands.evidence.rig import Story, tell


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Four epochs that are over, and the first round of a fifth."""
    return tell(tmp_path_factory.mktemp("story"))


@pytest.fixture(scope="session")
def site(story: Story) -> Site:
    return open_site(story.journal)


def open_site(*journals: Path) -> Site:
    """A site over these files, read once."""
    books = tuple(Book(number, JournalFile(path)) for number, path in enumerate(journals, 1))
    for book in books:
        book.refresh()
    return Site(books, {})
