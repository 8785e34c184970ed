"""Wrong flags answer before anything heavy is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

from neurons.cli import build
from neurons.commands.reference import chains

HEAVY = {
    *("torch", "numpy", "bittensor", "fastapi", "aiohttp", "scipy", "sklearn", "matplotlib", "av", "PIL"),
    *("onnxruntime", "diffusers", "transformers", "pyarrow", "uvicorn", "starlette"),
}
CODE = """
import sys
from neurons.cli import main
status = 0
try:
    main([*sys.argv[1:], "--wrong_flag", "1"])
except SystemExit as ended:
    status = ended.code
print(status, *{name.split(".")[0] for name in sys.modules})
"""


@pytest.mark.parametrize("chain", list(chains(build())), ids=" ".join)
def test_a_wrong_flag_loads_nothing_heavy(chain: tuple[str, ...]) -> None:
    """The flags of every command are known without arrays, codecs, networks or models: half a second at most.

    What is loaded is looked at and not the clock, which a busy machine would turn.
    """
    done = subprocess.run([sys.executable, "-c", CODE, *chain], capture_output=True, text=True, check=True)
    status, *modules = done.stdout.split()
    wanted = "wrong_flag" if chain != ("config",) else "Unknown command"
    assert (status, wanted in done.stderr) == ("2", True), done.stderr
    assert HEAVY & set(modules) == set()
