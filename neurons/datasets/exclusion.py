"""What names of origins leave of data, told by the name that the user gave the data, wherever they lie now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from detectors.dataset.items import Tell, read_folder
from subnet.errors import DataError
from subnet.types import Label, Modality


def check_excluded(names: Sequence[str], parts: Mapping[str, Path], modality: Modality, tell: Tell) -> None:
    """Look at what is left of `parts`, folders by the user's name for them, the first to train on.

    Names that leave nothing out there are likely misspelt, and told. Raises DataError for a class of which nothing is
    left in a part.
    """
    for number, (part, folder) in enumerate(parts.items() if names else ()):
        records = [record for record in read_folder(folder) if record.modality is modality]
        for label in Label:
            origins = {record.origin for record in records if record.label is label}
            if origins and origins <= {*names}:
                kind, gone = label.name.lower(), ", ".join(sorted(origins))
                raise DataError(f"--exclude {' '.join(names)}: no {kind} items of {part} are left, all are of {gone}")
        there = sorted({record.origin for record in records})
        if not number and (nowhere := " ".join(sorted({*names} - {*there}))):
            tell(f"--exclude {nowhere}: nothing of that origin in {part}, which has {', '.join(there)}")
