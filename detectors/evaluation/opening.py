"""From what a person types to a detector: a name of the table, a checkpoint file, or NAME=WEIGHTS."""

from __future__ import annotations

from pathlib import Path

from detectors import TABLE, load_detector
from subnet.errors import CheckpointError
from subnet.protocols import Detector
from subnet.registry import find


def open_detector(text: str, *, device: str = "cpu") -> Detector:
    """The detector meant by `text`:

    - `npr`: a row of the table with the weights that ship here;
    - `runs/npr.safetensors`: a file that says which detector it belongs to, or a public file known by its name;
    - `npr=FILE`, `npr=hub:...`, `npr-official=NPR.pth`: weights for a named detector or of a known publication.

    Raises UnknownName with the nearest names, CheckpointError naming the file, SettingsError for a missing device.
    """
    name, separator, weights = text.partition("=")
    if separator and name in TABLE:
        return load_detector(name, device=device, weights=weights)
    if separator:
        from detectors.public_checkpoints import PUBLIC

        return load_detector(find(PUBLIC, name, "detector or public checkpoint").family, device=device, weights=text)
    if text not in TABLE and (Path(text).exists() or "/" in text or Path(text).suffix):
        return load_detector(_owner(Path(text)), device=device, weights=Path(text))
    return load_detector(text, device=device)


def _owner(path: Path) -> str:
    """The row of the table that a file belongs to, by its metadata or its well-known name."""
    from detectors.checkpoints import locate, read
    from detectors.public_checkpoints import PUBLIC

    said = read(locate(path)).notes.get("detector")
    if isinstance(said, str):
        return find(TABLE, said, "detector").name
    known = next((row.family for row in PUBLIC.values() if path.name in row.files), None)
    if known is None:
        names = ", ".join(row.name for row in TABLE.values() if row.weights)
        raise CheckpointError(f"weights: {path} does not say which detector it is for; write NAME={path} with {names}")
    return known
