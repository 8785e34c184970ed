"""How a network may be run, and what was measured to be fastest without moving scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Engine = Literal["eager", "onnx", "compile"]


@dataclass(frozen=True)
class Backend:
    """`channels_last` and `bf16` (autocast) are for the torch backends; `batch` is the most views in one pass.

    `threads` is for onnxruntime, 0 for one per core.
    """

    engine: Engine = "eager"
    channels_last: bool = False
    bf16: bool = False
    batch: int = 8
    threads: int = 0

    def __post_init__(self) -> None:
        if self.engine not in ("eager", "onnx", "compile"):
            raise ValueError(f"engine must be eager, onnx or compile, not {self.engine!r}")
        if self.batch < 1 or self.threads < 0:
            raise ValueError(f"batch must be at least 1 and threads not negative: {self}")
        if self.engine == "onnx" and (self.bf16 or self.channels_last):
            raise ValueError("onnxruntime chooses layout and precision itself: leave channels_last and bf16 out")

    def __str__(self) -> str:
        extras = [name for name in ("channels_last", "bf16") if getattr(self, name)]
        return " ".join([self.engine, *extras, f"batch {self.batch}"])


EAGER = Backend()
ON_CPU = Backend("onnx")
ON_GPU = Backend("eager", channels_last=True, batch=32)

# Tried by `benchmarks/throughput.py`.
CANDIDATES: dict[str, tuple[Backend, ...]] = {
    "cpu": (ON_CPU, Backend("onnx", batch=1), Backend(channels_last=True), Backend(channels_last=True, bf16=True)),
    "cuda": (
        ON_GPU,
        Backend("eager", channels_last=True, bf16=True, batch=32),
        Backend("compile", channels_last=True, batch=32),
        Backend("compile", channels_last=True, bf16=True, batch=32),
    ),
}


def default(device: str) -> Backend:
    """What is used when nobody says otherwise; `device` is "cpu" or "cuda"."""
    return ON_GPU if device == "cuda" else ON_CPU
