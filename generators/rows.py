"""What one line of the table of generators says. Data only: reading a row imports no model library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from subnet.types import JSON, Modality

if TYPE_CHECKING:
    import numpy as np


class Task(StrEnum):
    """What a generator starts from and what it gives."""

    TEXT_TO_IMAGE = "t2i"
    TEXT_TO_VIDEO = "t2v"
    IMAGE_TO_IMAGE = "i2i"
    RECONSTRUCT = "reconstruct"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole numbers when both ends are `int`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"a range needs low <= high, not {self.low} > {self.high}")

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def draw(self, rng: np.random.Generator) -> float:
        """One number, uniform over the range."""
        if self.whole:
            return int(rng.integers(int(self.low), int(self.high) + 1))
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class GeneratorRow:
    """One generator.

    `target` is "package.module:factory", resolved on first use. The factory of an embedded row is called as
    `factory(row, device=..., reals=...)`, the one of a catalog row likewise; both return a `Generator`.
    `parts` names further repositories (adapter, low-rank weights, transformer) by the role they play, `ranges` what is
    drawn for each sample (`steps`, `guidance`, `strength`, ...), `options` whatever else the adapter must be told.
    """

    name: str
    modality: Modality
    task: Task
    target: str
    embedded: bool = False
    family: str = ""  # generators of one family share their upsampling; leave-one-out tests go by family
    repository: str = ""
    revision: str = ""
    pipeline: str = ""  # class name in diffusers
    dtype: str = "float32"
    variant: str | None = None
    scheduler: str | None = None
    sizes: tuple[tuple[int, int], ...] = ((256, 256),)  # (height, width)
    frames: Range | None = None
    fps: float | None = None
    vram_gb: float = 0.0  # 0: runs on a CPU
    disk_gb: float = 0.0
    licence: str = "MIT"
    gated: bool = False
    note: str = ""
    ranges: Mapping[str, Range] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, JSON] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("ranges", "parts", "options"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
