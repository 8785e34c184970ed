"""An index of known pictures as a network of buffers: what is near to one of them gets that one's label.

Three nets, the finest first: the sha256 of the pixels, a perceptual hash, and a small colour embedding
(`detectors.dataset.fingerprints`, which the audit of data sets uses). A picture is also looked up moved by a few
pixels, since every challenge is, and turned over. Versions of one content, such as a photograph and its synthetic twin,
are told apart by the mean magnitudes of their 8 x 8 DCT coefficients. It says membership, and nothing about pictures
that are not in the index.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detectors.checkpoints import locate, read
from detectors.dataset.fingerprints import BITS, SIDE, Floats, Prints, alike, alikeness, embedding
from subnet.errors import CheckpointError
from subnet.game.variant import move
from subnet.media.leak.appearance import perceptual_hash
from subnet.types import Label, Media

BLOCK = 8  # pixels along each side of a DCT block
MOVES = (-4, 0, 4)  # pixels, down and to the right
LETTERS = 80  # bytes kept of each name
SURE = math.log(99)  # log-odds of the label of an item that is found


@dataclass(frozen=True)
class Match:
    """The known item that a picture is, or is a version of, and by which net: "exact", "hash" or "embedding".

    `bits` of 64 differ between the hashes, `similarity` of the embeddings is at most 1, and `distance` of the textures
    is 0 for the same pixels. `margin` in 0..1 says how much nearer it is than the nearest version of the other label.
    """

    name: str
    label: Label
    by: str
    bits: int
    similarity: float
    distance: float
    margin: float


@dataclass(frozen=True, eq=False)
class Entry:
    """What is kept of one picture."""

    digest: bytes
    hash: int
    vector: Floats
    texture: Floats


def entry(media: Media) -> Entry:
    """Fingerprints of a picture; of a clip its middle frame's."""
    frame = np.ascontiguousarray(media.frames[len(media.frames) // 2])
    still = Media(frame[None])
    digest = hashlib.sha256(repr(frame.shape).encode() + frame.tobytes()).digest()
    return Entry(digest, perceptual_hash(still), embedding(still), texture(frame))


def texture(frame: NDArray[np.uint8]) -> Floats:
    """Log mean magnitudes of the coefficients of blocks of 8 x 8 of luma (64,), frame (H, W, 3) of at least 8 x 8."""
    from scipy.fft import dctn

    grey = frame.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    height, width = (side // BLOCK for side in grey.shape)
    blocks = grey[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK).swapaxes(1, 2)
    magnitudes = np.abs(dctn(blocks, axes=(2, 3), norm="ortho")).mean(axis=(0, 1))
    logs: Floats = np.log(magnitudes + 0.1).reshape(-1).astype(np.float32)
    return logs


class Index(nn.Module):
    """Pictures (V, 3, H, W) in 0..1 -> log-odds (V,): of the label of the known item that is found, else 0."""

    exportable = False  # hashes
    digests: Tensor
    hashes: Tensor
    vectors: Tensor
    textures: Tensor
    labels: Tensor
    names: Tensor

    def __init__(self, items: int = 0) -> None:
        super().__init__()
        self.register_buffer("digests", torch.zeros(items, 32, dtype=torch.uint8))
        self.register_buffer("hashes", torch.zeros(items, dtype=torch.int64))
        self.register_buffer("vectors", torch.zeros(items, SIDE * SIDE * 3))
        self.register_buffer("textures", torch.zeros(items, BLOCK * BLOCK))
        self.register_buffer("labels", torch.zeros(items, dtype=torch.uint8))
        self.register_buffer("names", torch.zeros(items, LETTERS, dtype=torch.uint8))

    def forward(self, x_VCHW: Tensor) -> Tensor:
        matches = self.matches(x_VCHW)
        return torch.tensor([log_odds(match) for match in matches], device=x_VCHW.device)

    def matches(self, x_VCHW: Tensor) -> list[Match | None]:
        """For each picture the known item that it is near to, or None."""
        frames = (x_VCHW.float() * 255).round().clamp(0, 255).to(torch.uint8).cpu().permute(0, 2, 3, 1).numpy()
        known = self.prints()
        return [self._match(frame, known) for frame in frames]

    def prints(self) -> Prints:
        """The fingerprints of all items, as the audit compares them."""
        hashes = self.hashes.cpu().numpy().view(np.uint64)
        return Prints(tuple(Path(self.name(place)) for place in range(len(hashes))), hashes, self.vectors.cpu().numpy())

    def name(self, place: int) -> str:
        """The name of an item."""
        return bytes(self.names[place].tolist()).rstrip(b"\0").decode(errors="replace")

    def _match(self, frame: NDArray[np.uint8], known: Prints) -> Match | None:
        if not len(known.hashes):
            return None
        given = entry(Media(frame[None]))
        same = (self.digests.cpu() == torch.frombuffer(bytearray(given.digest), dtype=torch.uint8)).all(dim=1)
        bits, similarity = _nearest(frame, known)
        near = alike(bits, similarity)
        exact = torch.nonzero(same).flatten().tolist()
        if not exact and not len(near):
            return None
        distances = np.linalg.norm(self.textures.cpu().numpy() - given.texture, axis=1) / BLOCK
        place = exact[0] if exact else int(near[distances[near].argmin()])
        labels = self.labels.cpu().numpy()
        others = near[labels[near] != labels[place]]
        margin = 1.0
        if not exact and len(others):
            margin = _margin(float(distances[place]), float(distances[others].min()))
        by = "exact" if exact else "hash" if bits[place] <= BITS else "embedding"
        return Match(
            self.name(place),
            Label(int(labels[place])),
            by,
            int(bits[place]),
            round(float(similarity[place]), 4),
            round(float(distances[place]), 4),
            round(margin, 4),
        )


def _nearest(frame: NDArray[np.uint8], known: Prints) -> tuple[NDArray[np.int64], Floats]:
    """Fewest bits and most likeness of every known item to a picture as it is, moved by MOVES, and upside down."""
    found = []
    for down, right in product(MOVES, MOVES):
        still = Media(move(frame[None], down, right))
        vector = embedding(still)
        found.append(alikeness(known, perceptual_hash(still), vector))
        upended = vector.reshape(SIDE, SIDE, 3)[::-1].reshape(-1)
        found.append((found[-1][0], alikeness(known, 0, upended)[1]))
    bits, similarity = (np.stack(each) for each in zip(*found, strict=True))
    return bits.min(axis=0), similarity.max(axis=0)


def _margin(own: float, other: float) -> float:
    return max(0.0, (other - own) / (other + own)) if own + other > 0 else 0.0


def log_odds(match: Match | None) -> float:
    """SURE for a known synthetic item, -SURE for a real one, less where a version of the other label is as near."""
    if match is None:
        return 0.0
    return SURE * match.margin * (1 if match.label is Label.SYNTHETIC else -1)


def fill(index: Index, entries: list[Entry], labels: list[int], names: list[str]) -> None:
    """Put everything that is known into an empty index of that size."""
    index.digests = torch.tensor([list(each.digest) for each in entries], dtype=torch.uint8)
    index.hashes = torch.from_numpy(np.array([each.hash for each in entries], dtype=np.uint64).view(np.int64))
    index.vectors = torch.from_numpy(np.stack([each.vector for each in entries]))
    index.textures = torch.from_numpy(np.stack([each.texture for each in entries]))
    index.labels = torch.tensor(labels, dtype=torch.uint8)
    rows = [name.encode()[-LETTERS:].ljust(LETTERS, b"\0") for name in names]
    index.names = torch.tensor([list(row) for row in rows], dtype=torch.uint8)


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The number of items in a state, whose rows must belong together. Raises CheckpointError."""
    counts = {len(value) for value in state.values() if value.ndim}
    if len(counts) != 1 or "labels" not in state or bool((state["labels"] > 1).any()):
        raise CheckpointError(
            "weights: they are no index: as many digests, hashes and labels of known items are needed"
        )
    return state, {"items": counts.pop()}


def open_index(spec: Path | str) -> Index:
    """An index out of its file. Raises CheckpointError."""
    from detectors.checkpoints import load_strictly

    state, size = adapt(read(locate(spec)).state)
    index = Index(**size)
    load_strictly(index, state, str(spec))
    return index
