"""Writing such a set: photographs drawn from their sources, twins of each, and what generators make of words alone.

What is done is kept line by line, so that a run that ends in the middle goes on. A source or generator that fails is
told, and the others go on; the same command fills what is missing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from generators.rows import GeneratorRow, Task
from neurons.datasets.building.sides import Sides
from neurons.producer.prompting import invent_prompt
from subnet.codec import image as codec
from subnet.errors import GenerationError, MediaError, SettingsError, SourceEmpty
from subnet.files import write_atomically
from subnet.game.sampling import derive
from subnet.media.dataset_folder import IndexRow, index_row, write_index, write_media
from subnet.protocols import Generator, Source
from subnet.types import Label, Modality, Sample, Split

DONE, SETTINGS = "done.jsonl", "build.json"
AGAIN = 20  # photographs in a row that are there already, before a source is thought to be used up
Tell = Callable[[str], None]


@runtime_checkable
class Reconstructor(Protocol):
    """A generator that can make the synthetic twin of a given sample."""

    def reconstruct(self, sample: Sample, rng: np.random.Generator) -> Sample: ...


class One:
    """A source of one sample, the next to be changed: for generators that draw their photographs themselves."""

    name = "one"

    def __init__(self) -> None:
        self.sample: Sample | None = None

    def draw(self, modality: Modality, label: Label, rng: np.random.Generator) -> Sample:
        """That sample. Raises SourceEmpty where there is none, or another kind is asked for."""
        if self.sample is None or (self.sample.modality, self.sample.label) != (modality, label):
            raise SourceEmpty(f"there is no {label.name.lower()} {modality} to change")
        return self.sample


@dataclass(frozen=True)
class Maker:
    """A row with its generator, which takes photographs from `one` where it draws them itself."""

    row: GeneratorRow
    generator: Generator

    @property
    def of_words(self) -> bool:
        """Whether it starts from words alone."""
        return self.row.task in (Task.TEXT_TO_IMAGE, Task.TEXT_TO_VIDEO)


@dataclass(frozen=True)
class Sizes:
    """`reals` photographs or clips of each source, `twins` of each, `texts` items of each generator of words."""

    reals: int
    twins: int
    texts: int
    seed: int


@dataclass
class Folder:
    """A data set in the making: what is done, in a file that grows by a line for each item."""

    root: Path
    rows: list[tuple[str, IndexRow]] = field(default_factory=list)  # group and line
    sides: dict[str, Split] = field(default_factory=dict)  # of files

    def write(self, group: str, side: Split, sample: Sample, origin: str, pair: str) -> None:
        """Add one item. Raises OSError."""
        video = sample.modality is Modality.VIDEO
        name = f"{derive(group, len(self.rows), origin):016x}.{'mp4' if video else 'png'}"
        data = codec.encode_lossless_video(sample.media) if video else codec.encode_png(sample.media)
        write_media(self.root / side, name, data)
        row = index_row(name, sample.label, sample.modality, origin, pair, sample.provenance)
        with (self.root / DONE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"group": group, "side": side, "row": asdict(row)}) + "\n")
        self.keep(group, side, row)

    def keep(self, group: str, side: Split, row: IndexRow) -> None:
        self.rows.append((group, row))
        self.sides[row.file] = side

    def count(self, group: str) -> int:
        return sum(each == group for each, _ in self.rows)

    def contents(self) -> set[str]:
        """Identities of the photographs that are there."""
        return {row.pair for _, row in self.rows if row.label == int(Label.REAL)}


def open_folder(root: Path, settings: Mapping[str, object]) -> Folder:
    """The set at `root`, new or gone on with; what a kill cut off, a line or a photograph's twins, is made again.

    Raises SettingsError where it was begun with other settings.
    """
    root.mkdir(parents=True, exist_ok=True)
    about, text = root / SETTINGS, json.dumps(settings, sort_keys=True, indent=1) + "\n"
    if about.is_file() and about.read_text(encoding="utf-8") != text:
        raise SettingsError(f"{root} was begun with other settings (see {about}); name another folder")
    if not about.is_file() and any(root.iterdir()):
        raise SettingsError(f"{root} holds other things; name a folder of its own")
    about.write_text(text, encoding="utf-8")
    folder, done = Folder(root), root / DONE
    lines = done.read_text(encoding="utf-8").split("\n")[:-1] if done.is_file() else []
    values = [json.loads(line) for line in lines]
    whole = {value["row"]["pair"] for value in values if value["row"]["label"] == int(Label.REAL)} | {""}
    kept = [(line, value) for line, value in zip(lines, values, strict=True) if value["row"]["pair"] in whole]
    for _, value in kept:
        folder.keep(value["group"], Split(value["side"]), IndexRow(**value["row"]))
    write_atomically(done, "".join(f"{line}\n" for line, _ in kept).encode())
    return folder


def build(
    folder: Folder,
    sources: Sequence[tuple[Modality, Source]],
    makers: Sequence[Maker],
    one: One,
    sides: Sides,
    sizes: Sizes,
    tell: Tell,
    progress: Callable[[int], None] = lambda done: None,
) -> Counter[str]:
    """Fill `folder` and write the index of each side; items by side. What fails is told."""
    for modality, source in sources:
        _photographs(folder, modality, source, makers, one, sides, sizes, tell, progress)
    for maker in makers:
        if maker.of_words:
            _texts(folder, maker, sides, sizes, tell, progress)
    by_side: dict[Split, list[IndexRow]] = {side: [] for side in Split}
    for _, row in folder.rows:
        by_side[folder.sides[row.file]].append(row)
    for side, rows in by_side.items():
        if rows:
            write_index(folder.root / side, rows)
    return Counter({str(side): len(rows) for side, rows in by_side.items()})


def _photographs(
    folder: Folder,
    modality: Modality,
    source: Source,
    makers: Sequence[Maker],
    one: One,
    sides: Sides,
    sizes: Sizes,
    tell: Tell,
    progress: Callable[[int], None],
) -> None:
    """`sizes.reals` of a source, each with its twins; those that are there already are not taken again."""
    group, known, misses = f"real {source.name}", folder.contents(), 0
    number = folder.count(group)
    while number < sizes.reals and misses < AGAIN:
        rng = np.random.default_rng(derive("build", sizes.seed, source.name, number, misses))
        try:
            real = source.draw(modality, Label.REAL, rng)
        except (SourceEmpty, MediaError) as error:
            tell(f"{source.name}: {number:,} of {sizes.reals:,}: {error}; the same command goes on")
            return
        identity = f"{real.provenance.source}/{real.provenance.item}"
        if identity in known:
            misses += 1
            continue
        known.add(identity)
        number, misses = number + 1, 0
        side = sides.of_photograph(identity)
        for maker, twin in _twins(real, makers, one, sides, side, sizes, rng, tell):
            folder.write(f"twin {source.name}", side, twin, maker.row.name, identity)
        folder.write(group, side, real, source.name, identity)  # last: a photograph that is there has its twins
        progress(len(folder.rows))
    if number < sizes.reals:
        tell(f"{source.name}: has {number:,} different items, {sizes.reals:,} were asked for")


def _twins(
    real: Sample,
    makers: Sequence[Maker],
    one: One,
    sides: Sides,
    side: Split,
    sizes: Sizes,
    rng: np.random.Generator,
    tell: Tell,
) -> Iterator[tuple[Maker, Sample]]:
    """Twins by generators in turn, among those that may be met on this side."""
    fitting = [
        maker
        for maker in makers
        if not maker.of_words and maker.row.modality is real.modality and sides.allows(maker.row.family, side)
    ]
    first = int(rng.integers(len(fitting))) if fitting else 0
    for turn in range(min(sizes.twins, len(fitting))):
        maker = fitting[(first + turn) % len(fitting)]
        one.sample = real
        try:
            if isinstance(maker.generator, Reconstructor):
                yield maker, maker.generator.reconstruct(real, rng)
            else:
                yield maker, maker.generator.generate([invent_prompt(maker.row, rng)], rng)[0]
        except GenerationError as error:
            tell(f"{maker.row.name}: {error}")


def _texts(
    folder: Folder, maker: Maker, sides: Sides, sizes: Sizes, tell: Tell, progress: Callable[[int], None]
) -> None:
    group = f"text {maker.row.name}"
    for number in range(folder.count(group), sizes.texts):
        rng = np.random.default_rng(derive("build", sizes.seed, group, number))
        try:
            sample = maker.generator.generate([invent_prompt(maker.row, rng)], rng)[0]
        except GenerationError as error:
            tell(f"{maker.row.name}: {error}; the same command goes on")
            return
        side = sides.of_new(maker.row.family, f"{maker.row.name}/{number}")
        folder.write(group, side, sample, maker.row.name, "")
        progress(len(folder.rows))
