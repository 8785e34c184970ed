"""What challenges are made of: one plan for the producer that fills the pool and the validator that draws from it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from subnet.game.sampling import Origins
from subnet.media.pool.item import Cell
from subnet.media.pool.producer import PoolPlan, equal_shares, read_plan
from subnet.types import Label, Modality

EMBEDDED = "embedded"


def plan_of(path: Path | None, *, total: int = 2000, seed: int = 0, stream: str = "main") -> PoolPlan:
    """The plan in the file `path`, or without one the embedded set and every embedded generator in equal shares.

    Raises SettingsError, naming the file and the key.
    """
    if path is not None:
        return read_plan(path)
    import generators

    cells = [Cell(modality, Label.REAL, EMBEDDED) for modality in Modality]
    cells += [Cell(row.modality, Label.SYNTHETIC, row.name) for row in generators.TABLE.values() if row.embedded]
    return equal_shares(cells, total, seed=seed, stream=stream)


def origins_of(plan: PoolPlan) -> Origins:
    """How often each origin is asked for, by modality and label: in proportion to the plan's targets."""
    origins: dict[tuple[Modality, Label], dict[str, float]] = defaultdict(dict)
    for target in plan.targets:
        origins[target.cell.modality, target.cell.label][target.cell.origin] = float(target.count)
    return dict(origins)
