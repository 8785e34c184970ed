"""The tables of the study of patches: one for each experiment, sizes of patches as columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from detectors.dataset.items import read_folder
from detectors.evaluation.evaluation import Task, evaluate, items
from detectors.evaluation.intervals import measure
from detectors.evaluation.metrics import Floats, Ints
from detectors.patchwise import votes
from detectors.studies.controls import CHANCE, against
from detectors.studies.patchwise.runs import RANDOM, Division, Judged, Run, course, on_grid
from detectors.studies.report import Cell, StudySettings, Table
from detectors.training.loop import select
from detectors.training.recipes import recipe
from detectors.training.validation_set import examples
from subnet.media.leak.roc import plain_auc, ratio
from subnet.types import Modality

BEST = 5  # epochs of the second indicator
THRESHOLDS = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
SHARES = (1.0, 0.75, 0.5, 0.25, 0.1)
ORDER = "Epochs are ranked by validation AUC of the mean of log-odds, never by what is measured here."


def balanced(right: Floats, y: Ints, w_RN: Floats) -> Floats:
    """The mean share of right answers (N,), both classes weighing the same: accuracy on balanced classes."""
    by_class = [ratio(w_RN @ np.where(y == kind, right, 0.0), w_RN @ (y == kind)) for kind in (0, 1)]
    mean: Floats = np.mean(by_class, axis=0)
    return mean


def accuracy(right: Floats, judged: Judged, kept: votes.Flags) -> Cell:
    """Accuracy over the items that are `kept`, with its interval."""
    found = measure(right[kept], judged.y[kept], judged.cluster[kept], {"accuracy": balanced})
    return found["accuracy"].to_json()


def right(verdicts: votes.Flags | Floats, judged: Judged) -> Floats:
    """Whether verdicts (N,) are right, or for those of patches (N, P) the share of them that are."""
    truth = judged.y == 1
    hits = verdicts == (truth if verdicts.ndim == 1 else truth[:, None])
    share: Floats = hits.reshape(len(hits), -1).mean(axis=1)
    return share


Rule = Callable[[Floats], votes.Flags]
RULES: Mapping[str, Rule] = {
    "majority, a tie is synthetic": votes.majority,
    "mean of log-odds": lambda x: votes.mean_log_odds(x) > 0,
}


def indicators(runs: Sequence[Run], judged: Judged, rule: Rule) -> dict[str, list[Cell]]:
    """Accuracy of the best epoch, the mean of the BEST best ones, and the mean of all; columns are sizes of patches."""
    rows: dict[str, list[Cell]] = {"best epoch": [], f"mean of {BEST} best epochs": [], "mean of all epochs": []}
    for each in runs:
        hits = [right(rule(x), judged) for x in each.epochs]
        ones = np.ones((1, int(judged.known.sum())))
        values = [float(balanced(hit[judged.known], judged.y[judged.known], ones)[0]) for hit in hits]
        cells = (accuracy(hits[0], judged, judged.known), float(np.mean(values[:BEST])), float(np.mean(values)))
        for row, cell in zip(rows.values(), cells, strict=True):
            row.append(cell)
    return rows


def remarks(
    sizes: Sequence[str], rows: Mapping[str, Sequence[Cell]], epochs: int, *, quick: bool, key: str = "best epoch"
) -> str:
    """What is odd about the indicators `rows`: sizes that answer .500 after their best epoch, and too few epochs."""
    values = [cell["value"] if isinstance(cell, Mapping) else cell for cell in rows[key]]
    even = [
        name
        for name, value in zip(sizes, values, strict=True)
        if isinstance(value, float) and f"{value:.3f}" == "0.500"
    ]
    notes = []
    if even:
        notes.append(
            f"{', '.join(even)} did not learn in the {'quick' if quick else 'whole'} course: .500 is guessing."
        )
    if epochs <= BEST:
        notes.append(f"{epochs} epoch{'s' * (epochs > 1)} ran: the mean of the {BEST} best is the mean of all.")
    return " ".join(notes)


def beside_control(table: Table) -> Table:
    """Accuracies with both classes weighing the same, beside those of always answering "synthetic"."""
    return against(table, {"": [CHANCE] * len(table.columns)}, table.columns)


def columns(runs: Sequence[Run]) -> tuple[str, ...]:
    """Names of the sizes."""
    return tuple(f"{each.patch} px" for each in runs)


def single(runs: Sequence[Run], judged: Judged, *, quick: bool = False) -> Table:
    """Experiment 1."""
    rows = indicators(runs, judged, lambda x: x > 0)
    note = f"{ORDER} {remarks(columns(runs), rows, len(runs[0].epochs), quick=quick)}".strip()
    return beside_control(
        Table("1. Accuracy on single patches, both classes weighing the same", columns(runs), rows, note)
    )


def joined(runs: Sequence[Run], judged: Judged, *, quick: bool = False) -> Table:
    """Experiment 2, and the mean of log-odds beside it."""
    by_rule = {name: indicators(runs, judged, rule) for name, rule in RULES.items()}
    told = [remarks(columns(runs), rows, len(runs[0].epochs), quick=quick) for rows in by_rule.values()]
    rows = {f"{name}: {row}": cells for name, found in by_rule.items() for row, cells in found.items()}
    note = " ".join([ORDER, *filter(None, dict.fromkeys(told))])
    return beside_control(
        Table("2. Accuracy on pictures, by all patches that do not overlap", columns(runs), rows, note)
    )


def at_random(runs: Sequence[Run], judged: Judged) -> Table:
    """Experiment 3."""
    rows: dict[str, list[Cell]] = {}
    for count in range(1, RANDOM + 1, 2):
        cells = [accuracy(right(votes.of_first(each.random, count), judged), judged, judged.known) for each in runs]
        rows[f"{count} patch{'' if count == 1 else 'es'}"] = cells
    note = "Majority of an odd number of patches at random places, which may overlap; best epoch."
    return beside_control(Table("3. Accuracy on pictures, by patches at random places", columns(runs), rows, note))


def reliable(runs: Sequence[Run], judged: Judged) -> Table:
    """Experiment 4, the rule of a threshold."""
    rows: dict[str, list[Cell]] = {}
    for threshold in THRESHOLDS:
        hits = [right(votes.majority(each.best, votes.above(each.best, threshold)), judged) for each in runs]
        rows[f"above {threshold:g}"] = [accuracy(hit, judged, judged.known) for hit in hits]
    note = "Majority of the patches with |P(real) - P(synthetic)| above the threshold, of all where none is."
    return beside_control(Table("4a. Accuracy on pictures, by reliable patches only", columns(runs), rows, note))


def by_share(runs: Sequence[Run], judged: Judged) -> Table:
    """Experiment 4, the rule of a share."""
    rows: dict[str, list[Cell]] = {}
    for share in SHARES:
        hits = [right(votes.majority(each.best, votes.top(each.best, share)), judged) for each in runs]
        rows[f"the top {share:.0%}"] = [accuracy(hit, judged, judged.known) for hit in hits]
    note = "Majority of the patches that are sorted first by |P(real) - P(synthetic)|, at least one; best epoch."
    return beside_control(
        Table("4b. Accuracy on pictures, by the most reliable share of patches", columns(runs), rows, note)
    )


def transfer(
    runs: Sequence[Run], judged: Judged, division: Division, others: Mapping[str, Judged] | None = None
) -> Table:
    """Experiment 5: on the parts of the test set that training left out, and on further test sets."""
    real = judged.y == 0
    parts = {"content and generator of training": judged.known}
    if division.content:
        parts[f"other content ({division.content})"] = ~judged.known_content & judged.known_generator
    if division.generator:
        parts[f"other generator ({division.generator})"] = judged.known_content & (real | ~judged.known_generator)
    if division.content and division.generator:
        parts["other content and other generator"] = ~judged.known_content & (real | ~judged.known_generator)
    rules: Mapping[str, Rule] = {"single patches": lambda x: x > 0, **RULES}
    rows = {
        f"{part}: {name}": [accuracy(right(rule(each.best), judged), judged, kept) for each in runs]
        for part, kept in parts.items()
        if len(set(judged.y[kept].tolist())) == 2
        for name, rule in rules.items()
    }
    for part, other in (others or {}).items():
        everything = np.ones(len(other.y), dtype=bool)
        for name, rule in rules.items():
            hits = [right(rule(each.others[part]), other) for each in runs]
            rows[f"{part}/: {name}"] = [accuracy(hit, other, everything) for hit in hits]
    return beside_control(
        Table(
            "5. Accuracy on other content and on another generator",
            columns(runs),
            rows,
            f"Best epoch. {_how(division)}".strip(),
        )
    )


def _how(division: Division) -> str:
    if division.content or division.generator:
        return ""
    return (
        "Of these data nothing is left out: other test sets are folders other-content/, other-generator/ beside test/."
    )


def aggregation(settings: StudySettings, division: Division, runs: Sequence[Run]) -> Table:
    """Which rule the detector should have, told by validation items at levels 0-3 in turn."""
    wanted = course(settings, division, runs[0].patch, 1)
    records = select(read_folder(settings.validation), recipe("patchwise"), wanted)
    shown = examples(records, 80 if settings.quick else 200, seed=settings.seed)
    y, ones = np.array(shown.labels), np.ones((1, len(shown.labels)))
    rows: dict[str, list[Cell]] = {}
    for each in runs:
        x = on_grid(each.detector, shown.media)
        scores = {"majority": (x > 0).mean(axis=1) - 0.5, "mean of log-odds": votes.mean_log_odds(x)}
        for name, score in scores.items():
            called = (score >= 0) if name == "majority" else (score > 0)
            value = float(balanced((called == (y == 1)).astype(np.float64), y, ones)[0])
            rows.setdefault(f"{name}: AUC", []).append(float(plain_auc(score, y)))
            rows.setdefault(f"{name}: accuracy", []).append(value)
    note = "AUC of the majority is that of the share of patches that are called synthetic. The detector takes the mean."
    return Table("Validation: which rule joins the patches best", columns(runs), rows, note)


def at_all_levels(settings: StudySettings, runs: Sequence[Run]) -> Table:
    """The detectors of all sizes, with calibration, as `assay evaluate` measures them on the whole test folder."""
    levels = (0, 2) if settings.quick else (0, 1, 2, 3)
    task = Task(str(settings.test), settings.test, levels, 60 if settings.quick else None, settings.seed)
    records = items(task, Modality.IMAGE)
    total = len(records) * len(levels)
    done = evaluate(
        [each.detector for each in runs], task, records, progress=lambda count: settings.stage("levels", count, total)
    )
    findings = [each.findings for each in done]
    names = {"auc": "AUC", "balanced_accuracy": "accuracy", "mcc": "MCC", "ece": "ECE", "reward": "reward"}
    rows: dict[str, list[Cell]] = {
        f"{text}, all levels": [{key: found[name][key] for key in ("value", "low", "high")} for found in findings]
        for name, text in names.items()
    }
    for level in map(str, levels):
        rows[f"AUC, level {level}"] = [found["by_level"][level]["auc"] for found in findings]
    note = "Mean of log-odds, calibrated; all content and all generators of the test folder."
    return Table("As detectors", columns(runs), rows, note)
