"""What a Ray on this machine needs in a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.places import ROOT


def ray_variables(patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Ray with short names of sockets, whose workers import this tree."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    variables = {"RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    for name, value in {**variables, "ASSAY_HOME": str(tmp_path / "home")}.items():
        patch.setenv(name, value)
