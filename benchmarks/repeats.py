"""Who asks a gateway twice about one file gets two answers: does the interval of the first hold the second?

    python -m benchmarks.repeats [--photographs 66] [--answers FILE.npz] [--json FILE]

Photographs of the embedded test set and a twin of each, as they are stored, are asked about twice, by the gateway's
own code: every miner is sent a cut and a level of its own. A miner for each detector of `benchmarks.together`;
who is asked is drawn anew, by the weights that were earned. Half of the photographs, with their twins, are the
validator's past, in which all miners are sent variants of the same cut, as in a round; the halves change places. `line`
is the control: the interval of what was measured in the past alone, without how far answers about one file lie apart.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.claims import MAKERS, pairs
from benchmarks.tables import cell
from benchmarks.together import Asked, history, interval
from detectors import load_detector
from detectors.evaluation.intervals import resamples
from neurons.gateway.asking import choose, question
from neurons.gateway.judgement.aggregation import Aggregate, Verdict, aggregate
from neurons.gateway.judgement.skill import Ballot, measure
from neurons.gateway.judgement.spread import CUTS, Spread
from subnet.codec.image import decode_image
from subnet.game.sampling import Sampling
from subnet.game.scoring import weights
from subnet.game.variant import render
from subnet.media.cutting import cut
from subnet.types import Label, Media, Neuron, Split

MINERS: Final = (
    *("autoencoder", "camo", "cnn_svm", "ensemble", "npr", "npr-weak"),
    *("patchwise", "segment", "spectral", "ucf", "vit_cam"),
)
COUNTS: Final = (1, 3, 5, 8)  # answers
DRAWS: Final = 8  # pairs of requests about each file
NOTHING: Final = Spread(0.0, 1e18)  # as if answers about one file could not differ
SIDES: Final = {Verdict.SYNTHETIC: 1, Verdict.NO_TRACE_FOUND: -1, Verdict.UNCERTAIN: 0}
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pair = tuple[Aggregate, Aggregate]  # of two requests about one file


@dataclass(frozen=True)
class Answers:
    """P(synthetic) of N files by M miners: in the past (N, M), and twice when asked about (2, N, M)."""

    past: Floats
    asked: Floats
    labels: Ints
    photographs: Ints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=int, default=66)
    parser.add_argument("--answers", type=Path, help="a file that answers are read from, or kept in where it is none")
    parser.add_argument("--json", type=Path, help="write the table there")
    given = parser.parse_args()
    if given.answers and given.answers.exists():
        with np.load(given.answers) as kept:
            answers = Answers(**kept)
    else:
        answers = judged(given.photographs)
    if given.answers:
        np.savez(given.answers, **vars(answers))
    rows = [row for count in COUNTS for row in asked_twice(answers, count)]
    for row in rows:
        print(*[each if isinstance(each, str) else cell(each, (1, 1)) for each in row], sep="  ")
    if given.json:
        given.json.write_text(json.dumps(result(rows, answers), indent=1) + "\n")


def judged(photographs: int) -> Answers:
    """What every detector says of what it is sent."""
    rng = np.random.default_rng(11)
    files = list(islice(pairs(Split.TEST, lambda media, _: media, MAKERS[:-1]), photographs))
    shown = [(number, origin, list(sent(media, rng))) for number, _, each in files for origin, media in each.items()]
    p_NM3 = np.zeros((len(shown), len(MINERS), 3))
    for miner, name in enumerate(MINERS):
        detector = load_detector(name)
        for row, (_, _, queries) in enumerate(shown):
            media = [decode_image(data) for data in queries[miner]]
            p_NM3[row, miner] = [each.p_synthetic for each in detector.predict(media)]
        print(name, flush=True)
    labels = np.array([int(bool(origin)) for _, origin, _ in shown])
    return Answers(p_NM3[..., 0], np.moveaxis(p_NM3[..., 1:], -1, 0), labels, np.array([each[0] for each in shown]))


def sent(media: Media, rng: np.random.Generator) -> Iterator[tuple[bytes, bytes, bytes]]:
    """What each miner is sent in a round, and by each of two requests."""
    taken, sampling = cut(media, rng).media, Sampling()
    shares = np.array(sampling.level_weights) / sum(sampling.level_weights)
    level = int(rng.choice(len(weights), p=shares))
    for _ in MINERS:
        first, again = (bytes(question([media], sampling, rng).body) for _ in range(2))
        yield render(taken, level, rng), first, again


def asked_twice(answers: Answers, count: int) -> Iterator[list[Any]]:
    """A row for the control, and one for the gateway, at so many answers."""
    rng, photographs, labels = np.random.default_rng(5), list[int](), list[int]()
    neurons = [Neuron(uid, name, name, 0.0, permit=False) for uid, name in enumerate(MINERS)]
    found: dict[str, list[Pair]] = {"line": [], "gateway": [], "same miners": []}
    for past, now in halves(answers):
        known = [Asked(row, ballot(answers, row, rng)) for row in rng.permutation(past).tolist()]
        skills, earned = measure([each.ballot for each in known]), weights(history(known), neurons, 1000.0)
        for row in np.repeat(now, DRAWS):
            drawn = [choose(neurons, earned, rng)[:count] for _ in range(2)]
            first, again, same = (
                {neuron.hotkey: float(answers.asked[time, row, neuron.uid]) for neuron in drawn[who]}
                for time, who in ((0, 0), (1, 1), (1, 0))
            )
            for way, then, by in (
                ("line", again, replace(skills, spread=NOTHING)),
                ("gateway", again, skills),
                ("same miners", same, skills),
            ):
                found[way].append((aggregate(first, by), aggregate(then, by)))
            photographs.append(int(answers.photographs[row]))
            labels.append(int(answers.labels[row]))
    draws = resamples(np.unique(photographs, return_inverse=True)[1], 2000, 5)
    for way, given in found.items():
        yield [f"{count}", way, *measures(given, np.array(labels), draws)]


def halves(answers: Answers) -> Iterator[tuple[Ints, Ints]]:
    """Files of the past, and those asked about, and the other way round."""
    sides = [np.flatnonzero(answers.photographs % 2 == side) for side in (0, 1)]
    yield sides[1], sides[0]
    yield sides[0], sides[1]


def more_between_cuts(answers: Answers) -> float:
    """How many times as much evidence about one file varies between cuts of it as in a round: CUTS of `spread`."""
    rng, sums = np.random.default_rng(5), np.zeros(2)
    for past, now in halves(answers):
        skills = measure([ballot(answers, row, rng) for row in rng.permutation(past)])
        for at, p in enumerate((answers.past, answers.asked[0])):
            worth = [[skills[name].evidence(p[row, m]) for m, name in enumerate(MINERS)] for row in now]
            sums[at] += np.var(worth, axis=1, ddof=1).sum()
    return float(sums[1] / sums[0])


def ballot(answers: Answers, row: int, rng: np.random.Generator) -> Ballot:
    said = {MINERS[m]: float(answers.past[row, m]) for m in rng.permutation(len(MINERS))}
    return Ballot(Label(int(answers.labels[row])), said)


def measures(found: Sequence[Pair], labels: Ints, draws: Floats) -> Iterator[Any]:
    """In percent: second answers in the first interval, its width at the median, verdicts given, those of them that are
    wrong, pairs that contradict each other."""
    held = np.array([one.low <= again.p_synthetic <= one.high for one, again in found])
    sides = np.array([[SIDES[each.verdict] for each in pair] for pair in found])
    told = sides[:, 0] != 0
    wrong = told & (sides[:, 0] != 2 * labels - 1)
    yield _share(held, np.ones_like(held), draws)
    yield f"{100 * np.median([one.high - one.low for one, _ in found]):.1f}"
    yield _share(told, np.ones_like(told), draws)
    yield _share(wrong, told, draws)
    yield _share(sides[:, 0] * sides[:, 1] < 0, np.ones_like(told), draws)


def _share(which: NDArray[np.bool_], among: NDArray[np.bool_], draws: Floats) -> dict[str, float] | str:
    if not among.any():
        return "none told"
    with np.errstate(invalid="ignore"):
        spread = 100 * (draws @ which) / (draws @ among)
    return interval(float(100 * which.sum() / among.sum()), spread)


def result(rows: Sequence[list[Any]], answers: Answers) -> dict[str, Any]:
    return {
        "title": "Asking a gateway twice",
        "command": "python -m benchmarks.repeats --json benchmarks/results/repeats.json",
        "measured": date.today().isoformat(),
        "commit": "",
        "about": [
            f"{len(answers.labels)} files (photographs of the test set and a twin of each, as they are stored), "
            f"each asked about twice, {DRAWS} times; {len(MINERS)} miners, a detector each, of whom as many as there "
            "are answers are drawn anew by their weights, and sent cuts of their own. Skills and weights are measured "
            "on the other half of the photographs. *held*: second answers within the 95 % interval of the first; "
            "*width*: of the interval, at the median; *told*: first answers with a verdict, at a confidence of 0.9; "
            "*wrong*: of those; *contrary*: pairs of which one says synthetic, the other no trace found. Percent. "
            "*line*: the control, an interval of what was measured in the past alone; "
            "*same miners*: the second time those of the first answer."
        ],
        "digits": [1, 1],
        "columns": ["answers", "interval", "held", "width", "told", "wrong", "contrary"],
        "rows": rows,
        "notes": [
            "Rounds send all miners the same cut. Between cuts of one file the evidence of answers varied "
            f"{more_between_cuts(answers):.2f} times as much as in a round; the gateway reckons with {CUTS:g}, which "
            "was taken from these files, pictures all. One answer alone never gives a verdict (`--gateway.least` 2)."
        ],
    }


if __name__ == "__main__":
    main()
