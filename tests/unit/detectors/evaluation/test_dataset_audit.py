"""The shortcut audit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from detectors.dataset.fingerprints import prints, twins
from detectors.dataset.items import read_folder
from detectors.evaluation.dataset_audit import audit, splits
from neurons.commands.audit import audit as command
from subnet.codec import image as codec
from subnet.errors import DataError
from subnet.media.leak.meter import LeakVerdict
from subnet.types import Media
from tests.unit.detectors.folders import photos


def write(root: Path, count: int, *, leak: bool = False, split: str = "train") -> Path:
    """Photographs as reals, their mirror images as fakes; with `leak`, fakes are JPEG files and reals are PNG."""
    for number, (_, media) in enumerate(photos(count, split)):
        flipped = Media(np.ascontiguousarray(media.frames[:, :, ::-1]))
        for side, shown in (("real", media), ("fake", flipped)):
            folder = root / side / "any"
            folder.mkdir(parents=True, exist_ok=True)
            jpeg = leak and side == "fake"
            data = codec.encode_image(shown, 90) if jpeg else codec.encode_png(shown)
            path = folder / f"{number:03d}.{'jpg' if jpeg else 'png'}"
            path.write_bytes(data)
            path.touch()
    return root


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("leaking"), 24, leak=True)


def test_a_container_leak_is_found_and_refused(leaking: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Reals as PNG and fakes as JPEG: the verdict says so, and the command ends with the reason and the way out."""
    report = audit(read_folder(leaking), root=leaking)
    assert report.leak.verdict is LeakVerdict.LEAK
    assert not report.clean
    with pytest.raises(DataError, match="store both classes the same way"):
        command(str(leaking), json=True)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["verdict"] == "leak"
    assert {probe["name"] for probe in told["container"]} > {"format", "all"}


def test_look_alikes_across_splits_are_found(tmp_path: Path) -> None:
    """A photograph of the training split that comes back re-encoded, or mirrored, in the test split is told."""
    root = write(tmp_path / "data", 14)
    (root / "train").mkdir()
    for side in ("real", "fake"):
        (root / side).rename(root / "train" / side)
    name, media = photos(1)[0]
    (root / "test" / "real").mkdir(parents=True)
    (root / "test" / "real" / "again.jpg").write_bytes(codec.encode_image(media, 40))
    records = read_folder(root)
    assert {key: len(value) for key, value in splits(records, root).items()} == {"train": 28, "test": 1}
    report = audit(records, root=root)
    found = report.duplicates["test / train"]
    assert {Path(twin.second).parts[-3] for twin in found} == {"real", "fake"}, name
    assert not report.clean


def test_different_photographs_are_not_look_alikes(tmp_path: Path) -> None:
    """Photographs of the train and test splits share nothing that either net would hold."""
    first = prints(read_folder(write(tmp_path / "a", 12)))
    second = prints(read_folder(write(tmp_path / "b", 12, split="test")))
    assert twins(first, second) == []
    assert len(twins(first, first)) >= 24


def test_too_few_items_are_told(tmp_path: Path) -> None:
    """A handful of files cannot be audited, and the message says how many are needed."""
    root = write(tmp_path, 3)
    with pytest.raises(DataError, match="10 items of each label"):
        audit(read_folder(root), root=root)


def test_a_set_of_one_class_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a second label there is none to give away; the everyday exam is refused before it is made."""
    root = write(tmp_path / "data", 3)
    shutil.rmtree(root / "fake")
    with pytest.raises(DataError, match="holds no synthetic items among 3; both are needed"):
        command(str(root))
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    with pytest.raises(DataError, match="everyday is an exam of real pictures alone"):
        command("everyday")
    assert not (tmp_path / "home").exists()
