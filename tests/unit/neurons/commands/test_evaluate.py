"""`assay evaluate`: what it is asked beside the numbers themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from detectors.checkpoints import HERE
from detectors.claims.shelf import CARD
from detectors.evaluation.frame_order import FORMS
from subnet.codec import image as codec
from subnet.types import Media
from tests.unit.detectors.folders import write_clips, write_images
from tests.unit.neurons.running import Assay


def test_frames_in_another_order(assay: Assay, tmp_path: Path) -> None:
    """Every report of a detector of clips, and --controls without one, has it in each form beside its plain numbers, and
    the share of its evidence that is temporal; with --compare both have it, and --controls is refused for images."""
    data = write_clips(tmp_path / "data", 2)
    words = ("evaluate", "random-video", "--data", data, "--levels", "0", "--device", "cpu")
    ran = assay(*words, "--json", "--out", tmp_path / "report")
    assert ran.status == 0, ran.err
    assert set(ran.json["controls"]) == {"shuffled", "reversed", "still"}
    assert ran.json["temporal_share"]["clips"] == 4
    for form in ran.json["controls"].values():
        lost = ran.json["auc"]["value"] - form["auc"]["value"]
        assert abs(form["plain_minus_this"]["value"] - lost) < 1e-5
    written = json.loads((tmp_path / "report" / "report.json").read_text())
    assert written["controls"] == ran.json["controls"]
    assert written["temporal_share"] == ran.json["temporal_share"]
    page = " ".join((tmp_path / "report" / "index.html").read_text().split())
    for name, form in ran.json["controls"].items():
        row = page.partition(f"<td>{FORMS[name]}</td>")[2].partition("</tr>")[0]
        assert f"{form['auc']['value']:.3f}" in row
        assert f"{form['plain_minus_this']['value']:+.3f}" in row
    assert "Share of the evidence that is temporal" in page
    told = assay(*words, "--controls").out
    assert "shuffled" in told
    assert "temporal share: none" in told
    assert "controls" not in assay(*words, "--json").json
    assert "controls" not in assay(*words, "--json", "--no-controls", "--out", tmp_path / "without").json
    images = assay("evaluate", "random", "--data", data, "--controls")
    assert images.status == 2
    assert "random judges images" in images.err
    names = ("random-video", "constant-video")
    ran = assay("evaluate", "--compare", *names, "--data", data, "--levels", "0", "--json", "--controls")
    assert all(set(each["controls"]) == set(FORMS) for each in ran.json["findings"])


def test_what_is_refused_leaves_no_folder(assay: Assay, tmp_path: Path) -> None:
    """A data set of one class, no data set and no detector: told, and --out is not made."""
    (tmp_path / "one" / "real").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (1, 80, 80, 3), dtype=np.uint8)
    (tmp_path / "one" / "real" / "a.png").write_bytes(codec.encode_png(Media(noise)))
    for words in (("random", "--data", tmp_path / "one"), ("random", "--data", "aid:"), ("rondam",)):
        ran = assay("evaluate", *words, "--out", tmp_path / "new" / "out", "--device", "cpu")
        assert ran.status == 2
        assert not (tmp_path / "new").exists()


def test_what_was_trained_on_is_not_judged_by(assay: Assay, tmp_path: Path) -> None:
    """Of a divided folder the test part alone is asked, and that is told; one of its parts is all of it."""
    for part, count in (("train", 3), ("validation", 2), ("test", 2)):
        write_images(tmp_path / "data" / part, count, part)
    words = ("evaluate", "random", "--levels", "0", "--device", "cpu", "--json", "--data")
    for place, items in (("data", 4), ("data/train", 6)):
        ran = assay(*words, tmp_path / place)
        assert ran.json["items"] == items
        assert (f"--data {tmp_path / 'data'}: judged on test/ alone" in ran.err) is (place == "data")


def test_a_report_does_not_lie_in_the_data_it_is_of(assay: Assay, tmp_path: Path) -> None:
    """Its matrix would be taken for a shard of them the next time: refused, and no folder is made; beside them it may."""
    write_images(tmp_path / "data", 2, "test")
    words = ("evaluate", "random", "--levels", "0", "--device", "cpu", "--data", tmp_path / "data", "--out")
    for inside in (tmp_path / "data" / "report", tmp_path / "data" / ".." / "data"):
        ran = assay(*words, inside)
        assert ran.status == 2
        assert "--out" in ran.message
        assert "name another" in ran.err
    assert not (tmp_path / "data" / "report").exists()
    assert assay(*words, tmp_path / "report").status == 0
    assert "assay claim random --data everyday" in (tmp_path / "report" / "index.html").read_text()  # it has no card


def test_reports_tell_which_everyday_pictures_are_accused(assay: Assay, tmp_path: Path) -> None:
    """By kind, with intervals, from the card beside the weights: in the JSON, on the page, and in a line."""
    data, out = write_images(tmp_path / "data", 2, "test"), tmp_path / "report"
    words = ("evaluate", "spectral", "--data", data, "--levels", "0", "--device", "cpu", "--no-null")
    ran = assay(*words, "--out", out)
    assert ran.status == 0, ran.err
    (exam,) = [
        each for each in json.loads((HERE / f"spectral{CARD}").read_text())["exams"] if each["name"] == "everyday"
    ]
    told = json.loads((out / "report.json").read_text())["everyday"]
    assert told["shown"] == exam["shown"]
    assert list(told["by_kind"]) == ["all together", *exam["false_alarms_by"]]
    page = " ".join((out / "index.html").read_text().split())
    for kind, share in {"all together": exam["false_alarms"], **exam["false_alarms_by"]}.items():
        assert share.items() <= told["by_kind"][kind].items()
        row = page.partition(f"<td>{kind}</td>")[2].partition("</tr>")[0]
        assert f"<td>{share['items']}</td><td>{share['count']}<small>" in row
        assert f"{share['high']:.2f}" in row
    whole = exam["false_alarms"]
    assert f"calls synthetic: {whole['count']} of {whole['items']}" in ran.out
