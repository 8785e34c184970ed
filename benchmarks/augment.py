"""What augmentation and the codecs cost: milliseconds of CPU per item over many draws of parameters.

    python benchmarks/augment.py [--size 256] [--runs 40] [--json]

Levels and encoders are what a validator pays per miner and challenge; operators and chains say where it goes.
CPU time of one thread, so that a busy machine moves the figures less than it would move a clock.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np

from subnet.codec import image as codec
from subnet.codec.sandbox import VideoDecoder
from subnet.game.augment import DISTORTIONS, LEVELS, OPERATORS, augment, distort
from subnet.types import Frames, Media

Work = Callable[[np.random.Generator], object]


def scene(size: int, frames: int = 1) -> Frames:
    """A picture with smooth parts, edges and grain, moving a little from frame to frame."""
    y, x = np.mgrid[:size, :size]
    waves = np.stack([np.sin(x / 9 + y / 40), np.cos(y / 13), np.sin((x + y) / 21)], axis=-1)
    grain = np.random.default_rng(0).normal(0, 6, (size, size, 3))
    picture = (128 + 90 * waves + 40 * (x > y)[..., None] + grain).clip(0, 255).astype(np.uint8)
    return np.stack([np.roll(picture, 2 * shift, axis=1) for shift in range(frames)])


def measured(work: Work, runs: int) -> tuple[float, float]:
    """Median and largest milliseconds of CPU over `runs` draws of parameters, each draw the best of three."""
    work(np.random.default_rng(0))
    spent = []
    for run in range(runs):
        tries = []
        for _ in range(3):
            rng, start = np.random.default_rng(run), time.thread_time()
            work(rng)
            tries.append(1000 * (time.thread_time() - start))
        spent.append(min(tries))
    return statistics.median(spent), max(spent)


def rows(size: int) -> Iterator[tuple[str, str, Work]]:
    """Group, name and work of all that is measured."""
    image, video = scene(size), scene(size, frames=16)
    picture, clip = Media(image), Media(video, 25.0)
    jpeg, mp4, lossless = (
        codec.encode_image(picture, 90),
        codec.encode_video(clip, 22),
        codec.encode_lossless_video(clip),
    )
    png, large = codec.encode_png(picture), Media(scene(4 * size))
    for level in LEVELS:
        yield "image", f"level {level}", lambda rng, level=level: augment(image, level, rng)
    for level in LEVELS:
        yield "video, 16 frames", f"level {level}", lambda rng, level=level: augment(video, level, rng, video=True)
    for name, operator in OPERATORS.items():
        yield "operator", name, lambda rng, operator=operator: operator(rng, image)
    for name in DISTORTIONS:
        yield "chain at 0.7", name, lambda rng, name=name: distort(image, name, 0.7, rng)
    yield "codec", "encode_image q90", lambda _: codec.encode_image(picture, 90)
    yield "codec", "decode_image JPEG", lambda _: codec.decode_image(jpeg)
    yield "codec", "encode_png", lambda _: codec.encode_png(picture)
    yield "codec", "decode_image PNG", lambda _: codec.decode_image(png)
    yield "codec", "encode_video crf 22", lambda _: codec.encode_video(clip, 22)
    yield "codec", "decode_video", lambda _: codec.decode_video(mp4)
    yield "codec", "encode_lossless_video", lambda _: codec.encode_lossless_video(clip)
    yield "codec", "decode_video lossless", lambda _: codec.decode_video(lossless)
    yield "codec", f"normalise from {4 * size}", lambda rng: codec.normalise(large, rng, (size, size))


def child(size: int, runs: int) -> dict[str, float]:
    """Milliseconds on the clock of a decode in a child process: the first, which starts it, and the median after."""
    data = codec.encode_video(Media(scene(size, frames=16), 25.0), 22)
    spent = []
    with VideoDecoder(timeout=60) as decoder:
        for _ in range(runs + 1):
            start = time.perf_counter()
            decoder.decode(data)
            spent.append(1000 * (time.perf_counter() - start))
    return {"first": spent[0], "median": statistics.median(spent[1:])}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--size", type=int, default=256, help="side of the square frames in pixels")
    parser.add_argument("--runs", type=int, default=40, help="runs of each row")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for group, name, work in rows(options.size):
        median, largest = measured(work, options.runs)
        found.setdefault(group, {})[name] = {"median_ms": median, "largest_ms": largest}
        if not options.json:
            print(f"{group:18} {name:24} median {median:8.2f} ms   largest {largest:8.2f} ms")
    in_child = child(options.size, min(options.runs, 20))
    if options.json:
        print(json.dumps({"size": options.size, **found, "child": in_child}, indent=1))
    else:
        print(f"{'child process':18} first {in_child['first']:.0f} ms, then {in_child['median']:.2f} ms on the clock")


if __name__ == "__main__":
    main()
