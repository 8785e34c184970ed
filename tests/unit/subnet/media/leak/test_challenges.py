"""The leak meter on a pool: the way out is the same for both labels, and a data set exported from it has no tell-tales."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from subnet.media.leak import challenges, meter
from subnet.media.pool import maintenance
from subnet.media.pool.pool import Pool
from subnet.types import Label, Media, Modality, Provenance, Sample


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """60 items of each label, alike in content; two origins of fakes; twins of one scene share it."""
    pool, rng = Pool(tmp_path_factory.mktemp("pool"), floor=0), np.random.default_rng(0)
    for n in range(60):
        for label, origin in ((Label.REAL, "photos"), (Label.SYNTHETIC, f"model{n % 2}")):
            coarse = rng.integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
            pixels = coarse.repeat(8, axis=1).repeat(8, axis=2)
            about = Provenance("photos", f"photo{n}", model=origin if label else None)
            pool.put(Sample(Media(pixels), label, about), stream="main", sequence=n if not label else n // 2)
    return pool


@pytest.mark.parametrize("level", [0, None])
def test_challenges_of_a_pool_have_no_leak(pool: Pool, level: int | None) -> None:
    """What a miner gets has no name, no time, and a container that tells nothing."""
    files = list(challenges.challenges(pool, Modality.IMAGE, level=level))
    assert {(file.name, file.changed) for file in files} == {("", 0.0)}
    assert len({file.group for file in files}) == 60
    report = meter.measure(files)
    assert (report.real, report.synthetic) == (60, 60)
    assert report.verdict is not meter.LeakVerdict.LEAK


def test_challenges_are_the_same_again_and_take_nothing(pool: Pool) -> None:
    """An audit leaves the pool as it was; `limit` bounds each label and takes origins in turn."""
    before = pool.levels()
    once, again = (list(challenges.challenges(pool, Modality.IMAGE, limit=6, seed=3)) for _ in range(2))
    assert [file.data for file in once] == [file.data for file in again]
    assert len(once) == 12
    assert pool.levels() == before


def test_an_exported_data_set_has_no_leak(pool: Pool, tmp_path: Path) -> None:
    """Neither names nor times nor the coding of its files tell the label."""
    maintenance.export(pool, tmp_path / "set")
    sides = {"real": Label.REAL, "fake": Label.SYNTHETIC}
    found = [
        (path, sides[path.relative_to(tmp_path / "set").parts[0]], "") for path in (tmp_path / "set").rglob("*.png")
    ]
    report = meter.measure(list(challenges.files(found)))
    assert report.verdict is not meter.LeakVerdict.LEAK
    assert len(found) == 120
