"""Wrong flags answer before anything heavy is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "bittensor", "av", "PIL", "pydantic", "aiohttp", "fastapi", "onnxruntime", "diffusers"}
CODE = """
import sys
from neurons.cli import main
try:
    main([{command!r}, "--wrong", "1"])
except SystemExit as ended:
    assert ended.code == 2, ended.code
print(*{{name.split(".")[0] for name in sys.modules}})
"""


@pytest.mark.parametrize("command", ["validator", "doctor", "status"])
def test_a_wrong_flag_loads_nothing_heavy(command: str) -> None:
    """The command's own flags are known without codecs, networks or models."""
    code = CODE.format(command=command)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Unknown option" in done.stderr
    assert HEAVY & set(done.stdout.split()) == set()
