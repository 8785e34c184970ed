"""Views as numpy arrays are those that torch makes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from detectors.families import FAMILIES
from detectors.pixels.views import VIEWS
from detectors.rows import HALF, IMAGENET_MEAN, IMAGENET_STD, Preprocess
from subnet.registry import resolve
from subnet.types import Media, Modality

RULES = [
    *(Preprocess(IMAGENET_MEAN, IMAGENET_STD, 112, rule) for rule in ("squash", "centre", "short-edge", "tiles")),
    Preprocess(HALF, HALF, 96, "centre", "pillow-bilinear"),
    Preprocess(HALF, HALF, 300, "squash"),
    Preprocess(HALF, HALF, 64, "short-edge", "opencv-cubic", clips="spread", frame_side=80),
    Preprocess(HALF, HALF, 112, "tiles", "pillow-lanczos", clips="first"),
    Preprocess(HALF, HALF, 112, "squash", clips="middle", frame_side=50),
    Preprocess(HALF, HALF, 120, "short-edge", "pillow-bilinear", crop=96),
    Preprocess(HALF, HALF, 120, "short-edge", crop=96),
    Preprocess(HALF, HALF, 224, "keep", crop=224),
]
SERVED = sorted({chosen.views for chosen in FAMILIES.values()} - {"detectors.tall.network:still_views"})


@pytest.mark.parametrize("views", SERVED)
@pytest.mark.parametrize("preprocess", RULES, ids=lambda rule: f"{rule.rule}-{rule.size}-{rule.resample}-{rule.crop}")
def test_arrays_are_what_torch_makes(views: str, preprocess: Preprocess) -> None:
    """Shapes are equal and values within 1e-5, for every family's views, every rule, and pictures of any shape."""
    still = next(chosen for chosen in FAMILIES.values() if chosen.views == views).modality is Modality.IMAGE
    rng = np.random.default_rng(0)
    for (height, width), count in itertools.product(((256, 256), (301, 200), (130, 270)), (1,) if still else (2, 11)):
        frames = rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
        media = Media(frames, None if still else 8.0)
        wanted = resolve(views)(media, preprocess, torch.device("cpu")).numpy()
        got = VIEWS[views](media, preprocess)
        assert (got.shape, got.dtype) == (wanted.shape, np.float32)
        assert np.abs(got - wanted).max() <= 1e-5
