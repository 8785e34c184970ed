"""`accelerated(detector)`: the same detector with its network run another way.

Out of memory becomes `MemoryError`, which the miner's batcher answers with smaller batches.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from detectors.acceleration.exported import Exported
from detectors.acceleration.onnx_export import OnnxNetwork, export
from detectors.acceleration.options import EAGER, ON_CPU, Backend, default
from detectors.acceleration.session import ExportError, out_of_memory
from detectors.camo.configuration import GENERAL
from detectors.camo.mixture import Camo
from detectors.ensemble.stack import Ensemble
from detectors.torch_detector import TorchDetector, channels_last
from subnet.protocols import Detector
from subnet.types import Media, Modality


class Fast(nn.Module):
    """A network behind the options of `Backend`: layout, autocast, and memory errors by their Python name."""

    def __init__(self, network: nn.Module, backend: Backend, fallback: nn.Module | None = None) -> None:
        super().__init__()
        self.network, self.backend, self.fallback = network, backend, fallback
        self._shape = network.shape if isinstance(network, OnnxNetwork) else None

    def forward(self, x: Tensor) -> Tensor:
        network = self.network
        if self._shape is not None and tuple(x.shape[1:]) != self._shape and self.fallback is not None:
            network = self.fallback
        if self.backend.channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        try:
            with torch.autocast(x.device.type, torch.bfloat16, enabled=self.backend.bf16):
                result: Tensor = network(x)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or out_of_memory(str(error)):
                raise MemoryError(f"{len(x)} views do not fit into the memory of {x.device}") from error
            raise
        return result.float()


def accelerated(detector: Detector, backend: Backend | None = None, *, cache: Path | None = None) -> Detector:
    """`detector` served as `backend` says, by default as is fastest for its device; others come back as they are.

    With onnxruntime the export (some seconds) is kept in the folder `cache` under the weights' hash. A network that
    cannot be exported faithfully is served by torch in channels_last instead; `backend_of` tells.
    """
    if isinstance(detector, Camo):
        return _mixture(detector, backend, cache)
    if isinstance(detector, Ensemble):
        stack = copy.copy(detector)
        stack.members = {name: accelerated(each, backend, cache=cache) for name, each in detector.members.items()}
        return stack
    if not isinstance(detector, TorchDetector):
        return detector
    backend = backend or default(detector.device.type)
    network = original(detector)
    if backend.engine == "onnx":
        try:
            made = Fast(_onnx(detector, network, backend, cache), backend, network)
        except ExportError:
            return accelerated(detector, Backend(channels_last=True, batch=backend.batch))
        return _with(detector, made, backend)
    served = copy.deepcopy(network)
    if backend.channels_last:
        served = channels_last(served)
    if backend.engine == "compile":
        served.compile(dynamic=True)
    return _with(detector, Fast(served, backend), backend)


def _mixture(detector: Camo, backend: Backend | None, cache: Path | None) -> Camo:
    """CAMO with those experts accelerated that see every whole picture; the others see cuts of many shapes."""
    result = copy.copy(detector)
    result.experts = dict(detector.experts)
    for name in (expert.name for expert in detector.configuration.experts if expert.steady):
        own = copy.copy(detector.experts[name])
        own.weights_hash = detector.weights_hash  # names the export
        served = accelerated(own, backend, cache=cache)
        if isinstance(served, TorchDetector):
            served.weights_hash = detector.experts[name].weights_hash
            result.experts[name] = served
    result.general = result.experts[GENERAL]
    return result


def original(detector: TorchDetector) -> nn.Module:
    """The plain torch network of a detector, accelerated or not: what has layers and gradients."""
    network = detector.network
    if not isinstance(network, Fast):
        return network
    return network.fallback if network.fallback is not None else network.network


def backend_of(detector: Detector) -> Backend | None:
    """How a detector's network is run, a stack's by its first member's; None for one without a network."""
    if isinstance(detector, Ensemble):
        return backend_of(next(iter(detector.members.values())))
    if isinstance(detector, Camo):
        detector = detector.general
    if isinstance(detector, Exported):
        return ON_CPU
    if not isinstance(detector, TorchDetector):
        return None
    return detector.network.backend if isinstance(detector.network, Fast) else EAGER


def _with(detector: TorchDetector, network: Fast, backend: Backend) -> TorchDetector:
    result = copy.copy(detector)
    result.network, result.batch = network.eval(), backend.batch
    return result


def _onnx(detector: TorchDetector, network: nn.Module, backend: Backend, cache: Path | None) -> OnnxNetwork:
    if detector.device.type != "cpu":
        raise ExportError("onnxruntime serves on the CPU only")
    if not getattr(network, "exportable", True):  # known beforehand: an attempt takes its seconds
        raise ExportError(f"{type(network).__name__} computes what ONNX has no operators for")
    file = None
    if cache is not None and detector.weights_hash:
        file = cache / f"{detector.name}-{detector.weights_hash[:16]}-{torch.__version__}.onnx"
    return export(network, example_views(detector), threads=backend.threads, cache=file)


def example_views(detector: TorchDetector) -> Tensor:
    """The network's input for a black item of the usual size."""
    video = detector.modality is Modality.VIDEO
    frames = np.zeros((16 if video else 1, 256, 256, 3), dtype=np.uint8)
    return detector.views(Media(frames, 8.0 if video else None))


def drift(detector: Detector, other: Detector, media: Sequence[Media]) -> float:
    """The largest difference of two detectors' probabilities over `media`."""
    pairs = zip(detector.predict(media), other.predict(media), strict=True)
    return max((abs(a.p_synthetic - b.p_synthetic) for a, b in pairs), default=0.0)
