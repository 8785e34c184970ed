"""How alike answers are without and with sharing: what the reward laboratory assumes of items, models and variants.

    python -m benchmarks.agreement [--items 60] [--split test] [--json] [npr ucf spectral]

Items of the embedded set, half real and half synthetic, each in two variants per level, as two miners get them.
Answers are turned into normal scores (probit) and each label's mean is taken out. Then

- `items`: correlation of two detectors on one item: what is hard for one is hard for another;
- `one model`: correlation of one detector on two variants of an item: what is left between keys with one model;
- `pairing`: of all items, how many variants find their sibling among `--crowd` by the nearest perceptual hash;
- `memory`: how often a memoriser is right that knows the real photographs and calls real what lies near one of them,
  at the threshold that suits it best (chosen on the same items, so in its favour).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks.leak import makers
from detectors.loading import open_detector
from subnet.game.sampling import derive
from subnet.game.variant import variant_frames
from subnet.media.leak.appearance import perceptual_hash
from subnet.types import Label, Media, Sample, Split

LEVELS = range(4)
Array = NDArray[np.float64]


def samples(items: int, split: Split, seed: int) -> list[Sample]:
    """Real and synthetic samples by turns, generators by turns, each from its own draw."""
    cells = makers(split)
    real = [cell for cell in cells if cell.label is Label.REAL]
    fake = [cell for cell in cells if cell.label is Label.SYNTHETIC]
    chosen = [(real if n % 2 == 0 else fake)[n // 2 % len(real if n % 2 == 0 else fake)] for n in range(2 * items)]
    return [cells[cell](np.random.default_rng([seed, n])) for n, cell in enumerate(chosen)]


def variants(drawn: Sequence[Sample], level: int, copy: int) -> list[Media]:
    return [
        variant_frames(sample.media, level, np.random.default_rng(derive("agreement", n, level, copy)))
        for n, sample in enumerate(drawn)
    ]


def scores(name: str, media: Sequence[Media], labels: NDArray[np.bool_]) -> Array:
    """Probits of a detector's answers, each label's mean taken out."""
    answers = np.array([p.p_synthetic for p in open_detector(name, device="cpu").predict(list(media))])
    ranks = (answers.argsort().argsort() + 0.5) / len(answers)
    probits = norm.ppf(ranks)
    for label in (False, True):
        probits[labels == label] -= probits[labels == label].mean()
    return np.asarray(probits)


def correlation(first: Array, second: Array) -> float:
    return float(np.corrcoef(first, second)[0, 1])


def pairing(first: Sequence[Media], second: Sequence[Media], crowd: int) -> float:
    """Share of variants whose sibling is the nearest of `crowd` by perceptual hash; ties are lost in part."""
    left, right = ([perceptual_hash(each) for each in side] for side in (first, second))
    hits = []
    for start in range(0, len(left) - crowd + 1, crowd):
        for n in range(start, start + crowd):
            distances = [(left[n] ^ right[m]).bit_count() for m in range(start, start + crowd)]
            nearest = min(distances)
            hits.append((distances[n - start] == nearest) / distances.count(nearest))
    return float(np.mean(hits))


def memory(asked: Sequence[Media], labels: NDArray[np.bool_], known: Sequence[int]) -> float:
    """Accuracy of "real when near a known photograph", or the reverse, at the best threshold."""
    near = np.array([min((perceptual_hash(each) ^ other).bit_count() for other in known) for each in asked])
    right = [float(np.mean((near > limit) == labels)) for limit in range(65)]
    return max(*right, *(1 - share for share in right))


def measure(names: Sequence[str], items: int, split: Split, crowd: int) -> Mapping[str, Sequence[float]]:
    drawn = samples(items, split, 3)
    labels = np.array([sample.label is Label.SYNTHETIC for sample in drawn])
    known = [perceptual_hash(sample.media) for sample in samples(items, split, 4) if sample.label is Label.REAL]
    rows: dict[str, list[float]] = {"items": [], "one model": [], "pairing": [], "memory": []}
    for level in LEVELS:
        first, second = variants(drawn, level, 0), variants(drawn, level, 1)
        sides = [(scores(name, first, labels), scores(name, second, labels)) for name in names]
        rows["items"].append(float(np.mean([correlation(a[0], b[1]) for a, b in combinations(sides, 2)])))
        rows["one model"].append(float(np.mean([correlation(a, b) for a, b in sides])))
        rows["pairing"].append(pairing(first, second, crowd))
        rows["memory"].append(memory(first, labels, known))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="*", default=["npr", "ucf", "spectral"])
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--split", type=Split, choices=list(Split), default=Split.TEST)
    parser.add_argument("--crowd", type=int, default=24)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.detectors, given.items, given.split, given.crowd)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'':10} level 0  level 1  level 2  level 3")
    for name, numbers in found.items():
        print(f"{name:10} " + "  ".join(f"{number:7.2f}" for number in numbers))


if __name__ == "__main__":
    main()
