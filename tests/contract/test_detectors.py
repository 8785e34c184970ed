"""What every row of the detectors' table promises."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from detectors import TABLE, load_detector
from detectors.camo.mixture import Camo
from detectors.checkpoints import HERE, sha256_of
from detectors.ensemble.stack import Ensemble
from detectors.explain.maps import layer_of
from detectors.families import FAMILIES
from detectors.heads.head import Head
from detectors.retrieval.index import Index
from detectors.rows import DetectorRow
from detectors.torch_detector import TorchDetector
from detectors.training.recipes import RECIPES
from subnet.errors import CheckpointError, SettingsError, UnknownName
from subnet.protocols import Detector
from subnet.types import Media, Modality

# Rows that answer without weights of your own, and those for which nothing ships: users bring all of it.
ROWS = [row for row in TABLE.values() if (row.weights or not row.family) and not row.requires]
BROUGHT = [row for row in TABLE.values() if row.requires]
WEIGHTED = [row for row in ROWS if row.weights]
UNTRAINED = [row for row in TABLE.values() if row.family and not row.weights and not row.files]
FETCHED = [row for row in TABLE.values() if row.files]
MOST_BYTES = 90_000_000


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row.name)
def row(request: pytest.FixtureRequest) -> DetectorRow:
    chosen: DetectorRow = request.param
    return chosen


@pytest.fixture(scope="module")
def detector(row: DetectorRow) -> Detector:
    return load_detector(row.name)


def batch(row: DetectorRow, sides: Sequence[tuple[int, int]] = ((256, 256), (256, 256))) -> list[Media]:
    """Smooth and noisy media of the row's modality."""
    rng = np.random.default_rng(0)
    count, fps = (5, 10.0) if row.modality is Modality.VIDEO else (1, None)
    made = [rng.integers(0, 256, (count, *side, 3)) for side in sides]
    made[0] = made[0] // 8 + 100
    return [Media(frames.astype(np.uint8), fps) for frames in made]


def numbers(detector: Detector, media: Sequence[Media]) -> list[float]:
    return [prediction.p_synthetic for prediction in detector.predict(media)]


def test_answers_in_order_and_again(row: DetectorRow, detector: Detector) -> None:
    """One probability per item; the same items get the same ones, in their order, alone or together."""
    media = batch(row)
    together = numbers(detector, media)
    assert len(together) == 2
    for one, answer in zip(media, together, strict=True):
        assert numbers(detector, [one]) == pytest.approx([answer], abs=1e-4)
    assert detector.predict([]) == []


def test_odd_sizes(row: DetectorRow, detector: Detector) -> None:
    """One pixel, one row, and an odd large picture are answered, not crashed on."""
    assert len(numbers(detector, batch(row, ((1, 1), (1, 90), (301, 517))))) == 3


def test_a_single_frame_of_video(row: DetectorRow, detector: Detector) -> None:
    """A clip shorter than four frames is judged all the same."""
    if row.modality is Modality.VIDEO:
        clip = Media(batch(row)[0].frames[:1], 10.0)
        assert len(numbers(detector, [clip])) == 1


def test_it_says_who_it_is(row: DetectorRow, detector: Detector) -> None:
    """Name, modality and the hash of the weights are those of the row."""
    assert (detector.name, detector.modality, detector.weights_hash) == (row.name, row.modality, row.sha256)


def test_a_missing_device_is_told(row: DetectorRow) -> None:
    """Asking for a device that is not there is a settings error, except for the baselines, which need none."""
    if row.weights:
        with pytest.raises(SettingsError, match="cuda:99"):
            load_detector(row.name, device="cuda:99")


def test_whatever_is_trained_ships_with_weights() -> None:
    """Nothing untrained answers: only the guessers have no weights, and networks without say how they get some."""
    for row in UNTRAINED:
        with pytest.raises(CheckpointError, match=f"assay train {row.name}"):
            load_detector(row.name)
    assert {row.name for row in ROWS} - {row.name for row in WEIGHTED} == {
        *("constant", "random", "constant-video", "random-video"),
    }


@pytest.mark.parametrize("row", WEIGHTED, ids=lambda row: row.name)
def test_weights_are_pinned_and_described(row: DetectorRow) -> None:
    """The file has the hash in the table, and a model card beside it."""
    assert sha256_of(HERE / row.weights) == row.sha256
    card = (HERE / row.weights).with_suffix(".md").read_text()
    for chapter in ("Data", "Recipe", "Results", "Limits"):
        assert f"## {chapter}" in card


def learnt(detector: Detector) -> int:
    """Numbers that were learnt: parameters, what heads and indices hold, and all of it of the parts of a whole."""
    if isinstance(detector, TorchDetector):
        fitted = [part for part in detector.network.modules() if isinstance(part, Head | Index)]
        tensors = [*detector.network.parameters(), *(each for part in fitted for each in part.buffers())]
        return sum(each.numel() for each in tensors if each.is_floating_point())
    if isinstance(detector, Ensemble):
        return sum(map(learnt, detector.members.values())) + sum(each.numel() for each in detector.head.buffers())
    if isinstance(detector, Camo):
        return sum(map(learnt, detector.experts.values())) + sum(each.size for each in vars(detector.content).values())
    return 0


def test_sizes_are_told_truly(row: DetectorRow, detector: Detector) -> None:
    """The number of embedded parameters is that of all that was learnt and answers, counted alike for every row."""
    assert row.embedded_parameters == learnt(detector)
    assert bool(row.embedded_parameters) == bool(row.weights)


def test_the_layer_for_heat_maps_is_there(row: DetectorRow, detector: Detector) -> None:
    """The layer that the table names, where it names one, exists and gives maps, tokens or places as it says."""
    if not row.layer:
        return
    chosen = detector if isinstance(detector, TorchDetector) else vars(detector)["general"]
    seen: list[torch.Tensor] = []
    module = layer_of(chosen.network, row.layer)
    handle = module.register_forward_hook(lambda _module, _given, output: seen.append(output))
    chosen.predict(batch(row)[:1])
    handle.remove()
    assert seen[0].ndim == {"maps": 4, "tokens": 3, "volumes": 5, "places": 4}[row.grid]


def test_all_weights_together_are_small() -> None:
    """What ships stays under 90 MB."""
    assert sum(path.stat().st_size for path in HERE.glob("*.safetensors")) < MOST_BYTES


def test_names_are_found_or_suggested() -> None:
    """A typing mistake is answered with the nearest name."""
    with pytest.raises(UnknownName, match="did you mean tall"):
        load_detector("tal")


@pytest.mark.parametrize("row", BROUGHT, ids=lambda row: row.name)
def test_what_has_to_be_brought_is_told(row: DetectorRow) -> None:
    """A row for which nothing ships says what to give with its name, and carries no weights, number or test of them."""
    with pytest.raises(CheckpointError, match=re.escape(row.requires)):
        load_detector(row.name)
    assert row.requires.startswith(f"{row.name}=")
    assert (row.weights, row.sha256, row.self_test, row.trainable) == ("", "", None, False)


@pytest.mark.parametrize("row", FETCHED, ids=lambda row: row.name)
def test_what_is_fetched_is_pinned_and_told(row: DetectorRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row whose weights do not ship names its files at a commit, a licence and a published number with its source."""
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    with pytest.raises(CheckpointError, match=f"assay fetch {row.name}"):
        load_detector(row.name)
    assert (row.weights, row.sha256, row.self_test, row.trainable, row.embedded_parameters) == ("", "", None, False, 0)
    assert all(re.fullmatch("[0-9a-f]{40}", origin.revision) for origin in row.files)
    assert all(re.fullmatch("([0-9a-f]{64})?", origin.sha256) for origin in row.files)
    assert len({origin.name for origin in row.files}) == len(row.files)
    assert row.parameters
    assert row.licence
    assert re.search(r"\d.*(arXiv|github\.com|huggingface\.co)", row.published)
    assert row.preprocess == FAMILIES[row.family].preprocess


def test_what_can_be_trained_has_a_recipe() -> None:
    """The families of the trainable rows are rows of the recipes."""
    assert {row.family for row in TABLE.values() if row.trainable} <= set(RECIPES)


def test_wrong_weights_are_refused() -> None:
    """Weights that are not there are a checkpoint error with the path."""
    with pytest.raises(CheckpointError, match=r"nowhere\.pth"):
        load_detector("npr", weights="nowhere.pth")
