"""How alike answers are without and with sharing: what the reward laboratory takes of items, models and variants.

    python -m benchmarks.agreement [--items 48] [--split test] [--json] [npr ucf spectral]

Items of the embedded set, half real and half synthetic, each in two variants per level, as two miners get them; four
to five minutes of one processor with the detectors that ship, most of them for ucf and npr. Answers are turned into
normal scores within each label, as the laboratory draws them. Then

- `items`: correlation of two detectors on one item: what is hard for one is hard for another;
- `one model`: correlation of one detector on two variants of an item: what is left between keys with one model;
- `pairing`: of all items, how many variants find their sibling among `--crowd` by the nearest perceptual hash;
- `memory`: how often a memoriser is right that knows the real photographs and calls real what lies near one of them,
  at the threshold that suits it best (chosen on the same items, so in its favour).

Each with its 95 % interval, of a bootstrap over photographs: a synthetic item goes with the photo that it was made of.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from benchmarks.leak import makers
from detectors.loading import open_detector
from subnet.game.sampling import derive
from subnet.game.variant import variant_frames
from subnet.media.embedded.source import EmbeddedSource
from subnet.media.leak.appearance import perceptual_hash
from subnet.protocols import Detector
from subnet.types import Label, Media, Modality, Sample, Split

LEVELS = range(4)
RESAMPLES = 500
Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """One number with its 95 % interval."""

    value: float
    low: float
    high: float


def samples(items: int, split: Split, seed: int) -> list[Sample]:
    """Real and synthetic samples by turns, generators by turns, each from its own draw."""
    cells = makers(split)
    real = [cell for cell in cells if cell.label is Label.REAL]
    fake = [cell for cell in cells if cell.label is Label.SYNTHETIC]
    chosen = [(real if n % 2 == 0 else fake)[n // 2 % len(real if n % 2 == 0 else fake)] for n in range(2 * items)]
    return [cells[cell](np.random.default_rng([seed, n])) for n, cell in enumerate(chosen)]


def photographs(items: int, split: Split, seed: int) -> list[Media]:
    """What a memory knows: as many real photographs, cut in another way than those that are asked."""
    source = EmbeddedSource(split)
    return [source.draw(Modality.IMAGE, Label.REAL, np.random.default_rng([seed, n])).media for n in range(items)]


def variants(drawn: Sequence[Sample], level: int, copy: int) -> list[Media]:
    return [
        variant_frames(sample.media, level, np.random.default_rng(derive("agreement", n, level, copy)))
        for n, sample in enumerate(drawn)
    ]


def answers(detector: Detector, media: Sequence[Media]) -> Array:
    return np.array([answer.p_synthetic for answer in detector.predict(list(media))])


def normal_scores(values: Array, labels: NDArray[np.bool_]) -> Array:
    """Van der Waerden's scores within each label; equal answers have equal ones."""
    scores = np.empty(len(values))
    for label in (False, True):
        own = values[labels == label]
        scores[labels == label] = norm.ppf((rankdata(own) - 0.5) / len(own))
    return scores


def correlation(pairs: Sequence[tuple[Array, Array]], at: Ints) -> float:
    """The mean over pairs of answers, of the items `at` alone."""
    return float(np.mean([np.corrcoef(first[at], second[at])[0, 1] for first, second in pairs]))


def pairing(first: Sequence[int], second: Sequence[int], crowd: int) -> Array:
    """For each item how surely its sibling is the nearest of its `crowd` by hash, 0..1; ties are lost in part.

    Items past the last whole crowd are left out.
    """
    hits = []
    for start in range(0, len(first) - crowd + 1, crowd):
        for n in range(start, start + crowd):
            distances = [(first[n] ^ second[m]).bit_count() for m in range(start, start + crowd)]
            nearest = min(distances)
            hits.append((distances[n - start] == nearest) / distances.count(nearest))
    return np.array(hits)


def memory(near: Ints, labels: NDArray[np.bool_]) -> float:
    """Accuracy of "real when near a known photograph", or the reverse, at the best threshold; `near` in bits."""
    right = np.mean((near[None, :] > np.arange(65)[:, None]) == labels, axis=1)
    return float(max(right.max(), 1 - right.min()))


def bootstrap(statistic: Callable[[Ints], float], groups: Sequence[str]) -> Measured:
    """The statistic of all items, and its 95 % interval when groups of them are drawn anew."""
    rng, names = np.random.default_rng(1), sorted(set(groups))
    members = {name: np.flatnonzero([group == name for group in groups]) for name in names}
    draws = [
        statistic(np.concatenate([members[names[n]] for n in rng.integers(len(names), size=len(names))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(draws, (0.025, 0.975))
    return Measured(statistic(np.arange(len(groups))), float(low), float(high))


def at_level(
    level: int, detectors: Sequence[Detector], drawn: Sequence[Sample], known: Sequence[int], crowd: int
) -> list[Measured]:
    """The four numbers of one level, in the order of `COLUMNS`."""
    labels, groups = np.array([s.label is Label.SYNTHETIC for s in drawn]), [s.provenance.item for s in drawn]
    sides = [variants(drawn, level, copy) for copy in (0, 1)]
    scores = [[normal_scores(answers(detector, side), labels) for side in sides] for detector in detectors]
    two = [pair for a, b in combinations(scores, 2) for pair in ((a[0], b[1]), (a[1], b[0]))]
    one = [(first, second) for first, second in scores]
    first, second = ([perceptual_hash(each) for each in side] for side in sides)
    hits = pairing(first, second, crowd)
    near = np.array([min((each ^ other).bit_count() for other in known) for each in first])
    return [
        bootstrap(lambda at: correlation(two, at), groups),
        bootstrap(lambda at: correlation(one, at), groups),
        bootstrap(lambda at: float(hits[at].mean()), groups[: len(hits)]),
        bootstrap(lambda at: memory(near[at], labels[at]), groups),
    ]


COLUMNS = ("items", "one model", "pairing", "memory")


def measure(names: Sequence[str], items: int, split: Split, crowd: int) -> Mapping[int, Sequence[Measured]]:
    """The numbers by level."""
    drawn = samples(items, split, 3)
    known = [perceptual_hash(photograph) for photograph in photographs(items, split, 4)]
    detectors = [open_detector(name, device="cpu") for name in names]
    found = {}
    for level in LEVELS:
        found[level] = at_level(level, detectors, drawn, known, crowd)
        print(f"level {level}: {time.process_time():.0f} s of the processor", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="*", default=["npr", "ucf", "spectral"])
    parser.add_argument("--items", type=int, default=48)
    parser.add_argument("--split", type=Split, choices=list(Split), default=Split.TEST)
    parser.add_argument("--crowd", type=int, default=24)
    parser.add_argument("--json", action="store_true", help="rows as in benchmarks/results/agreement.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(given.detectors, given.items, given.split, given.crowd)
    if given.json:
        print(json.dumps([[str(level), *(vars(number) for number in numbers)] for level, numbers in found.items()]))
        return
    print(f"{'level':6}" + "".join(f"{name:22}" for name in COLUMNS))
    for level, numbers in found.items():
        print(f"{level:<6}" + "".join(f"{f'{m.value:.2f} ({m.low:.2f} to {m.high:.2f})':22}" for m in numbers))


if __name__ == "__main__":
    main()
