"""`assay pool`: what people and machines are told about a pool, and what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Pool
from subnet.types import Label, Modality
from tests.unit.neurons.running import Assay
from tests.unit.subnet.media.pool.samples import make_sample


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A pool with three real and two synthetic images."""
    pool = Pool(tmp_path / "pool")
    for number in range(3):
        pool.put(make_sample(number), stream="main", sequence=number)
    for number in range(2):
        pool.put(make_sample(9 + number, label=Label.SYNTHETIC, origin="ae"), stream="main", sequence=number)
    return pool.root


def test_status_counts_items(assay: Assay, root: Path) -> None:
    """JSON and table tell the same counts, by label and origin."""
    ran = assay("pool", "status", "--pool.path", root, "--json")
    assert ran.status == 0
    assert {(c["label"], c["origin"]): c["items"] for c in ran.json["cells"]} == {
        ("real", "photos"): 3,
        ("synthetic", "ae"): 2,
    }
    assert ran.json["items"] == 5
    assert ran.json["quarantined"] == 0
    assert "5 items" in " ".join(assay("pool", "status", "--pool.path", root).out.split())  # wrapped anywhere


def test_status_beside_a_plan(assay: Assay, root: Path, tmp_path: Path) -> None:
    """With a plan, cells that are wanted and empty are listed with their targets."""
    plan = tmp_path / "plan.toml"
    plan.write_text('total = 10\n[weights]\n"image/real/photos" = 1\n"image/synthetic/other" = 1\n')
    ran = assay("pool", "status", "--pool.path", root, "--plan", plan, "--json")
    targets = {c["origin"]: (c["items"], c["target"]) for c in ran.json["cells"]}
    assert targets == {"photos": (3, 5), "other": (0, 5), "ae": (2, None)}


def test_verify_sets_damage_aside(assay: Assay, root: Path) -> None:
    """A flipped byte ends with status 1 and names the file; the next run finds only whole items."""
    pool = Pool(root)
    victim = pool.items(Cell(Modality.IMAGE, Label.REAL, "photos"))[0].path
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    ran = assay("pool", "verify", "--pool.path", root, "--json")
    assert ran.status == 1
    assert ran.json["valid"] == 4
    assert [Path(bad["file"]).name for bad in ran.json["quarantined"]] == [victim.name]
    again = assay("pool", "verify", "--pool.path", root, "--decode")
    assert again.status == 0
    assert "4 items are whole" in again.out


def test_prune_without_limits_keeps_items(assay: Assay, root: Path) -> None:
    """Only leftovers go when no limit is given; with one, the oldest items go, too."""
    assert assay("pool", "prune", "--pool.path", root, "--json").json["items"] == 0
    assert assay("pool", "prune", "--pool.path", root, "--keep_gigabytes", "0", "--json").json["items"] == 5
    assert assay("pool", "status", "--pool.path", root, "--json").json["items"] == 0


def test_export_writes_a_data_set(assay: Assay, root: Path, tmp_path: Path) -> None:
    """The folder has an index with a line for each item, and is not written over."""
    out = tmp_path / "out"
    ran = assay("pool", "export", out, "--pool.path", root, "--limit", "2", "--json")
    assert ran.json["items"] == {"image/real/photos": 2, "image/synthetic/ae": 2}
    rows = [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]
    assert len(rows) == 4
    assert all((out / row["file"]).is_file() for row in rows)
    again = assay("pool", "export", out, "--pool.path", root)
    assert again.status == 2
    assert "not empty" in again.message


@pytest.mark.parametrize("command", ["status", "verify", "prune"])
def test_a_pool_that_is_not_there(assay: Assay, tmp_path: Path, command: str) -> None:
    """Looking at a pool does not make one: status 2, and the flag is named."""
    ran = assay("pool", command, "--pool.path", tmp_path / "none")
    assert ran.status == 2
    assert "--pool.path" in ran.message
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "flags", [("--keep_gigabytes", "-1"), ("--older_than_days", "-1"), ("--older_than_days", "nan")]
)
def test_limits_below_zero(assay: Assay, root: Path, flags: tuple[str, str]) -> None:
    """A limit that makes no sense deletes nothing and names the flag."""
    ran = assay("pool", "prune", "--pool.path", root, *flags)
    assert ran.status == 2
    assert flags[0] in ran.message
    assert assay("pool", "status", "--pool.path", root, "--json").json["items"] == 5
