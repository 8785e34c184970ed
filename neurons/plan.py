"""What challenges are made of: one plan for the producer that fills the pool and the validator that draws from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from subnet.errors import SettingsError
from subnet.types import Label, Modality

if TYPE_CHECKING:
    from subnet.game.sampling import Origins
    from subnet.media.pool.producer import PoolPlan

EMBEDDED = "embedded"
_MADE = {Modality.IMAGE: "ae-nearest", Modality.VIDEO: "video-jitter"}  # a generator of ours, to suggest


def plan_of(
    path: Path | None,
    *,
    total: int = 2000,
    seed: int | None = None,
    stream: str | None = None,
    draw: Callable[[], int] = lambda: 0,
) -> PoolPlan:
    """The plan in the file `path`, or without one the embedded set and every embedded generator in equal shares.

    `seed` and `stream` win over the file's; where nobody names a seed it is what `draw` gives. Raises SettingsError,
    naming the file and the key.
    """
    from subnet.media.pool.item import Cell
    from subnet.media.pool.producer import equal_shares, read_plan, stream_of

    if path is not None:
        return read_plan(path, seed=seed, stream=stream, draw=draw)
    import generators

    cells = [Cell(modality, Label.REAL, EMBEDDED) for modality in Modality]
    cells += [Cell(row.modality, Label.SYNTHETIC, row.name) for row in generators.TABLE.values() if row.embedded]
    number = draw() if seed is None else seed
    return equal_shares(cells, total, seed=number, stream=stream or stream_of(number))


def origins_of(plan: PoolPlan) -> Origins:
    """How often each origin is asked for, by modality and label: in proportion to the plan's targets.

    Raises SettingsError for a plan that lacks a kind: the game asks all four, and one without an origin has no answer.
    """
    origins: dict[tuple[Modality, Label], dict[str, float]] = defaultdict(dict)
    for target in plan.targets:
        if target.count:
            origins[target.cell.modality, target.cell.label][target.cell.origin] = float(target.count)
    kinds = [(modality, label) for modality in Modality for label in Label]
    missing = [kind for kind in kinds if kind not in origins]
    if missing:
        names = [f"{modality}/{label.name.lower()}" for modality, label in missing]
        fitting = [EMBEDDED if label is Label.REAL else _MADE[modality] for modality, label in missing]
        lines = " and ".join(f'"{name}/{origin}" = 1' for name, origin in zip(names, fitting, strict=True))
        raise SettingsError(
            f"--plan: it has no origin for {' and '.join(names)}, and validators ask for images and videos, real and "
            f"synthetic: add {lines}, or others"
        )
    return dict(origins)
