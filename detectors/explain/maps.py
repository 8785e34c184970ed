"""Heat maps: where in a picture the evidence for a network's answer lies.

Grad-CAM (Selvaraju et al. 2017) through the grad-cam package, on the layer that the detector's row names; a network
that judges every place by itself is asked for these answers. Everything here happens on what the network sees, the
views; frames that are judged together are one picture, four of them 2x2. Detectors without such a layer are explained
by occlusion, on the picture itself.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detectors import TABLE
from detectors.acceleration.accelerate import original
from detectors.camo.mixture import Camo
from detectors.cluster.elsewhere import Elsewhere
from detectors.ensemble.stack import Ensemble
from detectors.explain.occlusion import occlusion
from detectors.tall.network import mosaic, mosaic_shape
from detectors.torch_detector import TorchDetector
from subnet.errors import SettingsError
from subnet.protocols import Detector
from subnet.types import Frames, Label, Media, Prediction

GRID = 16  # cells along each side of the map in JSON, and of what the deletion test removes


@dataclass(frozen=True, eq=False)
class HeatMap:
    """`heat` float32 (V, H, W) in 0..1 for every view, `pictures` uint8 (V, H, W, 3) what the network saw.

    `log_odds` (V,) is raw; `evidence_for` says which answer the heat speaks for: the one that was given.
    """

    heat: NDArray[np.float32]
    pictures: Frames
    log_odds: NDArray[np.float32]
    evidence_for: Label

    @property
    def strongest(self) -> int:
        """The view that speaks loudest for the answer."""
        return int(np.argmax(self.log_odds if self.evidence_for is Label.SYNTHETIC else -self.log_odds))


@dataclass(frozen=True)
class Explainable:
    """A detector with all that explaining it needs: the layer to look at, "" for occlusion, and that layer's shape."""

    detector: TorchDetector | Ensemble | Elsewhere
    layer: str = ""
    grid: str = ""


def explainable(detector: Detector) -> Explainable:
    """Raises SettingsError for a detector that looks at nothing (`constant`, `random`), naming some that do.

    Also for one that runs elsewhere, where its maps need its layer.
    """
    row = TABLE.get(detector.name)
    if isinstance(detector, Elsewhere) and detector.way == "layer":
        raise SettingsError(f"--explain: {needs_layer(detector)}; leave out --detector.address")
    if isinstance(detector, Elsewhere) and detector.way:
        return Explainable(detector)
    inner = detector.general if isinstance(detector, Camo) else detector
    if isinstance(inner, TorchDetector) and row is not None and row.layer:
        return Explainable(inner, row.layer, row.grid)
    if isinstance(inner, TorchDetector | Ensemble):
        return Explainable(inner)
    names = ", ".join(other.name for other in TABLE.values() if other.layer and other.modality is detector.modality)
    raise SettingsError(f"--explain: {detector.name} looks at nothing; take one of {names}")


def needs_layer(detector: Elsewhere) -> str:
    """Why there is no map of what was judged on another machine."""
    return f"a map of what {detector.name} looks at is drawn from inside its network and needs that on this machine"


def to_pictures(views: Tensor) -> Tensor:
    """Views as pictures (V, 3, H, W): clips of four frames become 2x2, of eight 2x4."""
    return mosaic(views) if views.ndim == 5 else views


def to_views(pictures: Tensor, like: Tensor) -> Tensor:
    """The inverse of `to_pictures`, in the form of `like`."""
    if like.ndim == 4:
        return pictures
    height, width = like.shape[-2:]
    rows, columns = mosaic_shape(like.shape[1])
    corners = [(row * height, column * width) for row in range(rows) for column in range(columns)]
    return torch.stack([pictures[..., top : top + height, left : left + width] for top, left in corners], dim=1)


class _OfPictures(nn.Module):
    """A network that takes pictures in place of views."""

    def __init__(self, network: nn.Module, like: Tensor) -> None:
        super().__init__()
        self.network, self.like = network, like

    def forward(self, pictures: Tensor) -> Tensor:
        result: Tensor = self.network(to_views(pictures, self.like))
        return result


def _from_tokens(x_BNC: Tensor) -> Tensor:
    """(B, n + side * side, C) -> (B, C, side, side): n tokens that have no place come first and are left out."""
    side = math.isqrt(x_BNC.shape[1])
    return x_BNC[:, x_BNC.shape[1] - side * side :].reshape(len(x_BNC), side, side, -1).permute(0, 3, 1, 2)


def layer_of(network: nn.Module, way: str) -> nn.Module:
    """The module at `way` in any size of the network: "blocks.-1.norm1" is in the last block."""
    for name in way.split("."):
        network = list(network.children())[-1] if name == "-1" else network.get_submodule(name)
    return network


def _from_frames(x_TCHW: Tensor) -> Tensor:
    """Maps of the T frames of one clip, side by side as in its picture: (1, C, rows * H, columns * W)."""
    return mosaic(x_TCHW[None])


def _from_volumes(x_BCTHW: Tensor, frames: int) -> Tensor:
    """Maps over time and space, side by side as the frames of a clip are: those in between take their neighbour's."""
    return mosaic(x_BCTHW.transpose(1, 2).repeat_interleave(frames // x_BCTHW.shape[2], dim=1))


def _transform(grid: str, views: Tensor) -> Callable[[Tensor], Tensor] | None:
    """What brings a layer's activations into the form of the pictures (`to_pictures`)."""
    if grid == "tokens":
        return _from_tokens
    if grid == "volumes":
        return partial(_from_volumes, frames=views.shape[1])
    return _from_frames if views.ndim == 5 else None


def heat_map(subject: Explainable, media: Media, evidence_for: Label | None = None) -> HeatMap:
    """Grad-CAM of every view of `media`, for the answer that is given unless `evidence_for` says another.

    By occlusion there is one view, the picture or the middle frame of a clip.
    """
    detector = subject.detector
    if not subject.layer or not isinstance(detector, TorchDetector):
        heat, given, evidence_for = occlusion(detector, media, evidence_for)
        frame = media.frames[len(media.frames) // 2]
        return HeatMap(heat[None], frame[None], np.array([given], dtype=np.float32), evidence_for)
    network = copy.deepcopy(original(detector)).eval()
    views = detector.views(media)
    by_picture, pictures = _OfPictures(network, views), to_pictures(views)
    with torch.no_grad():
        log_odds = by_picture(pictures).float().cpu().numpy()
    if evidence_for is None:
        evidence_for = Prediction(detector.calibration.probability(float(log_odds.mean()))).label
    sign = 1.0 if evidence_for is Label.SYNTHETIC else -1.0
    layer = layer_of(network, subject.layer)
    if subject.grid == "places":
        by_place = _by_place(by_picture, layer, pictures, sign)
        return HeatMap(by_place, pixels(detector, pictures), log_odds, evidence_for)
    from pytorch_grad_cam import GradCAM

    transform = _transform(subject.grid, views)
    with torch.enable_grad(), GradCAM(by_picture, [layer], reshape_transform=transform) as cam:
        heats = [cam(pictures[i : i + 1], [lambda output: sign * output])[0] for i in range(len(pictures))]
    return HeatMap(np.stack(heats).astype(np.float32), pixels(detector, pictures), log_odds, evidence_for)


@torch.no_grad()
def _by_place(network: nn.Module, layer: nn.Module, pictures: Tensor, sign: float) -> NDArray[np.float32]:
    """The probability that the network itself gives the answer at every place, (V, H, W); places share it evenly."""
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _given, output: kept.append(output))
    for picture in torch.split(pictures, 1):
        network(picture)
    handle.remove()
    height, width = pictures.shape[-2:]
    heats: NDArray[np.float32] = np.zeros((len(pictures), height, width), dtype=np.float32)
    for heat, places in zip(heats, kept, strict=True):
        sure = torch.sigmoid(sign * places[0, 0].float()).cpu().numpy()
        down, across = height // sure.shape[0], width // sure.shape[1]
        whole = np.kron(sure, np.ones((down, across), dtype=np.float32))
        heat[: whole.shape[0], : whole.shape[1]] = whole
    return heats


def pixels(detector: TorchDetector, pictures: Tensor) -> Frames:
    """Normalised pictures (V, 3, H, W) back to uint8 (V, H, W, 3)."""
    mean, std = (np.array(getattr(detector.preprocess, name), dtype=np.float32) for name in ("mean", "std"))
    values = pictures.detach().float().cpu().permute(0, 2, 3, 1).numpy() * std + mean
    frames: Frames = np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
    return frames


def cells(heat: NDArray[np.float32], grid: int = GRID) -> NDArray[np.float32]:
    """The mean of a map (H, W) over grid x grid cells of equal size, the border cut off where it does not divide."""
    height, width = (side // grid * grid for side in heat.shape)
    blocks = heat[:height, :width].reshape(grid, height // grid, grid, width // grid)
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3))
    return means
