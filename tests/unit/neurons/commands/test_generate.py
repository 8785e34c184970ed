"""`assay generate`: files, provenance, contact sheet, and what it says when it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from subnet.codec import image as codec
from tests.unit.neurons.running import Assay


def test_pictures_with_provenance(assay: Assay, tmp_path: Path) -> None:
    """A PNG of 256x256 and a JSON for each item, a contact sheet, and the same bytes for the same seed."""
    first, second = tmp_path / "a", tmp_path / "b"
    ran = assay("generate", "ae-nearest", "-n", "2", "--out", first, "--seed", "5", "--device", "cpu", "--json")
    assert ran.status == 0
    assay("generate", "ae-nearest", "-n", "2", "--out", second, "--seed", "5", "--device", "cpu")
    files = [Path(item["file"]) for item in ran.json["items"]]
    assert [file.name for file in files] == ["ae-nearest-5-0000.png", "ae-nearest-5-0001.png"]
    for file in files:
        assert codec.decode_image(file.read_bytes()).frames.shape == (1, 256, 256, 3)
        assert file.read_bytes() == (second / file.name).read_bytes()
        about = json.loads(file.with_suffix(".json").read_text())
        assert about["model"] == "ae-nearest"
        assert about["label"] == "synthetic"
        assert about["parameters"]["decoder"] == "nearest"
    with Image.open(ran.json["contact_sheet"]) as sheet:
        assert sheet.width >= 2 * 256


def test_clips(assay: Assay, tmp_path: Path) -> None:
    """A video generator writes MP4 files that play; a prompt it does not read is pointed out."""
    ran = assay("generate", "video-jitter", "-n", "1", "--prompt", "a cat", "--out", tmp_path, "--json")
    clip = codec.decode_video(Path(ran.json["items"][0]["file"]).read_bytes())
    assert clip.frames.shape == (16, 256, 256, 3)
    assert "reads no prompt" in ran.err


def test_own_photos(assay: Assay, tmp_path: Path) -> None:
    """Reconstructions start from the user's photos when a folder is given."""
    photos = tmp_path / "mine"
    photos.mkdir()
    Image.effect_mandelbrot((300, 280), (-2.2, -1.5, 1, 1.5), 60).convert("RGB").save(photos / "set.jpg")
    ran = assay("generate", "ae-shuffle", "-n", "1", "--photos", photos, "--out", tmp_path / "out", "--json")
    assert ran.json["items"][0]["source"] == "mine"
    assert ran.json["items"][0]["item"] == "set.jpg"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ae-nearst",), "did you mean ae-nearest"),
        (("sdxl",), "needs a GPU"),
        (("ae-nearest", "-n", "0"), "--count"),
        (("ae-nearest", "--prompt", " "), "--prompt"),
        (("ae-nearest", "--photos", "/does/not/exist"), "--photos"),
        (("ae-nearest", "--device", "tpu"), "--device"),
        (("ae-nearest", "--out", "/proc/assay"), "--out"),
    ],
)
def test_mistakes_name_the_flag(assay: Assay, words: tuple[str, ...], said: str) -> None:
    """Status 2 and one line that says what to mend."""
    ran = assay("generate", *words)
    assert ran.status == 2
    assert said in ran.message
