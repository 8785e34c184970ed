"""Tiny pipelines for the tests of this folder, each class built once per session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from generators.catalog import CATALOG, adapter
from subnet.types import Label, Media, Modality, Provenance, Sample

TinyFolder = Callable[[str], Path]


class Noise:
    """A source of real pictures: coloured noise, so that every pixel can be told from every other."""

    name = "noise"

    def draw(self, modality: Modality, label: Label, rng: np.random.Generator) -> Sample:
        frames = rng.integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
        return Sample(Media(frames), label, Provenance("noise", f"{rng.integers(1000)}", "CC0-1.0"))


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> TinyFolder:
    """The folder of a tiny pipeline of the class named."""
    from tests.unit.generators import tiny

    made: dict[str, Path] = {}
    root = tmp_path_factory.mktemp("tiny")

    def folder(pipeline: str) -> Path:
        if pipeline not in made:
            made[pipeline] = tiny.build(pipeline, root / pipeline.replace(":", "-"))
        return made[pipeline]

    return folder


@pytest.fixture
def tiny_generator(tiny_folder: TinyFolder) -> Callable[..., adapter.DiffusionGenerator]:
    """A catalog row by name over its tiny pipeline; further arguments change the row."""
    from tests.unit.generators import tiny

    def make(name: str, **changes: object) -> adapter.DiffusionGenerator:
        row = CATALOG[name]
        return adapter.load_pipeline(tiny.shrunk(row, tiny_folder(tiny.kind(row)), **changes), reals=Noise())

    return make
