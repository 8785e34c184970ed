"""From flags to detectors that have passed their self-test, one on each device, and the files that they came from."""

from __future__ import annotations

import os
import re
from pathlib import Path

import structlog

from detectors import TABLE
from detectors.acceleration.exported import open_exported
from detectors.evaluation.self_test import self_test
from detectors.loading import open_detector
from neurons import settings as s
from neurons.log import Log
from neurons.miner.settings import JudgeSettings, wrong_modality
from subnet.errors import CheckpointError
from subnet.protocols import Detector
from subnet.types import Modality

Fingerprint = tuple[tuple[str, int, int, int], ...]
Placed = dict[str, Detector]  # by the place that it runs in: `JudgeSettings.places`
_log: Log = structlog.get_logger(program="miner")


def load_detectors(wanted: JudgeSettings) -> dict[Modality, Placed]:
    """Both detectors, after their self-test. On a CPU torch is imported only for what has no export.

    Raises SettingsError when one answers for the other modality, and what opening and testing one raises.
    """
    return {modality: load_detector(wanted, modality) for modality in Modality}


def load_detector(wanted: JudgeSettings, modality: Modality) -> Placed:
    """The detector of one modality in every place. A place that fails is told and left out where another does not.

    Raises as `load_detectors`.
    """
    text, loaded, faults = wanted.of(modality), dict[str, Detector](), dict[str, CheckpointError]()
    guesses = text in TABLE and not TABLE[text].family
    places = {next(iter(wanted.places)): "cpu"} if guesses else wanted.places
    fast, threads = wanted.serving == "fast" and not guesses, _threads(len(places))
    for place, device in places.items():
        try:
            loaded[place] = _tested(text, modality, s.device(device, "--detector.device"), fast, threads)
        except CheckpointError as error:
            faults[place] = CheckpointError(f"--detector.{modality} {text}: {error}")
    if not loaded:
        raise next(iter(faults.values()))
    for place, fault in faults.items():
        _log.error("a device is left out", device=place, why=str(fault), serving_on=list(loaded))
    return loaded


def _tested(text: str, modality: Modality, device: str, fast: bool, threads: int) -> Detector:
    try:
        detector = _opened(text, device, fast, threads)
    except (RuntimeError, MemoryError) as error:  # a GPU that is full, or lost
        raise CheckpointError(f"{device}: {error}") from error
    if detector.modality is not modality:
        raise wrong_modality(modality, text)
    self_test(detector)
    return detector


def _threads(places: int) -> int:
    """Of each replica on this CPU; 0 is one per core, for the only one."""
    return max(1, len(os.sched_getaffinity(0)) // places) if places > 1 else 0


def _opened(text: str, device: str, fast: bool, threads: int) -> Detector:
    cache = s.home() / "serving"
    if fast and device == "cpu" and (exported := open_exported(text, cache, threads=threads)) is not None:
        return exported
    detector = open_detector(text, device=device)
    if not fast:
        return detector
    from detectors.acceleration.accelerate import accelerated

    return accelerated(detector, cache=cache)


def fingerprint(text: str) -> Fingerprint:
    """Path, inode, bytes and time in nanoseconds of every file that `text` names; another one after each change.

    Names of the table have no files to look at: what ships changes with the program.
    """
    words = (word for part in text.partition("=") for word in (part, *re.split("[=,]", part)))
    paths = (Path(word).expanduser() for word in dict.fromkeys(words) if word.strip() and word not in TABLE)
    files = (file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path]) if file.is_file())
    facts = ((str(file), file.stat()) for file in files)
    return tuple((name, fact.st_ino, fact.st_size, fact.st_mtime_ns) for name, fact in facts)
