"""What looking at the whole picture is worth: `assay detect`'s rule beside the centre square alone, at stored size.

    python benchmarks/whole_picture.py [--split validation] [--limit 60] [--detectors npr ucf] [--json]

Real pictures are photographs of the embedded split at the size they are stored in; fakes are their twins of the same
size by every embedded generator of images, taking turns. Both are written as JPEG of the same quality and read again. A
control that knows nothing (mean brightness, and bytes per pixel) stands beside. Intervals are 95 % bootstraps over
photographs. "false alarms" is the share of real pictures that are called synthetic, "found" that of fakes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from detectors import load_detector
from detectors.acceleration.accelerate import accelerated
from detectors.calibration import Calibration, Verdict
from detectors.whole_picture import View, combined, judge, unfit
from generators import EMBEDDED, load_generator
from neurons.progress import bar
from neurons.settings import home
from subnet.codec.image import decode_image, encode_image, normalise
from subnet.media import embedded
from subnet.types import Label, Media, Modality, Provenance, Sample, Split

QUALITY = 92


@dataclass(frozen=True, eq=False)
class Picture:
    media: Media
    label: Label
    photo: int
    bytes_per_pixel: float


def written(media: Media, label: Label, photo: int) -> Picture:
    data = encode_image(media, QUALITY)
    return Picture(decode_image(data), label, photo, len(data) / (media.frames.size / 3))


def pictures(split: Split, limit: int, seed: int) -> list[Picture]:
    """`limit` photographs and a twin of each."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.array(embedded.items(Modality.IMAGE, split), dtype=object))[:limit]
    makers = [load_generator(row.name) for row in EMBEDDED if row.modality is Modality.IMAGE and row.embedded]
    found = []
    with bar("pictures", len(chosen)) as progress:
        for number, item in enumerate(chosen):
            media = decode_image(embedded.path(item).read_bytes())
            twin = makers[number % len(makers)].reconstruct(Sample(media, Label.REAL, Provenance("", item.id)), rng)
            found += [written(media, Label.REAL, number), written(twin.media, Label.SYNTHETIC, number)]
            progress(number + 1)
    return found


def only(kind: str) -> Callable[[tuple[View, ...]], float]:
    return lambda views: combined([view for view in views if view.kind == kind] or list(views))


def loudest(views: tuple[View, ...]) -> float:
    return max(view.p_synthetic for view in views)


RULES: dict[str, Callable[[tuple[View, ...]], float]] = {
    "whole picture (the rule)": combined,
    "squares only": only("square"),
    "tiles only": only("tile"),
    "highest of all": loudest,
}


def line(
    name: str, scores: np.ndarray, labels: np.ndarray, photos: np.ndarray, calibration: Calibration | None
) -> dict:
    rng, draws = np.random.default_rng(0), []
    by_photo = [np.flatnonzero(photos == photo) for photo in np.unique(photos)]
    for _ in range(500):
        drawn = np.concatenate([by_photo[at] for at in rng.integers(len(by_photo), size=len(by_photo))])
        draws.append(roc_auc_score(labels[drawn], scores[drawn]))
    said = {"rule": name, "auc": round(float(roc_auc_score(labels, scores)), 3)}
    said["low"], said["high"] = (round(float(edge), 3) for edge in np.quantile(draws, (0.025, 0.975)))
    if calibration is not None:
        called = np.array([calibration.verdict(float(score)) is Verdict.SYNTHETIC for score in scores])
        said["false_alarms"] = round(float(called[labels == 0].mean()), 3)
        said["found"] = round(float(called[labels == 1].mean()), 3)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="test", choices=[str(split) for split in Split])
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--detectors", nargs="+", default=["npr"])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    shown = [each for each in pictures(Split(asked.split), asked.limit, asked.seed) if not unfit(each.media)]
    labels, photos = (np.array([getattr(each, name) for each in shown]) for name in ("label", "photo"))
    found = {}
    for name in asked.detectors:
        detector = accelerated(load_detector(name), cache=home() / "serving")
        calibration = getattr(detector, "calibration", Calibration())
        with bar(name, len(shown)) as progress:
            views, centre = [], []
            for number, each in enumerate(shown):
                views.append(judge(detector, each.media).views)
                centre.append(detector.predict([normalise(each.media, None)])[0].p_synthetic)
                progress(number + 1)
        lines = [line("centre square", np.array(centre), labels, photos, calibration)]
        lines += [
            line(rule, np.array([of(v) for v in views]), labels, photos, calibration) for rule, of in RULES.items()
        ]
        found[name] = lines
    brightness = np.array([each.media.frames.mean() for each in shown])
    weight = np.array([each.bytes_per_pixel for each in shown])
    found["control"] = [
        line("mean brightness", brightness, labels, photos, None),
        line("bytes per pixel", -weight, labels, photos, None),
    ]
    if asked.json:
        print(json.dumps(found))
        return
    for name, lines in found.items():
        for each in lines:
            print(f"{name:8} " + "  ".join(f"{key} {value}" for key, value in each.items()))


if __name__ == "__main__":
    main()
