"""Training by several processes as people start it: torchrun, the real command line, kill -9 and --resume."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from detectors.dataset.items import read_folder
from detectors.dataset.shard_writing import write_shards
from tests.places import ROOT
from tests.unit.detectors.folders import write_images

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
STEPS = 60  # the state is saved every 50


def run(folder: Path, out: str, *more: str) -> subprocess.Popen[str]:
    """Two processes that train on windows of the shards in `folder`."""
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "neurons"]
    words += ["train", "npr", "--data", str(folder / "train"), "--validation", str(folder / "validation")]
    words += ["--memory", "0.0001", "--steps", str(STEPS), "--pairs", "2", "--crop", "16", "--device", "cpu", "--force"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*words, "--out", str(folder / out), *more], cwd=ROOT, **pipes)  # type: ignore[call-overload, no-any-return]


def ranks(program: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that train, below torchrun."""
    children = psutil.Process(program.pid).children()
    return [each for each in children if "neurons" in each.cmdline()]


def until(program: subprocess.Popen[str], path: Path) -> None:
    while not path.is_file():
        assert program.poll() is None, program.communicate()
        time.sleep(0.1)


def test_a_rank_is_killed_and_the_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """One of two ranks dies (-9) after the state was saved: the other is ended, and --resume gives the same weights."""
    write_images(tmp_path / "files", 12, "train")
    write_shards(read_folder(tmp_path / "files"), tmp_path / "train", each=4)
    write_images(tmp_path / "validation", 3, "validation")
    undisturbed = run(tmp_path, "undisturbed")
    _, errors = undisturbed.communicate()
    assert undisturbed.returncode == 0, errors
    program = run(tmp_path, "shot")
    until(program, tmp_path / "shot" / "npr.state.safetensors")
    ranks(program)[-1].send_signal(signal.SIGKILL)
    _, errors = program.communicate(timeout=600)
    assert program.returncode != 0
    assert "another process of this training run has ended" in errors or "SIGTERM" in errors
    resumed = run(tmp_path, "shot", "--resume")
    _, errors = resumed.communicate()
    assert resumed.returncode == 0, errors
    first, second = ((tmp_path / name / "npr.safetensors").read_bytes() for name in ("undisturbed", "shot"))
    assert first == second
