"""`assay detect`: what it says of files, and of files that cannot be judged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detectors.calibration import Calibration
from detectors.checkpoints import sha256_of, write
from detectors.claims.card import Card, Exam, Reach, Share
from detectors.claims.choice import best
from detectors.claims.density import fit
from detectors.claims.shelf import keep, keep_density
from detectors.loading import open_detector
from detectors.npr.network import NPR
from detectors.rows import Preprocess
from neurons.commands.detect import detect
from neurons.verdicts.judging import explain, judge
from subnet.codec import image as codec
from subnet.errors import CheckpointError, MediaUnreadable, SettingsError
from subnet.media import embedded
from subnet.types import Media, Modality, Split
from tests.unit.detectors.folders import photos


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An NPR checkpoint with random weights."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("weights") / "npr.safetensors"
    write(path, NPR().state_dict(), preprocess=Preprocess(size=128), notes={"detector": "npr"})
    return path


def noise(*shape: int) -> Media:
    frames = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    return Media(frames, None if shape[0] == 1 else 8.0)


def test_judges_explains_and_goes_on(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A good file gets answer, verdict, PNG and JSON; a broken one its reason; the status is a failure at the end."""
    good, bad = tmp_path / "good.png", tmp_path / "bad.jpg"
    good.write_bytes(codec.encode_png(photos(1)[0][1]))
    bad.write_bytes(b"<html>")
    with pytest.raises(MediaUnreadable, match="bad.jpg: this is a web page"):
        detect(good, bad, detector=str(weights), explain=True, out=tmp_path / "why", device="cpu", json=True)
    first, second = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0 <= first["p_synthetic"] <= 1
    assert first["verdict"] in {"cannot tell", "uncertain", "synthetic"}
    assert Path(first["heat_map"]).read_bytes()[:4] == b"\x89PNG"
    assert json.loads(Path(first["heat_map"]).with_suffix(".json").read_text())["cells"] == first["cells"]
    assert set(first["deletion"]) >= {"salient", "random", "gain", "faithful"}
    assert second["file"].endswith("bad.jpg")
    assert "bad.jpg" not in second["error"]
    assert second["error"].count("JPEG") == 1


def test_a_stack_and_an_index_say_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What has no layer gets a picture, too; beside it members' shares, and the known item or that there is none."""
    photo = tmp_path / "photo.png"
    photo.write_bytes(codec.encode_png(photos(1, "test")[0][1]))
    for name, line in (("ensemble=constant,random", "share of constant: +"), ("retrieval", "known: no")):
        detect(photo, detector=name, explain=True, out=tmp_path / "why", device="cpu")
        assert line in capsys.readouterr().out
    (told,) = (tmp_path / "why").glob("*-ensemble.json")
    found = json.loads(told.read_text())
    assert [share["member"] for share in found["shares"]] == ["constant", "random"]
    assert Path(found["heat_map"]).read_bytes()[:4] == b"\x89PNG"
    assert len(found["cells"]) == 16


def test_a_file_of_any_name_is_explained(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is not UTF-8, drives a terminal, and leaves no room for more letters."""
    photo = tmp_path / os.fsdecode(b"\x1b[31m a\nb caf\xe9 " + b"x" * 230 + b".png")
    photo.write_bytes(codec.encode_png(photos(1)[0][1]))
    detect(photo, detector=str(weights), explain=True, out=tmp_path / "why", device="cpu")
    assert {path.suffix for path in (tmp_path / "why").iterdir()} == {".png", ".json"}
    assert capsys.readouterr().out.replace("\n", "").isprintable()


def test_explaining_tells_how_far_it_is(weights: Path) -> None:
    """The bar moves within a file: after the answer, and after the heat map."""
    told: list[int] = []
    media = photos(1)[0][1]
    explain(judge("photo.png", media, open_detector(str(weights))), told.append)
    assert told == [1, 2]


def test_clips_have_a_timeline(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A clip is decoded in a child process and answered over time."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(codec.encode_video(noise(6, 64, 64), 20))
    detect(clip, detector=f"frames={weights}", device="cpu", json=True)
    (found,) = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [moment["frame"] for moment in found["timeline"]] == list(range(6))
    with pytest.raises(MediaUnreadable, match=f"--detector {best(Modality.VIDEO).name}"):
        detect(clip, detector=str(weights), device="cpu", json=True)


def judged(capsys: pytest.CaptureFixture[str], *files: Path, **options: object) -> list[dict[str, object]]:
    """What `detect --json` says of the files."""
    detect(*files, device="cpu", json=True, **options)  # type: ignore[arg-type]
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def shifted(tmp_path: Path, bias: float) -> Path:
    """An NPR checkpoint that leans to one side by `bias`."""
    torch.manual_seed(0)
    path = tmp_path / f"npr{bias:+.0f}.safetensors"
    calibration = Calibration(temperature=1e6, bias=bias)
    write(path, NPR().state_dict(), preprocess=Preprocess(size=128), calibration=calibration, notes={"detector": "npr"})
    return path


def test_the_card_beside_the_weights_decides_what_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without one the low side is "cannot tell" for want of a measurement, with few current misses "no trace found"."""
    file = tmp_path / "photo.png"
    file.write_bytes(codec.encode_png(noise(1, 80, 80)))
    said = {}
    for bias in (-5.0, 0.0, 5.0):
        weights = shifted(tmp_path, bias)
        (found,) = judged(capsys, file, detector=str(weights))
        said[bias] = found["verdict"]
        assert ("never measured on current generators" in str(found["reason"])) == (bias < 0)
    assert said == {-5.0: "cannot tell", 0.0: "uncertain", 5.0: "synthetic"}
    weights = shifted(tmp_path, -5.0)
    few, far = Share(3, 100, 0.01, 0.08), Share(0, 100, 0.0, 0.04)
    exam = Exam("today", "as stored", True, None, few, far)
    card = Card("npr", sha256_of(weights), ("ae-nearest",), None, (exam,))
    keep(weights.with_suffix(""), card)
    (found,) = judged(capsys, file, detector=str(weights))
    assert (found["verdict"], found["exam"]) == ("no trace found", "today")
    assert str(few) in str(found["reason"])
    keep(weights.with_suffix(""), replace(card, weights="0" * 64))
    with pytest.raises(CheckpointError, match=r"claims: .*npr-5.claims.json is of weights 000000000000"):
        detect(file, detector=str(weights), device="cpu")


def test_what_lies_far_is_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sure answer about a picture that is like nothing that was measured is none, and both distances are told."""
    weights, file = shifted(tmp_path, 5.0), tmp_path / "photo.png"
    file.write_bytes(codec.encode_png(noise(1, 80, 80)))
    near = fit(np.random.default_rng(0).normal(-9.0, 0.1, (20, 512)).astype(np.float32))
    stem = weights.with_suffix("")
    reach = Reach("somewhere", 20, 10, 0.9, 0.0, 0.05, 2.5, keep_density(stem, near))
    keep(stem, Card("npr", sha256_of(weights), (), reach))
    (found,) = judged(capsys, file, detector=str(weights))
    assert found["verdict"] == "cannot tell"
    assert float(str(found["distance"])) > 2.5
    assert "farther from what these weights were measured on than all but 5 %" in str(found["reason"])
    detect(file, detector=str(weights), device="cpu")
    assert "cannot tell: it lies farther" in " ".join(capsys.readouterr().out.split())


def test_flat_tiny_and_short_files_have_no_number(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A black picture, 63 pixels and three frames: cannot tell, why, no number, and yet no failure."""
    files = {
        "black.png": codec.encode_png(Media(np.zeros((1, 256, 256, 3), np.uint8))),
        "one.png": codec.encode_png(noise(1, 63, 63)),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    black, one = judged(capsys, *(tmp_path / name for name in files), detector=str(weights))
    assert (black["verdict"], black["p_synthetic"]) == ("cannot tell", None)
    assert "flat" in str(black["reason"])
    assert "63x63" in str(one["reason"])
    short = tmp_path / "short.mp4"
    short.write_bytes(codec.encode_video(noise(3, 64, 64), 20))
    (found,) = judged(capsys, short, detector=f"frames={weights}")
    assert "3 frames" in str(found["reason"])
    detect(tmp_path / "black.png", detector=str(weights), device="cpu")
    assert "it is flat" in capsys.readouterr().out


def test_the_whole_picture_is_looked_at(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wide picture has squares over its whole length and tiles of what is stored, and the spread of their answers."""
    file = tmp_path / "wide.png"
    file.write_bytes(codec.encode_png(noise(1, 300, 700)))
    (found,) = judged(capsys, file, detector=str(weights))
    views = found["views"]
    assert isinstance(views, list)
    boxes = [view["box"] for view in views if view["kind"] == "square"]
    assert (boxes[0], boxes[-1]) == ([0, 0, 300, 300], [400, 0, 300, 300])
    assert sum(view["kind"] == "tile" for view in views) == 6
    numbers = [view["p_synthetic"] for view in views]
    assert found["spread"] == [min(numbers), max(numbers)]
    hottest = found["hottest"]
    assert isinstance(hottest, dict)
    loudest = max((view for view in views if view["kind"] == "tile"), key=lambda view: view["p_synthetic"])
    assert (hottest["box"], hottest["p_synthetic"]) == (loudest["box"], loudest["p_synthetic"])
    detect(file, detector=str(weights), device="cpu")
    assert f"most synthetic at the {hottest['place']}" in " ".join(capsys.readouterr().out.split())


def test_folders_are_judged(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All media of a folder, a count of what was skipped, and each reason of a failure once."""
    for number, (_, media) in enumerate(photos(2)):
        (tmp_path / f"{number}.png").write_bytes(codec.encode_png(media))
    for name in ("bad.jpg", "worse.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"<html>")
    with pytest.raises(MediaUnreadable, match="2 of 4 files could not be read"):
        detect(tmp_path, detector=str(weights), device="cpu")
    told = capsys.readouterr()
    assert "skipped 1 files: 1 not media (.txt)" in told.err
    assert told.err.count("bad.jpg") == 1
    assert "bad.jpg" not in told.out
    empty = tmp_path / "nothing"
    empty.mkdir()
    with pytest.raises(MediaUnreadable, match="hold no images or clips"):
        detect(empty, device="cpu")


def test_long_clips_say_what_was_seen(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of 80 frames, runs over all ten seconds; the timeline has their times, and a line says which part it was."""
    clip = tmp_path / "long.mp4"
    clip.write_bytes(codec.encode_video(noise(80, 64, 64), 30))
    (found,) = judged(capsys, clip, detector=f"frames={weights}")
    seen, moments = found["seen"], found["timeline"]
    assert isinstance(seen, dict)
    assert isinstance(moments, list)
    assert (seen["frames"], seen["duration"]) == (32, 10.0)
    assert seen["from"] < 1.0
    assert seen["to"] > 9.0
    assert moments[-1]["seconds"] > 8.5
    detect(clip, detector=f"frames={weights}", device="cpu")
    assert "32 frames between" in capsys.readouterr().out


def test_a_bad_detector_file_is_told_in_our_own_words(tmp_path: Path) -> None:
    """A pickle, a text and a truncated file: one line, and never torch's advice to run what a stranger wrote."""
    picture = tmp_path / "photo.png"
    picture.write_bytes(codec.encode_png(noise(1, 80, 80)))
    torch.save({"state_dict": {}, "code": Path("x")}, tmp_path / "pickle.pth")
    (tmp_path / "text.pth").write_bytes(b"not weights")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "pickle.pth").read_bytes()[:100])
    for name in ("pickle.pth", "text.pth", "cut.pth"):
        with pytest.raises(CheckpointError, match=f"weights: .*{name} (holds|is damaged)") as caught:
            detect(picture, detector=f"npr={tmp_path / name}", device="cpu")
        assert "weights_only" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_flags_that_are_wrong() -> None:
    """No file, nothing behind a detector's name, and a device that is not there, are told by name."""
    for text in ("ensemble=", "npr= "):
        with pytest.raises(SettingsError, match=f"{text}: nothing comes after the sign; write {text[:3]}.*=FILE"):
            open_detector(text)
    with pytest.raises(SettingsError, match="FILE"):
        detect()
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="no CUDA device"):
            detect(Path("x.png"), device="cuda")


def test_enlarged_pictures_are_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Detail below the line of the card: cannot tell of what is small or was blown up, and as before of the same sharp."""
    weights = shifted(tmp_path, 5.0)
    stored = embedded.path(embedded.items(Modality.IMAGE, Split.TEST)[0])
    keep(
        weights.with_suffix(""), Card("npr", sha256_of(weights), (), Reach("d", 90, 45, 0.9, 0.0, 0.0, None, "", -1.3))
    )
    image = Image.open(stored)
    wide, high = image.size
    files = {
        "sharp": image,
        "small": image.resize((wide // 3, high // 3), Image.Resampling.LANCZOS),
        "grown": image.crop((wide // 3, high // 3, 2 * wide // 3, 2 * high // 3)).resize(
            image.size, Image.Resampling.BICUBIC
        ),
    }
    for name, each in files.items():
        each.save(tmp_path / f"{name}.png")
    sharp, small, grown = judged(capsys, *(tmp_path / f"{name}.png" for name in files), detector=str(weights))
    assert sharp["verdict"] == "synthetic"
    for found in (small, grown):
        assert found["verdict"] == "cannot tell"
        assert float(str(found["fineness"])) < -1.3 < float(str(sharp["fineness"]))
        assert "less detail than its pixels have room for" in str(found["reason"])


def test_who_is_stopped_has_what_was_judged(weights: Path, tmp_path: Path) -> None:
    """Killed without a word after the first of many files: its object is printed, and its report is a page."""
    photo, page = tmp_path / "photo.png", tmp_path / "out.html"
    photo.write_bytes(codec.encode_png(noise(1, 80, 90)))
    words = [
        "detect",
        *[str(photo)] * 500,
        "--detector",
        str(weights),
        "--device",
        "cpu",
        "--json",
        "--html",
        str(page),
    ]
    command = [sys.executable, "-m", "neurons", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as stopped:
        assert stopped.stdout is not None
        text = b""
        while text.count(b'{"file": ') < 2:
            text += (more := os.read(stopped.stdout.fileno(), 2**16))
            assert more, "it ended"
        stopped.kill()
    first, _ = json.JSONDecoder().raw_decode(text.decode().removeprefix("["))
    assert stopped.returncode == -signal.SIGKILL
    assert first["file"] == str(photo)
    assert f"P(synthetic) = {first['p_synthetic']:.3f}" in page.read_text()


def test_a_page_that_cannot_be_written_is_told_at_once(weights: Path, tmp_path: Path) -> None:
    """Before the second file is judged; files of which none can be read leave no page."""
    photo, text = tmp_path / "photo.png", tmp_path / "text.png"
    photo.write_bytes(codec.encode_png(noise(1, 80, 90)))
    text.write_text("no picture")
    (tmp_path / "out.html").mkdir()
    with pytest.raises(OSError, match=r"out\.html"):
        detect(photo, photo, detector=str(weights), html=tmp_path / "out.html", device="cpu")
    with pytest.raises(MediaUnreadable):
        detect(text, detector=str(weights), html=tmp_path / "none.html", device="cpu")
    assert not (tmp_path / "none.html").exists()


def test_a_page_that_needs_nothing_else(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Verdict, pictures, parts, exams and evidence in one file, without a script or an address of elsewhere."""
    photo, clip, page = tmp_path / "<b>photo.png", tmp_path / "clip.mp4", tmp_path / "out.html"
    photo.write_bytes(codec.encode_png(noise(1, 300, 700)))
    clip.write_bytes(codec.encode_video(noise(6, 64, 64), 20))
    detect(photo, detector=str(weights), html=page, device="cpu", json=True)
    (found,) = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {clue["name"] for clue in found["evidence"]} >= {"content credentials", "rescaling"}
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert f"P(synthetic) = {found['p_synthetic']:.3f}" in text
    assert "&lt;b&gt;photo.png" in text
    assert text.count("data:image/") >= 2
    assert "<script" not in text
    assert not [word for word in ('src="http', 'href="http', "url(http") if word in text]
    detect(clip, detector=f"frames={weights}", html=page, device="cpu")
    assert "Over time" in page.read_text()
    with pytest.raises(SettingsError, match=r"--html .*name a file that ends with .html"):
        detect(photo, html=tmp_path / "out.png", device="cpu")
    with pytest.raises(SettingsError, match="--trust"):
        detect(photo, trust=tmp_path / "none.pem", device="cpu")
