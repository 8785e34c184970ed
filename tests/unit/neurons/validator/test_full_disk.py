"""A disk that fills up while a validator plays: no round is lost, nothing is asked twice, all is written in the end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT
from tests.unit.neurons.validator.full_disk import AFTER, BEFORE, FULL

PROGRAM = (sys.executable, "-m", "tests.unit.neurons.validator.full_disk")
MOUNT = ("unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=16M none "$0" && exec "$@"')


def can_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*MOUNT, str(folder), "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("mode", ["limit", "disk"])
def test_rounds_go_on_over_a_full_disk(tmp_path: Path, mode: str) -> None:
    """Journal and ledger keep in memory what the disk refuses, and write it, in order, with the first that it takes."""
    if mode == "disk" and not can_mount(tmp_path):
        pytest.skip("this machine lets nobody mount a small disk")
    command = [*PROGRAM, str(tmp_path), mode]
    mounted = [*MOUNT, str(tmp_path), *command] if mode == "disk" else command
    done = subprocess.run(mounted, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    facts = json.loads(done.stdout.splitlines()[-1])
    total = BEFORE + FULL + AFTER
    assert facts["numbers"] == list(range(total))
    assert facts["void"] == []
    before, full, after = facts["waiting"][:BEFORE], facts["waiting"][BEFORE:-AFTER], facts["waiting"][-AFTER:]
    assert before + after == [[0, 0]] * (BEFORE + AFTER)
    if mode == "limit":
        assert full == [[n + 1, n + 1] for n in range(FULL)]
    else:  # a round or so may find room in blocks that the files have already
        assert all(count >= FULL - 2 for count in full[-1])
    assert facts["asked"] == [total, total]
    assert facts["replays"]
