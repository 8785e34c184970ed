"""Templates and styles. Every text of a stranger is escaped, and shows what a browser would act upon."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from neurons.web.rendering import drawing
from subnet.printing import printable


def template(name: str) -> Template:
    """The template in the file of this name."""
    return _environment().get_template(f"{name}.html")


def sheet(name: str) -> str:
    """The sheet of styles in the file of this name."""
    return files("neurons.web").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("neurons.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_text,
    )
    environment.filters |= {"number": _number, "percent": _percent, "line": drawing.line, "dots": drawing.dots}
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    return environment


def _text(value: Any) -> Any:
    """Texts line by line without signs that turn the direction of writing, or show nothing."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(map(printable, value.split("\n")))
    return value


def _number(value: float | None, places: int = 3) -> str:
    return "–" if value is None else f"{value:.{places}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
