"""`assay fetch`: bring the published weights of a detector, told first how much it is and under which licence."""

from __future__ import annotations

import json as jsonlib
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.table import Column, Table

from neurons import settings as s
from neurons.terminal import terminal
from subnet.errors import SettingsError, UnknownName

if TYPE_CHECKING:
    from detectors.rows import DetectorRow

GITHUB = "https://raw.githubusercontent.com"


def fetch(
    name: str | None = None,
    *,
    yes: Annotated[bool, Parameter(negative="")] = False,
    github: str = GITHUB,
    json: s.Json = False,
) -> None:
    """Bring a detector's published weights at a pinned commit, and keep them below $ASSAY_HOME/weights.

    Size and licence are told first, and nothing comes without --yes. The sha256 of every file is kept: later only
    the same bytes are taken. The hub is that of HF_ENDPOINT, with the token of HF_TOKEN. Exit status 2 when nothing
    was fetched.

    Parameters
    ----------
    name
        A detector of `assay fetch` without a name, which lists what can be fetched and what is here.
    yes
        Bring it: without this, size and licence are told, and that is all.
    github
        Where files of GitHub are, for mirrors.
    """
    from detectors import TABLE
    from detectors.fetching import store

    rows = {row.name: row for row in TABLE.values() if row.files}
    if name is None:
        _list([_facts(row) for row in rows.values()], json)
        return
    row = _row(name, rows, ships=name in TABLE)
    if not store.fetched(row) or not _whole(row):
        if not json:
            _tell(row)
        _ask(row, yes)
        _bring(row, github)
    if json:
        print(jsonlib.dumps(_facts(row)))
    else:
        print(f"{row.name} is here: assay detect --detector {row.name} FILE")


def _row(name: str, rows: dict[str, DetectorRow], *, ships: bool) -> DetectorRow:
    from subnet.registry import find

    if name not in rows and ships:
        raise UnknownName(f"{name}: nothing is to be fetched for it; what can be fetched: {', '.join(rows)}")
    return find(rows, name, "detector that can be fetched")


def _whole(row: DetectorRow) -> bool:
    """Whether the files that are here have their bytes still."""
    from detectors.checkpoints import sha256_of
    from detectors.fetching import store

    return all(sha256_of(path) == expected for path, expected in store.files_of(row))


def _facts(row: DetectorRow) -> dict[str, Any]:
    from detectors.fetching import store

    return {
        "name": row.name,
        "size": store.bulk(row),
        "licence": row.licence,
        "fetched": store.fetched(row),
        "files": [
            {"address": origin.address, "path": str(store.place(row, origin)), "sha256": store.expected(origin) or None}
            for origin in row.files
        ],
        "published": row.published,
    }


def _list(facts: list[dict[str, Any]], json: bool) -> None:
    if json:
        print(jsonlib.dumps(facts))
        return
    table = Table("name", "size", "licence", "here", Column("published", overflow="fold"), box=None, header_style="dim")
    for each in facts:
        here = "yes" if each["fetched"] else "no"
        table.add_row(each["name"], each["size"], each["licence"], here, each["published"])
    terminal().print(table, highlight=False, markup=False)


def _tell(row: DetectorRow) -> None:
    from detectors.fetching import store

    print(f"{row.name}: {store.bulk(row)}, licence {row.licence}; {row.published}")
    for origin in row.files:
        print(f"  {origin.address}")


def _ask(row: DetectorRow, yes: bool) -> None:
    """Raises SettingsError unless `yes`: nothing of this size, and under others' terms, comes unasked."""
    from detectors.fetching import store

    if yes:
        return
    about = f"{row.name} is {store.bulk(row)} under the licence {row.licence}"
    raise SettingsError(f"nothing was fetched: {about}; say --yes to bring it")


def _bring(row: DetectorRow, github: str) -> None:
    from detectors.fetching.download import fetch as bring
    from detectors.loading import check_layout

    bring(row, partial(check_layout, row), github=github)
