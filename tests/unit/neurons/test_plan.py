"""The plan that producer and validator share, and what reading it costs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from neurons.plan import EMBEDDED, origins_of, plan_of
from subnet.media.pool.item import Cell
from subnet.media.pool.producer import PoolPlan, Target
from subnet.types import Label, Modality
from tests.places import ROOT
from tests.unit.neurons.running import Assay


def test_a_validator_loads_no_generator() -> None:
    """A fresh interpreter that imports the validator has neither torch nor the generators, nor the producer's room."""
    code = (
        "import sys, neurons.validator.program\n"
        "print(sorted({'torch', 'generators', 'diffusers', 'neurons.producer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_a_file_the_plan_is_the_embedded_set_and_its_generators() -> None:
    """Both kinds of real media and every generator that ships with the package; nothing that must be fetched."""
    import generators

    plan = plan_of(None, total=400, seed=5, stream="x")
    assert (plan.seed, plan.stream) == (5, "x")
    cells = {target.cell for target in plan.targets}
    assert {cell.modality for cell in cells if cell.label is Label.REAL} == set(Modality)
    assert {cell.origin for cell in cells if cell.label is Label.REAL} == {EMBEDDED}
    assert {cell.origin for cell in cells if cell.label is Label.SYNTHETIC} == {row.name for row in generators.EMBEDDED}


def test_origins_are_asked_in_proportion_to_their_targets() -> None:
    """The validator's mix is the producer's: counts of the plan, by kind of media and label."""
    photos, clips, fakes = (
        Cell(Modality.IMAGE, Label.REAL, "photos"),
        Cell(Modality.VIDEO, Label.REAL, "clips"),
        Cell(Modality.IMAGE, Label.SYNTHETIC, "gan"),
    )
    moving = Cell(Modality.VIDEO, Label.SYNTHETIC, "clips")
    origins = origins_of(PoolPlan((Target(photos, 3), Target(clips, 1), Target(fakes, 2), Target(moving, 1))))
    assert origins == {
        (Modality.IMAGE, Label.REAL): {"photos": 3.0},
        (Modality.VIDEO, Label.REAL): {"clips": 1.0},
        (Modality.IMAGE, Label.SYNTHETIC): {"gan": 2.0},
        (Modality.VIDEO, Label.SYNTHETIC): {"clips": 1.0},
    }


@pytest.mark.parametrize("absent", [(m, label) for m in Modality for label in Label])
def test_a_validator_wants_all_four_kinds(absent: tuple[Modality, Label], tmp_path: Path, assay: Assay) -> None:
    """A plan without one of them is refused before anything starts, with the kind and a line that mends it."""
    cells = [Cell(modality, label, "x") for modality in Modality for label in Label if (modality, label) != absent]
    weights = "".join(f'"{cell}" = 1\n' for cell in cells)
    plan = tmp_path / "plan.toml"
    plan.write_text(f"total = 40\n[weights]\n{weights}")
    ran = assay("validator", "--netuid", 1, "--plan", plan)
    assert ran.status == 2
    assert f"no origin for {absent[0]}/{absent[1].name.lower()}," in ran.message
    line = re.search(r'"\S+" = 1', ran.message)
    assert line is not None
    plan.write_text(f"total = 40\n[weights]\n{weights}{line[0]}\n")
    assert len(origins_of(plan_of(plan))) == 4


def test_streams_follow_from_seeds() -> None:
    """Without a name two seeds have two streams, and one seed always the same; a name that is given stays."""
    streams = {plan_of(None, total=40, seed=seed).stream for seed in (1, 2, 1)}
    assert len(streams) == 2
    assert plan_of(None, total=40, draw=lambda: 1).stream in streams
