"""A network, its preprocessing and its calibration as one `Detector`.

Every torch detector is the same four steps: media -> views -> network -> one log-odds per view -> mean, calibrated.
An image has one view; a video has several (frames, or clips of four frames). What differs is a function, `views`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from detectors.calibration import Calibration
from detectors.preprocess import prepare
from detectors.rows import Preprocess
from subnet.errors import CheckpointError, MediaUnreadable, SettingsError
from subnet.types import Media, Modality, Prediction

Views = Callable[[Media, Preprocess, torch.device], Tensor]
AT_ONCE, AT_ONCE_ON_CPU = 8, 4  # views in one pass: more of them do not stay in a processor's cache


def torch_device(name: str) -> torch.device:
    """The device called `name`. Raises SettingsError when it is not there.

    On a card, products of matrices are computed in TF32 from then on, as its convolutions are without being told to:
    networks of attention answer several times as fast, and P(synthetic) moves by less than a thousandth
    (benchmarks/card.py).
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingsError(f"device: {name!r} is not a device; use cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SettingsError(f"device: {name!r} is not there ({torch.cuda.device_count()} CUDA devices); use cpu")
    if device.type not in ("cpu", "cuda"):
        raise SettingsError(f"device: {name!r} is not supported; use cpu or cuda")
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    return device


def channels_last(network: nn.Module) -> nn.Module:
    """The same network with its 2-D filters stored as convolutions on a CPU like them; others stay as they are."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def image_view(media: Media, preprocess: Preprocess, device: torch.device) -> Tensor:
    """The one frame of an image: (1, 3, H, W). Raises MediaUnreadable for a video."""
    if len(media.frames) != 1:
        raise MediaUnreadable(f"an image detector was given {len(media.frames)} frames; use a video detector")
    return prepare(media.frames, preprocess, device)


class TorchDetector:
    """A `Detector` over a network that maps views (V, ...) to log-odds of synthetic (V,).

    `network`, `preprocess`, `calibration` and `device` are open to evaluation, export and explanation.
    """

    def __init__(
        self,
        name: str,
        modality: Modality,
        network: nn.Module,
        *,
        preprocess: Preprocess,
        views: Views = image_view,
        calibration: Calibration | None = None,
        weights_hash: str = "",
        device: torch.device | str = "cpu",
        batch: int | None = None,
    ) -> None:
        self.name = name
        self.modality = modality
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.preprocess = preprocess
        self.calibration = calibration or Calibration()
        self.weights_hash = weights_hash
        self.batch = batch or (AT_ONCE_ON_CPU if self.device.type == "cpu" else AT_ONCE)
        self._views = views

    def views(self, media: Media) -> Tensor:
        """The network's input for one item: (V, 3, H, W), or (V, 4, 3, H, W) where clips are judged."""
        if media.modality is not self.modality:
            raise MediaUnreadable(f"{self.name} judges {self.modality} media and was given {media.modality}")
        return self._views(media, self.preprocess, self.device)

    @torch.inference_mode()
    def view_logits(self, batch: Sequence[Media]) -> list[Tensor]:
        """Raw log-odds of every view, one tensor (V,) per item. Views of equal shape go through together."""
        views = [self.views(media) for media in batch]
        results: list[Tensor] = []
        for first, end in _runs([view.shape[1:] for view in views]):
            counts = [len(view) for view in views[first:end]]
            stacked = torch.cat(views[first:end])
            logits = torch.cat([self.network(chunk) for chunk in torch.split(stacked, self.batch)]).float().cpu()
            results.extend(torch.split(logits, counts))
        return results

    def logits(self, batch: Sequence[Media]) -> Tensor:
        """One raw log-odds per item: the mean over its views. (N,)"""
        return torch.stack([view.mean() for view in self.view_logits(batch)]) if batch else torch.empty(0)

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        """Calibrated P(synthetic), in order.

        Raises MediaUnreadable for media of the other modality, CheckpointError where the network answers no number.
        """
        logits = self.logits(batch)
        if not logits.isfinite().all():
            raise CheckpointError(
                f"weights: {self.name} ({self.weights_hash[:12]}) answers NaN or infinity; take others"
            )
        return [Prediction(self.calibration.probability(float(logit))) for logit in logits]


def _runs(shapes: Sequence[torch.Size]) -> list[tuple[int, int]]:
    """Half-open ranges of neighbours with equal shape."""
    cuts = [0, *(i for i in range(1, len(shapes)) if shapes[i] != shapes[i - 1]), len(shapes)]
    return [(a, b) for a, b in pairwise(cuts) if a < b]
