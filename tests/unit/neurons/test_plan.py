"""The plan that producer and validator share, and what reading it costs."""

from __future__ import annotations

import subprocess
import sys

from neurons.plan import EMBEDDED, origins_of, plan_of
from subnet.media.pool.item import Cell
from subnet.media.pool.producer import PoolPlan, Target
from subnet.types import Label, Modality
from tests.places import ROOT


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
    origins = origins_of(PoolPlan((Target(photos, 3), Target(clips, 1), Target(fakes, 2))))
    assert origins == {
        (Modality.IMAGE, Label.REAL): {"photos": 3.0},
        (Modality.VIDEO, Label.REAL): {"clips": 1.0},
        (Modality.IMAGE, Label.SYNTHETIC): {"gan": 2.0},
    }
