"""The producer as a program: secret seeds, what is told of bad input, and its exit status."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neurons.secrets.seed import own_folder
from subnet.codec import image as codec
from subnet.media.pool.item import BAD_SUFFIX, SUFFIX, parse_cell
from subnet.media.pool.pool import Pool
from subnet.types import Media
from tests.unit.neurons.running import Assay

REAL = parse_cell("image/real/embedded")


@pytest.fixture
def assay(capfd: pytest.CaptureFixture[str]) -> Assay:
    return Assay(capfd)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text('total = 3\n[weights]\n"image/real/embedded" = 1\n')
    return path


def produce(assay: Assay, plan: Path, pool: Path, *words: object) -> list[tuple[str, str]]:
    """(stream, content) of what a producer makes until its targets are met."""
    place = ("--pool.path", pool, "--pool.floor_gigabytes", 0)
    ran = assay("producer", "--plan", plan, *place, "--once", "--device", "cpu", *words)
    assert ran.status == 0, ran.err
    items = Pool(pool, floor=0).items(REAL)
    assert len(items) == 3
    return [(item.stream, item.content) for item in items]


def test_two_fresh_producers_make_different_items(
    assay: Assay, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a stream nor an item is the same; each has a secret of its own that only its owner reads."""
    made = []
    for name in ("a", "b"):
        monkeypatch.setenv("ASSAY_HOME", str(tmp_path / name))
        made.append(produce(assay, plan, tmp_path / f"pool-{name}"))
        seed = tmp_path / name / "producer" / "0" / "seed"
        assert seed.stat().st_mode & 0o777 == 0o600
        assert seed.parent.stat().st_mode & 0o777 == 0o700
    for one, other in zip(*made, strict=True):
        assert one[0] != other[0]
        assert one[1] != other[1]


def test_the_same_seed_makes_the_same_items(
    assay: Assay, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By flag or from a file, in any home; and one home keeps its seed from run to run."""
    secret = tmp_path / "secret"
    secret.write_text("77\n")
    made = []
    for name, words in (("a", ("--seed", 77)), ("b", ("--seed_file", secret))):
        monkeypatch.setenv("ASSAY_HOME", str(tmp_path / name))
        made.append(produce(assay, plan, tmp_path / f"pool-{name}", *words))
        assert not (tmp_path / name / "producer").exists()
    assert made[0] == made[1]
    kept = [produce(assay, plan, tmp_path / f"pool-{number}") for number in range(2)]
    assert kept[0] == kept[1] != made[0]


def test_the_plan_may_name_a_seed_and_flags_win(assay: Assay, plan: Path, tmp_path: Path) -> None:
    """A seed in the plan is a seed on request; --seed and --stream go before the plan's."""
    plain = produce(assay, plan, tmp_path / "pool-0", "--seed", 5, "--stream", "x")
    plan.write_text('seed = 5\nstream = "x"\n' + plan.read_text())
    assert produce(assay, plan, tmp_path / "pool-1") == plain
    assert produce(assay, plan, tmp_path / "pool-2", "--seed", 6)[0][1] != plain[0][1]


def test_programs_side_by_side_have_folders_of_their_own(tmp_path: Path) -> None:
    """Two that run at once never share one, and the first is free again when its program ends."""
    with own_folder(tmp_path) as one:
        with own_folder(tmp_path) as other:
            assert one != other
        with own_folder(tmp_path) as third:
            assert third == other
    with own_folder(tmp_path) as again:
        assert again == one


def test_bad_files_are_told_and_targets_met(assay: Assay, tmp_path: Path) -> None:
    """One good photograph among empty, damaged and foreign files: the pool is filled, and each kind is told."""
    folder = tmp_path / "photos"
    folder.mkdir()
    noise = Media(np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8))
    (folder / "0.jpg").write_bytes(codec.encode_image(noise, 90))
    (folder / "torn.jpg").write_bytes(codec.encode_image(noise, 90)[:400])
    for number in range(15):
        (folder / f"bad{number}.jpg").write_bytes(b"")
        (folder / f"IMG_{number}.HEIC").write_bytes(b"x")
    plan = tmp_path / "plan.toml"
    plan.write_text('total = 6\n[weights]\n"image/real/hol" = 1\n')
    pool = tmp_path / "pool"
    words = ("--pool.path", pool, "--pool.floor_gigabytes", 0, "--device", "cpu", "--once", "--seed", 1)
    ran = assay("producer", "--plan", plan, "--folder.hol", folder, *words)
    assert ran.status == 0
    for text in ("left out 15", "empty files", "suffix .heic are not read", "torn.jpg"):
        assert text in ran.err
    assert len(list(pool.rglob(f"*{SUFFIX}"))) == 6
    assert not list(pool.rglob(f"*{BAD_SUFFIX}"))


def test_once_fails_where_targets_are_missed(assay: Assay, tmp_path: Path) -> None:
    """A folder without a usable picture: exit status 1, and the message has what is missing."""
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.heic").write_bytes(b"x")
    plan = tmp_path / "plan.toml"
    plan.write_text('total = 6\n[weights]\n"image/real/hol" = 1\n')
    words = ("--pool.path", tmp_path / "pool", "--pool.floor_gigabytes", 0, "--device", "cpu", "--once")
    ran = assay("producer", "--plan", plan, "--folder.hol", tmp_path / "none", *words)
    assert ran.status == 1
    assert "image/real/hol has 0 of 6" in ran.message
