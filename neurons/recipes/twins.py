"""A data set with twins of its photographs: each through autoencoders of public models, stored as both classes are.

A photograph is drawn again whole, at its own size up to `LONGEST` pixels, its twin goes through the JPEG that the
photograph's file went through (DDA, arXiv 2505.14359), and both are cut at the same place and stored without loss.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detectors.dataset.cuts import challenge_media, key_of, usable_media
from detectors.dataset.items import DatasetItem, Tell, read_folder, stored_bytes
from detectors.pixels.history import again, read_history
from generators.rows import GeneratorRow, Task
from neurons.datasets.arrangement import divided
from neurons.datasets.learning import Learning, learning_folders
from neurons.datasets.spec import Reconstructor
from neurons.datasets.whole_folder import whole_folder
from neurons.progress import bar
from subnet.codec import image as codec
from subnet.errors import DataError, SettingsError
from subnet.game.sampling import derive
from subnet.media.cutting import cut, cut_again
from subnet.media.dataset_folder import IndexRow, write_media
from subnet.types import Frames, Label, Media, Modality, Provenance, Sample

LONGEST = 1024  # pixels of the longer side that are drawn again


@dataclass(frozen=True)
class Plan:
    """Names of the generators, taken in turn, `count` twins of each photograph, and the seed of all cuts."""

    names: tuple[str, ...]
    count: int
    seed: int
    device: str = "cpu"


def autoencoders(names: Sequence[str], tell: Tell) -> tuple[str, ...]:
    """Generators that make twins of pictures: those asked for, or all autoencoders whose weights are here.

    Raises UnknownName, and SettingsError for one that makes no twins of pictures.
    """
    import generators
    from generators.capability import probe
    from generators.catalog.vaes import VAE_ROWS
    from subnet.registry import find

    rows = [find(generators.TABLE, name, "generator") for name in names]
    for row in rows:
        if row.task is not Task.RECONSTRUCT or row.modality is not Modality.IMAGE:
            raise SettingsError(f"--autoencoder {row.name}: it makes no twins of pictures; {_listed(VAE_ROWS)} do")
    if rows:
        return tuple(row.name for row in rows)
    pictures, machine = [row for row in VAE_ROWS if row.modality is Modality.IMAGE], probe()
    here = [row for row in pictures if not row.repository or machine.holds(row)]
    if rest := [row for row in pictures if row not in here]:
        tell(f"twins by {_listed(here)} alone; more decoders teach more: --autoencoder fetches {_listed(rest)}")
    return tuple(row.name for row in here)


def _listed(rows: Sequence[GeneratorRow]) -> str:
    return ", ".join(row.name for row in rows)


def twin_folders(asked: Learning, plan: Plan, home: Path, into: Path, tell: Tell) -> tuple[Path, Path]:
    """The folders to train on and to judge by, with twins in both; a folder that is not divided gets them before it is.

    Raises DataError and SettingsError as `learning_folders` does, and for data without photographs.
    """
    place = Path(os.path.expanduser(asked.data))
    if asked.validation is None and place.is_dir() and not divided(place):
        asked = replace(asked, data=str(twinned(place, plan, home, tell)))
        return learning_folders(asked, home, into, device=plan.device, tell=tell)
    learn, judge = learning_folders(asked, home, into, device=plan.device, tell=tell)
    return twinned(learn, plan, home, tell), twinned(judge, plan, home, tell)


def twinned(root: Path, plan: Plan, home: Path, tell: Tell) -> Path:
    """The pictures of `root` with twins of its photographs, in a folder below `home` that is made once."""
    records = [record for record in read_folder(root, tell) if record.modality is Modality.IMAGE]
    reals = sum(record.label is Label.REAL for record in records)
    if not reals:
        raise DataError(f"data: {root} holds no photographs among {len(records)} pictures to make twins of")
    state = [f"{key_of(each, root)} {each.path.stat().st_size if each.at is None else each.at}" for each in records]
    name = f"twins-{derive(os.fspath(root.resolve()), *plan.names, plan.count, plan.seed, *state):016x}"
    with bar("twins", len(records) + plan.count * reals) as progress:
        return whole_folder(home, name, lambda folder: _rows(records, root, plan, folder, tell), progress)


def _rows(records: Sequence[DatasetItem], root: Path, plan: Plan, folder: Path, tell: Tell) -> Iterator[IndexRow]:
    import generators

    makers = [generators.load_generator(name, device=plan.device) for name in plan.names]
    for number, record in enumerate(records):
        key = key_of(record, root)
        try:
            if record.label is Label.SYNTHETIC:
                yield _write(folder, f"{key} fake", challenge_media(record, key, plan.seed), record, record.pair)
                continue
            whole = Media(shrunk(usable_media(record).frames))
        except DataError as error:
            tell(f"left out: {error}")
            continue
        rng = np.random.default_rng(derive(plan.seed, key))
        taken = cut(whole, rng)
        pair = record.pair or f"{root.name}/{key}"
        yield _write(folder, f"{key} real", taken.media, record, pair)
        sample = Sample(whole, Label.REAL, Provenance(record.origin, record.item or key, record.licence))
        history = read_history(stored_bytes(record))
        for turn in range(plan.count):
            maker = makers[(number * plan.count + turn) % len(makers)]
            assert isinstance(maker, Reconstructor)
            twin = maker.reconstruct(sample, rng)
            media = cut_again(Media(again(twin.media.frames, history)), taken.place)
            about = replace(record, label=Label.SYNTHETIC, origin=maker.name, licence=twin.provenance.licence)
            yield _write(folder, f"{key} {turn}", media, about, pair)


def shrunk(frames: Frames) -> Frames:
    """A picture (1, H, W, 3) with its longer side at most LONGEST pixels."""
    height, width = frames.shape[1:3]
    share = LONGEST / max(height, width)
    return frames if share >= 1 else codec.resize(frames, (round(height * share), round(width * share)))


def _write(folder: Path, key: str, media: Media, about: DatasetItem, pair: str) -> IndexRow:
    file = f"{derive('twins', key):016x}.png"
    write_media(folder, file, codec.encode_png(media))
    return IndexRow(file, int(about.label), "image", about.origin, pair, about.seed, about.licence, about.item or pair)
