"""The leak meter on a mixed pool of embedded photos and embedded generators: does the way out tell labels apart?

    python benchmarks/leak.py [--items 300] [--split test] [--json]

A pool is filled by the producer's own loop, half real and half synthetic images from one split; then `challenges` are
probed at level 0 and at random levels, and the lossless items as an exported data set. AUC with a 95 % interval:
0.5 is chance, a container above 0.55 with its interval is a leak. Items of one photo never judge each other.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

import generators
from subnet.media.embedded.source import EmbeddedSource
from subnet.media.leak import challenges, meter
from subnet.media.pool import maintenance
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Pool
from subnet.media.pool.producer import Event, Make, Producer, equal_shares
from subnet.types import Label, Modality, Sample, Split


def makers(split: Split) -> dict[Cell, Make]:
    reals = EmbeddedSource(split)

    def synthetic(name: str) -> Callable[[np.random.Generator], Sample]:
        generator = generators.load_generator(name, reals=reals)
        return lambda rng: generator.generate(["a photograph"], rng)[0]

    rows = [row for row in generators.TABLE.values() if row.embedded and row.modality is Modality.IMAGE]
    made: dict[Cell, Make] = {Cell(Modality.IMAGE, Label.SYNTHETIC, row.name): synthetic(row.name) for row in rows}
    made[Cell(Modality.IMAGE, Label.REAL, "embedded")] = lambda rng: reals.draw(Modality.IMAGE, Label.REAL, rng)
    return made


def fill(pool: Pool, items: int, split: Split) -> None:
    cells = makers(split)
    producer = Producer(equal_shares(list(cells), items, seed=11), cells, pool)
    while (step := producer.step()).event is not Event.FULL:
        if step.event is not Event.STORED:
            print(f"{step.cell} {step.sequence}: {step.event} {step.reason}", file=sys.stderr)


def exported(pool: Pool, out: Path) -> list[meter.File]:
    """The pool as a data set; twins of one photo are grouped by the item that the index names."""
    maintenance.export(pool, out)
    rows = [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]
    return list(challenges.files((out / row["file"], Label(row["label"]), row["item"]) for row in rows))


def show(title: str, report: meter.LeakReport) -> None:
    print(f"\n{title}: {report.real} real, {report.synthetic} synthetic: {report.verdict}")
    for probe in (*report.container, report.size, report.sharpness, report.colour):
        print(f"  {probe.name:12} AUC {probe.auc:.3f}  ({probe.low:.3f} to {probe.high:.3f})")
    for warning in report.warnings:
        print(f"  {warning}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--split", type=Split, default=Split.TEST)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        pool = Pool(Path(folder) / "pool")
        fill(pool, args.items, args.split)
        reports = {
            "challenges at level 0": meter.measure(list(challenges.challenges(pool, Modality.IMAGE, level=0))),
            "challenges at random levels": meter.measure(list(challenges.challenges(pool, Modality.IMAGE))),
            "exported data set": meter.measure(exported(pool, Path(folder) / "set")),
        }
    if args.json:
        print(json.dumps({title: asdict(report) for title, report in reports.items()}))
        return
    for title, report in reports.items():
        show(title, report)


if __name__ == "__main__":
    main()
