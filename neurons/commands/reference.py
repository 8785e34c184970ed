"""The page of all commands, made from the program: `python -m neurons.commands.reference [PAGE]`.

Flags, variables, defaults and help texts are those that `--help` prints, so that docs/commands.md cannot say something
else; a test compares the two. Nothing of the machine goes into it: no width of a terminal, no home folder, no variable.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from cyclopts import App
from cyclopts.help import HelpEntry, HelpPanel
from rich.console import Console, ConsoleOptions

from neurons.cli import COMMANDS, build
from subnet.files import write_atomically

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
HEAD = """# Commands

Written by `python -m neurons.commands.reference` from the program; do not edit. A flag wins over its variable, a
variable over the file of `--config`, that over the default. Variables stand in brackets.

Every command also has `--help`, and `--config PATH` (`ASSAY_CONFIG`): a TOML file with flags, such as `port = 8091`
below `[miner.axon]`. Numbers are 0 or more and at most 2147483647; a port or netuid is at most 65535, a seed
4294967295, save for the secret ones of the producer and the validator, which may be longer.
"""
EVERYWHERE = {"--help", "--version", "--config"}
NO_DEFAULT = (None, "()", "False")  # nothing, an empty list, a switch that is off


def plain(value: Any) -> str:
    """A text of cyclopts on one line."""
    return " ".join(str(getattr(value, "primary_renderable", value) or "").split())


def line(entry: HelpEntry) -> str:
    """One flag or argument: its names, what it is, its choices, its default, and the variables that set it."""
    names = " or ".join(f"`{name}`" for name in entry.display_labels)
    facts = [plain(entry.description)]
    if entry.choices:
        facts.append(f"One of {', '.join(entry.choices)}.")
    if entry.required:
        facts.append("**Required.**")
    elif entry.default not in NO_DEFAULT:
        facts.append(f"Default: `{plain(entry.default)}`.")
    variables = ", ".join(f"`{name}`" for name in entry.env_var or ())
    return f"- {names}{f' {entry.metavar}' if entry.metavar else ''}: {' '.join(facts)} ({variables})"


def listing(console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
    """The help formatter of cyclopts that writes Markdown; what every command has stands once, in HEAD."""
    lines = [line(entry) for entry in panel.entries if not EVERYWHERE & set(entry.names)]
    if panel.format == "parameter" and lines:
        console.file.write("\n".join((*lines, "")))


def chains(app: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command that can be called, in the order of the tables: ("pool", "status")."""
    names = COMMANDS if not path else [name for name in app if not name.startswith("-")]
    for name in names:
        deeper = list(chains(app[name], (*path, name))) if [sub for sub in app[name] if sub[0] != "-"] else []
        if not deeper or app[name].default_command is not None:
            yield (*path, name)
        yield from deeper


def chapter(app: App, chain: tuple[str, ...]) -> str:
    """One command: usage, help text, and its flags."""
    written = StringIO()
    app.help_print(list(chain), console=Console(width=10_000, file=written, no_color=True))
    usage, _, rest = written.getvalue().strip().removeprefix("Usage: ").partition("\n")
    return f"\n## assay {' '.join(chain)}\n\n```console\n{usage.strip()}\n```\n\n{rest.strip()}\n"


def reference() -> str:
    """Markdown of every command."""
    app = build()
    app.help_formatter = listing
    return HEAD + "".join(chapter(app, chain) for chain in chains(app))


def main(words: Sequence[str]) -> None:
    """Write the page to the path given, or to docs/commands.md."""
    write_atomically(Path(words[0]) if words else PAGE, reference().encode())


if __name__ == "__main__":
    main(sys.argv[1:])
