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
from detectors.pixels.arrays import Array
from detectors.pixels.views import VIEWS
from detectors.rows import Preprocess
from subnet.errors import CheckpointError, MediaUnreadable
from subnet.types import Media, Modality, Prediction

ABOUT: Final = "assay"  # the key of the model's metadata
FORMAT: Final = 1
FAITHFUL: Final = 1e-4  # most that log-odds of the example may differ from torch's, beyond 1 as a share of them
PATIENCE: Final = 1800.0  # seconds for an export
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


def place(text: str, cache: Path) -> Path | None:
    """The file in which the export of the detector meant by `text` is kept; None where it can have none.

    None, too, for what torch's own way is to refuse: names and files that are not there.
    """
    name, separator, weights = text.partition("=")
    row = TABLE.get(name)
    if row is not None and (row.target != NETWORKS or (separator and "," in weights)):
        return None
    if row is not None and not separator:
        named = repr(row)
    else:
        file = Path(weights if separator else text).expanduser()
        if not file.is_file():
            return None
        named = f"{name if separator else ''} {file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}"
    key = hashlib.sha256(f"{FORMAT} {metadata.version('torch')} {named}".encode()).hexdigest()
    return cache / f"{name if row else 'own'}-{key[:24]}.onnx"


def kept(file: Path) -> Exported | None:
    """The detector of an export of an earlier run; None for one that is damaged or answers otherwise than torch did."""
    try:
        detector = Exported(file.read_bytes())
        wanted = detector.about.example
        off = abs(float(detector.logits([example(detector.modality)])[0]) - wanted) / max(1.0, abs(wanted))
    except (ExportError, OSError, RuntimeError):
        return None
    return detector if off <= FAITHFUL else None


def make(text: str, file: Path) -> None:
    """Export in a process of its own, which imports torch; it leaves no file where that is not possible."""
    command = [sys.executable, "-m", "detectors.acceleration.making", text, str(file)]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE)


def open_exported(text: str, cache: Path, make: Callable[[str, Path], Any] = make) -> Exported | None:
    """The detector meant by `text`, out of the folder `cache` or exported into it; None where torch must serve it."""
    file = place(text, cache)
    if file is None:
        return None
    if (detector := kept(file)) is not None:
        return detector
    make(text, file)
    return kept(file)
