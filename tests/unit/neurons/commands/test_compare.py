"""`assay compare` and what `assay evaluate --out` leaves for it: the matrix, kept answers, outcomes, the null."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.evaluation.evaluation import Evaluation, Task, evaluate, selection
from detectors.evaluation.keeping import kept_answers
from detectors.evaluation.matrix.table import write_matrix
from subnet.codec import image as codec
from subnet.errors import SettingsError
from subnet.types import Label, Media, Modality, Prediction
from tests.unit.detectors.folders import write_clips, write_images
from tests.unit.neurons.running import Assay


@dataclass
class Spread:
    """Answers what the pixels' spread is worth, and dies after `most` batches."""

    most: int = 10**6
    name: str = "spread"
    modality: Modality = Modality.IMAGE
    weights_hash: str = ""
    asked: list[int] = field(default_factory=list)

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        if len(self.asked) >= self.most:
            raise KeyboardInterrupt
        self.asked.append(len(batch))
        return [Prediction(1 / (1 + float(media.frames.std()) / 50)) for media in batch]


@dataclass(frozen=True)
class Length:
    """Answers how long a clip is, whatever it shows."""

    name: str = "length"
    modality: Modality = Modality.VIDEO
    weights_hash: str = ""

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        return [Prediction(len(media.frames) / 16) for media in batch]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "set", 6)


def words(data: Path, out: Path, *more: object) -> tuple[object, ...]:
    return "evaluate", "random", "--data", data, "--levels", "0,2", "--device", "cpu", "--json", "--out", out, *more


def test_a_report_is_recomputed_from_its_matrix(assay: Assay, folder: Path, tmp_path: Path) -> None:
    """From the answers alone every number is the report's to the last digit, the null and both thresholds too."""
    ran = assay(*words(folder, tmp_path / "a"))
    again = assay("compare", tmp_path / "a" / "matrix.parquet", "--json")
    assert again.json == ran.json == json.loads((tmp_path / "a" / "report.json").read_text())
    assert set(ran.json["null"]["by_level"]) == {"0", "2"}
    assert not (tmp_path / "a" / "answers.jsonl").exists()
    table = pq.read_table(tmp_path / "a" / "matrix.parquet").to_pylist()
    plain = [row for row in table if not row["view"].endswith("blank")]
    assert len(table) == 2 * len(plain) == 48
    above = ran.json["tpr_at_5_fpr"]["threshold"]["value"]
    called = {label: [row["p"] > above for row in plain if row["label"] == label] for label in Label}
    assert np.mean(called[Label.REAL]) <= 0.05
    assert ran.json["tpr_at_5_fpr"]["value"] == pytest.approx(np.mean(called[Label.SYNTHETIC]), abs=1e-6)
    page = (tmp_path / "a" / "index.html").read_text()
    assert "What is left without pixels?" in page
    assert f"{above:.3f}" in page
    assert "called above" in assay("compare", tmp_path / "a" / "matrix.parquet").out


def test_two_matrices_are_compared_as_two_detectors_are(assay: Assay, folder: Path, tmp_path: Path) -> None:
    """What `assay evaluate --compare` prints is what `assay compare` prints of both matrices."""
    both = ("evaluate", "--compare", "random", "constant", "--data", folder, "--levels", "0", "--device", "cpu")
    ran = assay(*both, "--json", "--no-null", "--out", tmp_path)
    files = [tmp_path / name / "matrix.parquet" for name in ("random", "constant")]
    again = assay("compare", *files, "--json")
    assert again.json == ran.json
    assert "null" not in ran.json["findings"][0]


def test_controls_are_recomputed(assay: Assay, tmp_path: Path) -> None:
    """Answers to frames in another order lie in the matrix, and their paired differences come out of it; of a part of
    the clips too, where that has both classes and is the same in every order."""
    data = write_clips(tmp_path / "data", 3)
    ran = assay("evaluate", "random-video", "--data", data, "--levels", "0", "--json", "--out", tmp_path)
    assert ran.json["controls"]
    assert assay("compare", tmp_path / "matrix.parquet", "--json").json == ran.json
    task = Task("clips", data, (0, 1), in_forms=4)
    (found,) = evaluate([Length()], task, selection(task, Modality.VIDEO)[0])
    write_matrix(found, tmp_path / "few.parquet")
    assert assay("compare", tmp_path / "few.parquet", "--json").json == json.loads(json.dumps(found.findings))
    rows = pq.read_table(tmp_path / "few.parquet").to_pylist()
    alone = [row for row in rows if "still" not in row["view"] or row["label"]]
    pq.write_table(pa.Table.from_pylist(alone), tmp_path / "alone.parquet")
    assert "pictures still" in assay("compare", tmp_path / "alone.parquet").err
    reals = [row for row in rows if row["view"] in ("level 0", "level 1") or not row["label"]]
    pq.write_table(pa.Table.from_pylist(reals), tmp_path / "reals.parquet")
    assert "one class only" in assay("compare", tmp_path / "reals.parquet").err


def others(path: Path, **columns: Any) -> Path:
    rows = {"item": ["a", "b", "c", "d"], "detector": ["theirs"] * 4, "p": [0.1, 0.2, 0.9, 0.8], "label": [0, 0, 1, 1]}
    table = {name: values for name, values in {**rows, **columns}.items() if values is not None}
    pq.write_table(pa.table(table), path)
    return path


def test_matrices_of_others(assay: Assay, tmp_path: Path) -> None:
    """Four columns are enough; two of them are compared on what both were asked, whatever the order."""
    first = others(tmp_path / "first.parquet")
    second = others(tmp_path / "second.parquet", item=["d", "b", "a", "x"], p=[0.3, 0.4, 0.5, 0.9], label=[1, 0, 0, 1])
    assert assay("compare", first, "--json").json["auc"]["value"] == 1.0
    ran = assay("compare", first, second, "--json")
    assert ran.json["differences"]["accuracy"]["value"] == pytest.approx(1 - 2 / 3, abs=1e-6)
    assert "2 answers" in ran.err


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"p": None}, "the column p is missing"),
        ({"p": [0.1, 0.2, 1.5, 0.8]}, "row 2: p of c is 1.5, not a probability"),
        ({"p": [0.1, None, 0.9, 0.8]}, "row 1: p of b is None"),
        ({"p": [0.1, float("nan"), 0.9, 0.8]}, "row 1: p of b is nan"),
        ({"p": ["low"] * 4}, "the column p is string"),
        ({"label": [0, 0, 1, 2]}, "row 3: label is 2"),
        ({"label": [0, 0, 0, 0]}, "one class only"),
        ({"item": ["a", "a", "c", "d"]}, "two answers to one item"),
        ({"item": ["a", "", "c", "d"]}, "row 1: item is empty"),
        ({"view": ["level 0", "jpeg", "level 0", "level 0"]}, "row 1: view is 'jpeg'"),
        ({"view": ["level 0", "level 0 blank", "level 0", "level 0"]}, "pictures blank than as they are"),
        ({"outcome": ["answered", "lost", "answered", "answered"]}, "row 1: outcome is lost"),
    ],
)
def test_matrices_that_make_no_sense(assay: Assay, tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    """The file, the row and the column are told."""
    ran = assay("compare", others(tmp_path / "wrong.parquet", **columns))
    assert ran.status == 2
    assert said in ran.message
    assert "wrong.parquet" in ran.message


def test_files_that_are_no_matrix(assay: Assay, tmp_path: Path) -> None:
    """A damaged file, none at all, and two matrices with nothing in common or with other labels are told."""
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 damaged PAR1")
    good = others(tmp_path / "good.parquet")
    apart = others(tmp_path / "apart.parquet", item=["e", "f", "g", "h"])
    turned = others(tmp_path / "turned.parquet", label=[1, 0, 0, 1])
    for wrong, said in (
        ((tmp_path / "damaged.parquet",), "cannot be read as a matrix"),
        ((tmp_path / "none.parquet",), "no file"),
        ((good, apart), "in common"),
        ((good, turned), "a has another label"),
    ):
        ran = assay("compare", *wrong)
        assert ran.status == 2
        assert said in ran.message


def measured(task: Task, detector: Spread, path: Path) -> Evaluation:
    records, left_out = selection(task, detector.modality)
    with kept_answers(path, {"seed": task.seed}) as kept:
        return evaluate([detector], task, records, left_out=left_out, kept=kept)[0]


@pytest.mark.parametrize("damage", [b"", b'{"item": "cut in the mid', b"not JSON\n"])
def test_ended_and_gone_on_with_is_as_if_never_ended(folder: Path, tmp_path: Path, damage: bytes) -> None:
    """Killed after the first batch, also within a line: what was answered is not asked again, and the matrix is the
    same to the last byte. Kept answers of another evaluation are refused."""
    task = Task("set", folder, (0, 1, 2, 3), null=True)
    whole = measured(task, every := Spread(), tmp_path / "whole.jsonl")
    with pytest.raises(KeyboardInterrupt):
        measured(task, Spread(most=3), tmp_path / "kept.jsonl")  # plain and blank of the first batch, then plain
    with (tmp_path / "kept.jsonl").open("ab") as file:
        file.write(damage)
    rest = measured(task, later := Spread(), tmp_path / "kept.jsonl")
    assert sum(later.asked) == sum(every.asked) - 2 * 32
    for name, each in (("whole", whole), ("rest", rest)):
        write_matrix(each, tmp_path / f"{name}.parquet")
    assert (tmp_path / "whole.parquet").read_bytes() == (tmp_path / "rest.parquet").read_bytes()
    assert (tmp_path / "whole.jsonl").read_bytes() == (tmp_path / "kept.jsonl").read_bytes()
    with (
        pytest.raises(SettingsError, match="other seed; give another folder"),
        kept_answers(tmp_path / "kept.jsonl", {"seed": 1}),
    ):
        pass


def test_the_command_goes_on(assay: Assay, folder: Path, tmp_path: Path) -> None:
    """--out with answers of another evaluation is refused by the name of what differs, and the answers stay."""
    assay(*words(folder, tmp_path))
    (tmp_path / "answers.jsonl").write_text(json.dumps({"seed": 0, "levels": [0]}) + "\n")
    ran = assay(*words(folder, tmp_path))
    assert ran.status == 2
    assert "levels" in ran.message
    assert (tmp_path / "answers.jsonl").exists()


def test_every_selected_item_has_an_outcome(assay: Assay, tmp_path: Path) -> None:
    """What is damaged is unreadable, what no validator would ask is refused; both stand in the matrix with a reason."""
    rng = np.random.default_rng(0)
    for side in ("real", "fake"):
        (tmp_path / "data" / side).mkdir(parents=True)
        for number in range(3):
            noise = Media(rng.integers(0, 256, (1, 90, 90, 3), dtype=np.uint8))
            (tmp_path / "data" / side / f"{side}{number}.png").write_bytes(codec.encode_png(noise))
    flat = Media(np.full((1, 90, 90, 3), 9, dtype=np.uint8))
    (tmp_path / "data" / "real" / "flat.png").write_bytes(codec.encode_png(flat))
    (tmp_path / "data" / "fake" / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    ran = assay(*words(tmp_path / "data", tmp_path / "out"))
    assert ran.json["outcomes"] == {"answered": 6, "unreadable": 1, "refused": 1}
    rows = pq.read_table(tmp_path / "out" / "matrix.parquet").to_pylist()
    lost = {row["item"]: row for row in rows if row["outcome"] != "answered"}
    assert {item: row["outcome"] for item, row in lost.items()} == {
        "real/flat.png": "refused",
        "fake/cut.png": "unreadable",
    }
    assert all(row["reason"] and row["p"] is None for row in lost.values())
    assert assay("compare", tmp_path / "out" / "matrix.parquet", "--json").json == ran.json
    assert "1 could not be read" in " ".join((tmp_path / "out" / "index.html").read_text().split())


def test_what_vanishes_while_it_is_judged_has_an_outcome(folder: Path, tmp_path: Path) -> None:
    """A file that is gone after it was selected is unreadable, and the others are judged."""
    data = write_images(tmp_path / "data", 2)
    task = Task("set", data, (0,))
    records, _ = selection(task, Modality.IMAGE)
    records[0].path.unlink()
    found = evaluate([Spread()], task, records)[0]
    assert found.findings["outcomes"] == {"answered": 3, "unreadable": 1, "refused": 0}
    assert [each.record for each in found.left_out] == [records[0]]


def test_the_null_shows_what_is_not_in_the_pixels(tmp_path: Path) -> None:
    """Clips whose lengths tell the classes apart: a detector of lengths finds all of them with black pixels; one of
    pixels finds none, and the lengths show in the bytes of the files."""
    rng = np.random.default_rng(0)
    for kind, frames in (("real", 4), ("fake", 6)):
        (tmp_path / kind).mkdir()
        for number in range(10):
            noise = Media(rng.integers(0, 256, (frames, 64, 64, 3), dtype=np.uint8), 10.0)
            (tmp_path / kind / f"{kind}{'abcdefghij'[number]}.mp4").write_bytes(codec.encode_video(noise, 30))
    task = Task("clips", tmp_path, (0,), null=True)
    records, _ = selection(task, Modality.VIDEO)
    lengths, spread = evaluate([Length(), Spread(modality=Modality.VIDEO)], task, records)
    assert lengths.findings["null"]["auc"]["value"] == 1.0
    assert lengths.findings["null"]["leaks"] is True
    assert spread.findings["null"]["auc"]["value"] == 0.5
    assert spread.findings["null"]["leaks"] is False
    assert spread.findings["null"]["files"]["bytes"]["value"] == 1.0
    assert lengths.findings["tpr_at_1_fpr"]["low"] is None  # ten real clips are too few for one in a hundred
