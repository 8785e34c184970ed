"""TALL: the published size, agreement with timm's Swin, clips, and the layouts of public weights."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch

from detectors import TABLE
from detectors.pixels.clips import clip_starts
from detectors.pixels.sizes import CANVAS
from detectors.rows import Preprocess
from detectors.tall.layouts import adapt, resize_table, start
from detectors.tall.losses import hole, objective, still_objective
from detectors.tall.network import (
    CLIP,
    TALL,
    clip_views,
    mosaic,
    quarters,
    start_with_cosines,
    still_views,
)
from detectors.training.batches import Batch
from subnet.errors import CheckpointError
from subnet.types import Media

SMALL = {"width": 32, "depths": (2, 2, 2, 2), "heads": (1, 2, 4, 8)}


def test_size_and_keys_are_the_published_ones() -> None:
    """86.9 M parameters in 356 tensors, windows of 14 (7 in the last stage), masks where windows shift."""
    with torch.device("meta"):
        network = TALL()
    state = network.state_dict()
    assert sum(parameter.numel() for parameter in network.parameters()) == 86_920_506
    assert len(state) == TABLE["tall"].tensors == 356
    tables = [state[f"layers.{n}.blocks.0.attn.relative_position_bias_table"].shape[0] for n in range(4)]
    assert tables == [729, 729, 729, 169]
    assert [key for key in state if "attn_mask" in key] == [f"layers.{n}.blocks.1.attn_mask" for n in (0, 1)]
    assert state["frame_pos_embed"].shape == (1, 4, 128)


def test_swin_is_timms() -> None:
    """With timm's weights, windows of 7 and no frame vectors, the answer is timm's."""
    torch.manual_seed(0)
    theirs = timm.create_model(
        "swin_tiny_patch4_window7_224",
        pretrained=False,
        num_classes=2,
        embed_dim=32,
        depths=(2, 2, 2, 2),
        num_heads=(1, 2, 4, 8),
    ).eval()
    network = TALL(**SMALL, window=7).eval()
    start(network, theirs.state_dict())
    with torch.inference_mode():
        network.head.weight.copy_(theirs.head.fc.weight)
        network.head.bias.copy_(theirs.head.fc.bias)
        network.frame_pos_embed.zero_()
        clip = torch.randn(1, 4, 3, 112, 112)
        torch.testing.assert_close(network.classes(clip), theirs(mosaic(clip)), atol=1e-5, rtol=1e-4)


def test_frames_lie_in_reading_order() -> None:
    """Frame 0 is top left, 1 top right, 2 bottom left, 3 bottom right, and each quarter gets its frame's vector."""
    clip = torch.arange(4.0).view(1, 4, 1, 1, 1).expand(1, 4, 3, 112, 112)
    picture = mosaic(clip)
    assert [picture[0, 0, y, x].item() for y, x in ((0, 0), (0, 223), (223, 0), (223, 223))] == [0, 1, 2, 3]
    network = TALL(**SMALL)
    with torch.inference_mode():
        network.frame_pos_embed.copy_(torch.arange(4.0).view(1, 4, 1).expand(1, 4, 32))
        added = network.embed(clip) - network.patch_embed(picture)
    corners = added.view(56, 56, 32)[[0, 0, 55, 55], [0, 55, 0, 55], 0]
    torch.testing.assert_close(corners, torch.arange(4.0), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("count", "starts"), [(1, [0]), (4, [0]), (5, [0, 1]), (8, [0, 4]), (10, [0, 4, 6]), (16, [0, 4, 8, 12])]
)
def test_every_frame_is_scored(count: int, starts: list[int]) -> None:
    """Clips of four cover the whole video, whatever its length."""
    assert clip_starts(count) == starts
    covered = {frame for start in starts for frame in range(start, min(count, start + CLIP))}
    assert covered == set(range(count))


def test_views_of_a_video() -> None:
    """Resized: one view a clip. Tiled: four corner squares of each clip, not resampled. Short videos repeat their end."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (6, CANVAS, CANVAS, 3), dtype=np.uint8)
    cpu = torch.device("cpu")
    assert clip_views(Media(frames, 8.0), Preprocess(size=112, rule="squash"), cpu).shape == (2, 4, 3, 112, 112)
    preprocess = Preprocess(size=112, rule="tiles")
    tiled = clip_views(Media(frames, 8.0), preprocess, cpu)
    assert tiled.shape == (8, 4, 3, 112, 112)
    pixel = (torch.tensor(frames[2, 0, 0]) / 255 - torch.tensor(preprocess.mean)) / torch.tensor(preprocess.std)
    torch.testing.assert_close(tiled[4, 0, :, 0, 0], pixel)
    short = clip_views(Media(frames[:2], 8.0), Preprocess(size=112, rule="squash"), cpu)
    assert short.shape == (1, 4, 3, 112, 112)
    assert torch.equal(short[0, 1], short[0, 3])


@pytest.mark.parametrize("layout", ["flat", "prefixed", "timm"])
def test_layouts_round_trip(layout: str) -> None:
    """Flat, under `model.`, and in timm's names: the same network comes back, its size read off the tensors."""
    torch.manual_seed(0)
    network = TALL(**SMALL).eval()
    state = network.state_dict()
    if layout == "prefixed":
        state = {f"model.{key}": value for key, value in state.items()}
    if layout == "timm":
        state = {
            key: value for key, value in state.items() if not key.endswith(("relative_position_index", "attn_mask"))
        }
        for n in (2, 1, 0):
            for part in ("reduction.weight", "norm.weight", "norm.bias"):
                state[f"layers.{n + 1}.downsample.{part}"] = state.pop(f"layers.{n}.downsample.{part}")
        state = {key.replace("head.", "head.fc."): value for key, value in state.items()}
    adapted, size = adapt(state)
    again = TALL(**size).eval()
    again.load_state_dict(adapted)
    clip = torch.randn(1, 4, 3, 112, 112)
    with torch.inference_mode():
        assert torch.equal(network(clip), again(clip))


def test_bias_tables_grow() -> None:
    """169 rows of windows of 7 become 729 of windows of 14, and the middle, a place's bias to itself, keeps its value."""
    table = torch.randn(169, 3)
    larger = resize_table(table, 729)
    assert larger.shape == (729, 3)
    torch.testing.assert_close(larger[364], table[84])
    assert resize_table(table, 169) is table


def test_other_files_are_refused() -> None:
    """A Swin without frame vectors is no TALL, and something else is told what it lacks."""
    with pytest.raises(CheckpointError, match="frame_pos_embed is missing"):
        adapt({"patch_embed.proj.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="not a Swin"):
        adapt({"frame_pos_embed": torch.zeros(1, 4, 8)})


def test_the_hole_is_at_one_place_in_all_frames() -> None:
    """Sixteen by sixteen pixels are cut from the same place in all four frames, and nothing else changes."""
    clips = torch.ones(3, 4, 3, 112, 112)
    cut = hole(clips, torch.Generator().manual_seed(0)) == 0
    assert cut.flatten(1).sum(1).tolist() == [4 * 3 * 256] * 3
    assert torch.equal(cut[:, :1].expand_as(cut), cut)
    assert clips.min() == 1


def test_objective_trains() -> None:
    """A few steps on one batch lower the loss."""
    torch.manual_seed(0)
    network = TALL(**SMALL, drop_path=0.0)
    batch = Batch(torch.empty(0), torch.tensor([0.0, 1.0]), torch.tensor([0, 1]))
    x = torch.randn(2, 4, 3, 112, 112)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    values = []
    for _ in range(6):
        loss = objective(network, x, batch, torch.Generator().manual_seed(0))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(float(loss.detach()))
    assert values[-1] < values[0]


def test_quarters_are_the_inverse_of_the_mosaic() -> None:
    """Cut up and laid out again, a picture is the same to the bit; a still's view is the centre of the canvas."""
    picture = torch.randn(2, 3, 224, 224)
    assert torch.equal(mosaic(quarters(picture)), picture)
    frames = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    bare = Preprocess((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 112, "tiles")
    view = mosaic(still_views(Media(frames), bare, torch.device("cpu")))
    centre = torch.from_numpy(frames[0, 16:240, 16:240].copy()).permute(2, 0, 1) / 255
    torch.testing.assert_close(view[0], centre)


def test_the_start_measures_energy_by_frequency() -> None:
    """Filters see no level, are orthogonal, and after the first MLP the texture of a picture shows in its mean token."""
    torch.manual_seed(0)
    network = TALL(**SMALL).eval()
    start_with_cosines(network)
    kernels = network.patch_embed.proj.weight[:15].flatten(1)
    assert kernels.view(15, 3, 16).sum(dim=2).abs().max() < 1e-4
    shape = kernels @ kernels.T
    assert (shape - shape.diag().diag()).abs().max() < 1e-3
    generator = torch.Generator().manual_seed(1)
    fine = torch.randn(1, 3, 224, 224, generator=generator)
    coarse = torch.nn.functional.avg_pool2d(fine, 5, 1, 2) * 5
    with torch.inference_mode():
        means = [
            network.layers[0].blocks[0](network.embed(quarters(x))).mean(1)[0] for x in (fine, fine.flip(3), coarse)
        ]
    assert (means[0] - means[2]).norm() > 4 * (means[0] - means[1]).norm()


def test_stills_train() -> None:
    """Half a dozen steps on two stills, one of them with a grid of period 2, halve the loss."""
    torch.manual_seed(0)
    network = TALL(**SMALL, drop_path=0.0)
    start_with_cosines(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    x = torch.nn.functional.avg_pool2d(torch.randn(2, 1, 3, 224, 224).flatten(0, 1), 5, 1, 2).view(2, 1, 3, 224, 224)
    x[1, ..., ::2, ::2] += 0.3
    batch = Batch(x, torch.tensor([0.0, 1.0]), torch.tensor([0, 1]))
    losses = []
    for step in range(8):
        loss = still_objective(network, x, batch, torch.Generator().manual_seed(step))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2
