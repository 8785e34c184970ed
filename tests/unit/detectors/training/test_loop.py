"""The training loop."""

from __future__ import annotations

import json
import pickle
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch

from detectors.checkpoints import read
from detectors.dataset.items import DatasetItem, load_media, read_folder
from detectors.training.batches import Batches, BatchPlan
from detectors.training.loop import Progress, Training, rate, train
from detectors.training.validation_set import tell_few
from subnet.codec import image as codec
from subnet.errors import CheckpointError, DataError, SettingsError, StateError
from subnet.types import Label, Media, Modality
from tests.unit.detectors.folders import write_images

PLAN = BatchPlan(pairs=2, crop=32)


def settings(root: Path, out: str, **changes: object) -> Training:
    given: dict[str, object] = {"steps": 4, "plan": PLAN, "evaluate_every": 2, "save_every": 1, "validation_items": 4}
    return Training(**{"detector": "npr", "data": root / "train", "out": root / out, **given, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training and a validation folder."""
    root = tmp_path_factory.mktemp("data")
    write_images(root / "train", 4, "train")
    write_images(root / "validation", 3, "validation")
    return root


@pytest.fixture(scope="module")
def whole(root: Path) -> Path:
    """The weights of a run that nobody disturbed."""
    return train(settings(root, "whole.safetensors")).weights


def test_a_run_tells_how_it_goes_and_leaves_weights(root: Path) -> None:
    """Every step is reported with its loss and the time left; the file says how it came about."""
    seen: list[Progress] = []
    outcome = train(settings(root, "told.safetensors"), seen.append)
    checkpoint = read(outcome.weights, sha256=outcome.sha256)
    assert [progress.step for progress in seen] == [1, 2, 3, 4]
    assert [progress.auc is not None for progress in seen] == [False, True] * 2
    assert 0.0 == seen[-1].seconds_left < seen[1].seconds_left < 60.0
    assert checkpoint.calibration is not None
    assert checkpoint.notes["origins"] == ["blurred"]
    assert checkpoint.notes["recipe"]["seed"] == 0


@pytest.mark.timeout(600)
def test_killed_and_resumed_is_the_same(root: Path, whole: Path) -> None:
    """A run killed with SIGKILL in the middle and started again ends with bit-equal weights."""
    code = (
        "import sys\nimport torch\ntorch.set_num_threads(1)\nfrom pathlib import Path\nfrom tests.unit.detectors.training.test_loop import settings\n"
        "from detectors.training.loop import train\n"
        "train(settings(Path(sys.argv[1]), 'killed.safetensors'), lambda p: print(p.step, flush=True))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "2":
            process.send_signal(signal.SIGKILL)
            break
    process.wait(timeout=30)
    process.stdout.close()
    assert (root / "killed.state.safetensors").is_file()
    assert not (root / "killed.safetensors").exists()
    steps: list[int] = []
    outcome = train(settings(root, "killed.safetensors"), lambda progress: steps.append(progress.step))
    assert steps[0] > 1
    expected, found = read(whole).state, read(outcome.weights).state
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_another_seed_is_another_run(root: Path, whole: Path) -> None:
    """The seed matters, and a state of other settings is not continued by mistake."""
    outcome = train(settings(root, "other.safetensors", seed=1))
    expected, found = read(whole).state, read(outcome.weights).state
    assert not torch.equal(expected["fc1.weight"], found["fc1.weight"])
    with pytest.raises(SettingsError, match="other settings"):
        train(settings(root, "other.safetensors", seed=2))


def test_what_comes_first_runs_first(root: Path) -> None:
    """UCF without weights to start from trains its judging half as a plain classifier, and goes on from that."""
    outcome = train(
        settings(root, "ucf.safetensors", detector="ucf", steps=1, evaluate_every=1, plan=BatchPlan(pairs=2, crop=64))
    )
    before = read(root / "ucf-ucf-plain.safetensors")
    assert before.notes["detector"] == "ucf-plain"
    assert read(outcome.weights).notes["recipe"]["init"] == "ucf-ucf-plain.safetensors"


def test_a_damaged_state_is_named(root: Path) -> None:
    """A state file that is not ours is a StateError that says what to do, not a fresh start."""
    (root / "damaged.state.safetensors").write_bytes(b"nothing")
    with pytest.raises(StateError, match="damaged"):
        train(settings(root, "damaged.safetensors"))


def test_early_stop(root: Path) -> None:
    """Without progress on validation the run ends before its last step."""
    outcome = train(settings(root, "early.safetensors", steps=6, evaluate_every=1, patience=1, learning_rate=1e-9))
    assert outcome.steps <= 6
    assert len(outcome.history) == outcome.steps


def test_no_data_no_run(root: Path) -> None:
    """Excluding the only generator, or a modality that is not there, is a DataError naming the class."""
    with pytest.raises(DataError, match="no synthetic items"):
        train(settings(root, "none.safetensors", exclude=("blurred",)))


def test_batches_are_balanced_and_paired(root: Path) -> None:
    """Half of a batch is real, and twin i is nearer to real i than to the others: same place, same augmentation."""
    records = read_folder(root / "train")
    plan = BatchPlan(pairs=4, crop=64, early=(0, 1, 0, 0), late=(0, 1, 0, 0))
    batches = Batches(records, load_media, plan, steps=9, seed=3)
    batch, again = batches[5], batches[5]
    assert torch.equal(batch.frames, again.frames)
    assert batch.labels.tolist() == [0.0] * 4 + [1.0] * 4
    assert batch.methods.tolist() == [0] * 4 + [1] * 4
    reals, fakes = batch.frames[:4].float(), batch.frames[4:].float()
    distance = (reals[:, None] - fakes[None]).abs().mean(dim=(2, 3, 4, 5))
    assert all(distance[i].argmin() == i or distance[i, i] == distance[i].min() for i in range(4))


def test_training_draws_from_every_origin_alike(root: Path) -> None:
    """Origins of fakes come up equally often, whatever their number of items."""
    records = read_folder(root / "train")
    fakes = [record for record in records if record.label is Label.SYNTHETIC]
    records += [replace(fakes[0], origin="rare")]
    batches = Batches(records, load_media, PLAN, steps=60, seed=0)
    drawn = np.array([batches[step].methods[2:].tolist() for step in range(60)]).ravel()
    assert 40 <= int((drawn == 2).sum()) <= 80


def test_the_rate_warms_up_and_cools_down() -> None:
    """The factor on the learning rate rises to one and falls to two per cent."""
    values = [rate(step, 400) for step in range(400)]
    assert values[0] == pytest.approx(0.05)
    assert max(values) == pytest.approx(1.0)
    assert values[-1] == pytest.approx(0.02, abs=0.01)


def test_plans_that_cannot_be() -> None:
    """A crop off the grid, no pairs, or odds for three levels are ValueErrors."""
    for wrong in ({"crop": 100}, {"pairs": 0}, {"early": (1, 1, 1)}, {"frames": 4, "span": 2}, {"distortion": 2.0}):
        with pytest.raises(ValueError, match="needed"):
            BatchPlan(**wrong)  # type: ignore[arg-type]


def test_a_batch_needs_no_shared_memory(tmp_path: Path) -> None:
    """What a worker sends holds its pixels by value: /dev/shm has 64 MB in a container, and no part of them."""
    records = read_folder(write_images(tmp_path / "set", 3))
    batch = Batches(records, load_media, PLAN, steps=2, seed=0)[0]
    sent = bytes(ForkingPickler.dumps(batch))
    assert len(sent) > batch.frames.numel()
    again = pickle.loads(sent)
    assert torch.equal(again.frames, batch.frames)
    assert torch.equal(again.labels, batch.labels)
    assert torch.equal(again.methods, batch.methods)


def test_a_run_goes_on_under_another_form_of_its_paths(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative, absolute, through a link, with dots: a path is the same path; other data are named as what differs."""
    link = tmp_path / "link"
    link.symlink_to(root)
    monkeypatch.chdir(root)
    train(settings(Path("."), "forms.safetensors", steps=2))
    for form in (root, link, root / "train" / ".."):
        again = train(
            replace(settings(form, "forms.safetensors", steps=2), out=root / "forms.safetensors", save_every=2)
        )
        assert again.steps == 2
    with pytest.raises(SettingsError, match=r"other settings \(data was .*train, not .*validation\)"):
        train(settings(root, "forms.safetensors", steps=2, data=root / "validation"))


@pytest.mark.parametrize("changed", ["train", "validation"])
def test_a_run_does_not_go_on_with_other_items_in_its_folders(root: Path, tmp_path: Path, changed: str) -> None:
    """An item more, or other pixels in a file of the same name: the state is not theirs, and which folder is named."""
    for name in ("train", "validation"):
        shutil.copytree(root / name, tmp_path / name)
    run = settings(tmp_path, "run.safetensors", steps=1)
    train(run)
    index = tmp_path / changed / "index.jsonl"
    before = index.read_text()
    kind = "training" if changed == "train" else changed
    index.write_text(before + "\n" + before.splitlines()[0].replace('"item": "', '"item": "another '))
    with pytest.raises(
        SettingsError, match=rf"other settings \({kind} set was \d+ items \(.*\), not \d+ items \(.*\)\)"
    ):
        train(run)
    index.write_text(before)
    assert train(run).steps == 1
    file = tmp_path / changed / json.loads(before.splitlines()[0])["file"]
    file.write_bytes(codec.encode_png(Media(load_media(read_folder(tmp_path / changed)[0]).frames[:, ::-1].copy())))
    with pytest.raises(SettingsError, match=f"{kind} set was"):
        train(run)


def test_the_folder_that_lacks_something_is_named(root: Path, tmp_path: Path) -> None:
    """A validation folder of one class is named as such, and so is a folder of the other kind of media."""
    (tmp_path / "real").mkdir()
    for path in list((root / "validation").glob("*-0.png")):
        (tmp_path / "real" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=rf"{tmp_path} for npr \(image\) holds no synthetic items among 3"):
        train(settings(root, "one.safetensors", validation=tmp_path))
    with pytest.raises(DataError, match=r"temporal-lstm judges videos, and none of 8 items in .*train is one"):
        train(settings(root, "clips.safetensors", detector="temporal-lstm"))


@pytest.mark.parametrize("detector", ["npr", "spectral", "ensemble"])
def test_few_items_to_calibrate_by_are_told(root: Path, tmp_path: Path, detector: str) -> None:
    """Whatever is calibrated says beforehand that validation is too small for it, with the count and the flag."""
    notes: list[str] = []
    out = str(tmp_path / "few.safetensors")
    train(settings(root, out, detector=detector, steps=1, evaluate_every=1), tell=notes.append)
    (note,) = [note for note in notes if "calibrat" in note]
    assert f"{root / 'validation'}" in note
    assert "3 real and 3 synthetic" in note
    assert "--validation" in note


@pytest.mark.parametrize(("reals", "fakes", "told"), [(20, 20, False), (19, 40, True), (40, 19, True)])
def test_how_few_are_few(reals: int, fakes: int, told: bool) -> None:
    """Twenty of each class are enough; nineteen of either are not."""
    kinds = [Label.REAL] * reals + [Label.SYNTHETIC] * fakes
    notes: list[str] = []
    tell_few([DatasetItem(Path("x.png"), kind, Modality.IMAGE, "x") for kind in kinds], Path("y"), notes.append)
    assert bool(notes) is told


def test_weights_of_another_detector_are_called_by_their_name(root: Path, whole: Path) -> None:
    """A checkpoint that does not fit is said to be of the detector that its notes name."""
    with pytest.raises(CheckpointError, match=r"says that it is of npr: give weights of vit_cam"):
        train(settings(root, "foreign.safetensors", detector="vit_cam", init=whole))
