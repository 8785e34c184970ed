"""From what a person types, or a row of the table, to a detector that answers.

torch is imported where there is a network: the detectors that know nothing start without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from detectors import TABLE, load_detector
from detectors.families import FAMILIES, family
from detectors.fetching.memory import free, refuse_if_too_large
from detectors.fetching.store import files_of
from detectors.rows import DetectorRow
from subnet.errors import CheckpointError, SettingsError, UnknownName
from subnet.protocols import Detector
from subnet.registry import find, resolve

if TYPE_CHECKING:
    from detectors.torch_detector import TorchDetector


def network_detector(row: DetectorRow, *, device: str = "cpu", weights: Path | str | None = None) -> TorchDetector:
    """The network of `row` with its embedded weights, or with `weights` of any public layout and size.

    Where weights are published in several files, `weights` names them with commas between. Raises CheckpointError for
    weights that are missing or do not fit, SettingsError for a device that is not there, or too small.
    """
    from detectors.public_checkpoints import build, join, open_checkpoint
    from detectors.torch_detector import TorchDetector, torch_device

    place, parts = torch_device(device), _parts(row, weights)
    if row.files:
        refuse_if_too_large(row, TABLE.values(), device, free(device))
    checkpoint = join([open_checkpoint(spec, row.family, row.preprocess, sha256=pinned) for spec, pinned in parts])
    return TorchDetector(
        row.name,
        row.modality,
        build(checkpoint, row.family),
        preprocess=checkpoint.preprocess or row.preprocess,
        views=resolve(family(row.family).views),
        calibration=checkpoint.calibration,
        weights_hash=checkpoint.sha256,
        device=place,
    )


def _parts(row: DetectorRow, weights: Path | str | None) -> list[tuple[Path | str, str]]:
    """The files that hold a row's weights, each with the sha256 that it must have ("" where it may have any)."""
    from detectors.checkpoints import HERE

    if weights is not None:
        several = len(row.files) > 1 and not Path(weights).is_file()
        return [(part, "") for part in str(weights).split(",")] if several else [(weights, "")]
    if row.files:
        return [*files_of(row)]
    if not row.weights:
        raise CheckpointError(
            f"weights: none ship for {row.name}; train them with `assay train {row.name}` and write {row.name}=FILE"
        )
    return [(HERE / row.weights, row.sha256)]


def check_layout(row: DetectorRow, files: Sequence[Path]) -> None:
    """Raises CheckpointError where the tensors of `files` are not those of the row's network, key by key."""
    from detectors.public_checkpoints import build, join, open_checkpoint

    build(join([open_checkpoint(file, row.family, row.preprocess) for file in files]), row.family)


def open_detector(text: str, *, device: str = "cpu") -> Detector:
    """The detector meant by `text`:

    - `npr`: a row of the table with the weights that ship here;
    - `runs/npr.safetensors`: a file that says which detector it belongs to, or a public file known by its name;
    - `npr=FILE`, `npr=hub:...`, `npr-official=NPR.pth`: weights for a named detector or of a known publication;
    - `dda`: a row whose weights `assay fetch dda` brought; `univfd=CLIP,FC`: its files by their paths;
    - `ensemble=npr,ucf`, `hub=FOLDER`, `discriminator=FILE`: what a row of the table takes in place of weights.

    Raises UnknownName with the nearest names, CheckpointError naming the file, SettingsError for a missing device.
    """
    name, separator, weights = text.partition("=")
    if separator and not weights.strip():
        raise SettingsError(f"{text}: nothing comes after the sign; write {name}=FILE, or {name} alone")
    if separator and name in TABLE:
        return load_detector(name, device=device, weights=weights)
    if separator:
        from detectors.public_checkpoints import PUBLIC

        return load_detector(find(PUBLIC, name, "detector or public checkpoint").family, device=device, weights=text)
    if text not in TABLE and (Path(text).exists() or "/" in text or Path(text).suffix):
        owner = _owner(Path(text))
        if owner not in TABLE:
            return network_detector(trained_row(owner), device=device, weights=Path(text))
        return load_detector(owner, device=device, weights=Path(text))
    return load_detector(text, device=device)


def trained_row(name: str, *, family_name: str = "") -> DetectorRow:
    """A row for what is trained and is in no table of detectors: the networks of a study, or one called otherwise."""
    rules = family(family_name or name)
    return DetectorRow(name, rules.modality, "", "", preprocess=rules.preprocess, family=rules.name)


def _owner(path: Path) -> str:
    """The row of the table, or the family, that a file belongs to, by its metadata or its well-known name."""
    from detectors.checkpoints import locate, read
    from detectors.public_checkpoints import PUBLIC

    note = read(locate(path)).notes.get("detector")
    if isinstance(note, str):
        if note in FAMILIES and not FAMILIES[note].judges:
            raise CheckpointError(
                f"weights: {path} is of {note}, which others are trained from and which judges nothing"
            )
        try:
            return note if note in FAMILIES else find(TABLE, note, "detector").name
        except UnknownName as error:
            raise CheckpointError(f"weights: the metadata of {path} names the detector {note!r}: {error}") from error
    known = next((row.family for row in PUBLIC.values() if path.name in row.files), None)
    if known is None:
        names = ", ".join(row.name for row in TABLE.values() if row.family)
        raise CheckpointError(f"weights: {path} does not say which detector it is for; write NAME={path} with {names}")
    return known
