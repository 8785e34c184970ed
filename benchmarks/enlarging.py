"""What the line of fineness costs and what it spares: the same pictures as stored, as thumbnails, and enlarged.

    python -m benchmarks.enlarging [--limit 16]

The default's answers, by the rule of `assay detect`, on test photographs and one twin of each by the embedded
autoencoders, with the line of the card and without it. Writes benchmarks/results/enlarging.json.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice, product

import numpy as np
import torch

from benchmarks import tables
from benchmarks.claims import MAKERS, judged, pairs
from detectors import TABLE
from detectors.claims.shelf import Claims, claims_of
from detectors.claims.sitting import Opinion, Picture, distance_of
from detectors.claims.verdict import Mark, mark
from detectors.ensemble.stack import Ensemble, ensemble
from neurons.progress import LogLines
from subnet.codec.image import decode_image
from subnet.files import write_atomically
from subnet.media.everyday.changes import Change, enlarged, thumbnail, untouched
from subnet.types import Label, Split

FORMS: dict[str, Change] = {"as stored": untouched, "thumbnail": thumbnail, "enlarged 2 to 3 times": enlarged}
ABOUT = (
    "How many are called synthetic of photographs of the test split, and of their twins by the embedded autoencoders, "
    "in three forms made as the everyday exam makes them, whole files judged as `assay detect` does. The line of "
    "fineness is on the cards of the weights; without it, threshold and distance decide alone."
)


def pictures(limit: int) -> Iterator[tuple[str, Picture]]:
    """Each photograph and its twin in every form, changed by the same chance."""
    for place, (number, _, media) in enumerate(islice(pairs(Split.TEST, lambda each, _: each, MAKERS[:-1]), limit)):
        for form, change in FORMS.items():
            for origin, each in media.items():
                data = change(each.frames[0], np.random.default_rng([place, 7]))
                label = Label.SYNTHETIC if origin else Label.REAL
                yield form, Picture(decode_image(data), label, origin or "photograph", number)


def called(opinion: Opinion, stack: Ensemble, claims: Claims, *, line: bool) -> bool:
    """Is it called synthetic?"""
    distance = distance_of(claims.density, opinion.features)
    fineness = opinion.fineness if line else None
    return mark(claims.card, stack.calibration, opinion.p_synthetic, distance, fineness) is Mark.HIGH


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=16, help="photographs")
    limit = parser.parse_args().limit
    torch.set_num_threads(1)
    stack = ensemble(TABLE["ensemble"])
    claims, tell = claims_of("ensemble", stack), LogLines("enlarging")
    items, counts = Counter[tuple[str, Label]](), Counter[tuple[str, Label, bool]]()
    for number, (form, picture) in enumerate(pictures(limit)):
        for answers in judged(stack, iter([picture])):
            items[form, picture.label] += 1
            for line in (False, True):
                counts[form, picture.label, line] += called(answers["ensemble"], stack, claims, line=line)
        tell("pictures", number + 1, 2 * limit * len(FORMS))
    write(items, counts)


def _cells(form: str, items: Counter[tuple[str, Label]], counts: Counter[tuple[str, Label, bool]]) -> list[str]:
    """Without the line and with it, of the real and of the synthetic."""
    return [f"{counts[form, label, line]} of {items[form, label]}" for label, line in product(Label, (False, True))]


def write(items: Counter[tuple[str, Label]], counts: Counter[tuple[str, Label, bool]]) -> None:
    """The result file: a row for each form."""
    result = {
        "title": "What is not judged for want of detail",
        "command": "python -m benchmarks.enlarging",
        "measured": datetime.now(UTC).date().isoformat(),
        "commit": "",
        "about": [ABOUT],
        "digits": [2, 2],
        "columns": ["form", "real, without the line", "real", "synthetic, without the line", "synthetic"],
        "rows": [[form, *_cells(form, items, counts)] for form in FORMS],
        "notes": [],
    }
    write_atomically(tables.RESULTS / "enlarging.json", (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
