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

from generators.production_ray import Shard, Worker, fill, make_shard, shards
from subnet.errors import GenerationError, SettingsError
from subnet.media.item import Cell
from subnet.media.pool import Pool
from subnet.media.production import Plan, Target, item_rng
from subnet.types import Label, Media, Modality, Provenance, Sample

ROOT = Path(__file__).parents[3]
CELL = Cell(Modality.IMAGE, Label.SYNTHETIC, "noise")
OTHER = Cell(Modality.IMAGE, Label.SYNTHETIC, "ae-nearest")


def sample(rng: np.random.Generator) -> Sample:
    frames = rng.integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    return Sample(Media(frames), Label.SYNTHETIC, Provenance("noise", "1", model="noise", seed=1))


def test_shards_cover_what_is_missing_once(tmp_path: Path) -> None:
    """Cells take turns, no sequence is in two shards, and what the pool holds is not asked for again."""
    plan = Plan((Target(CELL, 20), Target(OTHER, 5)))
    pool = Pool(tmp_path)
    make_shard(Shard(CELL, 0, 3), plan, sample, pool)
    pool.advance(CELL, plan.stream, 3)
    pieces = shards(plan, pool, 8)
    assert pieces == [Shard(CELL, 3, 8), Shard(OTHER, 0, 5), Shard(CELL, 11, 8), Shard(CELL, 19, 1)]


def test_a_shard_made_twice_is_there_once(tmp_path: Path) -> None:
    """The second time everything exists; a flat picture is rejected and an error counted, the rest is stored."""
    plan, pool = Plan((Target(CELL, 4),)), Pool(tmp_path)
    turns = iter(range(4))

    def make(rng: np.random.Generator) -> Sample:
        turn = next(turns)
        if turn == 1:
            raise RuntimeError("a bad day")
        if turn == 2:
            return Sample(Media(np.zeros((1, 256, 256, 3), np.uint8)), Label.SYNTHETIC, Provenance("noise", "0"))
        return sample(rng)

    assert make_shard(Shard(CELL, 0, 4), plan, make, pool) == {"stored": 2, "failed": 1, "rejected": 1}
    assert make_shard(Shard(CELL, 0, 4), plan, sample, pool) == {"exists": 2, "stored": 2}
    assert [item.sequence for item in pool.items(CELL)] == [0, 1, 2, 3]


def test_without_ray_the_extra_is_named() -> None:
    """Where Ray is not installed, the message says what to install; the module itself imports without it."""
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from pathlib import Path\n"
        "from generators.production_ray import fill\n"
        "from subnet.media.production import Plan, Target\n"
        "from subnet.media.item import Cell\n"
        "from subnet.types import Label, Modality\n"
        "try: fill(Plan((Target(Cell(Modality.IMAGE, Label.REAL, 'x'), 1),)), [], Path('.'))\n"
        "except ValueError as error: print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "pip install 'assay-subnet[ray]'" in result.stdout


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_killed_workers_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Two cells, noise and an embedded generator, one worker each. Killed -9 at work, three times: every item is there
    once, and each is what its seed says."""
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    pids, root = tmp_path / "pids", tmp_path / "pool"
    pids.mkdir()
    plan = Plan((Target(CELL, 40), Target(OTHER, 8)), seed=5)
    killed: list[int] = []

    def kill(_shard: Shard, _events: object) -> None:
        alive = {int(path.name) for path in pids.iterdir()} - set(killed)
        if alive and len(killed) < 3:
            victim = max(alive, key=lambda pid: (pids / str(pid)).stat().st_mtime)
            killed.append(victim)
            threading.Timer(0.07, os.kill, (victim, signal.SIGKILL)).start()

    arguments = {"pids": str(pids), "seconds": 0.02}
    workers = [
        Worker(CELL, "tests.unit.generators.ray_maker:noise", arguments, cpus=0.5),
        Worker(OTHER, "generators.production_ray:generating", {"name": "ae-nearest"}, cpus=0.5),
    ]
    env = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False, runtime_env=env)
    try:
        report = fill(plan, workers, root, size=5, on_shard=kill)
        again = fill(plan, workers, root, size=5)
        with pytest.raises(SettingsError, match="no worker makes image/synthetic/ae-nearest"):
            fill(plan, workers[:1], root)
        with pytest.raises(GenerationError, match="no such weights"):
            fill(Plan((Target(CELL, 50),)), [Worker(CELL, "tests.unit.generators.ray_maker:broken", cpus=0.5)], root)
    finally:
        ray.shutdown()
    assert killed
    assert report.processes > len(workers)
    assert report.total("stored") + report.total("exists") == 48
    assert again.total("stored") == 0
    pool = Pool(root)
    for cell, count in ((CELL, 40), (OTHER, 8)):
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
