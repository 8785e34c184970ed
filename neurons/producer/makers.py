"""What makes the cells of a plan: each origin is resolved once, by its name, and opened where it works."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from generators.rows import GeneratorRow
from neurons.plan import EMBEDDED
from neurons.producer.prompting import Pictures, Prompting, invent_prompt, open_prompting
from neurons.producer.settings import Prompts
from neurons.settings import home
from subnet.codec.sandbox import VideoDecoder
from subnet.errors import SettingsError
from subnet.media.cutting import CLIP_LIMITS
from subnet.media.embedded.source import EmbeddedSource
from subnet.media.folder import FolderSource
from subnet.media.hub.catalog import SOURCES, SourceRow, any_repository
from subnet.media.pool.item import Cell, parse_cell
from subnet.media.pool.producer import Make, PoolPlan
from subnet.protocols import Generator, Source
from subnet.registry import find
from subnet.types import Label, Media, Modality, Sample, Split

Tell = Callable[[str], None]  # takes one line for people
BAD_FILES = 50  # of a folder that are told one by one
Origin = Path | Split | SourceRow | GeneratorRow  # a folder, a part of the embedded set, a data set of the hub, a model


def resolve_plan(plan: PoolPlan, split: Split, folders: Mapping[str, Path]) -> dict[Cell, Origin]:
    """What each cell of the plan is made from. Nothing is opened, fetched or loaded.

    Raises UnknownName or SettingsError for an origin that is not there, or gives media of another kind than its cell.
    """
    return {target.cell: resolve(target.cell, split, folders) for target in plan.targets}


def resolve(cell: Cell, split: Split, folders: Mapping[str, Path]) -> Origin:
    """What one cell is made from, by the name of its origin.

    A folder of `folders`, the embedded set, a row of `subnet.media.hub.catalog`, any data set of the hub as
    "owner/name", or a generator. Raises as `resolve_plan` does.
    """
    name = cell.origin
    if name in folders:
        if not folders[name].is_dir():
            raise SettingsError(f"--folder.{name} {folders[name]}: there is no such folder")
        return folders[name]
    if name == EMBEDDED and cell.label is Label.REAL:
        return split
    if name in SOURCES or "/" in name:
        row = SOURCES.get(name) or any_repository(name, cell.modality, cell.label)
        _check_kind(cell, row.name, row.modality, row.label)
        return row
    if cell.label is Label.SYNTHETIC:
        import generators

        model = find(generators.TABLE, name, "generator")
        _check_kind(cell, model.name, model.modality, Label.SYNTHETIC)
        return model
    known = ", ".join([EMBEDDED, *SOURCES])
    raise SettingsError(
        f"{cell}: no source is called {name!r}; there are {known}, any owner/name of the hub, "
        f"and folders given with --folder.{name} PATH"
    )


def _check_kind(cell: Cell, name: str, modality: Modality, label: Label) -> None:
    if (modality, label) != (cell.modality, cell.label):
        raise SettingsError(f"{cell}: {name} gives {label.name.lower()} {modality}s")


def makers(
    plan: PoolPlan,
    origins: Mapping[Cell, Origin],
    *,
    split: Split,
    device: str,
    prompts: Prompts,
    tell: Tell = lambda line: None,
) -> dict[Cell, Make]:
    """The makers of a plan's cells, from their resolved origins. `device` as torch names it; `tell` is given a
    line for what a folder or a set of the hub has that is of no use.

    Generators are loaded when they are first used. Raises SettingsError for models of `prompts` that cannot run here.
    """
    reals = EmbeddedSource(split)
    opened = {cell: _drawing(cell, o, tell) for cell, o in origins.items() if not isinstance(o, GeneratorRow)}
    prompting = open_prompting(prompts, _pictures(plan, opened) or reals, device)
    models = {
        cell: _generating(o, reals, device, prompting) for cell, o in origins.items() if isinstance(o, GeneratorRow)
    }
    return {**opened, **models}


def maker_in_worker(cell: str, split: str, device: str, folders: Mapping[str, str]) -> Make:
    """The maker of one cell, "modality/label/origin", in a process of a cluster.

    `device` may be "auto"; `folders` are paths by name. Raises as `resolve` does.
    """
    from neurons.settings import device as named_device

    kind, part = parse_cell(cell), Split(split)
    origin = resolve(kind, part, {name: Path(path) for name, path in folders.items()})
    if isinstance(origin, GeneratorRow):
        return _generating(origin, EmbeddedSource(part), named_device(device), invent_prompt)
    return _drawing(kind, origin, lambda line: None)


def _pictures(plan: PoolPlan, opened: Mapping[Cell, Make]) -> Source | None:
    """The plan's real images as one source; None when it has none."""
    wanted = [t for t in plan.targets if (t.cell.modality, t.cell.label) == (Modality.IMAGE, Label.REAL) and t.count]
    return Pictures([opened[t.cell] for t in wanted], [t.count for t in wanted]) if wanted else None


def _drawing(cell: Cell, origin: Path | Split | SourceRow, tell: Tell) -> Make:
    """A maker that draws from a source."""
    source = _open_source(cell, origin, tell)
    return lambda rng: source.draw(cell.modality, cell.label, rng)


def _open_source(cell: Cell, origin: Path | Split | SourceRow, tell: Tell) -> Source:
    if isinstance(origin, Split):
        return EmbeddedSource(origin)
    if isinstance(origin, Path):
        source = FolderSource(origin, cell.label, cell.origin, decode_video=_untrusted(), on_bad=_bad_files(tell))
        for note in source.inventory.notes():
            tell(note)
        return source
    from subnet.media.hub.access import read_access
    from subnet.media.hub.source import open_source

    return open_source(origin, home() / "hub", read_access(os.environ), decode_video=_untrusted(), on_problem=tell)


def _bad_files(tell: Tell) -> Callable[[Path, str], None]:
    """Tells the first files that could not be used, each with its reason; of a folder full of them not every one."""
    count = 0

    def on_bad(path: Path, reason: str) -> None:
        nonlocal count
        count += 1
        if count <= BAD_FILES:
            rest = "; further ones are not told" if count == BAD_FILES else ""
            tell(f"left out {path}: {reason}{rest}")

    return on_bad


def _untrusted() -> Callable[[bytes], Media]:
    return VideoDecoder(CLIP_LIMITS).decode


def _generating(row: GeneratorRow, reals: Source, device: str, prompting: Prompting) -> Make:
    """A maker that runs a model, which is loaded at the first item."""
    loaded: list[Generator] = []

    def make(rng: np.random.Generator) -> Sample:
        if not loaded:
            import generators

            loaded.append(generators.load_generator(row.name, device=device, reals=reals))
        return loaded[0].generate([prompting(row, rng)], rng)[0]

    return make
