"""Names beside hotkeys, for the eyes of people: from a folder of wallets, or from a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rich.markup import escape

from subnet.errors import SettingsError
from subnet.printing import MOST, excerpt, printable

DEFAULT_HOTKEY = "default"
LIKE = 'like {"5F...": "a name"}'


def literal(text: str) -> str:
    """A text of strangers for a table of ours: neither markup nor a command to the terminal."""
    return escape(printable(text))


def names_of(path: Path | None, journal: Path) -> Mapping[str, str]:
    """Names by hotkey. `path` is a folder of wallets or a file of JSON {hotkey: name}; `journal` a file or its folder.

    None takes the wallets of the local network that the journal lies in, where there is one. Raises SettingsError for
    a path that is neither, and for a file with a name that is empty, too long for a table, or has signs that do not
    show or turn the direction of writing.
    """
    if path is None:
        path = (journal if journal.is_dir() else journal.parent).absolute().parent / "wallets"
        return _wallets(path) if (path.parent / "genesis.json").is_file() else {}
    if path.is_dir():
        return _wallets(path)
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"--names {path}: {error}; it should hold JSON {LIKE}") from error
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise SettingsError(f"--names {path} should hold JSON {LIKE}")
    for hotkey, name in names.items():
        if not name.strip() or len(name) > MOST or name != printable(name):
            told = f"{excerpt(name)!r}, the name of {excerpt(hotkey)!r}"
            raise SettingsError(f"--names {path}: {told}, should have 1 to {MOST} characters that show, on one line")
    return names


def _wallets(folder: Path) -> dict[str, str]:
    """Every hotkey of every wallet, by its address: the name of its coldkey, and its own where that is not "default".

    Hotkeys that are encrypted or do not read are passed over; of a long name its beginning stands for it.
    """
    names = {}
    for path in sorted(folder.glob("*/hotkeys/*")):
        try:
            key = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(key, dict) and isinstance(address := key.get("ss58Address"), str):
            cold, hot = path.parent.parent.name, path.name.removesuffix("pub.txt")
            names[address] = excerpt(cold if hot == DEFAULT_HOTKEY else f"{cold}/{hot}")
    return names
