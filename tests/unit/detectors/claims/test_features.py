"""Features are what a detector's last layer is given, one row an item."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detectors import load_detector
from detectors.claims.features import listening, parts
from detectors.rows import Preprocess
from detectors.torch_detector import TorchDetector
from subnet.types import Media, Modality


def pictures(count: int) -> list[Media]:
    rng = np.random.default_rng(0)
    return [Media(rng.integers(0, 256, (1, 256, 256, 3), np.uint8)) for _ in range(count)]


class Small(nn.Module):
    """A body, a layer that is not the last, and a head over patches."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 5), nn.Linear(5, 1)

    def body(self, x_BCHW: Tensor) -> Tensor:
        patches = x_BCHW.unfold(2, 128, 128).unfold(3, 128, 128).mean(dim=(4, 5)).flatten(2).transpose(1, 2)
        return torch.tanh(self.first(patches))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        answers: Tensor = self.last(self.body(x_BCHW)).mean(dim=(1, 2))
        return answers


def test_the_last_layer_counts_and_patches_are_averaged() -> None:
    """What the last of two layers is given, whatever the batches; nothing is caught twice, or afterwards."""
    torch.manual_seed(0)
    network = Small()
    detector = TorchDetector("small", Modality.IMAGE, network, preprocess=Preprocess(rule="keep"), batch=2)
    media = pictures(5)
    with listening(detector) as heard:
        detector.predict(media)
        found = heard.take(5)
        assert heard.take(5) is None
    with torch.inference_mode():
        expected = torch.stack([network.body(detector.views(each)).mean(dim=(0, 1)) for each in media])
    assert found is not None
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    detector.predict(media)
    assert not network._forward_hooks
    assert not network.last._forward_pre_hooks


def widths(name: str, media: Sequence[Media]) -> tuple[int, ...]:
    detector = load_detector(name)
    plain = [answer.p_synthetic for answer in detector.predict(media)]
    with listening(detector) as heard:
        told = [answer.p_synthetic for answer in detector.predict(media)]
        found = heard.take(len(media))
    assert told == pytest.approx(plain)
    return () if found is None else found.shape


@pytest.mark.parametrize(("name", "width"), [("npr", 512), ("ucf", 128), ("patchwise", 512), ("vit_cam", 128)])
def test_networks_that_ship_have_features(name: str, width: int) -> None:
    """One row an item, and answers are as without listening."""
    assert widths(name, pictures(2)) == (2, width)


def test_what_has_no_layer_has_no_features() -> None:
    """Guessers and an index decide upon nothing of the kind."""
    assert widths("retrieval", pictures(2)) == ()
    assert widths("constant", pictures(2)) == ()


def test_a_stack_has_those_of_its_members() -> None:
    """One after the other; a mixture has those of its general expert."""
    stack = load_detector("ensemble")
    assert [part.name for part in parts(stack)] == ["npr", "ucf", "spectral"]
    assert [part.name for part in parts(load_detector("camo"))] == ["general"]
