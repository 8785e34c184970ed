"""What the wheel carries, and what it asks for."""

from __future__ import annotations

import tomllib

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.places import ROOT

PACKAGES = ("detectors", "generators", "neurons", "subnet")


def test_the_wheel_says_that_it_is_typed() -> None:
    """Each package carries `py.typed`, so that a type checker reads the annotations of those who install it."""
    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {f"{package}/py.typed" for package in PACKAGES} <= files


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ASKED = [
    *PROJECT["build-system"]["requires"],
    *PROJECT["project"]["dependencies"],
    *(line for lines in PROJECT["project"]["optional-dependencies"].values() for line in lines),
]
LOCKED = {
    canonicalize_name(locked.name): locked
    for locked in map(Requirement, (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines())
}


@pytest.mark.parametrize("line", ASKED)
def test_every_dependency_is_bounded_from_both_ends(line: str) -> None:
    """A later release may break what was tested, an earlier one lacks it: `make compat` runs both ends."""
    kinds = {specifier.operator for specifier in Requirement(line).specifier}
    assert kinds == {">=", "<"}


def test_the_lock_is_within_the_bounds() -> None:
    """Every package stands once in the lock, in a version that pyproject.toml allows; what only extras are for is not locked."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert len(LOCKED) == len(lines)
    for asked in map(Requirement, ASKED):
        if asked.name in ("ray", "wandb", "psycopg", "c2pa-python", "pillow-heif"):
            continue
        (pin,) = LOCKED[canonicalize_name(asked.name)].specifier
        assert asked.specifier.contains(pin.version), f"{asked} but {pin}"


def test_no_dependency_is_asked_for_twice() -> None:
    """Within the dependencies proper, and within each extra."""
    project = PROJECT["project"]
    for lines in (project["dependencies"], *project["optional-dependencies"].values()):
        names = [canonicalize_name(Requirement(line).name) for line in lines]
        assert sorted(set(names)) == sorted(names)
