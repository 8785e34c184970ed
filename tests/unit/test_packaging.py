"""What the wheel carries, and what it asks for."""

from __future__ import annotations

import re
import tomllib
from collections import Counter

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.places import ROOT

PACKAGES = ("detectors", "generators", "neurons", "subnet")


def test_the_wheel_says_that_it_is_typed() -> None:
    """Each package carries `py.typed`, so that a type checker reads the annotations of those who install it."""
    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {f"{package}/py.typed" for package in PACKAGES} <= files


def names(lines: list[str]) -> list[str]:
    """Names of packages, as the index spells them."""
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines if not line.lstrip().startswith(("#", "-")))
    return [re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match]


@pytest.mark.parametrize("file", ["requirements.in", "requirements.lock"])
def test_each_package_stands_once(file: str) -> None:
    """No package twice, and none that the project asks for is missing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    listed = Counter(names((ROOT / file).read_text().splitlines()))
    assert [name for name, count in Counter(names(project)).items() if count > 1] == []
    assert [name for name, count in listed.items() if count > 1] == []
    assert set(names(project)) <= set(listed)
