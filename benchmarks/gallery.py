"""One picture per detector of what it looks at, for docs/detectors.md: `python -m benchmarks.gallery [NAME ...]`.

All of them see the same two test items, as validators send them at level 0: a photograph of the embedded test set and
its synthetic twin, and for detectors of clips a pan over one. Rows without weights are passed over with a word: run it
again when they have some. `python -m benchmarks.tables` then puts the pictures on the page.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subnet.registry import find, resolve, table
from subnet.types import Label, Media, Modality, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from subnet.protocols import Detector

PICTURES = Path(__file__).parents[1] / "docs" / "pictures" / "detectors"
ANSWERS = Path(__file__).with_suffix(".json")  # by detector: P(synthetic) of the real and the synthetic item
WIDTH, DPI = 9.0, 100  # inches, and pixels in one
PALETTES = (256, 192, 128, 96, 64)  # colours: the most that MOST leaves room for
MOST = 120_000  # bytes of a file
NAMES = {
    Modality.IMAGE: {Label.REAL: "photograph", Label.SYNTHETIC: "synthetic twin"},
    Modality.VIDEO: {Label.REAL: "pan over a photograph", Label.SYNTHETIC: "synthetic twin"},
}
PLACES = {Modality.IMAGE: 0, Modality.VIDEO: 2}  # in the test sets: the first, and a pan with something to see in it


@dataclass(frozen=True)
class Panel:
    """One pair of axes: `draw` fills them."""

    title: str
    draw: Callable[[Axes], None]


@dataclass(frozen=True)
class Look:
    """How a detector is pictured: `target` makes panels out of it and one item, `sentence` says what one sees."""

    name: str
    target: str
    sentence: str


_EVIDENCE, _CLIP = "benchmarks.looks:evidence", "benchmarks.looks:clip"
LOOKS: dict[str, Look] = table(
    (
        Look(
            "npr",
            "benchmarks.looks:residuals",
            "Between picture and map the residual that it works on: every pixel less the first of its cell of 2 x 2.",
        ),
        Look(
            "npr-weak",
            "benchmarks.looks:residuals",
            "The same network after the first part of its course.",
        ),
        Look("ucf", _EVIDENCE, "The map of its encoder of what all forgeries share."),
        Look(
            "patchwise",
            "benchmarks.looks:patches",
            "Its verdict on every patch of 64 pixels by itself, blue for real and orange for synthetic, the stronger "
            "the surer. The answer is the mean of their log-odds: here many weakly synthetic patches lose to fewer "
            "sure real ones.",
        ),
        Look(
            "segment",
            "benchmarks.looks:mask",
            "Its mask: the warmer a pixel, the likelier it is synthetic. Half of this "
            "photograph is called so, too: a hint, no proof.",
        ),
        Look("vit_cam", _EVIDENCE, "The map of its last block, over 14 x 14 tokens."),
        Look(
            "camo",
            "benchmarks.looks:experts",
            "The map of the general expert, and the calibrated log-odds of every expert that its gates let in.",
        ),
        Look(
            "spectral",
            "benchmarks.looks:families",
            "The averaged spectrum of what a Laplacian leaves of the picture, frequency 0 in the middle, and how far "
            "each family of features moves the log-odds.",
        ),
        Look(
            "retrieval",
            "benchmarks.looks:neighbour",
            "The picture of its index with the nearest perceptual hash: it knows neither test item, and says nothing.",
        ),
        Look(
            "ensemble",
            "benchmarks.looks:shares",
            "How far each member moves the log-odds, which are the sum of the bars and a bias.",
        ),
        Look(
            "autoencoder",
            "benchmarks.looks:losses",
            "What comes out of it, and how far the latent and the loss move the log-odds: a decoder's picture is "
            "rebuilt with less loss than a photograph. So small a network rebuilds a blur; it tells little.",
        ),
        Look(
            "cnn_svm",
            _EVIDENCE,
            "The last maps of its residual network, below 50 principal components and the support vector machine. "
            "Where the map is hidden the answer hardly moves (a gain near 0): it explains little.",
        ),
        Look("frames", _CLIP, "The loudest of eight frames with its map, and the answer over the seconds."),
        Look("tall", _CLIP, "Four frames as one picture of 2 x 2 with its map, and the answer over the seconds."),
        Look(
            "temporal-lstm",
            _CLIP,
            "Eight frames in their order with the map of the frame encoder, and the answer over the seconds.",
        ),
        Look("temporal-3d", _CLIP, "Eight frames as one volume with its map, and the answer over the seconds."),
        Look(
            "temporal-trajectory",
            _CLIP,
            "Eight frames, whose way through features is measured, with the map of the encoder, and the answer over "
            "the seconds.",
        ),
    )
)


@cache
def items(modality: Modality) -> dict[Label, Media]:
    """One test item and its twin, as a miner would see them at level 0."""
    from detectors.dataset.cuts import challenge_media
    from detectors.dataset.items import read_folder
    from detectors.evaluation.answering import View, show
    from neurons.datasets.spec import DataSpec, materialise
    from neurons.settings import home

    pans, place = float(modality is Modality.VIDEO), PLACES[modality]
    folder = materialise(DataSpec(Split.TEST, modality, place + 1, pans=pans), home() / "data")
    found = {}
    for record in read_folder(folder)[2 * place :]:
        found[record.label] = show(challenge_media(record, "gallery", 0), "gallery", View(0), seed=0)
    return found


def compose(name: str, sides: Sequence[tuple[str, str, Sequence[Panel]]]) -> bytes:
    """PNG bytes: for each side its title, the title's colour, and its panels, beside each other.

    At most MOST of them, where the smallest palette is enough for that.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    count = len(sides[0][2])
    figure = Figure(figsize=(WIDTH, 0.85 + WIDTH / (2 * count)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(name, fontsize=12, fontweight="bold")
    halves = figure.subfigures(1, 2, squeeze=False)[0]
    for half, (title, colour, panels) in zip(halves, sides, strict=True):
        half.suptitle(title, fontsize=10, color=colour)
        for axes, panel in zip(half.subplots(1, count, squeeze=False)[0], panels, strict=True):
            axes.set_title(panel.title, fontsize=8)
            panel.draw(axes)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    drawn = Image.open(buffer).convert("RGB")
    for colours in PALETTES:
        result = io.BytesIO()
        drawn.quantize(colours, dither=Image.Dither.NONE).save(result, "PNG", optimize=True)
        if len(result.getvalue()) <= MOST:
            break
    return result.getvalue()


def picture(detector: Detector, look: Look) -> tuple[bytes, dict[str, float]]:
    """What `detector` looks at in a real and in a synthetic item, and its P(synthetic) of each, by label."""
    from detectors.explain.picture import INK

    target: Callable[[Any, Media], list[Panel]] = resolve(look.target)
    sides, answers = [], {}
    for label, media in items(detector.modality).items():
        (answer,) = detector.predict([media])
        verdict = detector.calibration.verdict(answer.p_synthetic)  # type: ignore[attr-defined]
        title = f"{NAMES[detector.modality][label]}: P(synthetic) = {answer.p_synthetic:.3f}, {verdict}"
        sides.append((title, INK[verdict], target(detector, media)))
        answers[label.name.lower()] = round(answer.p_synthetic, 3)
    return compose(look.name, sides), answers


def answered() -> dict[str, dict[str, float]]:
    """The answers of all pictures that were drawn, by detector and label."""
    return dict(json.loads(ANSWERS.read_text(encoding="utf-8"))) if ANSWERS.exists() else {}


def outcome(answers: Mapping[str, float]) -> str:
    """One sentence: the answers of a picture, and which of them is wrong."""
    mistakes = {
        (False, False): "both are right",
        (True, False): "it takes the real one for synthetic, too",
        (False, True): "it misses the synthetic one",
        (True, True): "it has them the wrong way round",
    }
    real, synthetic = answers["real"], answers["synthetic"]
    said = mistakes[real > 0.5, synthetic <= 0.5] if (real, synthetic) != (0.5, 0.5) else "no answer to either"
    return f"It answers {real:.3f} and {synthetic:.3f}: {said}."


def main(words: Sequence[str]) -> None:
    """Draw those that are named, or all. Raises UnknownName."""
    from detectors import TABLE, load_detector
    from subnet.files import write_atomically

    for look in [find(LOOKS, word, "detector") for word in words] or LOOKS.values():
        if not TABLE[look.name].weights:
            print(f"{look.name}: no weights ship; passed over", file=sys.stderr)
            continue
        data, answers = picture(load_detector(look.name), look)
        known = json.dumps(answered() | {look.name: answers}, indent=2, sort_keys=True)
        write_atomically(ANSWERS, f"{known}\n".encode())
        if len(data) > MOST:
            print(f"{look.name}: {len(data):,} bytes, over {MOST:,}", file=sys.stderr)
        PICTURES.mkdir(parents=True, exist_ok=True)
        write_atomically(PICTURES / f"{look.name}.png", data)
        print(f"{look.name}: {len(data):,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
