"""One training inside a study: the loop's own, with its curves kept, and its weights as a detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectors.loading import network_detector, trained_row
from detectors.studies.report import StudySettings
from detectors.torch_detector import TorchDetector
from detectors.training.loop import Progress, Training, TrainingResult, train

Curve = tuple[Sequence[float], Sequence[float]]  # x and y


@dataclass(frozen=True)
class Course:
    """What one training left: its result, the detector that its weights make, and losses by name over steps."""

    result: TrainingResult
    detector: TorchDetector
    losses: Mapping[str, Curve]

    @property
    def history(self) -> Curve:
        """Validation over steps."""
        return [step for step, _ in self.result.history], [value for _, value in self.result.history]


def run_course(settings: StudySettings, what: str, detector: str, **changes: Any) -> Course:
    """Train `detector` on the study's data, from the start, into the folder `weights`, as `what`.

    `changes` are fields of `Training`. Raises what `train` raises.
    """
    out = settings.out / "weights" / f"{what.replace(' ', '-')}.safetensors"
    out.with_suffix(".state.safetensors").unlink(missing_ok=True)
    losses: dict[str, tuple[list[float], list[float]]] = {}

    def report(step: Progress) -> None:
        settings.stage(what, step.step, step.steps)
        for name, value in step.losses.items():
            steps, values = losses.setdefault(name, ([], []))
            steps.append(step.step)
            values.append(value)

    training = Training(
        detector,
        settings.train,
        out,
        validation=settings.validation,
        seed=settings.seed,
        device=settings.device,
        **changes,
    )
    return Course(train(training, report, settings.tell), open_weights(out, detector, what, settings.device), losses)


def open_weights(path: Path, name: str, what: str, device: str = "cpu") -> TorchDetector:
    """The detector of the family `name` with the weights of a file, called `what`."""
    return network_detector(trained_row(what, family_name=name), device=device, weights=path)


def smooth(curve: Curve, most: int = 40) -> Curve:
    """A curve of at most `most` points, each the mean of a stretch: for losses of single batches."""
    x, y = curve
    width = -(-len(x) // most)
    starts = range(0, len(x), width)
    return [x[min(start + width, len(x)) - 1] for start in starts], [
        sum(y[start : start + width]) / len(y[start : start + width]) for start in starts
    ]
