"""`assay dataset`: write real media with synthetic twins to a folder, or say whether a published set is whole."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from neurons.progress import bar, warn
from neurons.settings import Json, home
from neurons.settings import device as pick
from neurons.terminal import terminal
from subnet.errors import SettingsError
from subnet.types import Modality, Split

if TYPE_CHECKING:
    from detectors.dataset.preset_items import PresetReport

dataset = App(name="dataset", help="Write real media with synthetic twins to a folder, or check a published data set.")


@dataset.default
def write(
    out: Path,
    *,
    split: Split = Split.TRAIN,
    modality: Modality = Modality.IMAGE,
    count: int = 200,
    twins: int = 1,
    seed: int = 0,
    generator: tuple[str, ...] = (),
    pans: float = 0.0,
    motion: Annotated[bool, Parameter(negative="")] = False,
    device: str = "auto",
) -> None:
    """Write a data set of the embedded media below OUT and print its folder.

    Parameters
    ----------
    out
        Folder to write below.
    split
        Part of the embedded set.
    modality
        image or video.
    count
        Real items.
    twins
        Synthetic items for each real one.
    seed
        Same seed, same data set.
    generator
        Generators to take in turn; by default all embedded ones.
    pans
        Share of real clips that are pans over photographs, 0 to 1: more content to train on than the clips have.
    motion
        Temporal twins, whose single frames tell nothing: the label says whether they follow each other evenly. Of
        each clip as many pairs as --twins says; --generator names kinds of unevenness.
    device
        auto, cpu, cuda or cuda:N.
    """
    from neurons.datasets.spec import DataSpec, materialise

    spec = DataSpec(split, modality, count, twins, seed, generator, pans, motion)
    with bar(f"{split} {modality}s", spec.items) as progress:
        folder = materialise(spec, out, device=pick(device), progress=progress)
    print(folder)


@dataset.command
def check(preset: str, dir: Path, *, decode: int | None = None, json: Json = False) -> None:
    """Say what a folder lacks of a published data set; nothing is downloaded. Exit status 1 where it is not whole.

    Parameters
    ----------
    preset
        A name of `assay dataset presets`.
    dir
        The data set, unpacked.
    decode
        Most files of each folder that are decoded to see whether they can be; by default all.
    """
    from detectors.dataset import preset_items
    from detectors.dataset import presets as table

    if decode is not None and decode < 0:
        raise SettingsError(f"--decode must be 0 or more, not {decode}")
    chosen, folder = table.preset(preset), dir.expanduser()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("decode", total=None)
        report = preset_items.check(
            chosen,
            folder,
            decode_most=decode,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if json:
        print(jsonlib.dumps(facts(report)))
    else:
        tell(report)
    sys.exit(0 if report.whole else 1)


@dataset.command
def shards(
    data: str,
    out: Path,
    *,
    kind: Literal["parquet", "tar"] = "parquet",
    each: int = 2000,
    modality: Modality = Modality.IMAGE,
    seed: int = 0,
) -> None:
    """Write a data set as shards below OUT, in an order that mixes classes, what shows the same side by side.

    Parameters
    ----------
    data
        embedded:train, embedded:validation, a folder, or PRESET:DIR for its train split.
    out
        Folder for the shards.
    kind
        parquet, or tar as WebDataset has it.
    each
        Items of a shard.
    modality
        image or video, of the embedded set.
    seed
        Same seed and data, same shards.
    """
    from detectors.dataset.items import read_folder
    from detectors.dataset.shard_writing import write_shards
    from neurons.datasets.arrangement import PresetSpec, arrange
    from neurons.datasets.everyday import EverydaySpec, refused_for_training
    from neurons.datasets.spec import DataSpec, materialise, parse_spec

    spec = parse_spec(data, modality, 200, seed)
    if isinstance(spec, EverydaySpec):
        raise refused_for_training(data)
    if isinstance(spec, DataSpec):
        with bar(f"{spec.split} set", 2 * spec.count) as progress:
            folder = materialise(spec, home() / "data", progress=progress)
    else:
        folder = arrange(spec, home() / "data") if isinstance(spec, PresetSpec) else spec
        folder = folder / "train" if (folder / "train").is_dir() else folder
    records = read_folder(folder, warn)
    with bar("shards", len(records)) as progress:
        written = write_shards(records, out.expanduser(), kind=kind, each=each, seed=seed, progress=progress)
    print(f"{out}  {len(records):,} items in {len(written):,} shards")


dataset.command("neurons.datasets.building.program:build_set", name="build")


@dataset.command
def presets(*, json: Json = False) -> None:
    """List the published data sets that are known by name, for `--data PRESET:DIR`."""
    from detectors.dataset.presets import PRESETS, splits

    if json:
        rows = [
            {
                "name": row.name,
                "summary": row.summary,
                "splits": splits(row),
                "folders": [
                    {"split": part.split, "folder": part.way, "label": part.label.name.lower(), "files": part.count}
                    for part in row.parts
                ],
                "scaled_up": row.factor,
                "licence": row.licence,
                "source": row.source,
            }
            for row in PRESETS.values()
        ]
        print(jsonlib.dumps(rows))
        return
    listing = Table("name", "splits", "licence", "from", box=None, header_style="dim")
    listing.columns[0].no_wrap, listing.columns[3].overflow = True, "fold"
    for row in PRESETS.values():
        listing.add_row(row.name, ", ".join(splits(row)), escape(row.licence), escape(row.source))
    terminal().print(listing)


def facts(report: PresetReport) -> dict[str, Any]:
    """The report as JSON."""
    from detectors.dataset.preset_items import EXAMPLES

    return {
        "preset": report.preset.name,
        "folder": str(report.root),
        "whole": report.whole,
        "scaled_up": report.preset.factor,
        "items": report.items,
        "decoded": report.decoded,
        "folders": [
            {
                "folder": each.part.way,
                "split": each.part.split,
                "label": each.part.label.name.lower(),
                "files": each.files,
                "published": each.part.count,
                "finding": each.finding,
            }
            for each in report.parts
        ],
        "unreadable": [{"file": str(path), "reason": reason} for path, reason in report.unreadable.items()],
        "elsewhere": {"files": len(report.unplaced), "examples": [str(path) for path in report.unplaced[:EXAMPLES]]},
        "left_out": list(report.left_out),
        "resembles": report.resembles,
    }


def tell(report: PresetReport) -> None:
    """The report for people, with what to do next."""
    console, name = terminal(), report.preset.name
    listing = Table("folder", "split", "label", "files", "published", "", box=None, header_style="dim")
    for each in report.parts:
        published = "" if each.part.count is None else f"{each.part.count:,}"
        label = each.part.label.name.lower()
        finding = "" if each.finding == "ok" else each.finding
        listing.add_row(escape(each.part.way), each.part.split, label, f"{each.files:,}", published, finding)
    console.print(listing)
    lines = [f"of no use: {path}: {reason}" for path, reason in report.unreadable.items()]
    if report.unplaced:
        lines.append(f"{len(report.unplaced):,} files lie in none of these folders, such as {report.unplaced[0]}")
    lines += report.left_out
    if side := report.preset.side:
        factor = report.preset.factor
        lines.append(f"pictures of {side} pixels a side are read scaled up {factor} times, each pixel repeated")
    if report.resembles:
        lines.append(f"it resembles {report.resembles}: assay dataset check {report.resembles} {report.root}")
    elif not report.items:
        lines.append(f"{name} is not here; it comes from {report.preset.source} ({report.preset.licence})")
    verdict = "whole" if report.whole else "not whole"
    for line in (*lines, f"{name} in {report.root}: {report.items:,} items, {report.decoded:,} decoded; {verdict}"):
        console.print(escape(line), highlight=False, soft_wrap=True)
