"""A site over a real journal: rounds of the validator's own loop, with epochs that are over and one that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurons.web.book import Book
from neurons.web.site import Site
from neurons.web.sources import JournalFile
from subnet.evidence.journal import Journal
from subnet.evidence.records import ROUND, WEIGHTS, WeightsRecord, record
from subnet.evidence.state import State, StateStore
from subnet.types import Answer, Failure, Label, Modality, Prediction, Submission
from tests.unit.neurons.commands.evidence.rig import Story, tell
from tests.unit.subnet.evidence.journals import played

STRANGERS = (
    "<script>alert(1)</script>",
    "[/x]",
    '" onmouseover="alert(1)',
    "../../../etc/passwd",
    "{{ 7 * 7 }}",
    "\u202eright to left",
    "javascript:alert(1)",
)


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


@pytest.fixture(scope="session")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A journal in which every text that a stranger may choose is hostile."""
    path = tmp_path_factory.mktemp("strange") / "journal.db"
    journal = Journal(path)
    store = StateStore(journal)
    for number in range(4):
        answers: dict[str, Answer] = {name: Prediction(0.7) for name in STRANGERS}
        answers[STRANGERS[-1]] = Failure.TIMEOUT
        one = played(store.state.history, number, Modality.IMAGE, Label(number % 2), answers)
        body = record(one)
        rows = [
            row.model_copy(update={"detector": name, "reason": name})
            for row, name in zip(body.outcomes, STRANGERS, strict=True)
        ]
        told = {"source": "</pre><script>alert(1)</script>"}
        body = body.model_copy(update={"outcomes": tuple(rows), "origin": STRANGERS[number], "provenance": told})
        assert store.write(ROUND, body, State(number + 1, one.history)) is None
    weights = WeightsRecord(block=4, weights={}, submission=Submission.OK, code=None, message="<script>")
    assert store.write(WEIGHTS, weights, store.state) is None
    journal.close()
    return open_site(path)
