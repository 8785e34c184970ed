"""The backend path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detectors.acceleration.accelerate import Fast, accelerated, backend_of, drift, original
from detectors.acceleration.benchmark import examples, throughput
from detectors.acceleration.exported import Exported
from detectors.acceleration.making import exported
from detectors.acceleration.onnx_export import PARITY, export, parity, to_onnx
from detectors.acceleration.options import EAGER, Backend
from detectors.acceleration.session import ExportError
from detectors.npr.frames import frame_views
from detectors.npr.network import NPR
from detectors.rows import Preprocess
from detectors.tall.network import TALL, clip_views
from detectors.torch_detector import TorchDetector, Views, image_view
from detectors.ucf.network import UCF
from subnet.types import Media, Modality

DRIFT = 1e-3  # most that a probability may move


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def lively(network: nn.Module) -> nn.Module:
    """A network whose batch norms have statistics, as after training."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def npr(size: int = 64) -> TorchDetector:
    torch.manual_seed(0)
    return TorchDetector("npr", Modality.IMAGE, lively(NPR()), preprocess=Preprocess(size=size), weights_hash="ab" * 32)


def tall() -> nn.Module:
    return TALL(width=16, depths=(1, 1, 1, 1), heads=(1, 2, 2, 2))


class Tiny(nn.Module):
    """As much network as an export needs, for tests of what surrounds it."""

    def __init__(self, bias: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Conv2d(3, 2, 3, stride=2)
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x)).mean(dim=(1, 2, 3)) + self.bias


def small(name: str = "npr") -> TorchDetector:
    return TorchDetector(name, Modality.IMAGE, Tiny(), preprocess=Preprocess(size=32), weights_hash="ab" * 32)


Case = tuple[str, Callable[[], nn.Module], Views, Modality, int]
NETWORKS: list[Case] = [
    ("npr", NPR, image_view, Modality.IMAGE, 64),
    ("frames", NPR, frame_views, Modality.VIDEO, 64),
    ("ucf", lambda: UCF(0.125), image_view, Modality.IMAGE, 64),
    ("tall", tall, clip_views, Modality.VIDEO, 112),
]
CASES = [pytest.param(*row, id=row[0], marks=[] if row[0] == "npr" else [pytest.mark.slow]) for row in NETWORKS]


def media(modality: Modality, count: int = 3) -> list[Media]:
    rng = np.random.default_rng(0)
    length, fps = (1, None) if modality is Modality.IMAGE else (8, 8.0)
    return [Media(rng.integers(0, 256, (length, 80, 96, 3), dtype=np.uint8), fps) for _ in range(count)]


@pytest.mark.parametrize(("name", "build", "views", "modality", "size"), CASES)
def test_export_answers_the_same(
    name: str, build: Callable[[], nn.Module], views: Views, modality: Modality, size: int
) -> None:
    """Every network's ONNX export has log-odds within 1e-4 and scores within 1e-3, for batches of any length."""
    torch.manual_seed(0)
    detector = TorchDetector(name, modality, lively(build()), preprocess=Preprocess(size=size), views=views)
    fast = accelerated(detector)
    assert backend_of(fast) == Backend("onnx")
    assert isinstance(fast, TorchDetector)
    items = media(modality)
    difference = (fast.logits(items) - detector.logits(items)).abs().max()
    assert float(difference) <= PARITY
    assert drift(detector, fast, items[:1]) <= DRIFT


class Vanishing(nn.Module):
    """Clips (B, T, 3, h, w) -> (B,): the shares of what moves, which divide by next to nothing where nothing does."""

    def __init__(self, least: float) -> None:
        super().__init__()
        self.least = least

    def forward(self, x: Tensor) -> Tensor:
        moves = x.diff(dim=1).square().mean(dim=(2, 3, 4))
        return (moves / (moves.sum(dim=1, keepdim=True) + self.least)).amax(dim=1)


def test_a_still_clip_shows_what_an_export_lost() -> None:
    """The exporter drops a sum with 1e-12 as nothing: that network is refused, one that adds enough is taken."""
    example = torch.zeros((1, 4, 3, 8, 8))
    with pytest.raises(ExportError, match="differs by nan"):
        export(Vanishing(1e-12), example)
    assert parity(Vanishing(1e-6), export(Vanishing(1e-6), example), example) <= PARITY


def test_layouts_keep_scores() -> None:
    """channels_last and a compiled graph answer as the plain network does; the plain one stays as it was."""
    detector, items = npr(), media(Modality.IMAGE)
    before = detector.predict(items)
    assert drift(detector, accelerated(detector, Backend(channels_last=True)), items) <= 1e-5
    assert backend_of(detector) == EAGER
    assert detector.predict(items) == before


def test_other_shapes_fall_back() -> None:
    """An export is for one shape; views of another go through the torch network, with the same answers."""
    detector = small()
    detector.preprocess = Preprocess(size=64, rule="keep")
    assert drift(detector, accelerated(detector), media(Modality.IMAGE)) <= 1e-5


def test_exports_are_kept_and_damaged_ones_replaced(tmp_path: Path) -> None:
    """The second start reads the file; one with other weights, or a damaged one, is not believed and written anew."""
    detector = small()
    accelerated(detector, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    accelerated(detector, cache=tmp_path)
    assert file.stat().st_mtime_ns == written
    example = torch.zeros(1, 3, 32, 32)
    for wrong in (to_onnx(Tiny(bias=1.0), example), b"not a model"):
        file.write_bytes(wrong)
        assert parity(detector.network, export(detector.network, example, cache=file), example) <= PARITY
        assert file.read_bytes() != wrong


class Stubborn(nn.Module):
    """A network that Python code steers by its input, so that no graph holds it."""

    def forward(self, x: Tensor) -> Tensor:
        total = float(x.sum())
        return x.mean(dim=(1, 2, 3)) * (2.0 if total > 0 else 1.0)


def test_what_cannot_be_exported_is_served_by_torch() -> None:
    """The exporter's refusal is an ExportError, and the detector is served in channels_last instead."""
    with pytest.raises(ExportError, match="Stubborn"):
        to_onnx(Stubborn(), torch.ones(1, 3, 8, 8))
    detector = TorchDetector("odd", Modality.IMAGE, Stubborn(), preprocess=Preprocess(size=8))
    chosen = backend_of(accelerated(detector))
    assert chosen is not None
    assert (chosen.engine, chosen.channels_last) == ("eager", True)


class Hungry(nn.Module):
    """A network that asks for more memory than any machine has."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.empty(2**52, dtype=torch.float32)[: len(x)]


def test_out_of_memory_has_its_python_name() -> None:
    """An allocator that gives up raises MemoryError, which makes the miner's batches smaller; other errors stay."""
    detector = TorchDetector("big", Modality.IMAGE, Hungry(), preprocess=Preprocess(size=8))
    fast = accelerated(detector, EAGER)
    with pytest.raises(MemoryError, match="memory of cpu"):
        fast.predict(media(Modality.IMAGE, 1))
    with pytest.raises(RuntimeError, match="mat1"):
        Fast(nn.Linear(3, 1), EAGER)(torch.zeros(2, 4))


def test_original_is_found_behind_every_backend() -> None:
    """Explanations need the torch network, whatever serves."""
    detector = small()
    for backend in (EAGER, Backend("onnx")):
        fast = accelerated(detector, backend)
        assert isinstance(fast, TorchDetector)
        assert isinstance(original(fast), Tiny)


def test_options_that_make_no_sense_are_refused() -> None:
    """onnxruntime has no autocast, and batches hold something."""
    with pytest.raises(ValueError, match="onnxruntime"):
        Backend("onnx", bf16=True)
    with pytest.raises(ValueError, match="batch"):
        Backend(batch=0)
    with pytest.raises(ValueError, match="engine"):
        Backend("tensorrt")  # type: ignore[arg-type]


def test_throughput_does_not_move_scores() -> None:
    """The benchmark reports what moved beside the speeds, and that is next to nothing."""
    detector, items = small(), media(Modality.IMAGE, 2)
    found = throughput(detector, items, backend=Backend(channels_last=True), rounds=1)
    assert found.moved <= DRIFT
    assert found.speedup > 0


@pytest.mark.parametrize("modality", list(Modality))
def test_examples_are_what_miners_see(modality: Modality) -> None:
    """Benchmarks run on 256 x 256 variants of embedded media."""
    (found,) = examples(modality, 1)
    assert found.modality is modality
    assert found.frames.shape[1:3] == (256, 256)


def test_an_export_is_made_of_a_row_that_shares_its_family() -> None:
    """The export says the views of its family, not of a family of its own name: npr-weak's ended in a KeyError."""
    made = Exported(exported(small("npr-weak")))
    assert (made.name, made.about.views) == ("npr-weak", "detectors.torch_detector:image_view")
