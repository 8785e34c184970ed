"""The tree of errors is on one page."""

from __future__ import annotations

import ast

from subnet import errors
from tests.places import ROOT


def test_every_error_stands_in_the_tree() -> None:
    """A class that descends from SubnetError, wherever it is, is drawn in the docstring of `subnet.errors`."""
    bases: dict[str, set[str]] = {}
    for package in ("subnet", "detectors", "generators", "neurons"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    bases[node.name] = {base.id for base in node.bases if isinstance(base, ast.Name)}
    ours = {"SubnetError"}
    while more := {name for name, above in bases.items() if above & ours} - ours:
        ours |= more
    assert len(ours) > 15
    assert [name for name in sorted(ours) if f" {name} " not in (errors.__doc__ or "")] == []
