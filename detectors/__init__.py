"""Everything that judges media, and its table: detectors by name, one row each.

Nothing is imported before `load_detector` resolves a row's target.

>>> from detectors import load_detector
>>> load_detector("npr").predict([media])
"""

from __future__ import annotations

from pathlib import Path

from detectors.catalog.images import IMAGE_ROWS
from detectors.catalog.published import PUBLISHED_ROWS
from detectors.catalog.videos import VIDEO_ROWS
from detectors.rows import DetectorRow
from subnet.protocols import Detector
from subnet.registry import find, resolve, table

__all__ = ["TABLE", "load_detector"]

TABLE: dict[str, DetectorRow] = table((*IMAGE_ROWS, *VIDEO_ROWS, *PUBLISHED_ROWS))


def load_detector(name: str, *, device: str = "cpu", weights: Path | str | None = None) -> Detector:
    """The detector called `name`, with the weights that ship here or those of `weights`.

    `weights` is a file, `PUBLIC=FILE` with a name of `detectors.public_checkpoints.PUBLIC`, or a pinned hub address
    (`detectors.checkpoints.locate`). Raises UnknownName, CheckpointError, or SettingsError for a missing device.
    """
    row = find(TABLE, name, "detector")
    detector: Detector = resolve(row.target)(row, device=device, weights=weights)
    return detector
