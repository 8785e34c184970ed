"""What a detector decides upon: the input of its network's last layer, caught while it answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from detectors.acceleration.accelerate import original
from detectors.camo.mixture import Camo
from detectors.claims.density import Floats
from detectors.ensemble.stack import Ensemble
from detectors.heads.head import Head
from detectors.torch_detector import TorchDetector
from subnet.protocols import Detector


def parts(detector: Detector) -> list[TorchDetector]:
    """The networks whose features stand for `detector`: a stack's members, a mixture's general expert, or itself."""
    if isinstance(detector, Ensemble):
        return [part for member in detector.members.values() for part in parts(member)]
    if isinstance(detector, Camo):
        return [detector.general]
    return [detector] if isinstance(detector, TorchDetector) else []


class Caught:
    """The features that one network decided upon since the last look."""

    def __init__(self) -> None:
        self._last: Tensor | None = None
        self._rows: list[Tensor] = []

    def layer(self, _module: nn.Module, given: tuple[Tensor, ...]) -> None:
        """Before any layer that could be the last."""
        self._last = given[0]

    def network(self, _module: nn.Module, _given: tuple[Tensor, ...], _answer: Tensor) -> None:
        """After the whole network: what the last such layer was given counts."""
        if self._last is not None:
            self._rows.append(self._last.detach().float().flatten(0, -2).cpu())
            self._last = None

    def take(self, items: int) -> Floats | None:
        """(items, F), means over an item's views and patches, of which all items have equally many; None: no layer."""
        if not self._rows:
            return None
        rows = torch.cat(self._rows)
        self._rows.clear()
        return np.asarray(rows.reshape(items, -1, rows.shape[-1]).mean(dim=1).numpy(), dtype=np.float32)


class Listener:
    """The features of all parts of a detector."""

    def __init__(self, caught: Sequence[Caught]) -> None:
        self._caught = caught

    def take(self, items: int) -> Floats | None:
        """Features (items, F) of what was answered since the last look; None for a detector without features."""
        found = self.take_each(items)
        whole = [each for each in found if each is not None]
        return np.concatenate(whole, axis=1) if whole and len(whole) == len(found) else None

    def take_each(self, items: int) -> list[Floats | None]:
        """The same, part by part."""
        return [each.take(items) for each in self._caught]


@contextmanager
def listening(detector: Detector) -> Iterator[Listener]:
    """Catch features while `detector`, which runs on torch as it was loaded, answers."""
    with ExitStack() as stack:
        caught = []
        for part in parts(detector):
            network, each = original(part), Caught()
            for module in network.modules():
                if isinstance(module, nn.Linear | Head):
                    stack.callback(module.register_forward_pre_hook(each.layer).remove)
            stack.callback(network.register_forward_hook(each.network).remove)
            caught.append(each)
        yield Listener(caught)
