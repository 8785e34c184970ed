"""Filling an index: what training is to look-up."""

from __future__ import annotations

from collections.abc import Callable

from detectors.checkpoints import write
from detectors.dataset.cuts import challenge_media, key_of
from detectors.dataset.items import Tell, read_folder, silence
from detectors.preprocess import prepare
from detectors.retrieval.index import Index, entry, fill
from detectors.training.fitting import served
from detectors.training.loop import Progress, Training, TrainingResult, held_out, paced, select
from detectors.training.recipes import recipe
from detectors.training.validation_set import auc, examples
from subnet.errors import SettingsError
from subnet.types import Media


def fill_index(
    settings: Training, report: Callable[[Progress], None] | None = None, tell: Tell = silence
) -> TrainingResult:
    """Write an index of all items of `settings.data` to `settings.out`. Raises DataError and SettingsError."""
    if settings.init is not None:
        raise SettingsError("init: an index is filled with the data, and starts from no weights; leave it out")
    chosen, report = recipe(settings.detector), report or (lambda progress: None)
    records = select(read_folder(settings.data, tell), chosen, settings, tell)
    judged = held_out(settings, chosen)  # silently: nothing is calibrated by them
    entries, tick = [], paced(report, len(records))
    for number, record in enumerate(records, start=1):
        media = challenge_media(record, key_of(record, settings.data), settings.seed)
        view = prepare(media.frames, chosen.family.preprocess)
        pixels = (view * 255).round().byte().permute(0, 2, 3, 1).numpy()
        entries.append(entry(Media(pixels)))
        tick(number)
    index = Index(len(records))
    names = [f"{record.origin}/{record.item or record.pair or record.path.stem}" for record in records]
    fill(index, entries, [int(record.label) for record in records], names)
    shown = examples(judged, settings.validation_items, seed=settings.seed)
    measured = auc(served(chosen, index, "cpu"), shown)
    notes = {"detector": chosen.name, "items": len(records), "origins": sorted({record.origin for record in records})}
    sha256 = write(
        settings.out, index.state_dict(), preprocess=chosen.family.preprocess, notes=notes, half=settings.half
    )
    return TrainingResult(settings.out, sha256, len(records), len(records), measured, [(len(records), measured)])
