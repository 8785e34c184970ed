"""Is a heat map faithful? Remove what it marks, and see whether the answer moves more than when anything is removed.

The deletion game of Petsiuk et al. 2018 (RISE, section 4), on cells of a grid, against random cells of the same number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors.acceleration.accelerate import original
from detectors.explain.maps import GRID, Explainable, HeatMap, cells, to_pictures, to_views
from detectors.explain.occlusion import Cells, log_odds, painted
from detectors.torch_detector import TorchDetector
from subnet.types import Label, Media

SHARES = (0.05, 0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Deletion:
    """How far log-odds moved away from the answer when a share of the cells was removed, for the strongest view.

    `random` is the mean over several random choices. `gain` above 0 means that the map marks what counts.
    """

    shares: tuple[float, ...]
    salient: tuple[float, ...]
    random: tuple[float, ...]

    @property
    def gain(self) -> float:
        """Mean of salient minus random, in log-odds."""
        return float(np.mean(np.subtract(self.salient, self.random)))

    @property
    def faithful(self) -> bool:
        """The map did better than chance."""
        return self.gain > 0


def deletion(
    subject: Explainable,
    media: Media,
    heat_map: HeatMap,
    rng: np.random.Generator,
    *,
    shares: Sequence[float] = SHARES,
    draws: int = 8,
) -> Deletion:
    """Play the game on the strongest view. Removed cells take the mean colour of the picture."""
    order = np.argsort(-cells(heat_map.heat[heat_map.strongest]).reshape(-1), kind="stable")
    counts = [max(1, round(share * order.size)) for share in shares]
    chosen = [order[:count] for count in counts]
    chosen += [rng.permutation(order.size)[:count] for count in counts for _ in range(draws)]
    sign = 1.0 if heat_map.evidence_for is Label.SYNTHETIC else -1.0
    found = _answers(subject, media, heat_map.strongest, chosen)
    moved = sign * (found[0] - found[1:])
    random = moved[len(counts) :].reshape(len(counts), draws).mean(axis=1)
    return Deletion(tuple(shares), tuple(map(float, moved[: len(counts)])), tuple(map(float, random)))


def _answers(subject: Explainable, media: Media, number: int, chosen: Sequence[Cells]) -> NDArray[np.float64]:
    """Log-odds of the view as it is, and without each of the choices of cells."""
    detector = subject.detector
    if not subject.layer or not isinstance(detector, TorchDetector):
        return log_odds(detector, [media, *(painted(media, which, GRID) for which in chosen)])
    views = detector.views(media)[number : number + 1]
    picture, network = to_pictures(views), original(detector)
    with torch.inference_mode():
        spoilt = torch.cat([picture, *(without(picture, which) for which in chosen)])
        parts = [network(to_views(part, views)) for part in torch.split(spoilt, 8)]
        answers: NDArray[np.float64] = torch.cat(parts).double().cpu().numpy()
    return answers


def without(picture_13HW: Tensor, which: Cells, grid: int = GRID) -> Tensor:
    """The picture with the cells numbered `which` (row by row) painted in its mean colour."""
    height, width = picture_13HW.shape[-2] // grid, picture_13HW.shape[-1] // grid
    painted, colour = picture_13HW.clone(), picture_13HW.mean(dim=(2, 3), keepdim=True)
    for cell in which.tolist():
        top, left = cell // grid * height, cell % grid * width
        painted[..., top : top + height, left : left + width] = colour
    return painted
