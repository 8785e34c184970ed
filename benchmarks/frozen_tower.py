"""A frozen tower end to end: features kept, a linear head, its threshold at 1 % false alarms, and the zero-pixel null.

    python -m benchmarks.frozen_tower TOWER.onnx --train DIR --test DIR [--kept DIR] [--seed 0] [--json]

TOWER takes normalised RGB (B, 3, side, side), CLIP's mean and spread, and gives (B, D) first. A quarter of the contents
of `train` are held out: the threshold is the lowest at which 1 % of their reals, or fewer, are called synthetic. The
null is the same evaluation with all pixels black: whatever it finds is not in the pictures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.dataset.contents import clusters
from detectors.dataset.items import read_folder
from detectors.heads.linear import LinearPlan, fit_linear
from detectors.preprocess import prepare
from detectors.rows import Preprocess
from detectors.training.feature_cache import FeatureCache, FrozenTower, Shown, describe
from subnet.media.leak.roc import plain_auc
from subnet.types import Frames, Label, Media

MEAN, SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of OpenAI's CLIP
FALSE_ALARMS = 0.01
BATCH = 8


def warn(line: str) -> None:
    print(line, file=sys.stderr)


def opened(path: Path, *, blank: bool = False) -> FrozenTower:
    """An ONNX file as a tower; with `blank` it is shown black pictures only."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    entry = session.get_inputs()[0]
    side = int(entry.shape[-1])
    preprocess = Preprocess(MEAN, SPREAD, size=side)

    black = np.zeros((1, side, side, 3), dtype=np.uint8)

    def embedded(frames: Sequence[Frames]) -> NDArray[np.floating]:
        x = torch.cat([prepare(each, preprocess, torch.device("cpu")) for each in frames])
        found: NDArray[np.floating] = session.run(None, {entry.name: x.numpy()})[0]
        return found

    def features(media: Sequence[Media]) -> NDArray[np.floating]:
        if blank:  # all inputs are one
            return np.repeat(embedded([black]), len(media), axis=0)
        parts = [[each.frames for each in media[start : start + BATCH]] for start in range(0, len(media), BATCH)]
        return np.concatenate([embedded(part) for part in parts])

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    width = embedded([black]).shape[1]
    return FrozenTower(digest, f"{describe(preprocess)}{' blank' if blank else ''}", width, features)


def parts(folder: Path, share: float, seed: int) -> tuple[list[Shown], list[Shown]]:
    """The items of a folder, a `share` of their contents apart from the others."""
    records = read_folder(folder)
    numbers = clusters(records)
    out = np.random.default_rng([seed, 7]).random(int(numbers.max()) + 1) < share
    shown = [Shown(record, folder, seed) for record in records]
    return (
        [each for each, number in zip(shown, numbers, strict=True) if not out[number]],
        [each for each, number in zip(shown, numbers, strict=True) if out[number]],
    )


def labels(shown: Sequence[Shown], kept: Sequence[int]) -> NDArray[np.int64]:
    return np.array([int(shown[place].record.label is Label.SYNTHETIC) for place in kept], dtype=np.int64)


def evaluation(path: Path, kept: Path, train: Path, test: Path, seed: int) -> dict[str, Any]:
    """Fit and judge; times are seconds. The null shows the same head the same test set with all pixels black."""
    cache = FeatureCache(kept / "features", opened(path))
    learn, held = parts(train, 0.25, seed)
    judged, _ = parts(test, 0.0, seed)
    started = time.monotonic()
    rows = {}
    for name, shown in (("learn", learn), ("held", held), ("judged", judged)):
        x, places = cache.rows(shown, warn)
        rows[name] = (x, labels(shown, places))
    ready = time.monotonic()
    head = fit_linear(*rows["learn"], LinearPlan(epochs=40, batch=256), seed=seed)
    fitted = time.monotonic()
    log_odds = {name: head(torch.from_numpy(np.array(x))).numpy() for name, (x, _) in rows.items()}
    threshold = threshold_at(log_odds["held"][rows["held"][1] == 0], FALSE_ALARMS)
    y = rows["judged"][1]
    called = log_odds["judged"] > threshold
    black, places = FeatureCache(kept / "black", opened(path, blank=True)).rows(judged, warn)
    null = head(torch.from_numpy(np.array(black))).numpy().astype(np.float64)
    return {
        "rows": {name: len(x) for name, (x, _) in rows.items()},
        "auc": plain_auc(log_odds["judged"].astype(np.float64), y),
        "null_auc": plain_auc(null, labels(judged, places)),
        "threshold": float(threshold),
        "found": float(called[y == 1].mean()),
        "false_alarms": float(called[y == 0].mean()),
        "features_s": ready - started,
        "head_s": fitted - ready,
    }


def threshold_at(reals: NDArray[np.floating], share: float) -> float:
    """The lowest log-odds above which at most `share` of `reals` lie."""
    ordered = np.sort(reals)[::-1]
    return float(ordered[int(share * len(ordered) + 1e-9)])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("tower", type=Path)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--kept", type=Path, help="folder that keeps the features; by default one that goes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    given = parser.parse_args()
    with TemporaryDirectory() as scratch:
        kept = given.kept or Path(scratch)
        found = {
            "first": evaluation(given.tower, kept, given.train, given.test, given.seed),
            "again": evaluation(given.tower, kept, given.train, given.test, given.seed),
        }
    if given.json:
        print(json.dumps(found, indent=1))
        return
    for name, row in found.items():
        print(
            f"{name:9} AUC {row['auc']:.3f}, null {row['null_auc']:.3f}; "
            f"at {100 * FALSE_ALARMS:g} % false alarms on held-out reals: "
            f"{row['found']:.3f} found, {row['false_alarms']:.3f} false alarms on the test set; "
            f"features {row['features_s']:.1f} s, head {row['head_s']:.1f} s"
        )


if __name__ == "__main__":
    main()
