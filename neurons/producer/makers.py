"""What challenges are made of: one plan for the producer that fills the pool and the validator that draws from it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from neurons.producer.prompting import Pictures, Prompting, Prompts, described, made_up
from neurons.settings import device as named_device
from neurons.settings import home
from subnet.codec.sandbox import VideoDecoder
from subnet.errors import SettingsError
from subnet.game.sampling import Origins
from subnet.media.folder import CLIP_LIMITS, EmbeddedSource, FolderSource
from subnet.media.hub.catalog import SOURCES, any_repository
from subnet.media.pool.item import Cell, parse_cell
from subnet.media.pool.producer import Make, PoolPlan, equal_shares, read_plan
from subnet.protocols import Generator, Source
from subnet.registry import find
from subnet.types import Label, Media, Modality, Sample, Split

EMBEDDED = "embedded"
NO_MODELS = Prompts()


def plan_of(path: Path | None, *, total: int = 2000, seed: int = 0, stream: str = "main") -> PoolPlan:
    """The plan in the file `path`, or without one the embedded set and every embedded generator in equal shares."""
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


def makers(
    plan: PoolPlan,
    *,
    split: Split,
    device: str,
    folders: Mapping[str, Path] | None = None,
    prompts: Prompts = NO_MODELS,
) -> dict[Cell, Make]:
    """What makes each cell of the plan, by the origin's name.

    A folder of `folders`, the embedded set, a generator (loaded when first used), a row of `subnet.media.hub.catalog`,
    or any data set of the hub as "owner/name". Raises UnknownName or SettingsError for an origin that is none of these,
    and SettingsError for models of `prompts` that cannot run here.
    """
    reals = EmbeddedSource(split)
    real = {
        target.cell: _maker(target.cell, folders or {}, reals, device, made_up)
        for target in plan.targets
        if target.cell.label is Label.REAL
    }
    prompting = described(prompts, _pictures(plan, real) or reals, device)
    return {
        target.cell: real.get(target.cell) or _maker(target.cell, folders or {}, reals, device, prompting)
        for target in plan.targets
    }


def _pictures(plan: PoolPlan, makes: Mapping[Cell, Make]) -> Source | None:
    """The plan's real images as one source; None when it has none."""
    wanted = [t for t in plan.targets if t.cell in makes and t.cell.modality is Modality.IMAGE and t.count]
    return Pictures([makes[t.cell] for t in wanted], [t.count for t in wanted]) if wanted else None


def making(cell: str, split: str, device: str, folders: Mapping[str, str]) -> Make:
    """The maker of one cell, "modality/label/origin", built where it works: the target of production's workers.

    `device` may be "auto"; `folders` are paths by name. Raises as `makers` does.
    """
    what = parse_cell(cell)
    paths = {name: Path(path) for name, path in folders.items()}
    return _maker(what, paths, EmbeddedSource(Split(split)), named_device(device), made_up)


def _maker(cell: Cell, folders: Mapping[str, Path], reals: Source, device: str, prompting: Prompting) -> Make:
    source: Source
    if cell.origin in folders:
        source = FolderSource(folders[cell.origin], cell.label, cell.origin, decode_video=_untrusted())
    elif cell.origin == EMBEDDED and cell.label is Label.REAL:
        source = reals
    elif cell.origin in SOURCES or "/" in cell.origin:
        source = _hub(cell)
    elif cell.label is Label.SYNTHETIC:
        return _generating(cell.origin, reals, device, prompting)
    else:
        known = ", ".join([EMBEDDED, *SOURCES])
        raise SettingsError(
            f"{cell}: no source is called {cell.origin!r}; there are {known}, any owner/name of the hub, "
            f"and folders given with --folder.{cell.origin} PATH"
        )
    return lambda rng: source.draw(cell.modality, cell.label, rng)


def _hub(cell: Cell) -> Source:
    from subnet.media.hub.source import open_source

    row = SOURCES.get(cell.origin) or any_repository(cell.origin, cell.modality, cell.label)
    if (row.modality, row.label) != (cell.modality, cell.label):
        raise SettingsError(f"{cell}: {row.name} has {row.label.name.lower()} {row.modality}s")
    return open_source(row, home() / "hub", decode_video=_untrusted(), token=os.environ.get("HF_TOKEN"))


def _untrusted() -> Callable[[bytes], Media]:
    return VideoDecoder(CLIP_LIMITS).decode


def _generating(name: str, reals: Source, device: str, prompting: Prompting) -> Make:
    import generators

    row = find(generators.TABLE, name, "generator")
    loaded: list[Generator] = []

    def make(rng: np.random.Generator) -> Sample:
        if not loaded:
            loaded.append(generators.load_generator(name, device=device, reals=reals))
        return loaded[0].generate([prompting(row, rng)], rng)[0]

    return make
