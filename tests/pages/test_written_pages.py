"""Pages that commands write equal what the commands write today, and say nothing of the machine."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import tables
from neurons.cli import COMMANDS
from neurons.commands import reference
from subnet.errors import SettingsError
from tests.places import ROOT


def test_the_page_of_commands_is_what_the_program_says() -> None:
    """docs/commands.md; after a change of a flag: python -m neurons.commands.reference."""
    assert (ROOT / "docs/commands.md").read_text() == reference.reference()


def test_the_page_of_commands_knows_no_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another home, a narrow terminal and variables that are set do not change a letter of it."""
    settings = {"HOME": str(tmp_path), "COLUMNS": "40", "ASSAY_HOME": str(tmp_path), "ASSAY_SEED": "4"}
    for name, value in (settings | {"BT_WALLET_NAME": "cold", "NO_COLOR": "1", "TERM": "dumb"}).items():
        monkeypatch.setenv(name, value)
    reference.main([str(tmp_path / "commands.md")])
    assert (tmp_path / "commands.md").read_text() == (ROOT / "docs/commands.md").read_text()


def test_every_command_has_a_chapter_with_its_flags() -> None:
    """All commands of the table, subcommands too, with flags by the names that users type and their variables."""
    text = (ROOT / "docs/commands.md").read_text()
    chapters = re.findall(r"^## assay (.+)$", text, re.MULTILINE)
    assert {chapter.split()[0] for chapter in chapters} == set(COMMANDS)
    assert {chapter for chapter in chapters if chapter.startswith("pool")} == {
        *("pool status", "pool verify", "pool prune", "pool export"),
    }
    for flag in (
        "`--pool.floor_gigabytes` FLOAT: ",
        "`BT_WALLET_HOTKEY`",
        "- `--netuid` INT: Number of the subnet. **Req",
    ):
        assert flag in text


@pytest.mark.parametrize("name", tables.HEADS)
def test_the_pages_of_measurements_are_what_the_results_say(name: str) -> None:
    """docs/benchmarks.md and docs/detectors.md; after a new measurement: python -m benchmarks.tables."""
    assert (ROOT / "docs" / name).read_text() == tables.page(name)


def test_every_result_is_on_the_page() -> None:
    """No file of results is left out or stands twice, and each names a module or target that is there."""
    files = sorted(tables.RESULTS.glob("*.json"))
    assert sorted(path.stem for path in files) == sorted(itertools.chain(*tables.ORDERS.values()))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in re.findall(r"`((?:python|make) [^`]+)`", "".join(map(tables.page, tables.HEADS))):
        program, *words = command.split()
        if program == "make":
            assert words[0] in targets
            continue
        module = words[1] if words[0] == "-m" else words[0].removesuffix(".py").replace("/", ".")
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), command


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda result: result.pop("commit"), "exactly the fields"),
        (lambda result: result["rows"][0].pop(), r"\d+ columns, but a row has \d+ cells"),
    ],
)
def test_a_broken_result_is_named(change: Callable[[Any], object], message: str, tmp_path: Path) -> None:
    """A field or a cell that is missing is told with the file, not printed as a hole."""
    result = json.loads((tables.RESULTS / "accuracy-images.json").read_text())
    change(result)
    path = tmp_path / "accuracy-images.json"
    path.write_text(json.dumps(result))
    with pytest.raises(SettingsError, match=f"accuracy-images.json.*{message}"):
        tables.read(path)


def test_numbers_of_the_readme_are_those_of_the_benchmarks() -> None:
    """Each number of the README's table of five stands on a page of measurements, word for word."""
    text = (ROOT / "README.md").read_text()
    chapter = text.partition("## Five numbers")[2].partition("\n## ")[0]
    rows = re.findall(r"^\|[^|]+\| \*\*(.+?)\*\*", chapter, re.MULTILINE)
    assert len(rows) == 5
    assert [row for row in rows if row not in "".join(map(tables.page, tables.HEADS))] == []
