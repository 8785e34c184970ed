"""Published checkpoints answer as their authors' programs do, from the decoded file to the log-odds.

The authors' transforms are written out here a second time, with the libraries that they use (Pillow, OpenCV), from what
their programs do. The networks are random, with log-odds that are spread as those of trained ones.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from detectors import load_detector
from detectors.npr.network import NPR
from detectors.public_checkpoints import PUBLIC
from detectors.tall.network import TALL
from detectors.torch_detector import TorchDetector
from detectors.ucf.network import UCF
from subnet.types import Media, Modality

Frame = NDArray[np.uint8]
CLOSE = 1e-4  # most that log-odds may differ
ONE_VALUE = 5e-3  # and where OpenCV rounds a value in 200,000 the other way, which depends on the processor
SPREAD = 2.0  # standard deviation of the networks' log-odds over the pictures
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = [(256, 256), (257, 311), (90, 120), (255, 256), (601, 400), (64, 333)]


def picture(height: int, width: int, seed: int, count: int = 1) -> NDArray[np.uint8]:
    """Smooth shapes under grain (T, H, W, 3), pale or strong, smooth or coarse: as far apart as photographs are."""
    rng = np.random.default_rng(seed)
    contrast, grain = rng.uniform(0.1, 1.0), int(rng.integers(2, 60))
    small = [(rng.integers(0, 256, (9, 7, 3)) * contrast).astype(np.uint8) for _ in range(count)]
    large = [np.asarray(Image.fromarray(each).resize((width, height), Image.Resampling.BICUBIC)) for each in small]
    noise = rng.integers(-grain, grain + 1, (count, height, width, 3))
    return (np.stack(large).astype(int) + noise).clip(0, 255).astype(np.uint8)


def cubic(frame: Frame, side: int) -> Frame:
    """OpenCV as its x86 wheels compute, which is where the published numbers come from."""
    cv2 = pytest.importorskip("cv2")
    if not cv2.ipp.useIPP():
        pytest.skip("this build of OpenCV rounds the taps of its cubic filter")
    resized: Frame = cv2.resize(frame, (side, side), interpolation=cv2.INTER_CUBIC)
    return resized


def pillow(image: Image.Image, width: int, height: int, kind: Image.Resampling) -> Image.Image:
    return image.resize((width, height), kind)


def cut(image: Image.Image, side: int) -> Image.Image:
    """torchvision's CenterCrop."""
    left, top = round((image.width - side) / 2), round((image.height - side) / 2)
    return image.crop((left, top, left + side, top + side))


def tensor(frame: Image.Image | Frame, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """torchvision's ToTensor and Normalize: (3, H, W)."""
    x = torch.from_numpy(np.array(frame)).permute(2, 0, 1).float().div(255)
    return (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def npr_official(frame: Frame) -> Tensor:
    return tensor(pillow(Image.fromarray(frame), 256, 256, Image.Resampling.BILINEAR), MEAN, STD)


def npr_bitmind(frame: Frame) -> Tensor:
    image = Image.fromarray(frame)
    square = cut(image, min(image.size))
    return tensor(pillow(square, 256, 256, Image.Resampling.BILINEAR), (0.0,) * 3, (1.0,) * 3)


def ucf_deepfakebench(frame: Frame) -> Tensor:
    return tensor(cubic(frame, 256), (0.5,) * 3, (0.5,) * 3)


def ucf_bitmind(frame: Frame) -> Tensor:
    return tensor(pillow(Image.fromarray(frame), 256, 256, Image.Resampling.LANCZOS), (0.5,) * 3, (0.5,) * 3)


IMAGES: dict[str, Callable[[Frame], Tensor]] = {
    "npr-official": npr_official,
    "npr-bitmind": npr_bitmind,
    "ucf-deepfakebench": ucf_deepfakebench,
    "ucf-bitmind-general": ucf_bitmind,
    "ucf-bitmind-faces": ucf_bitmind,
}


def thumbnail(frames: Tensor) -> Tensor:
    """TALL's picture of four frames (4, 3, h, w), as its program makes it: 224 each, 448 together, shrunk to 224."""
    if frames.shape[-1] != 224:
        frames = functional.interpolate(frames, size=(224, 224), mode="bilinear")
    together = torch.zeros(1, 3, 448, 448)
    for number, frame in enumerate(frames):
        top, left = 224 * (number // 2), 224 * (number % 2)
        together[0, :, top : top + 224, left : left + 224] = frame
    return functional.interpolate(together, size=(224, 224), mode="bilinear")


def tall_deepfakebench(frames: NDArray[np.uint8]) -> list[Tensor]:
    prepared = torch.stack([tensor(cubic(frame, 224), MEAN, STD) for frame in frames])
    return [thumbnail(prepared[start : start + 4]) for start in range(0, len(frames), 4)]


def tall_official(frames: NDArray[np.uint8]) -> list[Tensor]:
    prepared = []
    for frame in frames:
        image = Image.fromarray(frame)
        short = min(image.size)
        width, height = (112 if side == short else int(112 * side / short) for side in image.size)
        prepared.append(tensor(cut(pillow(image, width, height, Image.Resampling.BILINEAR), 112), MEAN, STD))
    stacked, count = torch.stack(prepared), len(frames)
    starts = np.linspace(0, max(1, 1 + count - 4) - 1, num=8, dtype=int)
    return [thumbnail(stacked[[(start + frame) % count for frame in range(4)]]) for start in starts.tolist()]


def tall_bitmind(frames: NDArray[np.uint8]) -> list[Tensor]:
    prepared = torch.stack([npr_bitmind(frame) for frame in frames])
    missing = -len(prepared) % 4
    return [thumbnail(torch.cat([prepared, torch.zeros(missing, 3, 256, 256)])[:4])]


VIDEOS: dict[str, Callable[[NDArray[np.uint8]], list[Tensor]]] = {
    "tall-deepfakebench": tall_deepfakebench,
    "tall-official": tall_official,
    "tall-bitmind": tall_bitmind,
}


def answer(network: nn.Module, thumbnails: list[Tensor]) -> float:
    """Mean log-odds of pictures that need no layout any more: their quarters are what the network puts together."""
    halves = [torch.stack([q for row in each[0].chunk(2, -2) for q in row.chunk(2, -1)]) for each in thumbnails]
    return float(network(torch.stack(halves)).mean())


def lively(network: nn.Module, last: nn.Linear, views: Tensor) -> nn.Module:
    """Batch norms with the statistics of `views`, as after training, and answers to them that deviate by SPREAD."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.inference_mode():
        if norms:
            network.train()(views)
        last.weight.mul_(SPREAD / network.eval()(views).std())
    return network


def published(family: str, views: Tensor) -> nn.Module:
    """A network of the family, small where it can be."""
    torch.manual_seed(3)
    if family == "npr":
        npr = NPR()
        return lively(npr, npr.fc1, views)
    if family == "ucf":
        ucf = UCF(width=0.125, least=8)
        head: Any = ucf.head_sha.mlp[2]
        return lively(ucf, head, views)
    tall = TALL(width=16, depths=(1, 1, 1, 1), heads=(1, 1, 2, 2), drop_path=0.0)
    return lively(tall, tall.head, views)


def opened(name: str, network: nn.Module, folder: Path) -> TorchDetector:
    """The network out of a file, by its publication's name."""
    torch.save(network.state_dict(), folder / "any.pth")
    detector = load_detector(PUBLIC[name].family, weights=f"{name}={folder / 'any.pth'}")
    assert isinstance(detector, TorchDetector)
    return detector


@pytest.mark.parametrize("name", IMAGES)
def test_images_from_pixels_to_log_odds(name: str, tmp_path: Path) -> None:
    """At every size, odd, larger and smaller ones too, an image's log-odds are the original's."""
    frames = [picture(height, width, seed)[0] for seed, (height, width) in enumerate(SIZES)]
    views = torch.stack([IMAGES[name](frame) for frame in frames])
    network = published(PUBLIC[name].family, views)
    detector = opened(name, network, tmp_path)
    with torch.inference_mode():
        theirs = torch.cat([network(view[None]) for view in views])
    ours = detector.logits([Media(frame[None]) for frame in frames])
    assert theirs.std() > SPREAD / 2
    assert (ours - theirs).abs().max() < (ONE_VALUE if "deepfakebench" in name else CLOSE)


@pytest.mark.parametrize("name", VIDEOS)
def test_clips_from_pixels_to_log_odds(name: str, tmp_path: Path) -> None:
    """At every size and of every length, a clip's log-odds are the original's: its frames, their order, the layout."""
    lengths = (4, 8, 4, 8, 4, 4) if name == "tall-deepfakebench" else (3, 13, 4, 5, 1, 9)
    clips = [picture(*size, seed, count) for seed, (size, count) in enumerate(zip(SIZES, lengths, strict=True))]
    pictures = [VIDEOS[name](clip) for clip in clips]
    firsts = torch.stack([torch.stack([q for r in p[0][0].chunk(2, -2) for q in r.chunk(2, -1)]) for p in pictures])
    network = published("tall", firsts)
    detector = opened(name, network, tmp_path)
    with torch.inference_mode():
        theirs = torch.tensor([answer(network, each) for each in pictures])
    ours = detector.logits([Media(clip, 8.0) for clip in clips])
    assert theirs.std() > SPREAD / 3
    assert (ours - theirs).abs().max() < (ONE_VALUE if "deepfakebench" in name else CLOSE)


def test_every_publication_is_held_to_its_original() -> None:
    """No row of the table is without an emulation here."""
    assert set(PUBLIC) == {*IMAGES, *VIDEOS}
    assert {name for name, row in PUBLIC.items() if row.family == "tall"} == set(VIDEOS)
    assert Modality.VIDEO is load_detector("tall").modality
