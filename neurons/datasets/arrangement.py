"""A published data set as folders that training and evaluation read: an index for each split, and not one file moved.

Each split is a folder below $ASSAY_HOME/data with an `index.jsonl` and one link to the data set itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from detectors.dataset.items import Tell, silence
from detectors.dataset.preset_items import preset_items
from detectors.dataset.presets import PRESETS, WHOLE, preset, resembled
from neurons.datasets.split import split, write_linked
from subnet.errors import SettingsError
from subnet.game.sampling import derive
from subnet.media.folder import take_inventory
from subnet.types import Split

TESTS, VALIDATIONS = (Split.TEST, "testing"), (Split.VALIDATION, "valid", "val", "eval", "dev")  # folders' names


@dataclass(frozen=True)
class PresetSpec:
    """A preset and the folder that the user has of it."""

    name: str
    root: Path


def parse_preset(text: str) -> PresetSpec | None:
    """ "cifake:DIR" as a spec; None where the text before the colon is no preset's name, or the whole is a folder.

    Raises SettingsError for a preset without a folder.
    """
    name, _, folder = text.partition(":")
    if name not in PRESETS or (text == name and Path(name).is_dir()):
        return None
    root = Path(folder).expanduser()
    if not folder:
        raise SettingsError(f"--data {text}: {name} is a published set; give a directory after the colon: {name}:DIR")
    if not root.is_dir():
        raise SettingsError(f"--data {text}: {folder} is not a folder; write {name}:DIR with the data set")
    return PresetSpec(name, root)


def resemblance(root: Path) -> str:
    """How to read a folder that is laid out as a preset, in words after an error; "" where it is like none."""
    name = resembled([path.relative_to(root) for path in take_inventory(root).files]) if root.is_dir() else None
    return f"; it resembles {name}: write {name}:{root}" if name else ""


def arrange(spec: PresetSpec, home: Path) -> Path:
    """A folder below `home` with a folder for each split, or with all items where the preset is not divided.

    Raises DataError where the data set is not laid out so, naming the preset that it resembles.
    """
    root = spec.root.resolve()
    by_split = preset_items(preset(spec.name), root)
    if not preset(spec.name).parts:
        return root  # has an index of its own
    folder = home / f"preset-{spec.name}-{derive(os.fspath(root)):016x}"
    for name, records in by_split.items():
        write_linked(records, root, folder if name == WHOLE else folder / name)
    return folder


def judged(folder: Path) -> Path:
    """The part of a divided data set that is evaluated on: the test set, else validation, else all of it."""
    for name in (*TESTS, *VALIDATIONS):
        if (folder / name).is_dir():
            return folder / name
    return folder


def divided(folder: Path) -> bool:
    """Whether there is a part to judge by beside train/: a folder called train alone may show trains."""
    return (folder / Split.TRAIN).is_dir() and judged(folder) != folder


def train_part(folder: Path) -> Path:
    """The part of a data set that is trained on: train/ where it is divided, so that no test item is trained on."""
    return folder / Split.TRAIN if divided(folder) else folder


def tuning_part(folder: Path, text: str) -> Path:
    """The part that a training may choose by: never a test set. Raises SettingsError naming --validation `text`."""
    for name in VALIDATIONS:
        if (folder / name).is_dir():
            return folder / name
    if judged(folder) != folder:
        raise SettingsError(
            f"--validation {text}: has a test set and no validation set, and nothing is trained or tuned on the test "
            "set; leave --validation away, and a part of the training set is held out"
        )
    return folder


def two_ways(folder: Path, into: Path, *, published: bool, seed: int = 0, tell: Tell = silence) -> tuple[Path, Path]:
    """Folders to train on and to choose by, the latter held out below `into` where there is none.

    The validation set of a published data set without a test set is what an evaluation judges by, and chooses nothing.
    """
    learn, held = folder / Split.TRAIN, folder / Split.VALIDATION
    if learn.is_dir() and held.is_dir() and not (published and judged(folder) == held):
        return learn, held
    return split(train_part(folder), into, seed=seed, tell=tell)


def others(folder: Path) -> dict[str, Path]:
    """Further test sets beside train/, validation/ and test/, by name: folders called other-content or the like."""
    return {path.name: path for path in sorted(folder.glob("other-*")) if path.is_dir()}


def three_ways(folder: Path, into: Path, *, seed: int = 0, tell: Tell = silence) -> tuple[Path, Path, Path]:
    """Folders to train on, to choose by and to test on, that share no content.

    What the authors do not divide is held out below `into`; where they give no test set, their validation set is it.
    """
    there = {name: folder / name for name in Split if (folder / name).is_dir()}
    if len(there) == len(Split):
        return there[Split.TRAIN], there[Split.VALIDATION], there[Split.TEST]
    learn, judge = there.get(Split.TRAIN, folder), there.get(Split.TEST) or there.get(Split.VALIDATION)
    if judge is None:
        learn, judge = split(learn, into / "whole", seed=seed, tell=tell)
    return *split(learn, into / "rest", seed=seed + 1, tell=tell), judge  # the same seed would hold out the same
