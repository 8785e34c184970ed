"""Every number that a flag of any command takes: what no machine can work with is refused where flags are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest
from cyclopts import ArgumentCollection, CycloptsError, Token

from neurons.cli import COMMANDS, build, check_numbers
from neurons.commands.operating.config import settings_of
from neurons.commands.reference import chains
from neurons.miner.settings import MinerSettings
from neurons.settings import BlacklistSettings, PoolSettings
from subnet.errors import SettingsError

APP = build()


def numbers(chain: tuple[str, ...], kinds: set[type]) -> Iterator[ArgumentCollection]:
    """Flags of one command that take a number of one of `kinds`, each alone."""
    app = APP
    for name in chain:
        app = app[name]
    for argument in app.assemble_argument_collection():
        if kinds & {argument.hint, *get_args(argument.hint)} and not argument.children:
            yield ArgumentCollection([argument])


def of(command: str) -> list[tuple[str, ...]]:
    """The command, and those below it."""
    app = APP[command]
    below = [name for name in app if not name.startswith("-")]
    whole = [(command,)] if not below or app.default_command is not None else []
    return whole + (list(chains(app, (command,))) if below else [])


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "1e308", "1" * 5000])
def test_no_flag_takes_a_number_without_end(value: str) -> None:
    """No number, infinity, a negative one, and one past all counting are refused by name; a secret seed may be long."""
    count = 0
    for chain in (chain for command in COMMANDS for chain in of(command)):
        for alone in numbers(chain, {int, float}):
            count, (argument,) = count + 1, alone
            argument.append(Token(keyword=argument.name, value=value, source="cli"))
            with pytest.raises((CycloptsError, SettingsError)) as refused:
                check_numbers(APP, chain, alone)
            assert argument.name in str(refused.value), (chain, str(refused.value))
    assert count > 100


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_taken_or_refused_in_words(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 for a number that need not be whole: what else is raised than a refusal is a fault."""
    monkeypatch.delenv("ASSAY_CONFIG", raising=False)
    for chain in of(command):
        for (argument,) in numbers(chain, {float}):
            with suppress(CycloptsError, SettingsError):
                settings_of(APP, (*chain, argument.name, "0"))


@pytest.mark.parametrize("most", [2**31 - 1, 0.001])
def test_what_is_taken_can_be_used(most: float, tmp_path: Path) -> None:
    """The largest and the least number open a pool and admit callers."""
    PoolSettings(tmp_path, gigabytes=most, floor_gigabytes=most).open()
    assert MinerSettings(1, blacklist=BlacklistSettings(rate=most, min_stake=most)).policy().rate == most
