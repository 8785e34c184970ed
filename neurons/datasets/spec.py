"""Data sets for training and evaluation: real media with synthetic twins, written once and read by detectors.

Item i of a data set is a function of (split, modality, seed, i) alone. Splits share no photo and no clip, and their
seeds are kept apart by the split's name, so that training and evaluation share neither a source nor a generator seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from neurons.datasets.arrangement import PresetSpec, parse_preset
from neurons.datasets.everyday import EverydaySpec
from neurons.datasets.hub_shards import HUB, fetch_shards
from neurons.datasets.pans import PannedPhotos
from neurons.datasets.whole_folder import Progress, whole_folder
from neurons.plan import EMBEDDED
from neurons.producer.prompting import invent_prompt
from neurons.progress import warn
from neurons.settings import home
from subnet.codec import image as codec
from subnet.errors import SettingsError
from subnet.game.sampling import derive
from subnet.media.dataset_folder import IndexRow, index_row, write_media
from subnet.media.embedded.source import EmbeddedSource
from subnet.media.everyday import EVERYDAY
from subnet.protocols import Generator, Source
from subnet.types import Label, Modality, Sample, Split


@runtime_checkable
class Reconstructor(Protocol):
    """A generator that can make the synthetic twin of a given sample."""

    def reconstruct(self, sample: Sample, rng: np.random.Generator) -> Sample: ...


@dataclass(frozen=True)
class DataSpec:
    """Which embedded data set is meant: `count` real items of a modality, each with `twins` synthetic ones.

    `generators` are taken in turn; none named means all embedded ones of the modality. `pans` is the share of real
    clips that are pans over photographs.

    With `motion` there are temporal twins in place of real clips and generators' ones, `twins` pairs of each clip: the
    label says whether the frames follow each other evenly, and single frames tell nothing
    (`generators.embedded.temporal_twins`, whose kinds `generators` are then).
    """

    split: Split
    modality: Modality = Modality.IMAGE
    count: int = 200
    twins: int = 1
    seed: int = 0
    generators: tuple[str, ...] = ()
    pans: float = 0.0
    motion: bool = False

    def __post_init__(self) -> None:
        if self.count < 1 or self.twins < 1:
            raise SettingsError(f"a data set needs at least one item and one twin, not {self.count} and {self.twins}")
        if not 0 <= self.pans <= 1 or (self.pans and self.modality is not Modality.VIDEO):
            raise SettingsError(f"pans is a share, 0 to 1, of clips: not {self.pans:g} of {self.modality}s")
        if self.motion and self.modality is not Modality.VIDEO:
            raise SettingsError(f"motion: {self.modality}s have none; give modality video")

    @property
    def folder(self) -> str:
        """A name that is the same for the same data set only."""
        names = "-".join(self.generators) or "all"
        names += f" pans {self.pans:g}" if self.pans else ""
        names += " motion" if self.motion else ""
        return f"{self.split}-{self.modality}-{self.count}x{self.twins}-{self.seed}-{derive(names):016x}"

    @property
    def items(self) -> int:
        """How many the set holds."""
        return self.count * (2 * self.twins if self.motion else 1 + self.twins)


def embedded_generators(modality: Modality) -> tuple[str, ...]:
    """Names of the generators that ship with the package."""
    import generators

    return tuple(row.name for row in generators.TABLE.values() if row.embedded and row.modality is modality)


def parse_spec(text: str, modality: Modality, count: int, seed: int) -> DataSpec | PresetSpec | EverydaySpec | Path:
    """ "embedded:test", "everyday" and "PRESET:DIR" as specs, else a folder; that of "hub:OWNER/NAME" is fetched.

    Raises SettingsError naming what is allowed, HubUnavailable where the hub refuses.
    """
    if text == EVERYDAY:
        if Path(text).is_dir():
            warn(f"--data {text} is the exam; write ./{text} for the folder of that name")
        return EverydaySpec()
    if (chosen := parse_preset(text)) is not None:
        return chosen
    if text.startswith(HUB):
        return fetch_shards(text.removeprefix(HUB), home() / "data", warn)
    if text.startswith(EMBEDDED + ":"):
        name = text.partition(":")[2]
        if name not in list(Split):
            raise SettingsError(f"--data {text}: the embedded set has {', '.join(Split)}")
        return DataSpec(Split(name), modality, count, seed=seed)
    path = Path(text).expanduser()
    if not path.is_dir():
        raise SettingsError(
            f"--data {text}: neither a folder, nor PRESET:DIR (assay dataset presets), nor hub:OWNER/NAME, nor "
            "embedded:train, embedded:validation, embedded:test, everyday"
        )
    return path


def materialise(spec: DataSpec, root: Path, *, device: str = "cpu", progress: Progress = lambda done: None) -> Path:
    """The folder of this data set below `root`, made now unless it is there."""
    rows = _motion_rows if spec.motion else _rows
    return whole_folder(root, spec.folder, lambda folder: rows(spec, folder, device), progress)


def _motion_rows(spec: DataSpec, folder: Path, device: str) -> Iterator[IndexRow]:
    from generators.embedded.temporal_twins import KINDS, TemporalTwins

    if unknown := [name for name in spec.generators if name not in KINDS]:
        raise SettingsError(f"generator: {unknown[0]} is no kind of temporal twins; there are {', '.join(KINDS)}")
    kinds, maker = spec.generators or KINDS, TemporalTwins(device)
    reals, pans = EmbeddedSource(spec.split), PannedPhotos(spec.split)
    for number in range(spec.count):
        real, rng = _drawn(spec, number, reals, pans)
        for turn in range(spec.twins):
            kind = kinds[(number * spec.twins + turn) % len(kinds)]
            for twin in maker.pair(real, kind, rng):
                name = f"{derive(spec.folder, number, turn, twin.label):016x}"
                origin = EMBEDDED if twin.label is Label.REAL else f"uneven-{kind}"
                yield _write(folder, name, twin, origin, pair=f"{spec.folder}/{number}/{turn}")


def _drawn(spec: DataSpec, number: int, reals: Source, pans: Source) -> tuple[Sample, np.random.Generator]:
    """The real item of a number, and the generator of random numbers for what is made of it."""
    rng = np.random.default_rng(derive(spec.split, spec.modality, spec.seed, number))
    panned = spec.pans > 0 and rng.random() < spec.pans
    source = pans if panned else reals
    return source.draw(spec.modality, Label.REAL, rng), rng


def _rows(spec: DataSpec, folder: Path, device: str) -> Iterator[IndexRow]:
    import generators

    reals, pans = EmbeddedSource(spec.split), PannedPhotos(spec.split)
    names = spec.generators or embedded_generators(spec.modality)
    makers = [generators.load_generator(name, device=device, reals=reals) for name in names]
    for number in range(spec.count):
        real, rng = _drawn(spec, number, reals, pans)
        name = f"{derive(spec.folder, number, 'real'):016x}"  # that tells nothing
        yield _write(folder, name, real, EMBEDDED, pair=f"{spec.folder}/{number}")
        for turn in range(spec.twins):
            maker = makers[(number * spec.twins + turn) % len(makers)]
            twin, pair = _fake(maker, real, rng), f"{spec.folder}/{number}"
            is_twin = isinstance(maker, Reconstructor)
            name = f"{derive(spec.folder, number, turn):016x}"
            yield _write(folder, name, twin, maker.name, pair=pair if is_twin else "")


def _fake(maker: Generator, real: Sample, rng: np.random.Generator) -> Sample:
    """The twin of `real` where the generator can make one, and something new where it cannot."""
    if isinstance(maker, Reconstructor):
        return maker.reconstruct(real, rng)
    import generators

    return maker.generate([invent_prompt(generators.TABLE[maker.name], rng)], rng)[0]


def _write(folder: Path, name: str, sample: Sample, origin: str, pair: str) -> IndexRow:
    video = sample.modality is Modality.VIDEO
    file = f"{name}.{'mp4' if video else 'png'}"
    data = codec.encode_lossless_video(sample.media) if video else codec.encode_png(sample.media)
    write_media(folder, file, data)
    return index_row(file, sample.label, sample.modality, origin, pair, sample.provenance)
