"""von Neumann's ratios: what they tell of the order of frames, and that they tell nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detectors.families import FAMILIES
from detectors.heads.fitting import HeadPlan, fit_head
from detectors.preprocess import normalise
from detectors.temporal.order import CELLS, LAGS, NUMBERS, SIZE, TemporalOrder, adapt, ratios, scales
from subnet.errors import CheckpointError
from subnet.media.leak.roc import plain_auc

T = 8


def pans(count: int, seed: int) -> torch.Tensor:
    """Straight pans (count, T, 3, 128, 128) over smooth pictures of random contrast, at random speeds."""
    rng = np.random.default_rng(seed)
    clips = []
    for _ in range(count):
        rough = torch.from_numpy(rng.uniform(0, 1, (1, 3, 20, 20))).float()
        picture = torch.nn.functional.interpolate(rough, size=(256, 256), mode="bicubic")[0].clamp(0, 1)
        speed = int(rng.integers(1, 9))
        low, high = rng.uniform(0, 0.3), rng.uniform(0.7, 1)
        views = [picture[:, 8 : 8 + 128, speed * t : speed * t + 128] for t in range(T)]
        clips.append(low + (high - low) * torch.stack(views))
    return torch.stack(clips)


def orders(clips: torch.Tensor, seed: int) -> torch.Tensor:
    """The frames of each clip in a random order of its own."""
    rng = np.random.default_rng(seed)
    return torch.stack([clip[rng.permutation(T)] for clip in clips])


def test_the_numbers_of_a_series() -> None:
    """Of one number a frame, checked by hand: 0, 1, 2, 4 has mean squared distances 2, 6.5 and 16 at lags 1, 2 and 3,
    5.83 over all pairs, bends 0 and 1, and a longest step of 4."""
    series = torch.tensor([0.0, 1.0, 2.0, 4.0]).reshape(1, 4, 1)
    pairs = [1, 4, 16, 1, 9, 4]
    whole = sum(pairs) / 6
    expected = np.log([2 / whole, 6.5 / whole, 16 / whole, 0.5 / 2, 4 / 2])
    assert ratios(series)[0].numpy() == pytest.approx(expected, abs=1e-5)


def test_scales_hold_what_lies_between_them() -> None:
    """A brighter frame moves the coarsest scale alone; a pattern of single cells of the finest none but that."""
    x = torch.full((1, 2, 3, 256, 256), 0.3)
    x[:, 1] += 0.2
    moved = [float((each[0, 1] - each[0, 0]).abs().max()) for each in scales(x)]
    assert moved[0] == pytest.approx(0.2, abs=1e-4)
    assert max(moved[1:]) < 1e-4
    checks = torch.full((1, 2, 3, 256, 256), 0.5)
    down, across = torch.meshgrid(torch.arange(256) // 2, torch.arange(256) // 2, indexing="ij")
    checks[:, 1] += 0.1 * (1 - 2 * ((down + across) % 2))
    moved = [float((each[0, 1] - each[0, 0]).abs().max()) for each in scales(checks)]
    assert moved[-1] == pytest.approx(0.1, abs=1e-4)
    assert max(moved[:-1]) < 1e-4


def test_what_moves_how_far_cancels() -> None:
    """Half the contrast gives the same numbers; a still clip gives the same finite ones whatever it shows."""
    network = TemporalOrder()
    clips = pans(3, 0)
    whole, half = network.features(clips), network.features(clips / 2)
    assert whole.shape == (3, SIZE)
    assert len(CELLS) * NUMBERS + 2 * NUMBERS == SIZE
    near = slice(NUMBERS, NUMBERS + len(LAGS))  # of a scale in which every clip moves
    assert whole[:, near].numpy() == pytest.approx(half[:, near].numpy(), abs=0.1)
    still = network.features(clips[:, :1].expand(-1, T, -1, -1, -1))
    assert torch.isfinite(still).all()
    assert still.numpy() == pytest.approx(still[:1].expand(3, -1).numpy(), abs=1e-4)


def test_an_even_order_is_told_and_a_random_one_is_not() -> None:
    """A head fitted on straight pans and the same frames in disorder tells new ones; once frames of both are shuffled
    it tells nothing, since all that it knows is their order."""
    network = TemporalOrder()
    learn, judge = pans(24, 1), pans(24, 2)
    labels = np.repeat([0, 1], 24)
    x = torch.cat([network.features(learn), network.features(orders(learn, 3))]).double().numpy()
    network.head = fit_head(x, labels, np.tile(np.arange(24), 2), HeadPlan())
    plain = network(torch.cat([judge, orders(judge, 4)])).numpy()
    moved = network(torch.cat([orders(judge, 5), orders(judge, 6)])).numpy()
    assert plain_auc(plain, labels) > 0.95
    assert abs(plain_auc(moved, labels) - 0.5) < 0.2
    assert len(LAGS) == 3


def test_weights_of_something_else_are_refused() -> None:
    """A head on another number of features, and a file without one, are told by what is missing."""
    state = {f"head.{name}": value for name, value in TemporalOrder().head.state_dict().items()}
    assert adapt(state)[1] == {"head": {"features": SIZE, "components": 0, "vectors": 0}}
    with pytest.raises(CheckpointError, match=f"decides on {SIZE} numbers, not 3"):
        adapt({**state, "head.mean": torch.zeros(3)})
    with pytest.raises(CheckpointError, match="head.mean"):
        adapt({})


def test_its_input_is_pixels_from_0_to_1() -> None:
    """What the family prepares is what the smallest distances are measured in."""
    preprocess = FAMILIES["temporal-order"].preprocess
    assert normalise(torch.full((1, 3, 4, 4), 255), preprocess).max() == 1.0
