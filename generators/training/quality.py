"""How good the embedded generators are: `python -m generators.training.quality --json`.

For each: PSNR against the real twin on photographs never trained on, whether a plain sharpness score tells real from
synthetic (AUC, with a bootstrap interval over photographs), seconds per item, and a contact sheet to look at.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from subnet.media.contact_sheet import Layout, Tile, contact_sheet, strip
from subnet.media.leak.appearance import sharpness
from subnet.media.leak.roc import auc, plain_auc
from subnet.types import Frames, Label, Modality, Sample, Split

Numbers = NDArray[np.float64]
TILE = 128  # pixels of a picture on a contact sheet
MARGIN = 8


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Quality:
    """One generator on `items` held-out items. `psnr` in dB, none where there is no real twin; `seconds` per item."""

    name: str
    modality: str
    items: int
    psnr: Interval | None
    sharpness_auc: Interval
    sharpness_ratio: float
    seconds: float


def psnr(fake: Frames, real: Frames) -> float:
    """Peak signal-to-noise ratio in dB of uint8 arrays of one shape; 78 dB at most, which is beyond rounding."""
    error = np.mean((fake.astype(np.float64) - real.astype(np.float64)) ** 2)
    return float(10 * np.log10(255.0**2 / max(float(error), 1e-3)))


def separation(fakes: Numbers, reals: Numbers, rng: np.random.Generator, rounds: int = 500) -> Interval:
    """AUC of a score whichever way it points (0.5 or more), with twins resampled together."""
    scores, count = np.concatenate([fakes, reals]), len(fakes)
    labels = np.repeat([int(Label.SYNTHETIC), int(Label.REAL)], count)
    value = plain_auc(scores, labels)
    turn = value < 0.5
    picks = rng.integers(0, count, (rounds, count))
    w_RN = np.stack([np.bincount(pick, minlength=count) for pick in picks]).astype(np.float64)
    resampled = auc(scores, labels, np.tile(w_RN, 2))
    low, high = np.quantile(1 - resampled if turn else resampled, [0.025, 0.975])
    return Interval(1 - value if turn else value, float(low), float(high))


def mean(values: Numbers, rng: np.random.Generator, rounds: int = 500) -> Interval:
    """Mean with its bootstrap interval."""
    picks = rng.integers(0, len(values), (rounds, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def compare(name: str, pairs: Sequence[tuple[Sample, Sample]], seconds: float, *, twins: bool) -> Quality:
    """The report on (real, synthetic) pairs; `twins` says that they show the same content."""
    rng = np.random.default_rng(0)
    reals = np.array([sharpness(real.media.frames) for real, _ in pairs])
    fakes = np.array([sharpness(fake.media.frames) for _, fake in pairs])
    likeness = np.array([psnr(fake.media.frames, real.media.frames) for real, fake in pairs]) if twins else None
    return Quality(
        name=name,
        modality=str(pairs[0][0].modality),
        items=len(pairs),
        psnr=None if likeness is None else mean(likeness, rng),
        sharpness_auc=separation(fakes, reals, rng),
        sharpness_ratio=float(np.median(fakes / np.maximum(reals, 1e-6))),
        seconds=seconds,
    )


def sheet(title: str, pairs: Sequence[tuple[Sample, Sample]], columns: int) -> Image.Image:
    """Real above synthetic, `columns` pairs a row, with labels."""
    layout = Layout(MARGIN, caption=14, left=64, top=32, ground="white")
    page = contact_sheet([Tile(_stack(*pair)) for pair in pairs], columns, layout)
    pen = ImageDraw.Draw(page)
    pen.text((MARGIN, 8), title, fill="black", font_size=15)
    for top in range(32, page.height, 2 * TILE + 3 * MARGIN):
        pen.text((MARGIN, top + TILE // 2), "real", fill="black", font_size=14)
        pen.text((MARGIN, top + TILE + TILE // 2), "synth.", fill="#b00020", font_size=14)
    return page


def _stack(real: Sample, fake: Sample) -> Image.Image:
    """One above the other; of a clip its first, middle and last frame side by side."""
    upper, lower = (strip(s.media.frames, 1 if s.modality is Modality.IMAGE else 3, TILE) for s in (real, fake))
    both = Image.new("RGB", (upper.width, 2 * TILE + 2), "white")
    both.paste(upper, (0, 0))
    both.paste(lower, (0, TILE + 2))
    return both


def pairs_of(name: str, split: Split, count: int, seed: int) -> tuple[list[tuple[Sample, Sample]], float, bool]:
    """Real and synthetic samples of one generator, seconds per synthetic item, and whether they are twins."""
    import generators
    from subnet.media.embedded.source import EmbeddedSource

    reals = EmbeddedSource(split)
    generator = generators.load_generator(name, reals=reals)
    real_rng, fake_rng = (np.random.default_rng([seed, part]) for part in range(2))
    real = [reals.draw(generator.modality, Label.REAL, real_rng) for _ in range(count)]
    start = time.perf_counter()
    redraw = getattr(generator, "reconstruct", None)
    if redraw is not None:
        fake = [redraw(sample, fake_rng) for sample in real]
    else:
        words = ["a photograph of " + str(sample.provenance.parameters.get("category", "nature")) for sample in real]
        fake = [generator.generate([prompt], fake_rng)[0] for prompt in words]
    seconds = (time.perf_counter() - start) / count
    return list(zip(real, fake, strict=True)), seconds, redraw is not None


def main() -> None:
    """Measure every embedded generator, or those named, and draw the contact sheets."""
    import torch

    import generators

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="generators; without any, all embedded ones")
    parser.add_argument(
        "--split", type=Split, default=Split.VALIDATION, choices=list(Split), help="of the embedded media"
    )
    parser.add_argument(
        "--count", type=int, default=100, help="images per generator (default %(default)d); a fifth as many clips"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default %(default)d)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU (default %(default)d)")
    parser.add_argument("--pictures", type=Path, help="folder for contact sheets")
    parser.add_argument("--json", action="store_true", help="one JSON list in place of lines")
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    reports = []
    for name in flags.names or [row.name for row in generators.EMBEDDED]:
        clips = generators.TABLE[name].modality is Modality.VIDEO
        count = max(4, flags.count // 5) if clips else flags.count
        pairs, seconds, twins = pairs_of(name, flags.split, count, flags.seed)
        report = compare(name, pairs, seconds, twins=twins)
        reports.append(report)
        if flags.pictures:
            flags.pictures.mkdir(parents=True, exist_ok=True)
            page = sheet(f"{name}: {flags.split} split", pairs[:4] if clips else pairs[:12], 2 if clips else 6)
            page.save(flags.pictures / f"generators-{name}.png")
        if not flags.json:
            sys.stdout.write(line(report) + "\n")
    if flags.json:
        sys.stdout.write(json.dumps([asdict(report) for report in reports]) + "\n")


def line(report: Quality) -> str:
    """One report for people."""
    likeness = "   --   " if report.psnr is None else f"{report.psnr.value:5.2f} dB"
    edge = report.sharpness_auc
    return (
        f"{report.name:14} {likeness}  sharpness AUC {edge.value:.3f} [{edge.low:.3f}, {edge.high:.3f}], "
        f"x{report.sharpness_ratio:.2f}  {report.seconds:.2f} s per item"
    )


if __name__ == "__main__":
    main()
