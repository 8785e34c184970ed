"""What the programs import: torch and diffusers are for training, explaining and first exports, scipy for comparing."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEAN = """
import importlib, sys
{body}
heavy = {{"torch", "diffusers", "transformers", "torchvision", "timm", "scipy"}} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "module", ["neurons.validator.run", "subnet.chain.devnode", "subnet.chain.devnode.__main__", "neurons.miner.run"]
)
def test_programs_import_no_heavy_library(module: str) -> None:
    """A validator, the development chain and a miner are whole without them, down to what they import first."""
    body = f'importlib.import_module("{module}")'
    done = subprocess.run([sys.executable, "-c", LEAN.format(body=body)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
