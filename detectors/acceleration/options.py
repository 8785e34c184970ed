"""How a network may be run, and what was measured to be fastest without moving scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Backend = Literal["eager", "onnx", "compile"]


@dataclass(frozen=True)
class Serving:
    """`channels_last` and `bf16` (autocast) are for the torch backends; `batch` is the most views in one pass.

    `threads` is for onnxruntime, 0 for one per core.
    """

    backend: Backend = "eager"
    channels_last: bool = False
    bf16: bool = False
    batch: int = 8
    threads: int = 0

    def __post_init__(self) -> None:
        if self.backend not in ("eager", "onnx", "compile"):
            raise ValueError(f"backend must be eager, onnx or compile, not {self.backend!r}")
        if self.batch < 1 or self.threads < 0:
            raise ValueError(f"batch must be at least 1 and threads not negative: {self}")
        if self.backend == "onnx" and (self.bf16 or self.channels_last):
            raise ValueError("onnxruntime chooses layout and precision itself: leave channels_last and bf16 out")

    def __str__(self) -> str:
        extras = [name for name in ("channels_last", "bf16") if getattr(self, name)]
        return " ".join([self.backend, *extras, f"batch {self.batch}"])


EAGER = Serving()
ON_CPU = Serving("onnx")
ON_GPU = Serving("eager", channels_last=True, batch=32)

# Tried by `benchmarks/throughput.py`, and by `fastest` on the machine that serves.
CANDIDATES: dict[str, tuple[Serving, ...]] = {
    "cpu": (ON_CPU, Serving("onnx", batch=1), Serving(channels_last=True), Serving(channels_last=True, bf16=True)),
    "cuda": (
        ON_GPU,
        Serving("eager", channels_last=True, bf16=True, batch=32),
        Serving("compile", channels_last=True, batch=32),
        Serving("compile", channels_last=True, bf16=True, batch=32),
    ),
}


def default(device: str) -> Serving:
    """What is used when nobody says otherwise; `device` is "cpu" or "cuda"."""
    return ON_GPU if device == "cuda" else ON_CPU
