"""The table of experts, `camo.toml`: who looks at what. `detectors.camo.content_gates` is the table of gates."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from detectors.camo.content_gates import GATES
from detectors.families import family
from subnet.errors import SettingsError
from subnet.registry import find

CONFIGURATION = Path(__file__).with_name("camo.toml")
GENERAL = "general"


@dataclass(frozen=True)
class Expert:
    """One row of camo.toml: runs where one of its gates opens.

    It is trained on items of its categories. Without any, the general expert is trained on all items, and another one
    is taken as its family ships.
    """

    name: str
    gates: tuple[str, ...]
    categories: tuple[str, ...]
    family: str = "npr"

    @property
    def steady(self) -> bool:
        """Whether it sees every picture, and all of it."""
        return self.gates == ("none",)


@dataclass(frozen=True)
class Configuration:
    """camo.toml. The first expert is the general one."""

    rule: Literal["combine", "max"]
    experts: tuple[Expert, ...]


def configuration(path: Path = CONFIGURATION) -> Configuration:
    """Read the table. Raises SettingsError naming what is wrong, UnknownName for a gate or family that is not there."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"camo: {path} cannot be read as TOML: {error}") from error
    try:
        rows = [
            Expert(row["name"], tuple(row["gates"]), tuple(row["categories"]), row.get("family", "npr"))
            for row in content["experts"]
        ]
    except (KeyError, TypeError) as error:
        raise SettingsError(f"camo: {path} is not a table of experts: {type(error).__name__} {error}") from error
    for row in rows:
        family(row.family)
        for gate in row.gates:
            find(GATES, gate, "gate")
    rule = content.get("rule", "combine")
    if rule not in ("combine", "max"):
        raise SettingsError(f"camo: rule in {path} must be combine or max, not {rule!r}")
    if not rows or rows[0].name != GENERAL or not rows[0].steady:
        raise SettingsError(f'camo: the first expert in {path} must be called "general" and have the gate "none"')
    return Configuration(rule, tuple(rows))
