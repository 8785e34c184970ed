"""Pages in a real browser: both widths, both schemes, the console, and axe-core; and as files from a disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from neurons.web.export import export_site
from neurons.web.server import application
from neurons.web.site import Site
from subnet.printing import MOST
from subnet.wire.http.server import serve
from tests.browser import Tab, browser, needs_browser

KINDS = {"validators", "incentive", "health", "scoreboard", "miner", "rounds", "round", "notice"}
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
HIGHEST_ROW = "Math.max(0, ...Array.from(document.querySelectorAll('tbody tr'), row => row.offsetHeight))"

pytestmark = [needs_browser, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
async def tab(site: Site, strange: Site) -> AsyncIterator[Tab]:
    """A browser, once both sites are there: making them takes an event loop of its own."""
    async with browser() as tab:
        yield tab


def one_of_each(site: Site) -> dict[str, str]:
    """The address of a page by its template, for all templates that there are."""
    found: dict[str, str] = {}
    for address in [*site.addresses(), "nothing/here"]:
        found.setdefault(site.page(address).template, address)
    assert set(found) == KINDS
    return found


@pytest.mark.parametrize("of", ["site", "strange"])
async def test_every_page_fits_every_window(tab: Tab, of: str, request: pytest.FixtureRequest) -> None:
    """At 1280 and 390 pixels, light and dark: no complaint, nothing to scroll sideways, nothing that axe-core finds.

    Also where every text of a stranger is hostile. The console may tell of the status of a page that is not there.
    """
    site: Site = request.getfixturevalue(of)
    server = await serve(application(site), "127.0.0.1", 0, flags="--")
    try:
        for width in (1280, 390):
            for dark in (False, True):
                await tab.look_like(width, dark=dark)
                for kind, address in one_of_each(site).items():
                    await tab.open(f"http://127.0.0.1:{server.port}/{address}")
                    where = f"{kind}, {width} pixels, {'dark' if dark else 'light'}"
                    assert await tab.run(OVERFLOW) <= 0, where
                    assert await tab.offences() == [], where
                    complaints = [said for said in tab.complaints if kind != "notice" or "404" not in said]
                    assert complaints == [], where
                    tab.complaints.clear()
    finally:
        await server.stop()


async def test_rows_are_low_on_a_phone(tab: Tab, site: Site) -> None:
    """Two lines at most: cells are not broken word by word, what is too wide is moved by a finger."""
    server = await serve(application(site), "127.0.0.1", 0, flags="--")
    try:
        await tab.look_like(390, dark=False)
        for address in ("1/scoreboard", "1/rounds", "1/round/3"):
            await tab.open(f"http://127.0.0.1:{server.port}/{address}")
            assert 0 < await tab.run(HIGHEST_ROW) <= 64, address
    finally:
        await server.stop()


async def test_a_long_name_does_not_widen_the_column_of_miners(tab: Tab, site: Site) -> None:
    """It stays in sight while a table is moved on a phone, so that it must leave room for the rest."""
    with site.books[0].open() as summary:
        hotkeys = list(summary.player.history.standings)
    widths = []
    for names in ({}, dict.fromkeys(hotkeys, "W" * MOST)):
        server = await serve(application(replace(site, names=names)), "127.0.0.1", 0, flags="--")
        try:
            await tab.look_like(390, dark=False)
            await tab.open(f"http://127.0.0.1:{server.port}/1/scoreboard")
            widths.append(await tab.run("document.querySelector('tbody th').offsetWidth"))
        finally:
            await server.stop()
    assert 0 < widths[1] <= widths[0]


async def test_by_keyboard_alone(tab: Tab, site: Site) -> None:
    """The first stop is the way past the menu, which leads there; each stop can be seen."""
    server = await serve(application(site), "127.0.0.1", 0, flags="--")
    try:
        await tab.look_like(1280, dark=False)
        await tab.open(f"http://127.0.0.1:{server.port}/1/scoreboard")
        await tab.press("Tab")
        assert await tab.run("document.activeElement.className") == "skip"
        assert await tab.run("document.activeElement.getBoundingClientRect().left >= 0")
        await tab.press("Enter")
        assert await tab.run("document.activeElement.id") == "main"
        await tab.press("Tab")
        assert await tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    finally:
        await server.stop()


async def test_exported_files_open_from_a_disk(tab: Tab, site: Site, tmp_path: Path) -> None:
    """With their style; by links from the first page to a miner and back, without a server."""
    export_site(site, tmp_path / "out")
    await tab.look_like(1280, dark=False)
    await tab.open((tmp_path / "out" / "index.html").as_uri())
    for link in ("main a", "tbody a", "nav a"):
        assert await tab.run("getComputedStyle(document.body).maxWidth") == "1152px"
        assert tab.complaints == []
        await tab.open(await tab.run(f"document.querySelector({link!r}).href"))
    assert await tab.run("document.title") == "Validators - Assay"


async def test_what_is_wrong_would_be_seen(tab: Tab) -> None:
    """The checks above can fail: a picture without words, something too wide, an error of a script."""
    page = "<title>x</title><main><img src='data:,'><p style='width: 2000px'>wide<script>nothing()</script></main>"
    await tab.look_like(390, dark=False)
    await tab.open(f"data:text/html,{page}")
    assert any("image-alt" in offence for offence in await tab.offences())
    assert await tab.run(OVERFLOW) > 1000
    assert any("nothing is not defined" in said for said in tab.complaints)
