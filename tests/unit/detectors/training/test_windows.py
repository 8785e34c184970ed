"""Training on more than fits in memory, and by several processes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from detectors.checkpoints import read
from detectors.dataset.cuts import pixel_bytes
from detectors.dataset.items import DatasetItem, read_folder
from detectors.dataset.order import windows
from detectors.dataset.shard_writing import write_shards
from detectors.training.batches import Batches, BatchPlan
from detectors.training.loop import Progress, Training, train
from detectors.training.ranks import Rank, check_share
from detectors.training.windows import Supply, window_items
from subnet.errors import DataError, SettingsError
from subnet.types import Label, Modality
from tests.unit.detectors.folders import write_images

PLAN = BatchPlan(pairs=2, crop=32)
TINY = 1e-4  # GiB: nothing fits, and windows are of their smallest size


def settings(root: Path, out: str, **changes: object) -> Training:
    given = {"steps": 24, "plan": PLAN, "evaluate_every": 24, "save_every": 1, "validation_items": 4, "memory": TINY}
    return Training(**{"detector": "npr", "data": root / "train", "out": root / out, **given, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training set in shards, and a validation folder."""
    root = tmp_path_factory.mktemp("data")
    write_images(root / "files", 12, "train")
    write_shards(read_folder(root / "files"), root / "train", each=4)
    write_images(root / "validation", 3, "validation")
    return root


def item(number: int, label: Label, origin: str, pair: str = "", shard: str = "a") -> DatasetItem:
    path = Path(f"{shard}.tar/{label}-{origin}-{number}.png")
    return DatasetItem(path, label, Modality.IMAGE, origin, pair, at=512 * number)


def test_windows_mix_classes_and_generators_that_lie_apart() -> None:
    """Shards sorted by class, one generator a hundredth of another: every window has all, twins with their reals."""
    reals = [item(n, Label.REAL, "camera", shard="reals") for n in range(2000)]
    many = [item(n, Label.SYNTHETIC, "many", shard="many") for n in range(2000)]
    few = [item(n, Label.SYNTHETIC, "few", shard="few") for n in range(20)]
    twins = [
        item(n, *kind, f"p{n}", "twins") for n in range(400) for kind in ((Label.REAL, "x"), (Label.SYNTHETIC, "t"))
    ]
    records = [*reals, *many, *few, *twins]
    drawn = list(islice(windows(records, 400, seed=3), 12))
    for window in drawn:
        origins = Counter(each.origin for each in window)
        assert set(origins) == {"camera", "many", "few", "x", "t"}
        assert origins["x"] == origins["t"]
        assert 400 <= len(window) < 500
    whole = Counter(each.origin for window in drawn for each in window)
    assert 0.5 < whole["few"] / whole["many"] < 2.0
    again = list(islice(windows(records, 400, seed=3), 12))
    assert again == drawn
    assert next(windows(records, 400, seed=4)) != drawn[0]
    assert len({each.path for window in drawn for each in window if each.origin == "camera"}) > 800


def test_batches_are_the_same_from_any_step_on(root: Path) -> None:
    """Whoever begins in the middle of a window, or at its border, sees the batches of one who began at step 0."""
    records = read_folder(root / "train")
    make = partial(Batches, plan=PLAN, steps=40, seed=5)
    given = {"steps": 40, "pairs": 2, "seed": 5, "window": 64, "tell": print}

    def frames(first: int) -> list[torch.Tensor]:
        return [batch.frames for _, batch in Supply(records, make, root / "train", **given).batches(first, 0)]  # type: ignore[arg-type]

    whole = frames(0)
    assert len(whole) == 40
    assert all(torch.equal(a, b) for a, b in zip(whole[29:], frames(29), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(whole[32:], frames(32), strict=True))


def test_what_breaks_while_it_is_read_is_told_and_drawn_again(root: Path, tmp_path: Path) -> None:
    """A damaged file costs nothing but itself: it is named once, and both halves of a step agree on what replaces it."""
    write_images(tmp_path / "train", 8)
    records = read_folder(tmp_path / "train")
    records[3].path.write_bytes(b"no picture")
    notes: list[str] = []

    def frames(part: tuple[int, int]) -> list[torch.Tensor]:
        make = partial(Batches, plan=PLAN, steps=20, seed=5, part=part)
        supply = Supply(records, make, tmp_path / "train", steps=20, pairs=2, seed=5, window=64, tell=notes.append)
        return [batch.frames for _, batch in supply.batches(0, 0)]

    whole, first, second = frames((0, 1)), frames((0, 2)), frames((1, 2))
    for batch, a, b in zip(whole, first, second, strict=True):
        assert torch.equal(batch, torch.stack([a[0], b[0], a[1], b[1]]))
    assert records[3].path.name in notes[0]
    assert sum(records[3].path.name in note for note in notes[:1]) == 1


def test_a_set_that_is_mostly_of_no_use_ends_the_run(root: Path, tmp_path: Path) -> None:
    """Where nearly all that is drawn cannot be read, the run says so and what becomes of it."""
    write_images(tmp_path / "train", 60)
    records = read_folder(tmp_path / "train")
    for record in records[10:]:
        record.path.write_bytes(b"no picture")
    make = partial(Batches, plan=PLAN, steps=200, seed=5)
    supply = Supply(records, make, tmp_path, steps=200, pairs=2, seed=5, window=400, tell=lambda line: None)
    with pytest.raises(DataError, match="of no use"):
        list(supply.batches(0, 0))


def test_memory_says_what_a_window_holds() -> None:
    """All is held where it fits; else two windows are, together within what was given."""
    records = [item(n, Label.REAL, "camera") for n in range(1000)]
    assert pixel_bytes(Modality.IMAGE) == 196_608
    assert window_items(records, 1.0) is None
    assert window_items(records, 0.1) == 0.1 * 2**30 // 2 // 196_608


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_in_a_later_window_and_resumed_is_the_same(root: Path) -> None:
    """kill -9 behind the first window, and start again: the weights are equal to the last bit."""
    whole = train(settings(root, "whole.safetensors"))
    code = (
        "import sys\nimport torch\ntorch.set_num_threads(1)\nfrom pathlib import Path\n"
        "from tests.unit.detectors.training.test_windows import settings\nfrom detectors.training.loop import train\n"
        "train(settings(Path(sys.argv[1]), 'killed.safetensors'), lambda p: print(p.step, flush=True))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "19":
            process.send_signal(signal.SIGKILL)
            break
    process.wait(timeout=30)
    process.stdout.close()
    steps: list[int] = []
    outcome = train(settings(root, "killed.safetensors"), lambda progress: steps.append(progress.step))
    assert steps[0] > 16
    expected, found = read(whole.weights).state, read(outcome.weights).state
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    with pytest.raises(SettingsError, match="window was"):
        train(settings(root, "killed.safetensors", memory=2e-2))


def started(root: Path, out: str, ranks: int, steps: int, rank: int, port: int) -> subprocess.Popen[str]:
    code = (
        "import sys\nimport torch\ntorch.set_num_threads(1)\nfrom pathlib import Path\n"
        "from tests.unit.detectors.training.test_windows import settings\nfrom detectors.training.loop import train\n"
        f"train(settings(Path(sys.argv[1]), {out!r}, steps={steps}, evaluate_every={steps}),"
        " lambda p: print(p.losses['loss'], flush=True))\n"
    )
    words = [sys.executable, "-c", code, str(root)]
    environment = ranked(rank, ranks, port)
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def ranked(rank: int, ranks: int, port: int) -> dict[str, str]:
    """The variables that torchrun gives a process."""
    about = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {**os.environ, **{name: str(value) for name, value in about.items()}, "OMP_NUM_THREADS": "1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_gradients_over_two_processes_are_those_of_one() -> None:
    """Loss, gradients and running statistics through batch normalisation, in float64, over gloo."""
    port = free_port()
    words = [sys.executable, "-m", "tests.unit.detectors.training.ranks_program"]
    both = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ranked(rank, 2, port))
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=100) for process in both]
    assert [out.strip() for out, _ in outputs] == ["same", "same"], outputs


def tensors(path: Path, names: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in load_file(path).items() if re.search(names, name)}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_train_what_one_does(root: Path) -> None:
    """Two gloo ranks, each with its half of a step, report the loss of one process, and train every parameter.

    Gradients of this deep network on four crops magnify rounding; `ranks_program` compares to the last digits.
    """
    told: list[Progress] = []
    train(settings(root, "alone.safetensors", steps=1, evaluate_every=1), told.append)
    port = free_port()
    pair = [started(root, "ranks.safetensors", 2, 1, rank, port) for rank in range(2)]
    outputs = [process.communicate(timeout=400) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], outputs
    for text, _ in outputs:
        assert [float(line) for line in text.splitlines()] == pytest.approx([told[0].losses["loss"]], rel=1e-5)
    for names in (r"optimiser/.*/exp_avg$", r"weights/.*running_(mean|var)$"):
        alone, ranks = (tensors(root / f"{name}.state.safetensors", names) for name in ("alone", "ranks"))
        assert alone.keys() == ranks.keys() != set()
        for name, value in alone.items():
            assert float((value - ranks[name]).norm()) <= 0.05 * float(value.norm()) + 1e-6, name


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_rank_that_dies_is_told(root: Path) -> None:
    """The other rank ends with a sentence that says what happened and what is kept."""
    port = free_port()
    first, second = (started(root, "dies.safetensors", 2, 4000, rank, port) for rank in range(2))
    assert second.stdout is not None
    for _ in range(3):
        second.stdout.readline()
    second.kill()
    second.communicate()
    _, errors = first.communicate(timeout=120)
    assert first.returncode != 0
    assert "process 0 of 2: another process of this training run has ended" in errors
    assert (root / "dies.state.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_ranks_go_on_to_the_last_bit(root: Path) -> None:
    """Both of two ranks killed (-9) behind the first window: each goes on with the losses it would have had, exactly.

    A loss follows from all that a rank holds: its batches, weights, statistics and the optimiser's state.
    """
    steps, last = 24, 19
    losses = both(root, "undisturbed.safetensors", steps)
    port = free_port()
    pair = [started(root, "shot.safetensors", 2, steps, rank, port) for rank in range(2)]
    for process in pair:
        assert process.stdout is not None
        for _ in range(last):
            process.stdout.readline()
    for process in pair:
        process.kill()
    for process in pair:
        process.communicate()
    resumed = both(root, "shot.safetensors", steps)
    for undisturbed, rest in zip(losses, resumed, strict=True):
        assert len(undisturbed) == steps
        assert 0 < len(rest) <= steps - last + 1
        assert rest == undisturbed[-len(rest) :]
    expected, found = (read(root / f"{name}.safetensors").state for name in ("undisturbed", "shot"))
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def both(root: Path, out: str, steps: int) -> list[list[str]]:
    """The losses that each of two ranks reports, of all steps that are left."""
    port = free_port()
    pair = [started(root, out, 2, steps, rank, port) for rank in range(2)]
    outputs = [process.communicate(timeout=800) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], outputs
    return [text.splitlines() for text, _ in outputs]


def test_fewer_items_than_ranks_are_refused() -> None:
    """Before anything is decoded, with how many processes would do."""
    check_share(8, 2, Rank(0, 2))
    with pytest.raises(DataError, match="3 items are fewer than the 4 processes .* start 3 or fewer"):
        check_share(8, 3, Rank(1, 4))


def test_pairs_that_cannot_be_dealt_out_are_refused() -> None:
    """Fewer pairs than ranks, or an uneven number, is a SettingsError with the numbers that fit."""
    check_share(8, 100, Rank(0, 4))
    with pytest.raises(SettingsError, match="start 1, 2, 4, 8 of them, or give --pairs 9"):
        check_share(8, 100, Rank(0, 3))
    with pytest.raises(SettingsError, match="--pairs 16"):
        check_share(8, 100, Rank(0, 16))


def test_batches_of_parts_are_those_of_the_whole(root: Path) -> None:
    """What two ranks see of a step is, put together, the batch of one process."""
    records = read_folder(root / "files")
    from detectors.dataset.items import load_media

    whole = Batches(records, load_media, replace(PLAN, pairs=4), steps=9, seed=3)[4]
    for rank in range(2):
        part = Batches(records, load_media, replace(PLAN, pairs=4), steps=9, seed=3, part=(rank, 2))[4]
        assert torch.equal(part.frames, whole.part(rank, 2).frames)
        assert part.methods.tolist() == whole.part(rank, 2).methods.tolist()
