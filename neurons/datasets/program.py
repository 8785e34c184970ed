"""`assay dataset`: write real media with synthetic twins to a folder, for training and evaluation."""

from __future__ import annotations

from pathlib import Path

from rich.progress import Progress

from neurons.datasets.spec import DataSpec, materialise
from neurons.settings import device as pick
from subnet.types import Modality, Split


def dataset(
    out: Path,
    *,
    split: Split = Split.TRAIN,
    modality: Modality = Modality.IMAGE,
    count: int = 200,
    twins: int = 1,
    seed: int = 0,
    generator: tuple[str, ...] = (),
    pans: float = 0.0,
    device: str = "auto",
) -> None:
    """Write a data set below OUT and print its folder.

    Parameters
    ----------
    out
        Folder to write below.
    split
        Part of the embedded set.
    modality
        image or video.
    count
        Real items.
    twins
        Synthetic items for each real one.
    seed
        Same seed, same data set.
    generator
        Generators to take in turn; by default all embedded ones.
    pans
        Share of real clips that are pans over photographs, 0 to 1: more content to train on than the clips have.
    device
        auto, cpu, cuda or cuda:N.
    """
    spec = DataSpec(split, modality, count, twins, seed, generator, pans)
    with Progress() as progress:
        task = progress.add_task(f"{split} {modality}s", total=count * (1 + twins))
        folder = materialise(
            spec, out, device=pick(device), progress=lambda done: progress.update(task, completed=done)
        )
    print(folder)
