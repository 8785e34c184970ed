"""`assay dataset build`: which sources and generators a set is made of, what that needs, and the making of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from generators.rows import GeneratorRow
from neurons.progress import bar, warn
from neurons.settings import device as pick
from neurons.settings import home
from subnet.errors import SettingsError
from subnet.registry import find

if TYPE_CHECKING:
    from neurons.datasets.building.build import One
    from subnet.media.hub.catalog import SourceRow
    from subnet.media.hub.source import HubSource
    from subnet.protocols import Generator

EVERY = "all"


def build_set(
    out: Path,
    *,
    reals: int = 1000,
    twins: int = 2,
    texts: int = 0,
    source: tuple[str, ...] = (),
    generator: tuple[str, ...] = (),
    held_out: tuple[str, ...] = (),
    seed: int = 0,
    device: str = "auto",
) -> None:
    """Make a training set of public photographs and the catalog, split by photograph and by generator, below OUT.

    A photograph, its twins and all crops of it lie in one of train/, validation/ and test/; the families of generators
    that are held out are met in test/ alone. A run that ended goes on with the same command.

    Parameters
    ----------
    out
        Folder for the set.
    reals
        Photographs, or clips, of each source.
    twins
        Synthetic items of each, by generators in turn.
    texts
        Items of each generator that starts from words.
    source
        Sets of the hub (docs/data.md lists the twelve); by default all of them.
    generator
        Generators to take; by default those that ship. `all` takes every one that this machine can run.
    held_out
        Families of generators for the test set alone; by default about a fifth, by the hashes of their names.
    seed
        Same seed, same sides.
    device
        auto, cpu, cuda or cuda:N.
    """
    from neurons.datasets.building.build import Maker, One, Sizes, build, open_folder
    from neurons.datasets.building.sides import choose
    from subnet.media.hub.catalog import SOURCES

    for name, value in (("reals", reals), ("twins", twins)):
        if value < 1:
            raise SettingsError(f"--{name} must be at least 1, not {value}")
    if texts < 0:
        raise SettingsError(f"--texts must be 0 or more, not {texts}")
    rows, sources = generator_rows(generator), [find(SOURCES, name, "source") for name in source or tuple(SOURCES)]
    sides = choose({row.family for row in rows}, held_out, seed)
    place = pick(device)
    for line in needs(sources, rows, sorted(sides.held_out)):
        warn(line)
    settings = {"sources": [row.name for row in sources], "generators": [row.name for row in rows], "seed": seed}
    folder = open_folder(out.expanduser(), {**settings, "held_out": sorted(sides.held_out), "twins": twins})
    one = One()
    makers = [Maker(row, _loaded(row, place, one)) for row in rows]
    with bar("data set", len(sources) * reals * (1 + twins)) as progress, ExitStack() as stack:
        opened = [(row.modality, stack.enter_context(closing(_source(row)))) for row in sources]
        sizes = Sizes(reals, twins, texts, seed)
        counts = build(folder, opened, makers, one, sides, sizes, warn, progress)
    listing = ", ".join(f"{side} {count:,}" for side, count in counts.items())
    print(f"{out}  {listing}; held out of training: {', '.join(sorted(sides.held_out)) or 'none'}")


def generator_rows(names: Sequence[str]) -> list[GeneratorRow]:
    """The rows of these generators; those that ship where none is named, all that can run here for `all`.

    Raises UnknownName, and SettingsError with the reason for one that cannot run here.
    """
    import generators
    from generators.capability import obstacle, probe

    if not names:
        return [row for row in generators.TABLE.values() if row.embedded or "folder" in row.options]
    machine = probe()
    if tuple(names) == (EVERY,):
        return [row for row in generators.TABLE.values() if not obstacle(row, machine)]
    rows = [find(generators.TABLE, name, "generator") for name in dict.fromkeys(names)]
    for row in rows:
        if reason := obstacle(row, machine):
            raise SettingsError(f"--generator {row.name}: {reason}")
    return rows


def needs(sources: Sequence[SourceRow], rows: Sequence[GeneratorRow], held_out: Sequence[str]) -> list[str]:
    """What will be read and under which terms, told before anything is."""
    lines = [
        f"photographs: {row.repository} ({row.licence}), {row.size_gb:g} GB in all, read in part" for row in sources
    ]
    fetched = sum(row.disk_gb for row in rows)
    lines.append(f"generators: {', '.join(row.name for row in rows)}; {fetched:g} GB to fetch where they are not here")
    lines += [f"{row.name} is gated: accept its terms at {row.repository}" for row in rows if row.gated]
    return [*lines, f"held out of training, for the test set: {', '.join(held_out) or 'none'}"]


def _loaded(row: GeneratorRow, device: str, one: One) -> Generator:
    import generators

    return generators.load_generator(row.name, device=device, reals=one)


def _source(row: SourceRow) -> HubSource:
    from subnet.codec.sandbox import VideoDecoder
    from subnet.media.cutting import CLIP_LIMITS
    from subnet.media.hub.access import read_access
    from subnet.media.hub.source import open_source

    decode = VideoDecoder(CLIP_LIMITS).decode
    return open_source(row, home() / "hub", read_access(os.environ), decode_video=decode, on_problem=warn)
