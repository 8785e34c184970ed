"""*Try a file* in a real browser: the form is filled and sent, reports are looked at, from the site and from a disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from neurons.commands.detect import detect
from subnet.codec import image as codec
from tests.browser import Tab, browser, needs_browser
from tests.unit.detectors.folders import photos
from tests.unit.neurons.web.test_browser import OVERFLOW
from tests.unit.neurons.web.test_trying import Rig, noise, rig

__all__ = ["rig"]
pytestmark = [needs_browser, pytest.mark.slow, pytest.mark.timeout(600)]


WAITS = "getComputedStyle(document.querySelector('form.try .wait')).display"


@pytest.fixture
async def tab() -> AsyncIterator[Tab]:
    async with browser() as tab:
        yield tab


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A large picture with tags of strangers, and a clip."""
    picture, clip = (
        tmp_path / "<b>a long name of a photograph without a single place to break it.jpg",
        tmp_path / "clip.mp4",
    )
    exif = Image.Exif()
    exif[0x0131] = "Midjourney " + "<i>x</i>" * 60
    image = Image.fromarray(photos(1, "test")[0][1].frames[0]).resize((900, 600))
    image.save(picture, "JPEG", exif=exif)
    clip.write_bytes(codec.encode_video(noise(8, 96, 96), 20))
    return [picture, clip]


async def look(tab: Tab, where: str) -> None:
    """Nothing to scroll sideways, no finding of axe-core, nothing on the console: at both widths, light and dark."""
    for width in (1280, 390):
        for dark in (False, True):
            await tab.look_like(width, dark=dark)
            assert await tab.run(OVERFLOW) <= 0, f"{where}, {width} pixels"
            assert await tab.offences() == [], f"{where}, {width} pixels, {'dark' if dark else 'light'}"
    assert tab.complaints == [], where


async def test_a_file_is_sent_and_its_report_fits(tab: Tab, rig: Rig, files: list[Path]) -> None:
    """The form, a report on a picture and on a clip, what is said to a complaint, and a refusal."""
    for file in files:
        await tab.open(f"{rig.url}/try")
        await look(tab, "the form")
        assert await tab.run(WAITS) == "none"
        await tab.choose("#file", file)
        assert await tab.run(WAITS) == "block"
        await look(tab, "the form with a file")
        await tab.click("form.try button")
        assert (await tab.run("document.querySelector('.report h2').textContent"))[:50] == file.name[:50]
        assert await tab.run("Array.from(document.images).every(image => image.naturalWidth > 0)")
        await tab.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
        await look(tab, file.suffix)
    await tab.run("document.querySelector('[name=consent]').checked = true")
    await tab.click("form.complaint button")
    assert await tab.run("document.querySelector('h1').textContent") == "Thank you"
    assert len(rig.trying.complaints.path.read_text().splitlines()) == 1


async def test_a_page_from_a_disk_fits(tab: Tab, files: list[Path], tmp_path: Path) -> None:
    """What `assay detect --html` wrote, with the picture and its tiles in it."""
    page = tmp_path / "out.html"
    detect(*files[:1], detector="npr", html=page, device="cpu")
    await tab.open(page.as_uri())
    assert await tab.run("document.querySelectorAll('svg image').length") >= 2
    assert await tab.run("document.querySelectorAll('rect.tile').length") > 4
    await look(tab, "from a disk")
