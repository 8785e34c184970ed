"""Families of weights: what judging and training share, and that judging needs no more than that."""

from __future__ import annotations

import ast
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import nn

from detectors import TABLE
from detectors.checkpoints import HERE, read
from detectors.families import FAMILIES, Family, family, network_size
from detectors.public_checkpoints import PUBLIC, adapt
from detectors.training.recipes import RECIPES
from subnet.errors import CheckpointError, SettingsError, UnknownName
from subnet.registry import resolve
from tests.places import ROOT

JUDGING = (
    "loading",
    "public_checkpoints",
    "explain",
    "camo/mixture",
    "camo/configuration",
    "acceleration",
    "evaluation",
)


def imports(path: Path) -> set[Path]:
    """Files of `detectors` that a file imports anywhere, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    files = {ROOT / f"{name.replace('.', '/')}.py" for name in names if name.startswith("detectors.")}
    return {file for file in files if file.is_file()}


@pytest.mark.parametrize("part", JUDGING)
def test_judging_needs_no_training(part: str) -> None:
    """Nothing that judges imports `detectors.training`, directly or through what it imports."""
    place = ROOT / "detectors" / part
    waiting = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    reached = set(waiting)
    assert waiting
    while waiting:
        new = imports(waiting.pop()) - reached
        reached |= new
        waiting += new
    assert not {str(file.relative_to(ROOT)) for file in reached if file.parent.name == "training"}


@pytest.mark.parametrize("row", FAMILIES.values(), ids=lambda row: row.name)
def test_targets_are_there(row: Family) -> None:
    """Every "module:name" of a family resolves."""
    targets = [getattr(row, field.name) for field in fields(row)]
    targets = [target for target in targets if isinstance(target, str) and ":" in target]
    assert row.network in targets
    assert row.views in targets
    assert all(callable(resolve(target)) for target in targets)


def test_one_family_for_each_recipe_and_row() -> None:
    """Recipes train families of their own names; rows of detectors and of public files name families that are there.

    A family without a recipe belongs to a row whose weights are fetched.
    """
    assert set(FAMILIES) == set(RECIPES) | {row.family for row in TABLE.values() if row.files}
    assert {row.family for row in TABLE.values() if row.weights} <= set(FAMILIES)
    assert {row.family for row in PUBLIC.values()} <= set(FAMILIES)
    assert HERE.is_dir()
    with pytest.raises(UnknownName, match="did you mean ucf-plain"):
        family("ucf-plane")


@pytest.mark.parametrize("row", FAMILIES.values(), ids=lambda row: row.name)
def test_the_small_size_builds_the_network(row: Family) -> None:
    """`small` holds arguments of the network, and the number of methods comes from the data where it takes one; a
    tower comes from the user, and its lack is told."""
    if row.name.startswith("tower"):
        with pytest.raises(SettingsError, match="--tower"):
            resolve(row.network)(**network_size(row, 3))
        return
    with torch.device("meta"):
        network: nn.Module = resolve(row.network)(**network_size(row, 3))
    sizes = network.state_dict()
    assert all(len(sizes[key]) == 4 for key in row.per_method)
    assert network_size(row, 3, "published") == ({"methods": 4} if row.per_method else {})


@pytest.fixture(scope="module")
def states() -> list[dict[str, torch.Tensor]]:
    """Weights of every network that ships, each of these without every other tensor, and what belongs to none."""
    shipped = [read(path).state for path in sorted(HERE.glob("*.safetensors")) if path.stem.isidentifier()]
    halves = [dict(list(state.items())[start::2]) for state in shipped for start in (0, 1)]
    return [*shipped, *halves, {"body.else": torch.zeros(2)}, {}]


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_of_another_network_are_refused(name: str, states: list[dict[str, torch.Tensor]]) -> None:
    """A layout reads a file or says in a CheckpointError that it cannot: --init and --weights take any file."""
    for state in states:
        with suppress(CheckpointError):
            assert adapt(dict(state), family(name))
