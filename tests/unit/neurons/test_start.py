"""How a program starts: what Ctrl-C does while modules are still being imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from subnet.lifetime import INTERRUPTED

INTERRUPT = "import os, signal, time\ndef interrupt(*_):\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(5)\n"
MODULES = {
    "as it is": "interrupt()",
    "an ImportError": "try:\n    interrupt()\nexcept KeyboardInterrupt:\n    raise ImportError('half a module')",
    "a RuntimeError": "class Name:\n    __set_name__ = interrupt\nclass Owner:\n    name = Name()",  # of Python 3.11
    "any error": "try:\n    interrupt()\nexcept BaseException:\n    raise SystemError('in an extension')",
}
PROGRAM = """
import sys
from neurons import cli
from neurons.__main__ import start
cli.COMMANDS["broken"] = ("broken:main", "Is interrupted while it is imported.")
sys.argv[1:] = ["broken"]
start()
"""


@pytest.mark.parametrize("text", MODULES.values(), ids=MODULES)
def test_an_interrupt_at_import_is_no_error(text: str, tmp_path: Path) -> None:
    """Whatever an import makes of it, the program ends with the status of an interrupt, and without a traceback."""
    (tmp_path / "broken.py").write_text(INTERRUPT + text)
    code = f"import sys; sys.path.append({str(tmp_path)!r})" + PROGRAM
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == INTERRUPTED, run.stderr
    assert "Traceback" not in run.stderr
