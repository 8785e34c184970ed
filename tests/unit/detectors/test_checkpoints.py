"""Weights on disk, ours and other projects'."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from detectors import TABLE, load_detector
from detectors.calibration import Calibration
from detectors.checkpoints import load_strictly, locate, read, sha256_of, write
from detectors.npr.network import NPR
from detectors.public_checkpoints import PUBLIC, load_into, open_checkpoint
from detectors.rows import ONE, ZERO, Preprocess
from detectors.torch_detector import TorchDetector
from detectors.ucf.network import UCF
from subnet.errors import CheckpointError, UnknownName
from subnet.types import Modality


def state_of(network: torch.nn.Module) -> dict[str, Tensor]:
    return dict(network.state_dict())


def loaded(name: str, spec: Path | str) -> TorchDetector:
    detector = load_detector(name, weights=spec)
    assert isinstance(detector, TorchDetector)
    return detector


@pytest.mark.parametrize("layout", ["flat", "model", "state_dict", "module."])
def test_npr_layouts_round_trip(tmp_path: Path, layout: str) -> None:
    """Flat, wrapped, and saved from a data-parallel model: the same tensors arrive, under weights_only."""
    state = state_of(NPR())
    saved: object = state if layout == "flat" else {layout: state}
    if layout == "module.":
        saved = {f"module.{key}": value for key, value in state.items()}
    torch.save(saved, tmp_path / "any.pth")
    network = loaded("npr", tmp_path / "any.pth").network
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in state.items())


def test_ucf_methods_are_read_from_the_file(tmp_path: Path) -> None:
    """A checkpoint trained on another number of forgery methods than five loads as it is."""
    torch.save(state_of(UCF(width=0.125, methods=7)), tmp_path / "ucf_best.pth")
    network = loaded("ucf", tmp_path / "ucf_best.pth").network
    assert isinstance(network, UCF)
    assert network.methods == 7


def test_training_goes_on_from_other_methods(tmp_path: Path) -> None:
    """A UCF of six methods starts one of four: all but the layer of methods is taken over; another width is refused."""
    torch.manual_seed(0)
    theirs, ours = UCF(0.125, methods=6), UCF(0.125, methods=4)
    before = ours.head_spe.mlp[2].weight.detach().clone()  # type: ignore[union-attr]
    torch.save(theirs.state_dict(), tmp_path / "ucf.pth")
    load_into(ours, tmp_path / "ucf.pth", "ucf-plain")
    after = ours.state_dict()
    assert torch.equal(after["head_spe.mlp.2.weight"], before)
    assert torch.equal(after["encoder_f.conv1.weight"], theirs.state_dict()["encoder_f.conv1.weight"])
    with pytest.raises(CheckpointError, match=r"conv1\.weight is"):
        load_into(UCF(0.25, methods=4), tmp_path / "ucf.pth", "ucf")


def test_preprocessing_belongs_to_the_checkpoint(tmp_path: Path) -> None:
    """Two public files of one network want different input; the file's name or the row that is named decides."""
    torch.save(state_of(NPR()), tmp_path / "npr.pth")
    torch.save(state_of(NPR()), tmp_path / "renamed.pth")
    assert loaded("npr", tmp_path / "npr.pth").preprocess == PUBLIC["npr-bitmind"].preprocess
    assert loaded("npr", tmp_path / "renamed.pth").preprocess == TABLE["npr"].preprocess
    named = loaded("npr", f"npr-bitmind={tmp_path / 'renamed.pth'}").preprocess
    assert (named.mean, named.std, named.rule) == (ZERO, ONE, "centre")


def test_ours_carry_everything(tmp_path: Path) -> None:
    """Preprocessing, calibration and notes travel in the file; the hash is the file's; fp16 changes no answer much."""
    network = NPR()
    preprocess, calibration = Preprocess(size=128, rule="squash"), Calibration(2.0, -1.0, 0.3, 0.7)
    for half in (False, True):
        path = tmp_path / f"half-{half}.safetensors"
        sha256 = write(path, network.state_dict(), preprocess=preprocess, calibration=calibration, half=half)
        detector = loaded("npr", path)
        assert detector.weights_hash == sha256 == sha256_of(path)
        assert (detector.preprocess, detector.calibration) == (preprocess, calibration)
        x = torch.randn(2, 3, 64, 64)
        with torch.inference_mode():
            torch.testing.assert_close(detector.network(x), network.eval()(x), atol=2e-2 if half else 0, rtol=0)
    assert (tmp_path / "half-True.safetensors").stat().st_size < 3.1e6


def test_every_key_that_does_not_fit_is_named(tmp_path: Path) -> None:
    """Missing, unknown and misshapen keys are told apart, with their names and shapes."""
    state = state_of(NPR())
    del state["bn1.weight"]
    state["fc1.weight"] = torch.zeros(1, 1024)
    state["fc2.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as told:
        load_strictly(NPR(), state, "this file")
    assert "missing: bn1.weight" in str(told.value)
    assert "not known: fc2.weight" in str(told.value)
    assert "fc1.weight is (1, 1024), not (1, 512)" in str(told.value)


def test_weights_of_another_detector(tmp_path: Path) -> None:
    """Giving one detector another's weights is an error that says so, for public files and for ours."""
    torch.save(state_of(NPR()), tmp_path / "npr.pth")
    with pytest.raises(CheckpointError, match="not a UCF checkpoint"):
        load_detector("ucf", weights=tmp_path / "npr.pth")
    with pytest.raises(CheckpointError, match="not a TALL checkpoint"):
        load_detector("tall", weights=tmp_path / "npr.pth")
    write(tmp_path / "ours.safetensors", state_of(NPR()), preprocess=Preprocess(), notes={"detector": "npr"})
    with pytest.raises(CheckpointError, match="holds weights of npr, not of ucf"):
        load_detector("ucf", weights=tmp_path / "ours.safetensors")
    with pytest.raises(CheckpointError, match="holds ucf weights, not npr"):
        load_detector("npr", weights=f"ucf-deepfakebench={tmp_path / 'npr.pth'}")


class Surprise:
    """An object that an unpickler would have to build."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("unpickled",))


def test_files_that_hold_more_than_tensors_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing in a file is ever executed; text, numbers and damage are told apart from weights."""
    torch.save({"model": Surprise()}, tmp_path / "code.pth")
    with pytest.raises(CheckpointError, match="more than tensors"):
        read(tmp_path / "code.pth")
    assert "unpickled" not in capsys.readouterr().out
    torch.save({"conv1.weight": torch.zeros(1), "epoch": 3}, tmp_path / "mixed.pth")
    with pytest.raises(CheckpointError, match="not tensors: epoch"):
        read(tmp_path / "mixed.pth")
    torch.save(state_of(NPR()), tmp_path / "cut.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "cut.pth").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged"):
        read(tmp_path / "cut.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\x00")
    with pytest.raises(CheckpointError, match="damaged"):
        read(tmp_path / "cut.safetensors")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("archive", [True, False], ids=["zip", "legacy"])
def test_damage_is_a_checkpoint_error(tmp_path: Path, archive: bool) -> None:
    """However the bytes of a torch file are spoilt: it reads, or one line names the file; torch's advice is not given.

    Torch advises to unpickle everything (`weights_only=False`), which would execute what a stranger wrote.
    """
    torch.save({"a": torch.ones(3)}, tmp_path / "x.pth", _use_new_zipfile_serialization=archive)
    whole = (tmp_path / "x.pth").read_bytes()
    rng, complaints = np.random.default_rng(0), []
    for number in range(300):
        spoilt = bytearray(whole if number % 3 else whole[: int(rng.integers(len(whole)))])
        for place in rng.integers(0, max(1, len(spoilt)), size=3 if spoilt else 0):
            spoilt[place] = int(rng.integers(256))
        (tmp_path / "x.pth").write_bytes(spoilt)
        try:
            read(tmp_path / "x.pth")
        except CheckpointError as error:
            complaints.append(str(error))
    assert len(complaints) > 100
    assert all("x.pth" in text and "weights_only" not in text and "\n" not in text for text in complaints)


def test_the_content_tells_the_format(tmp_path: Path) -> None:
    """A file's name decides nothing: safetensors called .pth, and torch's format called .safetensors, are read."""
    state = {"a": torch.arange(4.0)}
    write(tmp_path / "a.pth", state, preprocess=Preprocess(size=64))
    torch.save(state, tmp_path / "b.safetensors")
    torch.save(state, tmp_path / "c.safetensors", _use_new_zipfile_serialization=False)
    for name in ("a.pth", "b.safetensors", "c.safetensors"):
        assert torch.equal(read(tmp_path / name).state["a"], state["a"])
    assert read(tmp_path / "a.pth").preprocess == Preprocess(size=64)


@pytest.mark.parametrize("text", ["{no", "[1]", '"x"', '{"preprocess": 3}', '{"calibration": {"temperature": []}}'])
def test_metadata_that_is_not_ours(tmp_path: Path, text: str) -> None:
    """Metadata under our key that is no JSON object of ours is an error that names the file."""
    save_file({"a": torch.ones(1)}, tmp_path / "odd.safetensors", metadata={"assay": text})
    with pytest.raises(CheckpointError, match=r"metadata of .*odd\.safetensors is not ours"):
        read(tmp_path / "odd.safetensors")


def test_pins_are_kept(tmp_path: Path) -> None:
    """Other bytes than pinned, a missing file and an unpinned hub address are refused."""
    write(tmp_path / "a.safetensors", state_of(NPR()), preprocess=Preprocess())
    with pytest.raises(CheckpointError, match="is pinned"):
        open_checkpoint(tmp_path / "a.safetensors", "npr", Preprocess(), sha256="0" * 64)
    with pytest.raises(CheckpointError, match="is not a file"):
        load_detector("npr", weights=tmp_path / "nowhere.pth")
    for unpinned in ("hub:bitmind/npr/npr.pth", "hub:bitmind/npr/npr.pth@main#" + "0" * 64):
        with pytest.raises(CheckpointError, match="40 hex commit"):
            locate(unpinned)
    with pytest.raises(UnknownName, match="did you mean npr-bitmind"):
        load_detector("npr", weights="npr-bitmint=/tmp/x.pth")


def test_baselines_have_no_weights() -> None:
    """Weights for a detector without any are a mistake that is pointed out."""
    with pytest.raises(CheckpointError, match="has no weights"):
        load_detector("constant", weights="x.pth")


def test_the_table_tells_the_published_sizes() -> None:
    """What is listed without loading anything agrees with the networks."""
    for name, network in (("npr", NPR), ("ucf", UCF)):
        with torch.device("meta"):
            built = network()
        assert TABLE[name].parameters == sum(parameter.numel() for parameter in built.parameters())
        assert TABLE[name].tensors == len(built.state_dict())
    assert TABLE["tall"].modality is Modality.VIDEO
