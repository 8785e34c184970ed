"""What OpenAPI promises, tried by schemathesis where it is installed."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.places import ROOT
from tests.unit.neurons.gateway.rig import gateway

HERE = "tests.unit.neurons.gateway.schemathesis_hooks"
CONFIG = str(Path(__file__).with_name("schemathesis.toml"))
NEEDS = "schemathesis is not installed: pip install 'schemathesis>=4.32,<5'"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("schemathesis") is None, reason=NEEDS)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("schemes", [(), ("https",)])
async def test_nothing_answers_against_its_schema(tmp_path: Path, journal: Path, schemes: tuple[str, ...]) -> None:
    """Made-up requests, right and wrong ones, of every operation by every check there is: not one finding."""
    async with gateway(tmp_path, journal, schemes=schemes) as rig:
        words = ("run", f"{rig.url}/openapi.json", "--checks", "all", "--seed", "7", "--max-examples", "40")
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "schemathesis.cli",
                "--config-file",
                CONFIG,
                *words,
                "--header",
                f"Authorization: Bearer {rig.key}",
            ),
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": HERE, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()
    lines = told.decode(errors="replace").splitlines()
    assert process.returncode == 0, "\n".join(line for line in lines if len(line) < 500 and line.isprintable())
