"""What the pictures of `benchmarks.gallery` show: for each kind of detector a function that makes panels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.gallery import Panel
from detectors.camo.mixture import Camo
from detectors.ensemble.stack import Ensemble
from detectors.explain.deletion import deletion
from detectors.explain.maps import explainable, heat_map, pixels
from detectors.explain.picture import overlay
from detectors.explain.timeline import timeline
from detectors.retrieval.index import Index
from detectors.studies.patchwise.pictures import REAL, SYNTHETIC, painted
from detectors.torch_detector import TorchDetector
from subnet.protocols import Detector
from subnet.types import Media

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LATENT = 64  # features of the autoencoder that are means and deviations of its latent; the rest are of its loss
DRAWS = 4  # random choices of the deletion test


def _image(axes: Axes, picture: NDArray[Any], **how: Any) -> None:
    axes.imshow(picture, **how)
    axes.axis("off")


def image(title: str, picture: NDArray[Any], **how: Any) -> Panel:
    """A picture (H, W, 3), or a map (H, W) with a colour table."""
    return Panel(title, partial(_image, picture=picture, **how))


def bars(title: str, values: Mapping[str, float]) -> Panel:
    """Signed numbers by name, the first on top: orange speaks for synthetic, blue for real."""

    def draw(axes: Axes) -> None:
        places = np.arange(len(values))[::-1]
        colours = [SYNTHETIC if value > 0 else REAL for value in values.values()]
        axes.barh(places, list(values.values()), color=colours)
        axes.set_yticks(places, list(values), fontsize=7)
        axes.axvline(0, color="#555555", linewidth=0.8)
        axes.tick_params(axis="x", labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.1)

    return Panel(title, draw)


def evidence(detector: Detector, media: Media) -> list[Panel]:
    """The strongest view, and over it the map, with the gain of the deletion test."""
    subject = explainable(detector)
    found = heat_map(subject, media)
    game = deletion(subject, media, found, np.random.default_rng(0), draws=DRAWS)
    shown, best = found.pictures[found.strongest], found.heat[found.strongest]
    title = f"evidence for {found.evidence_for.name.lower()}\ngain {game.gain:+.1f}"
    return [
        image("its strongest view" if len(found.pictures) > 1 else "what it is shown", shown),
        image(title, overlay(shown, best)),
    ]


def residuals(detector: TorchDetector, media: Media) -> list[Panel]:
    """`evidence` with the residual that the network works on between."""
    from detectors.npr.network import residual

    first, last = evidence(detector, media)
    lost = residual(detector.views(media))[0].permute(1, 2, 0).numpy()
    return [first, image("residual", np.clip(0.5 + lost, 0, 1)), last]


def patches(detector: TorchDetector, media: Media) -> list[Panel]:
    """The verdict on every patch."""
    with torch.inference_mode():
        (raw,) = detector.network.by_place(detector.views(media))[0].numpy()  # type: ignore[operator]
    odds = np.vectorize(detector.calibration.log_odds)(raw)
    shown = media.frames[0]
    share = float((odds > 0).mean())
    return [image("what it is shown", shown), image(f"{share:.0%} of patches synthetic", painted(shown, odds))]


def mask(detector: TorchDetector, media: Media) -> list[Panel]:
    """P(synthetic) of every pixel."""
    with torch.inference_mode():
        places = torch.sigmoid(detector.network.both(detector.views(media))[1][0, 0]).numpy()  # type: ignore[operator]
    shown = media.frames[0]
    title = f"{float((places > 0.5).mean()):.0%} of pixels synthetic"
    return [image("what it is shown", shown), image(title, overlay(shown, places))]


def experts(detector: Camo, media: Media) -> list[Panel]:
    """The general expert's map, and the calibrated log-odds of all that run."""
    odds = {
        route.expert: detector.experts[route.expert].calibration.log_odds(route.logit)
        for route in detector.routes(media)
    }
    return [*evidence(detector, media), bars("log-odds of its experts", odds)]


def families(detector: TorchDetector, media: Media) -> list[Panel]:
    """The averaged spectrum, and what each family of features adds to the log-odds."""
    from detectors.spectral.frequency import block_spectrum
    from detectors.spectral.network import FEATURES

    x, network = detector.views(media), detector.network
    with torch.inference_mode():
        head: Any = network.head
        moved = (head.project(network.features(x)[0]) * head.weight).tolist()  # type: ignore[operator]
        spectrum = block_spectrum(x)[0].numpy()
    ends = np.cumsum([row.size for row in FEATURES.values()]).tolist()
    sums = {name: sum(moved[end - FEATURES[name].size : end]) for name, end in zip(FEATURES, ends, strict=True)}
    ranked = dict(sorted(sums.items(), key=lambda pair: -abs(pair[1])))
    return [
        image("what it is shown", media.frames[0]),
        image("averaged spectrum", spectrum, cmap="magma"),
        bars("share of each family", ranked),
    ]


def neighbour(detector: TorchDetector, media: Media) -> list[Panel]:
    """The known picture with the fewest bits between the hashes."""
    from detectors.dataset.fingerprints import alikeness, embedding
    from subnet.codec import image as codec
    from subnet.media import embedded
    from subnet.media.leak.appearance import perceptual_hash

    index = detector.network
    assert isinstance(index, Index)
    bits, similarity = alikeness(index.prints(), perceptual_hash(media), embedding(media))
    place = int(np.lexsort((-similarity, bits))[0])
    (match,) = index.matches(detector.views(media))
    name = index.name(place)
    path = {item.id: embedded.path(item) for item in embedded.items()}[name.partition("/")[2]]
    near = codec.normalise(codec.decode_image(path.read_bytes()), None).frames[0]
    title = f"nearest: {'known' if match else 'not known'}\n{bits[place]} of 64 bits differ"
    return [image("what it is shown", media.frames[0]), image(title, near)]


def shares(detector: Ensemble, media: Media) -> list[Panel]:
    """What each member adds to the log-odds."""
    moved = {share.member: share.contribution for share in detector.shares(media)}
    return [image("what it is shown", media.frames[0]), bars("share of each member", moved)]


def losses(detector: TorchDetector, media: Media) -> list[Panel]:
    """What comes out for it, and what latent and loss add to the log-odds."""
    x, network = detector.views(media), detector.network
    with torch.inference_mode():
        head: Any = network.head
        moved = head.project(network.features(x)[0]) * head.weight  # type: ignore[operator]
        rebuilt = network.rebuild(x)  # type: ignore[operator]
    added = {"latent": float(moved[:LATENT].sum()), "loss": float(moved[LATENT:].sum()), "bias": float(head.bias)}
    return [
        image("what it is shown", pixels(detector, x)[0]),
        image("rebuilt", pixels(detector, rebuilt)[0]),
        bars("share of the log-odds", added),
    ]


def clip(detector: TorchDetector, media: Media) -> list[Panel]:
    """`evidence` in the strongest view, and P(synthetic) over the seconds of the clip."""
    moments = timeline(detector, media)
    calibration = detector.calibration

    def draw(axes: Axes) -> None:
        axes.axhspan(calibration.low, calibration.high, color="#eceff3")
        axes.plot(
            [each.seconds for each in moments],
            [each.p_synthetic for each in moments],
            "o-",
            color="#0072B2",
            markersize=3,
        )
        axes.set(ylim=(-0.03, 1.03))
        axes.set_xlabel("seconds", fontsize=7)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)

    return [*evidence(detector, media), Panel("P(synthetic) over time", draw)]
