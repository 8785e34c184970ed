"""Published detectors: their layouts key by key at their full size, and their answers from a file's bytes on."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from detectors import TABLE
from detectors.acceleration.accelerate import accelerated, backend_of
from detectors.acceleration.exported import place
from detectors.acceleration.options import ON_CPU
from detectors.checkpoints import Checkpoint
from detectors.evaluation.self_test import self_test
from detectors.explain.maps import explainable, heat_map, layer_of
from detectors.families import FAMILIES
from detectors.loading import open_detector
from detectors.public_checkpoints import adapt, build
from detectors.rows import DetectorRow
from detectors.torch_detector import TorchDetector
from subnet.codec.image import decode_image
from subnet.errors import CheckpointError
from subnet.registry import resolve
from subnet.types import Media
from tests.unit.detectors.towers.published import PUBLISHED, State, filled

ROWS = [row for row in TABLE.values() if row.files]
UNREAD = ("mask_token", "U_r", "V_r", "weight_original_fnorm")  # of training
SIZES = [(256, 256), (257, 311), (90, 120), (601, 400), (64, 333)]
CLOSE = 1e-3  # most that log-odds may differ, as a share of their spread over the pictures
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def shapes(state: State) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}


def picture(height: int, width: int, seed: int) -> bytes:
    """Smooth shapes under grain, as PNG: as far apart as photographs are."""
    rng = np.random.default_rng(seed)
    small = (rng.integers(0, 256, (9, 7, 3)) * rng.uniform(0.1, 1.0)).astype(np.uint8)
    large = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    grain = int(rng.integers(2, 60))
    noisy = (large + rng.integers(-grain, grain + 1, large.shape)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "PNG")
    return file.getvalue()


def written(name: str, state: State, folder: Path) -> str:
    """The files as they are published, and what to type for them."""
    paths = []
    for number, part in enumerate(PUBLISHED[name].files(state)):
        paths.append(folder / f"{number}.{'safetensors' if number == 0 and name == 'univfd' else 'pth'}")
        if paths[-1].suffix == ".safetensors":
            save_file({key: value.contiguous() for key, value in part.items()}, paths[-1])
        else:
            torch.save({"model": part} if name in ("safe", "dda", "omniaid") else part, paths[-1])
    return f"{name}={','.join(map(str, paths))}"


def opened(name: str, state: State, folder: Path) -> TorchDetector:
    detector = open_detector(written(name, state, folder))
    assert isinstance(detector, TorchDetector)
    return detector


@each_row
def test_the_layout_is_the_published_one(row: DetectorRow) -> None:
    """At full size every published key finds its place, with its shape, and the row counts what there is."""
    with torch.device("meta"):
        published = PUBLISHED[row.name].state(False)
        state, size = adapt(dict(published), FAMILIES[row.family])
        network = resolve(FAMILIES[row.family].network)(**size)
        unsized = resolve(FAMILIES[row.family].network)()
    assert shapes(state) == shapes(network.state_dict()) == shapes(unsized.state_dict())
    own = {key: value for key, value in published.items() if not key.startswith(("text_", "logit_scale"))}
    own = {key: value for key, value in own.items() if not key.endswith(UNREAD[1:])}
    counted = [value for key, value in own.items() if not key.endswith(("running_mean", "running_var", "tracked"))]
    assert (len(own), sum(value.numel() for value in counted)) == (row.tensors, row.parameters)


@each_row
def test_every_key_is_held_to(row: DetectorRow) -> None:
    """A key that lacks, one too many, or one of another shape is refused by its name, wherever it stands."""
    state = filled(PUBLISHED[row.name].state(True))
    read = [key for key in state if not key.startswith(("text_", "logit_scale")) and not key.endswith(UNREAD)]
    for key in [*read[:2], read[len(read) // 2], *read[-2:]]:
        lacking = {other: value for other, value in state.items() if other != key}
        longer = {**state, key: torch.cat([state[key].reshape(-1), torch.zeros(1)])}
        for wrong in (lacking, longer):
            with pytest.raises(CheckpointError):
                build(Checkpoint("any.pth", wrong, ""), row.family)
    with pytest.raises(CheckpointError, match="stranger"):
        build(Checkpoint("any.pth", {**state, "stranger": torch.zeros(3)}, ""), row.family)


@each_row
def test_bytes_to_answer_as_its_authors_do(row: DetectorRow, tmp_path: Path) -> None:
    """From an encoded picture of any size to the log-odds: the authors' transform and network give the same."""
    chosen, state = PUBLISHED[row.name], filled(PUBLISHED[row.name].state(True), seed=3)
    files = [picture(*size, seed) for seed, size in enumerate(SIZES)]
    with torch.inference_mode():
        views = torch.stack([chosen.transform(Image.open(io.BytesIO(file)).convert("RGB")) for file in files])
        theirs = chosen.answer(state, views)
    detector = opened(row.name, state, tmp_path)
    ours = detector.logits([decode_image(file) for file in files])
    assert views.shape[-1] == row.input_size
    assert theirs.std() > 0.01
    assert (ours - theirs).abs().max() < CLOSE * theirs.std()


@each_row
def test_half_of_the_digits_move_answers_little(row: DetectorRow, tmp_path: Path) -> None:
    """Under bfloat16, as it is trained and may be served on a card, log-odds differ by a part of their spread."""
    detector = opened(row.name, filled(PUBLISHED[row.name].state(True), seed=3), tmp_path)
    media = [decode_image(picture(*size, seed)) for seed, size in enumerate(SIZES)]
    whole = detector.logits(media)
    with torch.autocast("cpu", torch.bfloat16):
        moved = (detector.logits(media) - whole).abs().max()
    assert moved < whole.std() + 0.02 * whole.abs().max()


@each_row
def test_it_can_be_explained_and_has_features(row: DetectorRow, tmp_path: Path) -> None:
    """The row's layer is there and gives tokens or maps, and below the last layer is one vector a picture."""
    detector = opened(row.name, filled(PUBLISHED[row.name].state(True)), tmp_path)
    seen: list[torch.Tensor] = []
    handle = layer_of(detector.network, row.layer).register_forward_hook(lambda *given: seen.append(given[2]))
    features = detector.network.features(detector.views(decode_image(picture(120, 150, 0))))
    handle.remove()
    assert seen[0].ndim == {"maps": 4, "tokens": 3}[row.grid]
    assert features.shape[0] == 1
    assert features.ndim == 2


def test_a_tower_of_tokens_is_explained(tmp_path: Path) -> None:
    """A heat map over the tokens of CLIP, one value a pixel."""
    detector = opened("univfd", filled(PUBLISHED["univfd"].state(True)), tmp_path)
    assert heat_map(explainable(detector), decode_image(picture(120, 150, 0))).heat.shape == (1, 224, 224)


@pytest.mark.slow  # an export takes seconds
@each_row
def test_it_is_served_by_onnxruntime_as_by_torch(row: DetectorRow, tmp_path: Path) -> None:
    """The export answers as the network does, so that a miner on a CPU serves it like any other."""
    detector = opened(row.name, filled(PUBLISHED[row.name].state(True), seed=3), tmp_path)
    media = [decode_image(picture(256, 256, seed)) for seed in range(2)]
    fast = accelerated(detector, cache=tmp_path / "cache")
    assert backend_of(fast) == ON_CPU
    assert (detector.logits(media) - fast.logits(media)).abs().max() < 1e-4  # type: ignore[attr-defined]
    self_test(fast)


def test_what_was_not_fetched_has_no_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A miner does not try to export what is not here: it says at once how to fetch it. What is too large is not tried."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    assert place("dda", tmp_path) is None
    with torch.device("meta"):
        assert not resolve(FAMILIES["omniaid"].network)().exportable
        assert resolve(FAMILIES["omniaid"].network)(**FAMILIES["omniaid"].small).exportable


def test_retrained_heads_in_timms_own_keys(tmp_path: Path) -> None:
    """Community Forensics trained further and stored without `vit.` answers as with it."""
    state = filled(PUBLISHED["community-forensics"].state(True))
    media = [decode_image(picture(256, 256, 1))]
    bare = {key.removeprefix("vit."): value for key, value in state.items()}
    first = opened("community-forensics", state, tmp_path).logits(media)
    assert torch.equal(first, opened("community-forensics", bare, tmp_path).logits(media))


def test_a_picture_that_is_smaller_gets_black_around(tmp_path: Path) -> None:
    """What DDA's authors do with 256 pixels: 40 black ones on each side, before values are scaled."""
    detector = opened("dda", filled(PUBLISHED["dda"].state(True)), tmp_path)
    white = Media(np.full((1, 256, 256, 3), 255, np.uint8))
    view = detector.views(white)[0, 0]
    assert len(torch.unique(view)) == 2
    assert (view == view.min()).sum() == 336**2 - 256**2
    assert torch.equal(view[40:296, 40:296], view.max().expand(256, 256))


def test_two_files_may_not_hold_the_same(tmp_path: Path) -> None:
    """A tensor that two files of one network hold is refused by its name."""
    state = filled(PUBLISHED["univfd"].state(True))
    save_file({"fc.weight": state["weight"]}, tmp_path / "a.safetensors")
    save_file({"fc.weight": state["weight"]}, tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match=r"fc\.weight again"):
        open_detector(f"univfd={tmp_path / 'a.safetensors'},{tmp_path / 'b.safetensors'}")
