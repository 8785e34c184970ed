"""A body with a classifier of one layer, as it is trained, and a body with a fitted head, as it judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from detectors.cnn_svm.bodies import STAGES, Custom, Dense, Vgg
from detectors.heads.head import UNFITTED, Head


def body_of(body: str, **size: Any) -> nn.Module:
    """The body called plain, residual, separable, densenet or vgg16. Raises KeyError for another name."""
    if body in STAGES:
        return Custom(body)
    made: nn.Module = {"densenet": Dense, "vgg16": Vgg}[body](**size)
    return made


FEATURES = {"densenet": "maps.norm5.weight", "vgg16": "dense.fc2.weight"}  # a tensor as long as the features


class Classifier(nn.Module):
    """Normalised RGB (B, 3, H, W) -> log-odds of synthetic (B,)."""

    def __init__(self, body: str, **size: Any) -> None:
        super().__init__()
        self.body = body_of(body, **size)
        count = len(self.body.state_dict()[FEATURES.get(body, "dense.weight")])
        self.classifier = nn.Linear(count, 1)

    def features(self, x_BCHW: Tensor) -> Tensor:
        """The vector before the classifier (B, F)."""
        features: Tensor = self.body(x_BCHW)
        return features

    def forward(self, x_BCHW: Tensor) -> Tensor:
        log_odds: Tensor = self.classifier(self.features(x_BCHW)).squeeze(1)
        return log_odds


def plain() -> Classifier:
    """Two convolutions a stage, 512 features."""
    return Classifier("plain")


def residual() -> Classifier:
    """Short cuts, 512 features."""
    return Classifier("residual")


def separable() -> Classifier:
    """Depthwise separable convolutions, 512 features."""
    return Classifier("separable")


def densenet(growth: int = 32, blocks: Sequence[int] = (6, 12, 24, 16)) -> Classifier:
    """DenseNet-121 with 1,024 features, or a thin one."""
    return Classifier("densenet", growth=growth, blocks=blocks)


def vgg16(width: float = 1.0) -> Classifier:
    """VGG16 with 4,096 features; a `width` below 1 thins the layers below them."""
    return Classifier("vgg16", width=width)


class CnnSvm(nn.Module):
    """Normalised RGB (B, 3, H, W) -> log-odds of synthetic (B,) by a head, of one feature until it is fitted."""

    def __init__(self, body: str = "residual", head: Mapping[str, int] | None = None, **size: Any) -> None:
        super().__init__()
        self.body = body_of(body, **size)
        self.head = Head(**(head or UNFITTED))

    def features(self, x_BCHW: Tensor) -> Tensor:
        """The vector before the classifier (B, F)."""
        features: Tensor = self.body(x_BCHW)
        return features

    def forward(self, x_BCHW: Tensor) -> Tensor:
        log_odds: Tensor = self.head(self.features(x_BCHW))
        return log_odds
