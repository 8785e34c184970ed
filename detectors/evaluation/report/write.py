"""Writes the report folder: `report.json`, `index.html` with everything inside it, and the pictures beside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from detectors.evaluation.evaluation import Evaluation
from detectors.evaluation.frame_order import FORMS
from detectors.evaluation.intervals import FEWEST, span
from detectors.evaluation.report import plots
from detectors.evaluation.report.mistakes import sheet
from detectors.evaluation.summary import Answers

HEADLINES = ("auc", "balanced_accuracy", "mcc", "reward")
NAMES: Mapping[str, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "mcc": "MCC",
    "auc": "AUC",
    "ap": "average precision",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
    "type_1_error": "type I error: reals called synthetic",
    "type_2_error": "type II error: synthetic called real",
    "tpr_at_1_fpr": "found at 1 % false alarms",
    "tpr_at_5_fpr": "found at 5 % false alarms",
    "reward": "expected subnet reward",
}

SHORT: Mapping[str, str] = {  # heads of narrow columns
    "balanced_accuracy": "bal. acc.",
    "reward": "reward",
    "type_1_error": "type I error",
    "tpr_at_1_fpr": "found at 1 % FPR",
    "tpr_at_5_fpr": "found at 5 % FPR",
}


def pictures(evaluation: Evaluation, robust: Mapping[str, Any] | None) -> dict[str, bytes]:
    """PNG by name: roc, reliability, answers, levels, or of an exam kinds; and where there are some mistakes."""
    exam = evaluation.findings.get("exam")
    result = {"kinds": plots.alarms(evaluation.findings["by_kind"])} if exam else _curves(evaluation, robust)
    wrong = sheet(evaluation)
    if wrong is not None:
        result["mistakes"] = wrong
    return result


def _curves(evaluation: Evaluation, robust: Mapping[str, Any] | None) -> dict[str, bytes]:
    given = evaluation.answers
    result = {
        "roc": plots.roc(_by_level(given)),
        "reliability": plots.reliability(given),
        "answers": plots.histogram(given),
    }
    if len(evaluation.findings["by_level"]) > 1:
        result["levels"] = plots.levels(evaluation.findings["by_level"])
    if robust:
        result["robustness"] = plots.curves(robust)
    return result


def _by_level(given: Answers) -> dict[str, Answers]:
    kinds = sorted(set(given.level.tolist()))
    parts = {f"level {kind}": given.where(given.level == kind) for kind in kinds}
    return parts if len(parts) == 1 else {"all levels": given, **parts}


def page(
    evaluation: Evaluation,
    images: Mapping[str, bytes],
    robust: Mapping[str, Any] | None = None,
    comparison: Mapping[str, Any] | None = None,
) -> str:
    """The report as one HTML document that needs nothing else."""
    environment = Environment(
        loader=PackageLoader("detectors.evaluation.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda cell: f"{cell['value']:.3f}"
    environment.filters["range"] = lambda cell: span(cell, ".2f")
    environment.filters["signed"] = lambda cell: span(cell, "+.3f")
    inline = {name: base64.b64encode(data).decode() for name, data in images.items()}
    return environment.get_template("exam.html" if evaluation.findings.get("exam") else "page.html").render(
        findings=evaluation.findings,
        images=inline,
        robust=robust,
        comparison=comparison,
        names=NAMES,
        short=SHORT,
        headlines=HEADLINES,
        fewest=FEWEST,
        forms=FORMS,
    )


def write_report(
    evaluation: Evaluation,
    folder: Path,
    *,
    robust: Mapping[str, Any] | None = None,
    comparison: Mapping[str, Any] | None = None,
) -> Path:
    """Write everything below `folder`; returns the page. Files of an older report there are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    images = pictures(evaluation, robust)
    for name, data in images.items():
        (folder / f"{name}.png").write_bytes(data)
    numbers = {
        **evaluation.findings,
        **({"robustness": robust} if robust else {}),
        **({"compare": comparison} if comparison else {}),
    }
    (folder / "report.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    index = folder / "index.html"
    index.write_text(page(evaluation, images, robust, comparison), encoding="utf-8", errors="backslashreplace")
    return index
