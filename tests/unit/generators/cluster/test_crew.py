"""Production on a local Ray: killed workers lose no shard and double none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from generators.cluster.crew import Worker, produce
from generators.cluster.runs import Run, make_run
from subnet.errors import GenerationError, SettingsError
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Pool
from subnet.media.pool.producer import IS_THERE, Event, PoolPlan, ProducerStep, Target, item_rng
from subnet.types import Label, Media, Modality, Provenance, Sample
from tests.places import ROOT

CELL = Cell(Modality.IMAGE, Label.SYNTHETIC, "noise")
OTHER = Cell(Modality.IMAGE, Label.SYNTHETIC, "ae-nearest")
BROKEN = Cell(Modality.IMAGE, Label.SYNTHETIC, "broken")


def sample(rng: np.random.Generator) -> Sample:
    frames = rng.integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    return Sample(Media(frames), Label.SYNTHETIC, Provenance("noise", "1", model="noise", seed=1))


def test_a_run_made_twice_is_there_once(tmp_path: Path) -> None:
    """The second time everything exists; a flat picture is rejected and an error counted, the rest is stored."""
    plan, pool = PoolPlan((Target(CELL, 4),)), Pool(tmp_path)
    turns = iter(range(4))

    def make(rng: np.random.Generator) -> Sample:
        turn = next(turns)
        if turn == 1:
            raise GenerationError("a bad day")
        if turn == 2:
            return Sample(Media(np.zeros((1, 256, 256, 3), np.uint8)), Label.SYNTHETIC, Provenance("noise", "0"))
        return sample(rng)

    first = make_run(Run(CELL, 0, 4), plan, make, pool)
    assert [(made.sequence, made.event) for made in first] == [
        (0, "stored"),
        (1, "failed"),
        (2, "rejected"),
        (3, "stored"),
    ]
    assert (first[1].reason, first[2].reason[:5]) == ("GenerationError: a bad day", "black")
    second = make_run(Run(CELL, 0, 4), plan, sample, pool)
    assert [made.event for made in second] == ["exists", "stored", "stored", "exists"]
    assert [item.sequence for item in pool.items(CELL)] == [0, 1, 2, 3]


def test_a_full_disk_ends_a_run(tmp_path: Path) -> None:
    """Where there is no room, the rest of the run is not even made."""
    plan, pool = PoolPlan((Target(CELL, 4),)), Pool(tmp_path, budget=300_000)
    made = make_run(Run(CELL, 0, 4), plan, sample, pool)
    assert [item.event for item in made] == ["stored", "no_room"]


def test_without_ray_the_extra_is_named(tmp_path: Path) -> None:
    """Where Ray is not installed, the message says what to install; the module itself imports without it."""
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from pathlib import Path\n"
        "import threading\n"
        "from generators.cluster.crew import produce\n"
        "from subnet.media.pool.pool import Pool\n"
        "from subnet.media.pool.producer import PoolPlan, Target\n"
        "from subnet.media.pool.item import Cell\n"
        "from subnet.types import Label, Modality\n"
        "plan = PoolPlan((Target(Cell(Modality.IMAGE, Label.REAL, 'x'), 1),))\n"
        "try: produce(plan, [], Pool(Path(sys.argv[1])), stop=threading.Event())\n"
        "except ValueError as error: print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "pip install 'assay-subnet[ray]'" in result.stdout


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_killed_workers_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Two cells, noise and an embedded generator, one worker each. Killed -9 at work, three times: every item is there
    once, and each is what its seed says. A worker that cannot be built is told and stops no other."""
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    pids, pool = tmp_path / "pids", Pool(tmp_path / "pool")
    pids.mkdir()
    plan = PoolPlan((Target(CELL, 40), Target(OTHER, 8)), seed=5)
    killed: list[int] = []
    steps: list[ProducerStep] = []

    def kill(_step: ProducerStep) -> None:
        alive = {int(path.name) for path in pids.iterdir()} - set(killed)
        if alive and len(killed) < 3 and _step.sequence % 5 == 4:
            victim = max(alive, key=lambda pid: (pids / str(pid)).stat().st_mtime)
            killed.append(victim)
            threading.Timer(0.07, os.kill, (victim, signal.SIGKILL)).start()

    arguments = {"pids": str(pids), "seconds": 0.02}
    reals = {"cell": str(OTHER), "split": "train", "device": "cpu", "folders": {}}
    workers = [
        Worker(CELL, "tests.unit.generators.ray_maker:noise", arguments, cpus=0.5),
        Worker(OTHER, "neurons.producer.makers:maker_in_worker", reals, cpus=0.5),
    ]
    broken = Worker(BROKEN, "tests.unit.generators.ray_maker:broken", cpus=0.5)
    env = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    never = threading.Event()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False, runtime_env=env)
    try:
        report = produce(plan, workers, pool, stop=never, once=True, size=5, on_step=kill)
        again = produce(plan, workers, pool, stop=never, once=True)
        with pytest.raises(SettingsError, match="no worker makes image/synthetic/ae-nearest"):
            produce(plan, workers[:1], pool, stop=never)
        more = PoolPlan((Target(BROKEN, 2), Target(CELL, 45)), seed=5)
        produce(more, [broken, workers[0]], pool, stop=never, once=True, on_step=steps.append)
    finally:
        ray.shutdown()
    assert killed
    assert report.processes > len(workers)
    assert sum(count for (_, event), count in report.events.items() if event in IS_THERE) == 48
    assert not again.events
    assert {step.event for step in steps if step.cell == CELL} == {Event.STORED}
    failed = [step for step in steps if step.cell == BROKEN]
    assert {step.event for step in failed} == {Event.FAILED}
    assert "no such weights" in failed[0].reason
    for cell, count in ((CELL, 45), (OTHER, 8)):
        items = pool.items(cell)
        assert [item.sequence for item in items] == list(range(count))
        for item in items[::7]:
            stored = pool.read(item)
            assert stored is not None
            if cell is CELL:
                wanted = item_rng(plan, cell, item.sequence).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
                assert np.array_equal(stored.media.frames, wanted)
            else:
                assert stored.provenance.model == "ae-nearest"
