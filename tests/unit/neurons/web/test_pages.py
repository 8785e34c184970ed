"""Pages as a browser and a screen reader find them, and strangers' texts on them."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import Markup, escape

from neurons.lab.sections import shipped
from neurons.web.addresses import STYLE, slug
from neurons.web.pages import as_json, html
from neurons.web.rendering.environment import file
from neurons.web.site import Site
from subnet.evidence.journal import Journal
from subnet.evidence.records import WEIGHTS, WeightsRecord
from subnet.evidence.state import StateStore
from subnet.types import Submission
from tests.unit.neurons.commands.evidence.rig import MINERS
from tests.unit.neurons.web.conftest import STRANGERS, open_site
from tests.unit.subnet.evidence.journals import play

VOID = {"meta", "link", "br"}


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
        assert [link for link in links if not re.fullmatch(r"(\./|(\.\./)*|#main)[\w./-]*", link)] == []
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
    sheet = file(STYLE)
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


def test_one_thing_is_one(tmp_path: Path) -> None:
    """On no page of a journal with one of everything, of which some may be shown."""
    journal = Journal(tmp_path / "journal.db")
    store = StateStore(journal)
    play(store, 1)
    weights = WeightsRecord(block=1, weights={}, submission=Submission.OK, code=None, message="")
    assert store.write(WEIGHTS, weights, store.state) is None
    for _ in range(2):
        site = open_site(journal.path)
        for address in site.addresses():
            text = re.sub(r"<[^>]*>", "", html(site.page(address)))
            assert not re.search(r"\b1 (rounds|things|blocks|answers|miners|images|videos)\b", text), address
        play(store, 1)  # it waits, and its block is behind the weights
    journal.close()


def test_the_way_from_rewards_to_the_score_is_told(site: Site) -> None:
    """With what a modality that was never asked does not have; right answers of each modality by itself."""
    page = site.page(f"1/miner/{MINERS[0].ss58_address}")
    text, right = html(page), page.facts["recent"]["image"]
    assert f"Of its last {right['asked']} images {right['right']} " in text
    assert "of its last 0" not in text.lower()
    assert f"<dd>{page.facts['reward']:.4f}, of both modalities" in text
    assert "moves it by 5.0% of the way to the reward" in text
    row = re.search(r'<tr><th scope="row">video</th>(.*)</tr>', text)
    assert row is not None
    assert re.findall(r">([^<]+)</td>", row[1]) == ["–", "–", "–", "0"]


def test_pages_say_how_old_they_are(site: Site) -> None:
    """When the newest answer was asked for, and when the page was drawn, or written as a file."""
    last = site.page("1/scoreboard").facts["last_answer"]
    said = datetime.fromtimestamp(last, UTC).strftime("%Y-%m-%d %H:%M UTC")
    for address in ("index", "health", "1/scoreboard", "1/rounds", f"1/miner/{MINERS[0].ss58_address}"):
        text = html(site.page(address))
        assert said in text
        assert re.search(r"As of \d{4}-\d\d-\d\d \d\d:\d\d UTC: load the page again", text)
        assert re.search(r"Written \d{4}-\d\d-\d\d \d\d:\d\d UTC\.", html(site.page(address), ".html"))
    assert re.search(r"last answer \d{4}-", html(site.page("1/round/3")))


def test_the_incentive_has_the_laboratorys_numbers(site: Site) -> None:
    """Every table that ships, cell by cell, and for each share a bar with the same number."""
    page = site.page("incentive")
    text = html(page)
    assert [part["heading"] for part in page.facts["laboratory"]] == [section.heading for section in shipped()]
    for part in page.facts["laboratory"]:
        for row in part["rows"]:
            assert all(escape(cell).replace("**pays**", Markup("<strong>pays</strong>")) in text for cell in row)
    (shares,) = [part for part in page.facts["laboratory"] if part["spans"]]
    assert len(shares["spans"]) == len(shares["rows"]) == text.count("<rect ")
    for row, (share, low, high) in zip(shares["rows"], shares["spans"], strict=True):
        assert low <= share <= high
        assert f'aria-label="{row[0]}: {share}, from {low} to {high}"' in text


def test_charts_are_drawn_of_the_facts(site: Site) -> None:
    """A miner's page: a point for each score of its trend, and a dot for each answer that may be shown."""
    address = next(address for address in site.addresses() if "/miner/" in address)
    page = site.page(address)
    tags = read(html(page)).tags
    (points,) = [attributes["points"] or "" for tag, attributes in tags if tag == "polyline"]
    assert len(points.split()) == len(page.facts["trend"])
    dots = [attributes["class"] for tag, attributes in tags if tag == "path"]
    assert dots == ["right" if turn["right"] else "wrong" for turn in page.facts["turns"]]
