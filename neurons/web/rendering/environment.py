"""Templates and styles. Every text of a stranger is escaped, and shows what a browser would act upon."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from neurons.web.rendering import drawing
from subnet.printing import counted, percent, printable

_STRONG: Final = re.compile(r"\*\*([^*]+)\*\*")
_CODE: Final = re.compile(r"`([^`]+)`")


def template(name: str) -> Template:
    """The template in the file of this name."""
    return _environment().get_template(f"{name}.html")


def file(name: str) -> str:
    """A file that pages need beside them: a sheet of styles, the icon."""
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
    environment.filters |= {
        "number": _number,
        "percent": _percent,
        "marked": _marked,
        "count": counted,
        "moment": _moment,
    }
    environment.filters |= {
        picture.__name__: picture for picture in (drawing.line, drawing.curve, drawing.dots, drawing.bar)
    }
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    return environment


def _text(value: Any) -> Any:
    """Texts line by line without signs that turn the direction of writing, or show nothing."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(map(printable, value.split("\n")))
    return value


def _marked(text: str) -> Markup:
    """A text of ours with **strong** words and `code`."""
    strong = _STRONG.sub(r"<strong>\1</strong>", str(escape(text)))
    return Markup(_CODE.sub(r"<code>\1</code>", strong))


def _number(value: float | None, places: int = 3) -> str:
    return "–" if value is None else f"{value:.{places}f}"


def _moment(seconds: float | None) -> str:
    """A time, given in seconds since 1970, to the minute."""
    return "–" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{percent(value, 1)}%"
