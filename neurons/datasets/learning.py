"""What `assay train` learns from and judges by, as folders, out of the words of its flags."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from detectors.dataset.items import Tell
from neurons.datasets.arrangement import PresetSpec, arrange, parse_preset, train_part, tuning_part, two_ways
from neurons.datasets.everyday import EverydaySpec, refused_for_training
from neurons.datasets.spec import DataSpec, materialise, parse_spec
from neurons.plan import EMBEDDED
from neurons.progress import bar
from subnet.errors import SettingsError
from subnet.media.everyday import EVERYDAY
from subnet.types import Modality, Split

PANS = 0.75  # share of real clips of the embedded set that are pans over photographs


@dataclass(frozen=True)
class Learning:
    """Specs of what to learn from and, where one is given, what to judge by.

    Of the embedded set `count` real items are taken, each with `twins` synthetic ones; with `motion` temporal twins.
    """

    data: str
    validation: str | None
    modality: Modality
    count: int
    twins: int
    seed: int
    motion: bool = False


def learning_folders(asked: Learning, home: Path, into: Path, *, device: str, tell: Tell) -> tuple[Path, Path]:
    """The folders to train on and to judge by: made below `home`, what is held out below `into`.

    Raises SettingsError for the test set, and for specs that mean nothing.
    """
    held = asked.validation or (f"{EMBEDDED}:{Split.VALIDATION}" if asked.data.startswith(f"{EMBEDDED}:") else None)
    for text in (asked.data, held):
        if text == EVERYDAY:
            raise refused_for_training(text)
    learn = _folder(asked, asked.data, asked.count, home, device)
    if held is not None:
        judge = _folder(asked, held, max(20, asked.count // 4), home, device)
        return train_part(learn), tuning_part(judge, held)
    published = parse_preset(os.path.expanduser(asked.data)) is not None
    return two_ways(learn, into, published=published, seed=asked.seed, tell=tell)


def _folder(asked: Learning, text: str, count: int, home: Path, device: str) -> Path:
    spec = parse_spec(os.path.expanduser(text), asked.modality, count, asked.seed)
    if isinstance(spec, PresetSpec):
        return arrange(spec, home)
    if isinstance(spec, Path):
        return spec
    assert not isinstance(spec, EverydaySpec)
    if spec.split is Split.TEST:
        raise SettingsError(f"{text}: nothing is trained or tuned on the test set; take train or validation")
    pans = PANS if asked.modality is Modality.VIDEO else 0.0
    whole = DataSpec(spec.split, asked.modality, count, asked.twins, asked.seed, pans=pans, motion=asked.motion)
    with bar(f"{spec.split} set", whole.items) as progress:
        return materialise(whole, home, device=device, progress=progress)
