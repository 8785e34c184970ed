"""The site as files that open from a disk, or from any server of files."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from neurons.web.addresses import FILES, FRONT
from neurons.web.book import Unready
from neurons.web.pages import as_json, html
from neurons.web.rendering.environment import file
from neurons.web.site import Site
from subnet.errors import SettingsError, StateError

UNFINISHED: Final = ".unfinished"  # within the folder: pages until all of them are there


def export_site(site: Site, out: Path) -> int:
    """Write all pages, and the JSON of each, into the new or empty folder `out`; how many pages there are.

    They lie in `UNFINISHED` until all are written, and the first page comes last: what is there is whole. What an ended
    run left there is written anew. Raises Unready for a journal that cannot be shown, before anything is written, or
    when it cannot be any more; SettingsError for a folder that is not empty, StateError where it cannot be written.
    """
    addresses = list(site.addresses())
    aside = out / UNFINISHED
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(path != aside for path in out.iterdir()):
            raise SettingsError(f"OUT {out}: the folder is not empty; name a new one")
        shutil.rmtree(aside, ignore_errors=True)
        try:
            _write(site, addresses, aside)
            for path in sorted(aside.iterdir(), key=lambda path: path.stem == FRONT):
                path.rename(out / path.name)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise StateError(f"the site {out} cannot be written: {error.strerror}") from error
    return len(addresses)


def _write(site: Site, addresses: Iterable[str], folder: Path) -> None:
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(file(name), encoding="utf-8")
    for address in addresses:
        page, place = site.page(address), folder / address
        if page.status != 200:
            raise Unready(page.facts.get("detail", f"the page {address} cannot be shown any more"))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.with_name(f"{place.name}.json").write_text(as_json(page), encoding="utf-8")
        place.with_name(f"{place.name}.html").write_text(html(page, ".html"), encoding="utf-8")
