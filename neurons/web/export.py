"""The site as files that open from a disk, or from any server of files."""

from __future__ import annotations

from pathlib import Path

from neurons.web.addresses import FILES
from neurons.web.pages import as_json, html
from neurons.web.rendering.environment import file
from neurons.web.site import Site
from subnet.errors import SettingsError, StateError


def export_site(site: Site, out: Path) -> int:
    """Write all pages, and the JSON of each, into the new or empty folder `out`; how many pages there are.

    Raises Unready for a journal that cannot be shown, before anything is written; SettingsError for a folder that is
    not empty, StateError where it cannot be written.
    """
    addresses = list(site.addresses())
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise SettingsError(f"OUT {out}: the folder is not empty; name a new one")
        for name in FILES:
            (out / name).write_text(file(name), encoding="utf-8")
        for address in addresses:
            page, place = site.page(address), out / address
            place.parent.mkdir(parents=True, exist_ok=True)
            place.with_name(f"{place.name}.json").write_text(as_json(page), encoding="utf-8")
            place.with_name(f"{place.name}.html").write_text(html(page, ".html"), encoding="utf-8")
    except OSError as error:
        raise StateError(f"the site {out} cannot be written: {error.strerror}") from error
    return len(addresses)
