"""What looking at the whole picture is worth: `assay detect`'s rule beside the centre square alone, at stored size.

    python benchmarks/whole_picture.py [--exam twins|in-painted] [--photographs FOLDER] [--limit 60]
                                       [--detectors npr ucf] [--split validation] [--json]

Real pictures are photographs of the embedded split at the size they are stored in, or squares of 1024 pixels out of
a folder's pictures. Fakes are their twins of the same size by the embedded autoencoders, taking turns, or with
`in-painted` the photographs themselves with one corner out of a twin (also the diffusion model's). All are written as
JPEG of one quality and read again. A control that knows nothing (mean brightness, and bytes per pixel) stands beside.
Intervals are 95 % bootstraps over photographs. "false alarms" is the share of real pictures that are called synthetic,
"found" that of fakes; both at the threshold on the detector's card. Of in-painted pictures also how often the hottest
tile lies on the corner, and how often a tile does that is taken by chance.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from detectors import load_detector
from detectors.acceleration.accelerate import accelerated
from detectors.calibration import Calibration, sigmoid
from detectors.claims.card import Card
from detectors.claims.shelf import claims_of
from detectors.claims.verdict import synthetic_from
from detectors.whole_picture import View, combined, judge, one_of, unfit
from generators import EMBEDDED, load_generator
from generators.embedded.twins import Reconstructor
from neurons.progress import bar
from neurons.settings import home
from subnet.codec.image import FILE_IMAGES, decode_image, encode_image, normalise
from subnet.media import embedded
from subnet.types import Frames, Label, Media, Modality, Provenance, Sample, Split

QUALITY = 92
SIDE = 1024  # of squares that are cut out of a folder's pictures
REDRAWING, DRAWS = "diffusion", 256
CORNER = (0.25, 0.4)  # radius of what is painted in, of the shorter side
ON_IT = 0.1  # of a tile, that lies on the corner


Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Picture:
    media: Media
    label: Label
    photo: int
    bytes_per_pixel: float
    mask: np.ndarray  # (H, W), True where it is synthetic


def written(media: Media, label: Label, photo: int, mask: np.ndarray | None = None) -> Picture:
    data = encode_image(media, QUALITY)
    synthetic = np.full(media.frames.shape[1:3], label is Label.SYNTHETIC) if mask is None else mask
    return Picture(decode_image(data), label, photo, len(data) / (media.frames.size / 3), synthetic)


def painted_in(frames: Frames, maker: Reconstructor, rng: np.random.Generator) -> tuple[Frames, Mask]:
    """One corner of frames (1, H, W, 3) out of the twin of a square there, within a quarter of a disc; and where."""
    height, width = frames.shape[1:3]
    radius = round(rng.uniform(*CORNER) * min(height, width))
    radius = DRAWS if maker.name == REDRAWING else radius  # which gives back 256 x 256 of whatever it is shown
    down, right = rng.integers(2, size=2) * (height - radius, width - radius)
    place = np.s_[:, down : down + radius, right : right + radius]
    sample = Sample(Media(np.ascontiguousarray(frames[place])), Label.REAL, Provenance("", ""))
    y, x = np.mgrid[:radius, :radius]
    inside = (y - (radius - 1) * bool(down)) ** 2 + (x - (radius - 1) * bool(right)) ** 2 < radius**2
    made, where = frames.copy(), np.zeros((height, width), dtype=bool)
    made[place] = np.where(inside[..., None], maker.reconstruct(sample, rng).media.frames, frames[place])
    where[place[1:]] = inside
    return made, where


def photographs(split: Split, folder: Path | None, limit: int, rng: np.random.Generator) -> list[Media]:
    """At most `limit` of the embedded split, or squares out of a folder's pictures."""
    if folder is None:
        chosen = rng.permutation(np.array(embedded.items(Modality.IMAGE, split), dtype=object))[:limit]
        return [decode_image(embedded.path(item).read_bytes()) for item in chosen]
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file())[:limit]:
        frames = decode_image(path.read_bytes(), FILE_IMAGES).frames
        side = min(SIDE, *frames.shape[1:3])
        top, left = (int(rng.integers(length - side + 1)) for length in frames.shape[1:3])
        found.append(Media(np.ascontiguousarray(frames[:, top : top + side, left : left + side])))
    return found


def pictures(media: list[Media], exam: str, rng: np.random.Generator) -> list[Picture]:
    """The photographs, and a twin of each or the same with a corner of it."""
    rows = [row for row in EMBEDDED if row.modality is Modality.IMAGE and row.embedded]
    usable = [row.name for row in rows if exam == "in-painted" or row.name != REDRAWING]
    makers: list[Any] = [load_generator(name) for name in usable]
    found = []
    with bar("pictures", len(media)) as progress:
        for number, each in enumerate(media):
            maker, mask = makers[number % len(makers)], None
            if exam == "in-painted":
                frames, mask = painted_in(each.frames, maker, rng)
            else:
                frames = maker.reconstruct(Sample(each, Label.REAL, Provenance("", str(number))), rng).media.frames
            found += [
                written(each, Label.REAL, number),
                written(Media(frames), Label.SYNTHETIC, number, mask),
            ]
            progress(number + 1)
    return found


def only(kind: str) -> Callable[[tuple[View, ...]], float]:
    return lambda views: mean_of_means(tuple(view for view in views if view.kind == kind) or views)


def loudest(views: tuple[View, ...]) -> float:
    return max(view.p_synthetic for view in views)


def mean_of_means(views: tuple[View, ...]) -> float:
    """The rule until November 2026: all of it is synthetic, or nothing."""
    means = [np.mean([log_odds(each.p_synthetic) for each in views if each.kind == kind]) for kind in _kinds(views)]
    return sigmoid(float(np.mean(means)))


def one_tile(views: tuple[View, ...]) -> float:
    """One tile is synthetic, and nobody knows which."""
    return sigmoid(one_of([log_odds(each.p_synthetic) for each in views if each.kind == _kinds(views)[-1]]))


def _kinds(views: tuple[View, ...]) -> list[str]:
    return sorted({each.kind for each in views})


def log_odds(p: float) -> float:
    kept = min(max(p, 1e-12), 1 - 1e-12)
    return float(np.log(kept / (1 - kept)))


def on_the_corner(mask: np.ndarray, view: View) -> bool:
    left, top, width, height = view.box
    return bool(mask[top : top + height, left : left + width].mean() >= ON_IT)


def places(shown: list[Picture], views: list[tuple[View, ...]], rng: np.random.Generator) -> dict[str, Any]:
    """How often the hottest tile lies on the corner, and a tile by chance; with the interval of the first."""
    hits, chances = [], []
    for each, parts in zip(shown, views, strict=True):
        tiles = [part for part in parts if part.kind == "tile"]
        if each.label is Label.SYNTHETIC and tiles:
            hits.append(on_the_corner(each.mask, max(tiles, key=lambda part: part.p_synthetic)))
            chances.append(np.mean([on_the_corner(each.mask, part) for part in tiles]))
    drawn = rng.choice(np.array(hits, dtype=float), (500, len(hits))).mean(axis=1)
    low, high = (round(float(edge), 3) for edge in np.quantile(drawn, (0.025, 0.975)))
    return {"rule": "hottest tile", "on_corner": round(float(np.mean(hits)), 3), "low": low, "high": high,
            "by_chance": round(float(np.mean(chances)), 3), "pictures": len(hits)}  # fmt: skip


RULES: dict[str, Callable[[tuple[View, ...]], float]] = {
    "whole picture (the rule)": combined,
    "mean of means (before)": mean_of_means,
    "scaled whole (squares only)": only("square"),
    "mean of tiles": only("tile"),
    "one tile of them": one_tile,
    "highest of all": loudest,
}


def line(
    name: str, scores: np.ndarray, labels: np.ndarray, photos: np.ndarray, threshold: float | None
) -> dict[str, Any]:
    rng, draws = np.random.default_rng(0), []
    by_photo = [np.flatnonzero(photos == photo) for photo in np.unique(photos)]
    for _ in range(500):
        drawn = np.concatenate([by_photo[at] for at in rng.integers(len(by_photo), size=len(by_photo))])
        draws.append(roc_auc_score(labels[drawn], scores[drawn]))
    said = {"rule": name, "auc": round(float(roc_auc_score(labels, scores)), 3)}
    said["low"], said["high"] = (round(float(edge), 3) for edge in np.quantile(draws, (0.025, 0.975)))
    if threshold is not None:
        called = scores >= threshold
        said["false_alarms"] = round(float(called[labels == 0].mean()), 3)
        said["found"] = round(float(called[labels == 1].mean()), 3)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exam", default="twins", choices=["twins", "in-painted"])
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--split", default="test", choices=[str(split) for split in Split])
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--detectors", nargs="+", default=["npr"])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    media = photographs(Split(asked.split), asked.photographs, asked.limit, rng)
    shown = [each for each in pictures(media, asked.exam, rng) if not unfit(each.media)]
    labels, photos = (np.array([getattr(each, name) for each in shown]) for name in ("label", "photo"))
    found = {}
    for name in asked.detectors:
        plain = load_detector(name)
        detector = accelerated(plain, cache=home() / "serving")
        calibration = getattr(detector, "calibration", Calibration())
        card: Card = claims_of(name, plain).card
        threshold = synthetic_from(card, calibration)
        with bar(name, len(shown)) as progress:
            views, centre = [], []
            for number, each in enumerate(shown):
                views.append(judge(detector, each.media).views)
                centre.append(detector.predict([normalise(each.media, None)])[0].p_synthetic)
                progress(number + 1)
        lines = [line("centre square", np.array(centre), labels, photos, threshold)]
        lines += [line(rule, np.array([of(v) for v in views]), labels, photos, threshold) for rule, of in RULES.items()]
        found[name] = lines + ([places(shown, views, rng)] if asked.exam == "in-painted" else [])
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
        for row in lines:
            print(f"{name:8} " + "  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
