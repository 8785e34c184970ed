"""Fetched weights on disk: $ASSAY_HOME/weights/ROW/FILE, and the sha256 of each in weights/sha256.json.

The first fetch writes a file's sha256 down; from then on no other bytes are taken for it, neither fetched nor loaded.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from detectors.rows import DetectorRow, Origin
from subnet.errors import CheckpointError, StateError
from subnet.files import home, write_atomically

RECORD = "sha256.json"


def place(row: DetectorRow, origin: Origin) -> Path:
    """Where a file of a row is kept."""
    return home() / "weights" / row.name / origin.name


def record() -> dict[str, str]:
    """sha256 by address of everything that was ever fetched here. Raises StateError for a damaged record."""
    path = home() / "weights" / RECORD
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StateError(
            f"{path} cannot be read ({error}): take it from a backup; without it a changed file would go unnoticed"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise StateError(f"{path} is no record of fetched weights: take it from a backup")
    return found


def remember(origin: Origin, sha256: str) -> None:
    """Write down what a file's bytes are. Raises StateError, OSError."""
    written = {**record(), origin.address: sha256}
    text = json.dumps(written, indent=1, sort_keys=True) + "\n"
    write_atomically(home() / "weights" / RECORD, text.encode())


def expected(origin: Origin) -> str:
    """The sha256 that a file must have: the row's, else that of the first fetch, else ""."""
    return origin.sha256 or record().get(origin.address, "")


def hold_to(origin: Origin, sha256: str) -> None:
    """Raises CheckpointError where the bytes of a file are others than those that are pinned or were fetched first."""
    wanted = expected(origin)
    if wanted and sha256 != wanted:
        since = "is pinned" if origin.sha256 else "was fetched first"
        raise CheckpointError(
            f"weights: {origin.address} has sha256 {sha256}, but {wanted} {since}: it was changed on its way or by its "
            f"authors, and is not taken; where you trust the new file, give it by its path (NAME=FILE)"
        )


def fetched(row: DetectorRow) -> bool:
    """Whether all files of a row are here. Their bytes are looked at when they are loaded."""
    return bool(row.files) and all(place(row, origin).is_file() for origin in row.files)


def files_of(row: DetectorRow) -> list[tuple[Path, str]]:
    """Every file of a row with the sha256 that it must have. Raises CheckpointError for a row that was not fetched."""
    if not fetched(row):
        raise CheckpointError(
            f"weights: those of {row.name} are not here: `assay fetch {row.name}` brings them ({bulk(row)}, "
            f"licence {row.licence}); or write {row.name}=FILE"
        )
    return [(place(row, origin), expected(origin)) for origin in row.files]


def weights_hash(row: DetectorRow) -> str:
    """The sha256 that a detector of fetched weights bears: of several files that of theirs, in their order."""
    hashes = [expected(origin) for origin in row.files]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def bulk(row: DetectorRow) -> str:
    """How much a fetch of a row brings, for people."""
    size = sum(origin.size for origin in row.files)
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
