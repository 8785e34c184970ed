"""Gather the pages of the site: every page of the navigation in mkdocs.yml, and the files that they link to.

    python docs/gather.py build/docs/pages

Links between pages and code are relative, for readers on the disk and on a forge; copying what is linked keeps them
true on the site, too, without a second copy in the repository. Needs PyYAML only, which MkDocs brings.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^)#\s]+)")


def pages(nav: Any) -> Iterator[Path]:
    """Paths of the navigation, below the root, in reading order."""
    if isinstance(nav, str):
        yield Path(nav)
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from pages(entry)


def gather(target: Path) -> list[Path]:
    """Copy pages and what they link to below `target`, which is emptied first; the paths that were copied."""
    shutil.rmtree(target, ignore_errors=True)
    waiting = list(pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    copied: list[Path] = []
    while waiting:
        path = waiting.pop(0)
        if path in copied or not (ROOT / path).is_file():
            continue
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target / path)
        copied.append(path)
        if path.suffix == ".md":
            links = [link for link in LINK.findall((ROOT / path).read_text(encoding="utf-8")) if "://" not in link]
            waiting += [Path(os.path.normpath(path.parent / link)) for link in links]
    return copied


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
