"""Items that look alike across data sets: what was trained on must not be tested on.

Two nets with different mesh: a perceptual hash (64 bits of low frequencies), which survives re-encoding and scaling,
and a small colour embedding, which also survives mirroring. Both look at the middle frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detectors.dataset.items import DatasetItem, load_media
from subnet.media.leak.appearance import middle, perceptual_hash
from subnet.types import Media

BITS = 6  # most that the hashes of near-duplicates differ in, of 64
COSINE = 0.985  # least similarity of the embeddings of near-duplicates
SIDE = 12  # of the picture that the embedding is made of, pixels
Floats = NDArray[np.float32]
Progress = Callable[[int], None]  # items looked at so far


@dataclass(frozen=True)
class LookAlike:
    """Two files that look alike. `bits` differ between their hashes; `similarity` of their embeddings is at most 1."""

    first: str
    second: str
    bits: int
    similarity: float


def embedding(media: Media) -> Floats:
    """Unit vector (SIDE * SIDE * 3,): a tiny picture without its mean, after stretching its contrast."""
    small = Image.fromarray(middle(media)).resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(small, dtype=np.float32)
    return _unit(values - values.mean())


def mirror_image(vector: Floats) -> Floats:
    """The embedding of the mirror image."""
    flipped: Floats = vector.reshape(SIDE, SIDE, 3)[:, ::-1].reshape(-1)
    return flipped


def _unit(values: Floats) -> Floats:
    vector = values.reshape(-1)
    unit: Floats = vector / max(float(np.linalg.norm(vector)), 1e-6)
    return unit


@dataclass(frozen=True, eq=False)
class Prints:
    """Fingerprints of a set of files: hashes (N,) of 64 bits, embeddings (N, SIDE * SIDE * 3)."""

    paths: tuple[Path, ...]
    hashes: NDArray[np.uint64]
    vectors: Floats


def prints(records: Sequence[DatasetItem], progress: Progress = lambda done: None) -> Prints:
    """Fingerprints of every item. Raises DataError for a file that cannot be read."""
    hashes, vectors = [], []
    for number, record in enumerate(records, start=1):
        media = load_media(record)
        hashes.append(perceptual_hash(media))
        vectors.append(embedding(media))
        progress(number)
    stacked = np.stack(vectors) if vectors else np.empty((0, SIDE * SIDE * 3), dtype=np.float32)
    return Prints(tuple(record.path for record in records), np.array(hashes, dtype=np.uint64), stacked)


def alikeness(given: Prints, digest: int | np.uint64, vector: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Of every file in `given` against one more: bits in which hashes differ, and likeness of embeddings, mirrored too.

    The hash of the other is `digest`, its embedding `vector`.
    """
    bits = np.bitwise_count(given.hashes ^ np.uint64(digest)).astype(np.int64)
    return bits, np.maximum(given.vectors @ vector, given.vectors @ mirror_image(vector))


def alike(bits: NDArray[np.int64], similarity: Floats) -> NDArray[np.int64]:
    """The places that either net holds."""
    return np.flatnonzero((bits <= BITS) | (similarity >= COSINE))


def twins(first: Prints, second: Prints) -> list[LookAlike]:
    """Pairs across two sets that either net holds, the most alike first. Flat pictures are left to the hash alone."""
    found = []
    for index, path in enumerate(first.paths):
        bits, similarity = alikeness(second, first.hashes[index], first.vectors[index])
        for other in alike(bits, similarity).tolist():
            pair = str(path), str(second.paths[other]), int(bits[other]), round(float(similarity[other]), 4)
            found.append(LookAlike(*pair))
    return sorted(found, key=lambda twin: (-twin.similarity, twin.bits))
