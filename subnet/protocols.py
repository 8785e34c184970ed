"""The seams: what one part may ask of another, in one or two methods each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from subnet.types import (
    Endpoint,
    Label,
    Media,
    Modality,
    Neuron,
    Prediction,
    Query,
    Receipt,
    Reply,
    Sample,
    Snapshot,
    Statement,
)

if TYPE_CHECKING:
    import numpy as np


class Detector(Protocol):
    """Says how likely media is synthetic.

    `name` is the row of the table, `weights_hash` the sha256 of the weights in hex ("" where there are none).
    """

    name: str
    modality: Modality
    weights_hash: str

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        """One prediction per item, in order. Sizes may differ within a batch. Empty in, empty out."""


class Generator(Protocol):
    """Makes synthetic media."""

    name: str
    modality: Modality

    def generate(self, prompts: Sequence[str], rng: np.random.Generator) -> list[Sample]:
        """One sample per prompt, label synthetic, with full provenance. Raises GenerationError."""


class Source(Protocol):
    """Gives samples of one modality and label."""

    name: str

    def draw(self, modality: Modality, label: Label, rng: np.random.Generator) -> Sample:
        """Raises SourceEmpty when there is nothing of this kind."""


class Transport(Protocol):
    """Carries queries to miners."""

    async def ask(self, asks: Sequence[tuple[Neuron, Query]], deadline: float) -> list[Reply]:
        """One reply per ask, in order, all within `deadline` seconds. Never raises for what a miner does."""


class Chain(Protocol):
    """The subnet on chain. Every call has a deadline of its own; ChainError when the chain cannot be reached."""

    async def snapshot(self, *, at: int | None = None) -> Snapshot:
        """The subnet now, or as it stood in block `at`, in one read."""

    async def final(self) -> int:
        """The newest block that no fork takes back; the head where finality stands still."""

    async def set_weights(self, weights: Mapping[int, float]) -> Receipt:
        """Weights by uid, any positive scale: only ratios count."""

    async def weights(self, uid: int, *, at: int | None = None) -> dict[int, int]:
        """The u16 weights that stand on chain for validator `uid`: now, or as they stood in block `at`."""

    async def commit(self, text: str) -> Receipt:
        """Say `text` on chain for all to read, in the place of what this hotkey said before."""

    async def commitment(self, hotkey: str, *, at: int | None = None) -> Statement | None:
        """What a hotkey has committed: now, or as it stood in block `at`; None where nothing stands."""

    async def block_hash(self, block: int) -> str | None:
        """The hash of a block, 0x and 64 hex digits; None until the block is there and final."""

    async def serve(self, endpoint: Endpoint) -> Receipt:
        """Publish where our axon listens."""

    def blocks(self) -> AsyncIterator[int]:
        """New block numbers as they come. Raises ChainError when none comes within the watchdog's time."""

    async def close(self) -> None: ...
