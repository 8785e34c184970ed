"""The shape of the project: which way imports point, what may be imported where, how long pages are."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import ROOT

PACKAGES = ("neurons", "subnet", "detectors", "generators")
ALLOWED = {
    "neurons": {"neurons", "detectors", "generators", "subnet"},
    "detectors": {"detectors", "subnet"},
    "generators": {"generators", "subnet"},
    "subnet": {"subnet"},
}
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
# Floors of `subnet`, lowest first: a place imports its own floor's rooms never, and only from lower ones.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("types", "errors", "files", "lifetime"),
    ("registry", "protocols"),
    ("codec", "chain"),
    ("game", "wire"),
    ("evidence", "media"),
)
FLOOR = {place: number for number, floor in enumerate(FLOORS) for place in floor}
NOT_IN_THE_GAME = {"sqlite3", "socket", "aiohttp", "fastapi"}
MAX_LINES = 350
MAX_FUNCTION = 60


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports anywhere, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: imports are absolute"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    """neurons -> {detectors, generators} -> subnet, never sideways or back."""
    package = path.relative_to(ROOT).parts[0]
    for module, line in imports(path):
        top = module.split(".")[0]
        assert top not in PACKAGES or top in ALLOWED[package], f"{name_of(path)}:{line} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    """torch under detectors and generators, diffusers under generators; the SDK client in one file."""
    where = name_of(path)
    for module, line in imports(path):
        top = module.split(".")[0]
        at = f"{where}:{line} imports {module}"
        if top in {"torch", "timm"}:
            assert where.startswith(("detectors/", "generators/")) or where == "neurons/settings.py", at
        if top == "diffusers":
            assert where.startswith("generators/"), at
        if top == "bittensor" and not module.startswith("bittensor.http_auth"):
            assert where.startswith("subnet/chain/"), at


def place_of(module: str) -> str:
    """The room or file of `subnet` that a module belongs to: "subnet.chain.devnode.node.rpc" lies in "chain"."""
    return module.split(".")[1]


@pytest.mark.parametrize("path", [path for path in FILES if path.is_relative_to(ROOT / "subnet")], ids=name_of)
def test_rooms_of_the_game_stand_on_floors(path: Path) -> None:
    """A room of `subnet` imports lower floors only; what lies on the floor of types and errors may know each other."""
    place = path.relative_to(ROOT / "subnet").parts[0].removesuffix(".py")
    if place == "__init__":
        return
    for module, line in imports(path):
        top, *rest = module.split(".")
        if top != "subnet" or not rest or rest[0] == place:
            continue
        other = place_of(module)
        assert FLOOR[other] < FLOOR[place] or FLOOR[place] == 0, f"{name_of(path)}:{line} imports {module}"


@pytest.mark.parametrize("path", sorted((ROOT / "subnet" / "game").rglob("*.py")), ids=name_of)
def test_the_game_touches_nothing(path: Path) -> None:
    """The rules know no database, no socket, no server."""
    for module, line in imports(path):
        assert module.split(".")[0] not in NOT_IN_THE_GAME, f"{name_of(path)}:{line} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_pages_are_short(path: Path) -> None:
    """Modules of at most 350 lines, functions under 60 without their docstrings."""
    text = path.read_text()
    lines = text.count("\n")
    assert lines <= MAX_LINES, f"{name_of(path)} has {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            described = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
            length = (node.end_lineno or 0) - (described or 0)
            assert length <= MAX_FUNCTION, f"{name_of(path)}:{node.lineno} {node.name} has {length} lines"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    """Each module opens with a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text())), f"{name_of(path)} has no docstring"


def test_one_broad_except() -> None:
    """Only the validator's loop catches everything."""
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            broad = isinstance(node, ast.ExceptHandler) and (
                node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception")
            )
            if broad:
                found.append(name_of(path))
    assert found == ["neurons/validator/loop.py"]


def test_importing_the_core_is_light() -> None:
    """Importing every module of the core, the programs' table included, loads neither torch nor the SDK."""
    heavy = "{'torch', 'diffusers', 'transformers', 'bittensor'}"
    code = f"import sys, neurons.cli, detectors, subnet.game.step, subnet.evidence.journal; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"
