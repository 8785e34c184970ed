"""A detector that is served from its kept export alone: numpy, Pillow and onnxruntime, never torch.

The first start makes the export in a process of its own (`detectors.acceleration.making`), since that needs torch. The
file is found by what was typed, the weights' bytes and the version of torch; what stands around the network travels in
it, with the answer that torch gave to the example of the self-test.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors import TABLE
from detectors.acceleration.options import ON_CPU
from detectors.acceleration.session import ExportError, log_odds, out_of_memory, session
from detectors.calibration import Calibration
from detectors.evaluation.self_test import example
from detectors.fetching.store import fetched, weights_hash
from detectors.pixels.arrays import Array
from detectors.pixels.views import VIEWS
from detectors.rows import Preprocess
from subnet.errors import CheckpointError, MediaUnreadable
from subnet.types import Media, Modality, Prediction

ABOUT: Final = "assay"  # the key of the model's metadata
FORMAT: Final = 1
FAITHFUL: Final = 1e-4  # most that log-odds of the example may differ from torch's, beyond 1 as a share of them
PATIENCE: Final = 1800.0  # seconds for an export
EXPORTS: Final = 32  # kept ones
NONE: Final = b""  # in the place of an export that is not possible, so that it is tried once
REFUSED: Final = 3  # the exit status of `making` for weights that are no weights, or fail their self-test
NETWORKS: Final = "detectors.loading:network_detector"


@dataclass(frozen=True)
class About:
    """What stands around a network; `views` is a key of `VIEWS`, `example` the log-odds that torch gives to it."""

    name: str
    modality: Modality
    weights_hash: str
    views: str
    preprocess: Preprocess
    calibration: Calibration
    example: float

    def to_text(self) -> str:
        return json.dumps({**asdict(self), "calibration": self.calibration.to_json()}, sort_keys=True)


def about_from(text: str) -> About:
    """What `to_text` wrote. Raises ExportError."""
    try:
        values = dict(json.loads(text))
        VIEWS[values["views"]]
        preprocess = {**values["preprocess"], **{key: tuple(values["preprocess"][key]) for key in ("mean", "std")}}
        own = {**values, "modality": Modality(values["modality"]), "preprocess": Preprocess(**preprocess)}
        return About(**{**own, "calibration": Calibration.from_json(values["calibration"])})
    except (ValueError, TypeError, LookupError) as error:
        raise ExportError(f"the export does not say what it is: {error}") from error


class Exported:
    """A `Detector` over a session of onnxruntime. Raises ExportError for a model that is not one of ours."""

    def __init__(self, model: bytes, *, threads: int = 0, batch: int = ON_CPU.batch) -> None:
        self._session = session(model, threads)
        about = about_from(self._session.get_modelmeta().custom_metadata_map.get(ABOUT, ""))
        self.about, self.name, self.modality, self.weights_hash = about, about.name, about.modality, about.weights_hash
        self.calibration, self.batch, self._views = about.calibration, batch, VIEWS[about.views]

    def views(self, media: Media) -> Array:
        """The network's input for one item. Raises MediaUnreadable for media of the other modality."""
        if media.modality is not self.modality:
            raise MediaUnreadable(f"{self.name} judges {self.modality} media and was given {media.modality}")
        return self._views(media, self.about.preprocess)

    def logits(self, batch: Sequence[Media]) -> NDArray[np.float32]:
        """One raw log-odds per item, the mean over its views: (N,). Raises MemoryError."""
        means: list[np.float32] = []
        for _, alike in groupby(map(self.views, batch), key=lambda view: view.shape[1:]):
            views = list(alike)
            stacked = np.concatenate(views)
            chunks = [stacked[first : first + self.batch] for first in range(0, len(stacked), self.batch)]
            answers = np.concatenate([self._ask(chunk) for chunk in chunks])
            ends = np.cumsum([len(view) for view in views])[:-1]
            means += [each.mean() for each in np.split(answers, ends)]
        return np.array(means, np.float32)

    def _ask(self, views: Array) -> NDArray[np.float32]:
        try:
            return log_odds(self._session, views)
        except RuntimeError as error:
            if out_of_memory(str(error)):
                raise MemoryError(f"{len(views)} views do not fit into memory") from error
            raise

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        """Calibrated P(synthetic), in order. Raises MediaUnreadable, and CheckpointError for an answer of no number."""
        logits = self.logits(batch)
        if not np.isfinite(logits).all():
            raise CheckpointError(
                f"weights: {self.name} ({self.weights_hash[:12]}) answers NaN or infinity; take others"
            )
        return [Prediction(self.calibration.probability(float(logit))) for logit in logits]


@dataclass(frozen=True)
class Place:
    """Where an export is kept, and the sha256 of the weights that it must have been made of."""

    file: Path
    weights: str


def place(text: str, cache: Path) -> Place | None:
    """Where the export of the detector meant by `text` is kept; None where it can have none.

    None, too, for what torch's own way is to refuse: names and files that are not there.
    """
    name, separator, weights = text.partition("=")
    row = TABLE.get(name)
    if row is not None and (row.target != NETWORKS or (separator and "," in weights)):
        return None
    if row is not None and not separator and row.files and not fetched(row):
        return None
    if row is not None and not separator:
        named, digest = repr(row), weights_hash(row) if row.files else row.sha256
    else:
        file = Path(weights if separator else text).expanduser()
        if not file.is_file():
            return None
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        named = f"{name if separator else ''} {file.name} {digest}"
    key = hashlib.sha256(f"{FORMAT} {metadata.version('torch')} {named}".encode()).hexdigest()
    return Place(cache / f"{name if row else 'own'}-{key[:24]}.onnx", digest)


def kept(place: Place, threads: int = 0) -> Exported | None:
    """The detector of an export of an earlier run, which counts as new by that.

    None for one that is damaged, is of other weights, or answers otherwise than torch did.
    """
    try:
        detector = Exported(place.file.read_bytes(), threads=threads)
        wanted = detector.about.example
        off = abs(float(detector.logits([example(detector.modality)])[0]) - wanted) / max(1.0, abs(wanted))
        place.file.touch()
    except (ExportError, OSError, RuntimeError):
        return None
    return detector if off <= FAITHFUL and detector.weights_hash == place.weights else None


def make(text: str, file: Path) -> None:
    """Export in a process of its own, which imports torch; it leaves NONE where that is not possible.

    Raises CheckpointError, with what that process says, for weights that no way of serving them takes.
    """
    command = [sys.executable, "-m", "detectors.acceleration.making", text, str(file)]
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode == REFUSED:
            raise CheckpointError(done.stderr.strip().splitlines()[-1])


def open_exported(
    text: str, cache: Path, make: Callable[[str, Path], Any] = make, *, threads: int = 0
) -> Exported | None:
    """The detector meant by `text`, out of the folder `cache` or exported into it; None where torch must serve it.

    `threads` are those of the session, 0 for one per core. Raises CheckpointError as `make` does.
    """
    where = place(text, cache)
    if where is None:
        return None
    if where.file.is_file() and not where.file.stat().st_size:
        return None
    if (detector := kept(where, threads)) is not None:
        return detector
    make(text, where.file)
    _tidy(cache)
    return kept(where, threads)


def _tidy(cache: Path) -> None:
    """Weights that are replaced while a miner serves would leave their exports for good: the newest EXPORTS stay."""
    made = sorted(cache.glob("*.onnx"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in made[EXPORTS:]:
        file.unlink(missing_ok=True)
