"""The leak meter: can a trivial classifier tell real from synthetic without looking at the picture?

It runs on raw files of a data set as on the encoded challenges of a validator. Container traits (`traits.py`) are
judged: anything above chance is a shortcut. Encoded size, sharpness and mean colour are properties of the pictures
themselves and are reported apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from subnet.codec import image as codec
from subnet.errors import DataError, MediaError
from subnet.media.leak.appearance import mean_colour, middle, sharpness
from subnet.media.leak.container_traits import GROUPS, traits
from subnet.media.leak.roc import Floats, Ints, auc, plain_auc
from subnet.types import Label, Media

LIMIT = 0.55  # a container above this is a leak when its interval lies above, too
APPEARANCE_LIMIT = 0.65  # size or sharpness above this deserve a warning
FEWEST = 10  # of each label
TIME = "time"  # of the last change: warned of and not judged, since copying class after class sets it
PROBES = {**{group: {group} for group in GROUPS}, "all": {*GROUPS} - {TIME}}
Decode = Callable[[bytes], Media]


@dataclass(frozen=True)
class File:
    """One item as others see it: bytes, name (only its last part counts), time of change in seconds, and the truth.

    Items with the same non-empty `group` (twins of one photo, crops of one source) never help to judge each other, and
    count as one in intervals.
    """

    data: bytes
    name: str
    changed: float
    label: Label
    group: str = ""


class LeakVerdict(StrEnum):
    """LEAK when the interval of some container probe lies above LIMIT, UNSURE when only its centre does."""

    CLEAN = "clean"
    UNSURE = "unsure"
    LEAK = "leak"


@dataclass(frozen=True)
class Probe:
    """Area under the ROC curve of one probe, with a 95 % bootstrap interval over groups; chance is 0.5."""

    name: str
    auc: float
    low: float
    high: float


@dataclass(frozen=True)
class LeakReport:
    """`container` has a probe per group of traits, and "all" of them but times together; the rest is apart."""

    real: int
    synthetic: int
    container: tuple[Probe, ...]
    size: Probe
    sharpness: Probe
    colour: Probe
    undecodable: int
    verdict: LeakVerdict
    warnings: tuple[str, ...]


def measure(files: Iterable[File], *, seed: int = 0, decode_video: Decode = codec.decode_video) -> LeakReport:
    """Probe `files`, of which one at a time is held. Raises DataError when there are fewer than FEWEST of a label."""
    rows = [_row(file, decode_video) for file in files]
    labels = np.array([int(row.label) for row in rows], dtype=np.int64)
    counts = np.bincount(labels, minlength=2)
    if counts.min() < FEWEST:
        raise DataError(
            f"the leak meter needs {FEWEST} items of each label, got {counts[0]} real, {counts[1]} synthetic"
        )
    rng = np.random.default_rng(seed)
    groups = np.array([hash_group(row.group, index) for index, row in enumerate(rows)])
    container = []
    for group, parts in PROBES.items():
        kept = [{k: v for k, v in row.traits.items() if k.partition(".")[0] in parts} for row in rows]
        container.append(_interval(group, _out_of_fold(_matrix(kept), labels, groups, seed), labels, groups, rng))
    usable = np.array([row.looks is not None for row in rows])
    looks = np.array([row.looks for row in rows if row.looks is not None]).reshape(-1, 4)
    size = _one_sided("size", np.array([float(row.size) for row in rows]), labels, groups, rng)
    sharp = _one_sided("sharpness", looks[:, 0], labels[usable], groups[usable], rng)
    scores = _out_of_fold(looks[:, 1:], labels[usable], groups[usable], seed)
    colour = _interval("colour", scores, labels[usable], groups[usable], rng)
    verdict, warnings = _judge(container, size, sharp)
    return LeakReport(
        int(counts[0]), int(counts[1]), tuple(container), size, sharp, colour, int((~usable).sum()), verdict, warnings
    )


@dataclass(frozen=True)
class _Row:
    """What is kept of a file: its size in bytes, and of its pixels the looks (None where it cannot be decoded)."""

    label: Label
    group: str
    size: int
    traits: Mapping[str, float]
    looks: tuple[float, float, float, float] | None


def _row(file: File, decode_video: Decode) -> _Row:
    found = traits(file.data, file.name, file.changed)
    return _Row(file.label, file.group, len(file.data), found, _appearance(file.data, decode_video))


def hash_group(group: str, index: int) -> str:
    """The name of a group, a lone item being one of its own."""
    return group or f"\0{index}"


def _judge(container: Sequence[Probe], size: Probe, sharp: Probe) -> tuple[LeakVerdict, tuple[str, ...]]:
    warnings = [
        f"{p.name} tells the label: AUC {p.auc:.2f} ({p.low:.2f}-{p.high:.2f})" for p in container if p.low > LIMIT
    ]
    judged = [p for p in container if p.name != TIME]
    verdict = LeakVerdict.LEAK if any(p.low > LIMIT for p in judged) else LeakVerdict.CLEAN
    if verdict is LeakVerdict.CLEAN and any(p.auc > LIMIT for p in judged):
        verdict = LeakVerdict.UNSURE
    advice = "detectors may learn it instead of traces"
    plain = (p for p in (size, sharp) if p.auc > APPEARANCE_LIMIT)
    warnings += [f"{p.name} alone reaches AUC {p.auc:.2f}: {advice}" for p in plain]
    return verdict, tuple(warnings)


def _appearance(data: bytes, decode_video: Decode) -> tuple[float, float, float, float] | None:
    """Sharpness and mean colour; None for what cannot be decoded."""
    try:
        media = decode_video(data) if data[4:8] == b"ftyp" else codec.decode_image(data, codec.FILE_IMAGES)
    except MediaError:
        return None
    return sharpness(middle(media)[None]), *mean_colour(media)


def _matrix(rows: Sequence[dict[str, float]]) -> Floats:
    """Rows of named numbers as a matrix with a column per name; what a row lacks is 0."""
    columns = {name: index for index, name in enumerate(sorted({name for row in rows for name in row}))}
    matrix = np.zeros((len(rows), max(1, len(columns))))
    for index, row in enumerate(rows):
        for name, value in row.items():
            matrix[index, columns[name]] = value
    return matrix


def _out_of_fold(matrix: Floats, labels: NDArray[np.int64], groups: NDArray[np.str_], seed: int) -> Floats:
    """Each item's score by twenty boosted trees that saw neither it nor others of its group; 0.5 without any signal.

    Columns that never change are left out: five folds, stratified by label.
    """
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    matrix = matrix[:, matrix.std(axis=0) > 0]
    scores = np.full(len(labels), 0.5)
    if matrix.shape[1] == 0:
        return scores
    folds = StratifiedGroupKFold(n_splits=5, shuffle=True, random_state=seed)
    for train, held_out in folds.split(matrix, labels, groups):
        if len(set(labels[train])) < 2:
            continue
        trees = GradientBoostingClassifier(
            n_estimators=20, max_depth=2, min_samples_leaf=5, subsample=0.8, max_features=0.3, random_state=seed
        )
        trees.fit(matrix[train], labels[train])
        scores[held_out] = trees.predict_proba(matrix[held_out])[:, 1]
    return scores


def _interval(name: str, scores: Floats, labels: Ints, groups: NDArray[np.str_], rng: np.random.Generator) -> Probe:
    both = len(set(labels.tolist())) == len(Label)
    low, high = (
        np.quantile(auc(scores, labels, _resamples(labels, groups, rng)), [0.025, 0.975]) if both else (0.5, 0.5)
    )
    return Probe(name, plain_auc(scores, labels), float(low), float(high))


def _resamples(labels: Ints, groups: NDArray[np.str_], rng: np.random.Generator, times: int = 500) -> Floats:
    """How often each item is drawn (times, N): groups as wholes, of each label as many as there are."""
    w_RN = np.zeros((times, len(labels)))
    for label in Label:
        members = np.flatnonzero(labels == int(label))
        names, group_of = np.unique(groups[members], return_inverse=True)
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=times)
        w_RN[:, members] = drawn[:, group_of]
    return w_RN


def _one_sided(name: str, values: Floats, labels: Ints, groups: NDArray[np.str_], rng: np.random.Generator) -> Probe:
    """One number as the score, turned so that its AUC is at least 0.5."""
    return _interval(name, values if plain_auc(values, labels) >= 0.5 else -values, labels, groups, rng)
