"""Does what several miners say together tell more than the best of them? By the detectors that ship, each a miner.

    python -m benchmarks.together FILE.parquet ... [--json FILE]

The files are answers to the exam `challenges` of `benchmarks.claims` (`judge challenges`, also with `--detectors`):
photographs of the embedded test set and a twin of each by an embedded generator, as validators send them. Half of the
photographs, with their twins, are the validator's past: by them the miners have a score and a skill. Then each file of
the other half is asked, and the halves change places.

    drawn       the gateway's own way: 5 miners, drawn by the weights that they earned in the past
    best        the answer of the one miner that was best in the past, calibrated as the gateway does with one answer
    hindsight   the same of the one that is best on the very files that are judged: no one can know it before

All on the same files and the same answers; brackets are 95 % bootstrap intervals over photographs of the difference.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import opinions
from benchmarks.tables import cell
from detectors.evaluation.intervals import resamples
from detectors.evaluation.metrics import accuracy
from neurons.gateway.asking import choose
from neurons.gateway.judgement.aggregation import aggregate
from neurons.gateway.judgement.skill import Ballot, Skills, measure
from subnet.errors import SettingsError
from subnet.game.history import History
from subnet.game.scoring import settle, weights
from subnet.media.leak.roc import auc
from subnet.types import Modality, Neuron, Outcome, Prediction

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ASKED = 5
LEVELS = 4
SUBNETS = {"all": (), "without ensemble and camo": ("ensemble", "camo")}  # who does not serve


@dataclass(frozen=True)
class Asked:
    """One file: the photograph that it is or was made from, the truth, and what each miner says of it."""

    photograph: int
    ballot: Ballot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="answers to the same exam, by one or more detectors each")
    parser.add_argument("--json", type=Path, help="write the table there")
    given = parser.parse_args()
    files = asked([opinions.read(path) for path in given.files])
    rows = [row for name, without in SUBNETS.items() for row in compared(name, drop(files, without))]
    for row in rows:
        print(*[each if isinstance(each, str) else cell(each, (3, 3)) for each in row], sep="  ")
    if given.json:
        given.json.write_text(json.dumps(result(rows, files), indent=2) + "\n")


def asked(told: Sequence[opinions.Opinions]) -> list[Asked]:
    """Every question with what each detector said, the miners in random order, as in a round."""
    said = {name: given for each in told for name, given in each.items()}
    names, rng = sorted(said), np.random.default_rng(1)
    contents = sorted({each.content for each in said[names[0]]})
    number = dict(zip(rng.permutation(contents).tolist(), range(len(contents)), strict=True))
    files = []
    for rows in zip(*(said[name] for name in names), strict=True):
        if len({(row.label, row.kind, row.content) for row in rows}) != 1:
            raise SettingsError("the files are answers to different exams")
        order = rng.permutation(len(names)).tolist()
        answers = {names[n]: rows[n].p_synthetic for n in order}
        files.append(Asked(number[rows[0].content], Ballot(rows[0].label, answers)))
    return files


def drop(files: Sequence[Asked], names: Sequence[str]) -> list[Asked]:
    kept = [{name: p for name, p in each.ballot.said.items() if name not in names} for each in files]
    return [Asked(each.photograph, Ballot(each.ballot.label, said)) for each, said in zip(files, kept, strict=True)]


def compared(name: str, files: Sequence[Asked]) -> list[list[Any]]:
    """A row for each way, the difference from the gateway's behind each measure."""
    parts: list[dict[str, Floats]] = []
    order: list[Asked] = []
    for half in (0, 1):
        past = [each for each in files if each.photograph % 2 != half]
        now = [each for each in files if each.photograph % 2 == half]
        parts.append(ways(past, now))
        order += now
    answers = {way: np.concatenate([part[way] for part in parts]) for way in parts[0]}
    truth = np.array([int(each.ballot.label) for each in order])
    contents = np.unique([each.photograph for each in order], return_inverse=True)[1]
    draws = resamples(contents, 2000, 5)
    once, rows = np.ones((1, len(truth))), []
    for way, p in answers.items():
        cells: list[Any] = [name, way]
        for metric in (auc, accuracy, loss):
            lead = metric(answers["drawn"], truth, draws) - metric(p, truth, draws)
            value = float((metric(answers["drawn"], truth, once) - metric(p, truth, once))[0])
            cells.append(interval(float(metric(p, truth, once)[0]), metric(p, truth, draws)))
            cells.append("" if way == "drawn" else interval(value, lead))
        rows.append(cells)
    return rows


def interval(value: float, spread: Floats) -> dict[str, float]:
    low, high = np.nanquantile(spread, [0.025, 0.975])
    return {"value": round(value, 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def loss(p: Floats, y: Ints, w_RN: Floats) -> Floats:
    """Bits by which each answer misses the truth, on average (R,)."""
    each = -np.log2(np.where(y == 1, p, 1 - p))
    return (w_RN @ each) / w_RN.sum(axis=1)


def ways(past: Sequence[Asked], now: Sequence[Asked]) -> dict[str, Floats]:
    """P(synthetic) of each file of `now` (N,) by way."""
    skills, names = measure([each.ballot for each in past]), sorted(now[0].ballot.said)
    alone = {name: np.array([together(each, [name], skills) for each in now]) for name in names}
    before = {name: np.array([together(each, [name], skills) for each in past]) for name in names}
    best, known = (min(names, key=partial(missed, answers, of)) for answers, of in ((before, past), (alone, now)))
    rng, neurons = np.random.default_rng(3), [Neuron(n, name, name, 0.0, permit=False) for n, name in enumerate(names)]
    earned = weights(history(past), neurons, 1000.0)
    order = [[neuron.hotkey for neuron in choose(neurons, earned, rng)[:ASKED]] for _ in now]
    drawn = np.array([together(each, chosen, skills) for each, chosen in zip(now, order, strict=True)])
    return {"drawn": drawn, "best": alone[best], "hindsight": alone[known]}


def missed(answers: Mapping[str, Floats], files: Sequence[Asked], name: str) -> float:
    truth = np.array([int(each.ballot.label) for each in files])
    return float(loss(answers[name], truth, np.ones((1, len(truth))))[0])


def together(file: Asked, names: Sequence[str], skills: Skills) -> float:
    return aggregate({name: file.ballot.said[name] for name in names}, skills).p_synthetic


def history(past: Sequence[Asked]) -> History:
    """Standings after rounds of these files."""
    found = History()
    for number, each in enumerate(past):
        rows = [
            Outcome(name, str(number), Modality.IMAGE, each.ballot.label, Prediction(p), 0.1, number)
            for name, p in each.ballot.said.items()
        ]
        found = settle(found, rows)
    return found


def result(rows: Sequence[list[Any]], files: Sequence[Asked]) -> dict[str, Any]:
    served = ", ".join(sorted(files[0].ballot.said))
    return {
        "title": "What several miners say together, beside the best of them",
        "command": "python -m benchmarks.together FILE.parquet ... --json benchmarks/results/together.json",
        "measured": date.today().isoformat(),
        "commit": "",
        "about": [
            f"{len(files)} files of the exam `challenges`: photographs of the test set and a twin of each, as "
            f"validators send them at all levels. A miner for each detector ({served}). *drawn*: five miners by the "
            "weights that they earned on the other half of the photographs, put together by the skill measured there, "
            "as the gateway does it. *best*: the one miner that was best on the other half, calibrated as the gateway "
            "does with one answer. *hindsight*: the one that is best on the very files judged, which nobody can know "
            "before. A lead is what *drawn* has over the row, on the same files and answers; of bits, fewer are better."
        ],
        "digits": [3, 3],
        "columns": ["miners", "way", "AUC", "lead", "accuracy", "lead", "bits missed", "lead"],
        "rows": rows,
        "notes": [],
    }


if __name__ == "__main__":
    main()
