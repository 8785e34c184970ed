"""`assay train`: from data on disk to weights, going on after an end, and refusing what would teach nonsense."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from PIL import Image

from detectors.checkpoints import HERE, read
from detectors.training.recipes import RECIPES
from neurons.commands.train import run_states
from subnet.game.operators import rescale
from subnet.types import Modality
from tests.unit.detectors.folders import photos, write_images
from tests.unit.neurons.running import Assay


def test_trains_goes_on_and_is_not_overwritten(assay: Assay, tmp_path: Path) -> None:
    """Weights appear beside a held-out part; the folder is not used twice unless asked; --resume gives the same file."""
    data, out = write_images(tmp_path / "data", 6), tmp_path / "out"
    words = ("train", "npr", "--data", data, "--steps", "1", "--out", out, "--device", "cpu", "--json")
    ran = assay(*words)
    assert ran.status == 0, ran.err
    assert ran.json["steps"] == 1
    weights = (out / "npr.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == ran.json["sha256"]
    assert (out / "data" / "validation" / "index.jsonl").is_file()
    again = assay(*words)
    assert again.status == 2
    assert "--resume" in again.message
    assert assay(*words, "--resume").status == 0
    (tmp_path / "link").symlink_to(tmp_path)
    assert assay(*[tmp_path / "link" / "out" if word == out else word for word in words], "--resume").status == 0
    assert (out / "npr.safetensors").read_bytes() == weights


def test_a_run_of_a_longer_name_is_another_run(tmp_path: Path) -> None:
    """States of npr-adversarial in the same folder are not npr's; what comes first goes by the name of the whole."""
    states = {
        "npr": ["npr"],
        "npr-adversarial": ["npr-adversarial", "npr-adversarial-npr"],
        "autoencoder": ["autoencoder", "autoencoder-autoencoder-reconstruction"],
        "autoencoder-reconstruction": ["autoencoder-reconstruction"],
        "camo": ["camo", "camo-creatures"],
    }
    for names in states.values():
        for name in names:
            (tmp_path / f"{name}.state.safetensors").touch()
    for detector, names in states.items():
        found = {path.name.removesuffix(".state.safetensors") for path in run_states(tmp_path, detector)}
        assert found == set(names), detector


def test_data_that_gives_itself_away(assay: Assay, tmp_path: Path) -> None:
    """JPEG against PNG is refused, naming what tells the label and the way past it."""
    for number in range(30):
        picture = Image.new("RGB", (64, 64), (8 * number, 128, 255 - 8 * number))
        for kind, suffix in (("real", "jpg"), ("fake", "png")):
            for side in ("train", "validation"):
                path = tmp_path / "data" / side / kind / f"{number:04d}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save(path)
    words = ("train", "npr", "--data", tmp_path / "data", "--out", tmp_path / "out", "--device", "cpu")
    ran = assay(*words)
    assert ran.status == 2
    assert "format tells the label" in ran.message
    assert "--force" in ran.message


def test_names_that_tell_the_label(assay: Assay, tmp_path: Path) -> None:
    """Two folders with the same kind of file, whose names tell the classes apart, are refused as well."""
    for number in range(30):
        picture = Image.new("RGB", (64, 64), (8 * number, 128, 255 - 8 * number))
        for kind, name in (("real", f"IMG_{number:04d}.png"), ("fake", f"a-photo-of-a-cat-{number}.png")):
            for side in ("train", "validation"):
                path = tmp_path / "data" / side / kind / name
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save(path)
    ran = assay("train", "npr", "--data", tmp_path / "data", "--out", tmp_path / "out", "--device", "cpu")
    assert ran.status == 2
    assert "name tells the label" in ran.message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nprr",), "did you mean npr"),
        (("constant",), "not trained by itself"),
        (("npr", "--data", "nowhere"), "--data nowhere"),
        (("npr", "--data", "embedded:tset"), "embedded:tset"),
        (("npr", "--data", "embedded:test"), "test set"),
        (("npr", "--steps", "0"), "--steps"),
        (("npr", "--twins", "-1"), "--twins"),
        (("npr", "--device", "cuda:7"), "--device"),
        (("patchwise", "--network", "patch"), "write NAME=NUMBER"),
        (("patchwise", "--crop", "100"), "--crop"),
    ],
)
def test_mistakes_name_the_flag(assay: Assay, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """Status 2 and one line that says what to mend; nothing is written."""
    ran = assay("train", *words, "--out", tmp_path / "out")
    assert ran.status == 2
    assert said in ran.message
    assert not (tmp_path / "out").exists()


def test_arguments_reach_the_network(assay: Assay, tmp_path: Path) -> None:
    """One that it does not take and one out of range are named, with what it takes; nothing is trained."""
    write_images(tmp_path / "data" / "train", 4)
    write_images(tmp_path / "data" / "validation", 3, "validation")
    for text, said in (("patches=3", "takes patch, width, least"), ("patch=8", "16..256"), ("patch=128", "at most 64")):
        words = ("--data", tmp_path / "data", "--network", text, "--out", tmp_path / text, "--device", "cpu", "--force")
        ran = assay("train", "patchwise", *words)
        assert ran.status == 2
        assert said in ran.message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--network", "patch=300"), "16..256"),
        (("--network", "patches=3"), "takes patch"),
        (("--init", "{npr}"), "of npr"),
    ],
    ids=["range", "name", "weights"],
)
def test_networks_are_tried_before_data_are_made(
    assay: Assay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str], said: str
) -> None:
    """Arguments out of range and weights of another detector are told before the embedded data are even written."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    shown = [word.format(npr=HERE / "npr.safetensors") for word in words]
    ran = assay("train", "patchwise", *shown, "--out", tmp_path / "out", "--device", "cpu")
    assert ran.status in (1, 2)
    assert said in ran.message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["whole", "divided"])
def test_an_empty_class_names_the_flag_that_emptied_it(assay: Assay, tmp_path: Path, part: str) -> None:
    """All fakes are left out by --exclude: the error says so, and names the data as the user did."""
    data, sides = tmp_path / "data", {"train": 8, "validation": 6}
    for side, count in {"": 8}.items() if part == "whole" else sides.items():
        write_images(data / side, count, side or "train")
    words = ("--exclude", "blurred", "--steps", "1", "--out", tmp_path / "out", "--device", "cpu", "--force")
    ran = assay("train", "npr", "--data", data, *words)
    assert (ran.status, "Traceback" in ran.err) == (2, False)
    assert f"--exclude blurred: no synthetic items of {data} are left, all are of blurred" in ran.message
    assert not (tmp_path / "out").exists()


def test_help_says_who_takes_clips(assay: Assay) -> None:
    """Every recipe that is trained on clips is named in one sentence, and none that is trained on images."""
    told = " ".join(assay("train", "--help").out.replace("│", " ").split())
    listed = told.partition("Trained on clips: ")[2].partition(";")[0].split(", ")
    assert listed == [row.name for row in RECIPES.values() if row.family.modality is Modality.VIDEO]


@pytest.mark.parametrize("made", ["nothing", "the folder", "a file in it"])
def test_what_is_refused_before_training_leaves_nothing(assay: Assay, tmp_path: Path, made: str) -> None:
    """Data are held out for validation, and then weights, network or pixels refused: what was there is there, alone."""
    whole, flat, out = write_images(tmp_path / "whole", 8), tmp_path / "flat", tmp_path / "new" / "out"
    for number in range(12):
        for kind in ("real", "fake"):
            (flat / kind).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (80, 80), (20 * number, 9, 9)).save(flat / kind / f"{number}.png")
    if made != "nothing":
        out.mkdir(parents=True)
    if made == "a file in it":
        (out / "mine.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    words = ("--out", out, "--device", "cpu", "--force")
    all_kinds = (
        ("spectral", "--data", flat),
        ("cnn_svm", "--data", flat),
        ("patchwise", "--data", whole, "--network", "patch=8"),
        ("autoencoder", "--data", whole, "--init", HERE / "npr.safetensors"),
        ("tall", "--data", whole),
    )
    for refused in all_kinds if made == "nothing" else all_kinds[:1]:
        ran = assay("train", *refused, *words)
        assert ran.status == 2, ran.err
        assert sorted(tmp_path.rglob("*")) == before, refused


def test_what_was_trained_stays_when_a_run_ends_early(assay: Assay, tmp_path: Path) -> None:
    """A second run that is refused in the folder of a first leaves that as it is."""
    words = ("train", "npr", "--data", write_images(tmp_path / "data", 6), "--out", tmp_path / "out", "--device", "cpu")
    assert assay(*words, "--steps", "1").status == 0
    before = sorted(tmp_path.rglob("*"))
    assert assay(*words, "--steps", "1", "--resume", "--learning_rate", "0.1").status == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_to_go_on_with(assay: Assay, tmp_path: Path) -> None:
    """--resume without a run says so; an empty folder and one of a single class are named."""
    assert "holds no run" in assay("train", "npr", "--resume", "--out", tmp_path / "out").message
    (tmp_path / "empty").mkdir()
    assert "holds no images" in assay("train", "npr", "--data", tmp_path / "empty", "--out", tmp_path / "out").message
    (tmp_path / "one" / "real").mkdir(parents=True)
    for number in range(12):
        Image.new("RGB", (300, 300), (20 * number, 128, 9)).save(tmp_path / "one" / "real" / f"{number}.png")
    one = assay("train", "npr", "--data", tmp_path / "one", "--out", tmp_path / "out")
    assert one.status == 2
    assert "synthetic" in one.message


@pytest.mark.parametrize("text", ["ucf", "=x.safetensors", "ucf="])
def test_an_expert_needs_a_name_and_a_file(assay: Assay, tmp_path: Path, text: str) -> None:
    """Half an --expert is refused, and the error says how one is written."""
    ran = assay("train", "camo", "--data", tmp_path, "--expert", text, "--out", tmp_path / "out")
    assert ran.status == 2
    assert f"--expert {text}: write NAME=FILE" in ran.err


def test_weights_are_looked_at_before_data_are_made(assay: Assay, tmp_path: Path) -> None:
    """A file to start from that is missing, a pointer or full of NaN is told at once, and nothing is written."""
    (tmp_path / "pointer.pth").write_bytes(b"version https://git-lfs.github.com/spec/v1\nsize 12345\n")
    torch.save({"a": torch.tensor([float("nan")])}, tmp_path / "nan.pth")
    for name, told in (("nowhere.pth", "not a file"), ("pointer.pth", "git lfs pull"), ("nan.pth", "NaN")):
        for flag in (("--init", tmp_path / name), ("--expert", f"ucf={tmp_path / name}")):
            ran = assay("train", "camo", "--out", tmp_path / "out", "--device", "cpu", *flag)
            assert ran.status != 0
            assert told in ran.message
    assert not (tmp_path / "out").exists()


def test_fine_tuning_on_a_public_layout(assay: Assay, tmp_path: Path) -> None:
    """From weights that ship, on GenImage's folders (train and val, each with nature and ai): what comes out is still
    that network, moved a little; a learning rate beyond reason is refused."""
    for side, split, count in (("train", "train", 4), ("val", "validation", 3)):
        for item, media in photos(count, split):
            for label, frames in (("nature", media.frames), ("ai", rescale(media.frames, 0.5))):
                path = tmp_path / "BigGAN" / side / label / f"{item.replace('/', '_')}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(frames[0]).save(path)
    data = ("--data", tmp_path / "BigGAN" / "train", "--validation", tmp_path / "BigGAN" / "val")
    words = ("train", "npr", *data, "--init", HERE / "npr.safetensors", "--out", tmp_path / "out", "--device", "cpu")
    refused = assay(*words, "--learning_rate", "2")
    assert refused.status == 2
    assert "--learning_rate must be above 0 and below 1" in refused.err
    ran = assay(*words, "--steps", "2", "--learning_rate", "0.0001", "--json")
    assert ran.status == 0, ran.err
    before, after = read(HERE / "npr.safetensors"), read(Path(ran.json["weights"]))
    assert after.notes["recipe"]["learning_rate"] == 0.0001
    assert after.notes["origins"] == ["ai"]
    key = "layer1.0.conv1.weight"
    moved = (after.state[key].float() - before.state[key].float()).abs().max()
    assert 0 < moved < 0.01


@pytest.mark.parametrize("name", ["spectral", "autoencoder", "retrieval"])
def test_weights_of_another_detector_are_no_start(assay: Assay, tmp_path: Path, name: str) -> None:
    """Weights that a detector with a head or an index cannot start from are refused in words."""
    data, out = write_images(tmp_path / "data", 6), tmp_path / "out"
    init = HERE / "cnn_svm.safetensors"
    ran = assay("train", name, "--data", data, "--init", init, "--out", out, "--device", "cpu")
    assert ran.status in (1, 2)
    assert "weights" in ran.message
    assert not out.exists()


def test_an_origin_that_nothing_has_is_told(assay: Assay, tmp_path: Path) -> None:
    """A name after --exclude that leaves nothing out is likely misspelt, and the names that there are stand beside it."""
    data, out = write_images(tmp_path / "data", 6), tmp_path / "out"
    words = ("train", "npr", "--data", data, "--steps", "1", "--out", out, "--device", "cpu", "--exclude", "blured")
    ran = assay(*words)
    assert ran.status == 0
    assert f"--exclude blured: nothing of that origin in {data}, which has" in ran.err
    assert "blurred" in ran.err
