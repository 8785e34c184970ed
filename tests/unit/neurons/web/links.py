"""Whether a site of files holds together."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

LINK = re.compile(r'(?:href|src)="([^"]*)"')


def broken(folder: Path) -> list[str]:
    """Links of all pages below `folder` that lead to no file in it, or to no place on the page that they name."""
    found = []
    for page in sorted(folder.rglob("*.html")):
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            way, _, place = unquote(link).partition("#")
            target = (page.parent / way).resolve() if way else page
            inside = target.is_file() and target.is_relative_to(folder.resolve())
            if not (inside and (not place or f'id="{place}"' in target.read_text())):
                found.append(f"{page.relative_to(folder)}: {link}")
    return found
