"""Pages as a browser and a screen reader find them, and strangers' texts on them."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from neurons.web.addresses import slug
from neurons.web.pages import as_json, html, style
from neurons.web.site import Site
from subnet.evidence.journal import Journal
from subnet.evidence.records import ROUND, WEIGHTS, WeightsRecord, record
from subnet.evidence.state import State, StateStore
from subnet.types import Answer, Failure, Label, Modality, Prediction, Submission
from tests.unit.neurons.web.conftest import open_site
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
VOID = {"meta", "link", "polyline", "line", "circle", "br"}


class Reader(HTMLParser):
    """Collects tags with their attributes; fails where they are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def close(self) -> None:
        super().close()
        assert self._open == []


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


@pytest.fixture(scope="module")
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


def test_strangers_texts_are_only_texts(strange: Site) -> None:
    """No tag, no attribute and no link of a page is theirs, whatever a hotkey, an origin or a detector is called."""
    addresses = list(strange.addresses())
    assert len([address for address in addresses if "/miner/" in address]) == len(STRANGERS)
    for address in addresses:
        text = html(strange.page(address))
        reader = read(text)
        assert not {tag for tag, _ in reader.tags} & {"script", "style", "iframe", "object", "form", "base"}
        names = {name for _, attributes in reader.tags for name in attributes}
        assert not [name for name in names if name.startswith("on") or name == "style"]
        links = [a[name] or "" for _, a in reader.tags for name in ("href", "src") if name in a]
        assert [link for link in links if not re.fullmatch(r"(\./|(\.\./)*|#main|data:,)[\w./-]*", link)] == []
        assert "\u202e" not in text
        assert "49" not in re.findall(r"<code[^>]*>([^<]*)", text)


@pytest.mark.parametrize("name", STRANGERS)
def test_a_strange_hotkey_has_a_page_of_its_own(strange: Site, name: str) -> None:
    """At an address that is safe as the name of a file, and that nobody else's is."""
    assert re.fullmatch(r"h-[0-9a-f]{32}", slug(name))
    assert strange.page(f"1/miner/{slug(name)}").facts["hotkey"] == name


@pytest.mark.parametrize(
    "kind", ["validators", "incentive", "health", "scoreboard", "miner", "rounds", "round", "notice"]
)
def test_pages_are_fit_for_everybody(site: Site, kind: str) -> None:
    """One language, title and first heading; a way past the menu; tables with captions and heads; pictures with words."""
    addresses = [*site.addresses(), "nothing/here"]
    pages = [page for page in map(site.page, addresses) if page.template == kind]
    assert pages
    for page in pages[:5]:
        reader = read(html(page))
        tags = Counter(tag for tag, _ in reader.tags)
        assert tags["h1"] == tags["main"] == tags["title"] == 1
        assert ("html", {"lang": "en"}) in reader.tags
        assert ("a", {"class": "skip", "href": "#main"}) in reader.tags
        assert tags["caption"] == tags["table"]
        assert all(attributes.get("scope") in ("col", "row") for tag, attributes in reader.tags if tag == "th")
        assert all(attributes.get("aria-label") for tag, attributes in reader.tags if tag in ("svg", "nav"))
        ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        named = {attributes["aria-labelledby"] for _, attributes in reader.tags if "aria-labelledby" in attributes}
        assert named <= set(ids)


def test_both_schemes_and_small_screens_have_a_style() -> None:
    """Light and dark by the browser's wish; nothing from elsewhere."""
    sheet = style()
    assert "prefers-color-scheme: dark" in sheet
    assert "max-width: 40rem" in sheet
    assert "url(" not in sheet
    assert "@import" not in sheet


def test_the_page_and_its_json_say_the_same(site: Site) -> None:
    """Both are made of one set of facts: each hotkey and its score stand in both."""
    page = site.page("1/scoreboard")
    text, data = html(page), as_json(page)
    for row in page.facts["miners"]:
        assert row["hotkey"] in text
        assert f"{row['score']:.3f}" in text
        assert row["hotkey"] in data
