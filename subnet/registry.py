"""Tables of names whose rows are resolved on first use.

A row's `target` is a string "package.module:factory", so that listing a table imports nothing.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from subnet.errors import UnknownName


class Row(Protocol):
    """What every table's rows have in common."""

    @property
    def name(self) -> str: ...


RowT = TypeVar("RowT", bound=Row)


def table(rows: Iterable[RowT]) -> dict[str, RowT]:
    """Rows by name, in the order written. Raises ValueError for a name that stands there twice."""
    result: dict[str, RowT] = {}
    for row in rows:
        if row.name in result:
            raise ValueError(f"the name {row.name!r} stands twice in a table")
        result[row.name] = row
    return result


def find(rows: Mapping[str, RowT], name: str, kind: str) -> RowT:
    """The row called `name`. Raises UnknownName with the nearest names, e.g. kind="detector"."""
    if name in rows:
        return rows[name]
    near = difflib.get_close_matches(name, rows, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(rows)}"
    raise UnknownName(f"no {kind} is called {name!r}; {hint}")


def resolve(target: str) -> Callable[..., Any]:
    """Import "package.module:factory" and return the factory."""
    module, _, attribute = target.partition(":")
    factory: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return factory
