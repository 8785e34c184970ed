"""What the detectors that ship accuse wrongly, by kind of picture: the table of docs/detectors.md.

    python -m benchmarks.everyday judge [NAME ...] [--out runs/everyday]
    python -m benchmarks.everyday write [--out runs/everyday]

`judge` asks them the everyday exam at level 0, at the threshold of the game (one half), and leaves the findings of
each below `out`; `ensemble` and its members answer together. `write` puts them into benchmarks/results/everyday.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks import tables
from detectors import TABLE, load_detector
from detectors.acceleration.accelerate import accelerated
from detectors.ensemble.stack import Ensemble
from detectors.evaluation.evaluation import Task, evaluate, items
from detectors.evaluation.summary import Findings
from neurons.commands.evaluate import data_folder
from neurons.progress import LogLines
from neurons.settings import home
from subnet.files import write_atomically
from subnet.media.everyday import EVERYDAY
from subnet.protocols import Detector
from subnet.types import Media, Modality, Prediction

EVERYBODY = ["ensemble", "camo", "cnn_svm", "vit_cam", "patchwise", "segment", "npr-weak", "autoencoder"]
TOGETHER = "all of these"
ABOUT = (
    "The share of real pictures that is called synthetic, at one half, the threshold of the game, shown as validators "
    "show them at level 0. Nothing here was ever trained on. Photographs are those of the test split, changed as "
    "people meet them: as they are (`photograph`), forwarded by messengers, as thumbnails, enlarged, sharpened, "
    "smoothed by a beauty filter, tone-mapped, as film with grain, photographed from a screen, as memes and collages. "
    "The other kinds are files of packages (drawings, game art, renders, screenshots, maps) or drawn by code "
    "(documents, scans, charts)."
)
NOTES = (
    "Intervals are exact (Clopper-Pearson) within a kind, of which every picture shows something else, and resampled "
    "by what is shown over all of them. The last two rows are of photographs of which each is saved again at four "
    "sizes and two qualities: for how many all eight get one verdict, and how many are accused in any of the eight.",
    "`assay detect` asks for more than one half, and says *cannot tell* of what lies far from all that was measured: "
    "how often it still accuses such pictures stands on the [cards](evaluation.md#cards) of the weights.",
)


class Remembered:
    """`detector`, which answers a batch that it was asked last without being asked again."""

    def __init__(self, detector: Detector) -> None:
        self.name, self.modality, self.weights_hash = detector.name, detector.modality, detector.weights_hash
        self.detector, self.asked, self.given = detector, list[Media](), list[Prediction]()

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        """Its answers, in order."""
        if len(batch) != len(self.asked) or any(one is not other for one, other in zip(batch, self.asked, strict=True)):
            self.asked, self.given = list(batch), self.detector.predict(batch)
        return self.given


def subjects(names: Sequence[str]) -> list[Detector]:
    """The detectors; before a stack its members, which answer for it, too."""
    found: list[Detector] = []
    for name in names:
        loaded = load_detector(name)
        if isinstance(loaded, Ensemble):
            loaded.members = {each: Remembered(_served(member)) for each, member in loaded.members.items()}
            found += [*loaded.members.values(), loaded]
        else:
            found.append(_served(loaded))
    return found


def _served(detector: Detector) -> Detector:
    return accelerated(detector, cache=home() / "serving")


def judge(names: Sequence[str], out: Path) -> None:
    """Ask all of them about the very same pictures."""
    out.mkdir(parents=True, exist_ok=True)
    task = Task(EVERYDAY, data_folder(EVERYDAY, Modality.IMAGE, None, 0, "cpu"), levels=(0,), exam=True)
    records = items(task, Modality.IMAGE)
    tell = LogLines(EVERYDAY)
    for each in evaluate(subjects(names), task, records, progress=lambda done: tell("pictures", done, len(records))):
        text = json.dumps(each.findings, indent=1) + "\n"
        write_atomically(out / f"{each.findings['detector']}.json", text.encode())


Cells = dict[str, tuple[str, Any]]  # pictures and share, by the name of the row


def cells(found: Findings) -> Cells:
    """Of all pictures together, of each kind, and of consistency, as one detector answered."""

    def cell(pictures: int, each: Any) -> tuple[str, Any]:
        return str(pictures), {end: each[end] for end in ("value", "low", "high")}

    kinds = {kind: cell(levels["0"]["pictures"], levels["0"]) for kind, levels in found["by_kind"].items()}
    plain = sum(levels["0"]["pictures"] for levels in found["by_kind"].values())
    again = found["consistency"]["0"]
    names = {"one_verdict": "resaved: one verdict", "accused": "resaved: accused in any"}
    resaved = {name: cell(again[key]["pictures"], again[key]) for key, name in names.items()}
    return {TOGETHER: cell(plain, found["type_1_error"]), **kinds, **resaved}


def stored(path: Path) -> dict[str, Cells]:
    """What the result file that is there says, by detector."""
    if not path.exists():
        return {}
    result = json.loads(path.read_text(encoding="utf-8"))
    places = list(enumerate(result["columns"]))[2:]
    return {name: {row[0]: (row[1], row[place]) for row in result["rows"]} for place, name in places}


def write(out: Path) -> None:
    """The result file, in the order of the table of detectors; who was not judged below `out` keeps the column."""
    path = tables.RESULTS / "everyday.json"
    judged = {each.stem: cells(json.loads(each.read_text(encoding="utf-8"))) for each in out.glob("*.json")}
    told = stored(path) | judged
    told = {name: told[name] for name in TABLE if name in told}
    first = next(iter(told.values()))
    result = {
        "title": "Everyday pictures",
        "command": "python -m benchmarks.everyday judge",
        "measured": datetime.now(UTC).date().isoformat(),
        "commit": "",
        "about": [ABOUT],
        "digits": [2, 2],
        "columns": ["kind", "pictures", *told],
        "rows": [[name, pictures, *(each[name][1] for each in told.values())] for name, (pictures, _) in first.items()],
        "notes": list(NOTES),
    }
    text = json.dumps(result, indent=1) + "\n"
    write_atomically(path, text.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["judge", "write"])
    parser.add_argument("names", nargs="*", default=EVERYBODY)
    parser.add_argument("--out", type=Path, default=Path("runs/everyday"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.what == "judge":
        judge(asked.names, asked.out)
    else:
        write(asked.out)


if __name__ == "__main__":
    main()
