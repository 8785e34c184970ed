"""`assay config`: every setting of a program, its value, and where that comes from."""

from __future__ import annotations

import json as jsonlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from inspect import BoundArguments
from pathlib import Path
from typing import Annotated

from cyclopts import App, Argument, ArgumentCollection, Parameter, Token
from rich.markup import escape

from neurons.cli import check_together, sources
from neurons.settings import Json, home
from neurons.sources import UNATTENDED
from neurons.terminal import terminal
from subnet.errors import SettingsError
from subnet.printing import without_credentials

MISSING = "missing"
KINDS = {"cli": "flag", "env": "variable", MISSING: MISSING}  # by the source of a token; a file's is its path
MASK = "***"


@dataclass(frozen=True)
class Setting:
    """One row. `source`: flag, variable, file, default, or missing for one that must be given and is not."""

    name: str
    value: str | None
    source: str
    where: str = ""  # the flag, the variable, or the file and the key in it


def config(
    *words: Annotated[str, Parameter(allow_leading_hyphen=True)],
    app: Annotated[App, Parameter(parse=False)],
    file: Annotated[Path | None, Parameter(name="--config")] = None,
    json: Json = False,
) -> None:
    """Show every setting of a program, its value, and where that comes from: a flag wins over its variable, a variable
    over the file of --config, that over the default. Exit status 1 when one is missing; nothing is started.

    Parameters
    ----------
    words
        A program and its flags, as it would be started: assay config validator --netuid 34. By default the miner, the
        validator and the producer. --json is this command's own.
    file
        TOML file with flags, as the program would be given it.
    """
    if file is not None:
        app.config = sources(app, file)
    programs = [tuple(words)] if words else [(name,) for name in UNATTENDED]
    read = [settings_of(app, given) for given in programs]
    tables = {each.name: each.rows for each in read}
    refused = next((each.refusal for each in read if each.refusal), None)
    ok = not refused and all(row.source != MISSING for rows in tables.values() for row in rows)
    if json:
        rows = {name: [asdict(row) for row in each] for name, each in tables.items()}
        print(jsonlib.dumps({"ok": ok, "programs": rows}))
    else:
        for name, each in tables.items():
            _print(name, each)
    if refused:
        raise SettingsError(refused)
    sys.exit(0 if ok else 1)


@dataclass(frozen=True)
class Program:
    """What `words` would start, with all its settings, and why it would refuse to, by what flags are together."""

    name: str
    rows: tuple[Setting, ...]
    refusal: str | None


def settings_of(app: App, words: Sequence[str]) -> Program:
    """The program that `words` start, and its settings.

    Raises SettingsError and what cyclopts raises for words that the program would not start with.
    """
    read: list[tuple[tuple[str, ...], ArgumentCollection]] = []

    def note(_: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        for argument in _leaves(arguments):
            if argument.required and not argument.tokens:  # what stands in for it lets all others be checked
                argument.append(Token(value=(argument.get_choices() or ("0",))[0], source=MISSING))
        read.append((commands, arguments))

    usual = tuple(app.config)
    app.config = (*usual, note)
    try:
        _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    finally:
        app.config = usual
    if not read:
        raise SettingsError(f"{' '.join(words)}: name one command with its flags, such as: assay config miner")
    commands, arguments = read[0]
    where = ("variable", "ASSAY_HOME") if "ASSAY_HOME" in os.environ else ("default", "")
    rows = (Setting("ASSAY_HOME", str(home()), *where), *map(_setting, _leaves(arguments)))
    refusal = None if any(row.source == MISSING for row in rows) else _refusal(commands, bound)
    return Program(" ".join(commands), rows, refusal)


def _refusal(commands: tuple[str, ...], bound: BoundArguments) -> str | None:
    try:
        check_together(commands, bound)
    except SettingsError as error:
        return str(error)
    return None


def _leaves(arguments: ArgumentCollection) -> Iterator[Argument]:
    """Arguments that are no family of others."""
    return (argument for argument in arguments if argument.parse and argument.show and not argument.children)


def _setting(argument: Argument) -> Setting:
    if not argument.tokens:
        return Setting(argument.name, _text(argument, argument.field_info.default), "default")
    token = argument.tokens[0]
    kind = KINDS.get(token.source, "file")
    value = None if kind == MISSING else _text(argument, argument.value)
    where = f"{token.source} {token.keyword}" if kind == "file" else token.keyword or ""
    return Setting(argument.name, value, kind, where)


def _text(argument: Argument, value: object) -> str | None:
    """A value as it would be typed; None for none. Secrets are masked."""
    from neurons.log import SECRET  # with structlog

    if value is None:
        return None
    if SECRET.search(argument.name.lstrip("-").replace(".", "_")) and argument.hint is not int:
        return MASK
    if isinstance(value, dict):
        return " ".join(f"{name}={one}" for name, one in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return " ".join(str(one) for one in value)
    if isinstance(value, Enum):
        return value.name.lower()
    return without_credentials(str(value).lower() if isinstance(value, bool) else str(value))


def _print(name: str, rows: Sequence[Setting]) -> None:
    console = terminal()
    console.print(f"assay {name}", markup=False, highlight=False)
    wide = max(len(row.name) for row in rows)
    for row in rows:
        colour = {MISSING: "red", "default": "dim"}.get(row.source, "bold")
        value = "not given" if row.source == MISSING else "-" if row.value is None else row.value
        line = f"  {row.name:{wide}}  {value:24} {row.source} {row.where}".rstrip()
        console.print(f"[{colour}]{escape(line)}[/]", highlight=False, soft_wrap=True)
