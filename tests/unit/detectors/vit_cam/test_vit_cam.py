"""vit_cam: timm's network and keys, backbones to start from, the small size, its view, and its tokens as maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

from detectors.acceleration.onnx_export import export
from detectors.explain.maps import _from_tokens, layer_of
from detectors.families import family, network_size
from detectors.public_checkpoints import build, load_into, open_checkpoint
from detectors.rows import HALF, Preprocess
from detectors.training.batches import BatchPlan
from detectors.training.loop import Training, train
from detectors.vit_cam.layouts import adapt, is_backbone
from detectors.vit_cam.network import SIDE, Stem, VitCam, centre_view, start_with_residuals
from subnet.errors import CheckpointError, MediaUnreadable
from subnet.types import Media
from tests.unit.detectors.folders import write_images

VIEW = Preprocess(HALF, HALF, SIDE, "tiles")


def theirs(classes: int = 1000, side: int = SIDE) -> VisionTransformer:
    """A narrow, shallow network of timm: two heads of 64 channels, two blocks."""
    torch.manual_seed(3)
    network: VisionTransformer = VisionTransformer(
        img_size=side, num_classes=classes, embed_dim=128, depth=2, num_heads=2
    ).eval()
    return network


def small() -> VitCam:
    torch.manual_seed(0)
    return VitCam(**network_size(family("vit_cam"), 1)).eval()


def test_the_published_size_has_timms_keys() -> None:
    """Every tensor of `vit_base_patch16_224` but the head has its key and shape in ours."""
    with torch.device("meta"):
        ours = {key: value.shape for key, value in VitCam().state_dict().items()}
        published = timm.create_model("vit_base_patch16_224.augreg2_in21k_ft_in1k", pretrained=False).state_dict()
    assert ours.keys() == published.keys()
    assert {key for key in ours if ours[key] != published[key].shape} == {"head.weight", "head.bias"}
    assert sum(shape.numel() for shape in ours.values()) == 85_799_425


def test_same_weights_same_numbers_as_timm() -> None:
    """With timm's weights and a head of one output, log-odds are timm's logit."""
    network = theirs(classes=1)
    ours = VitCam(width=128, depth=2).eval()
    ours.load_state_dict(network.state_dict())
    x = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(ours(x), network(x)[:, 0], atol=1e-5)


@pytest.mark.parametrize("side", [SIDE, 384])
def test_a_backbone_starts_the_body(side: int, tmp_path: Path) -> None:
    """A classifier of timm, also for larger pictures, fills everything but the head."""
    network, ours = theirs(side=side), VitCam(width=128, depth=2)
    save_file(network.state_dict(), tmp_path / "vit.safetensors")
    head = ours.head.weight.clone()
    load_into(ours, tmp_path / "vit.safetensors", "vit_cam")
    assert torch.equal(ours.blocks[1].mlp.fc1.weight, network.blocks[1].mlp.fc1.weight)
    assert torch.equal(ours.head.weight, head)
    if side == SIDE:
        assert torch.equal(ours.pos_embed, network.pos_embed)


def test_what_does_not_fit_says_why(tmp_path: Path) -> None:
    """A backbone for the small size, a classifier as a detector, and another network are refused with the way out."""
    save_file(theirs().state_dict(), tmp_path / "vit.safetensors")
    with pytest.raises(CheckpointError, match="--size published"):
        load_into(small(), tmp_path / "vit.safetensors", "vit_cam")
    checkpoint = open_checkpoint(tmp_path / "vit.safetensors", "vit_cam", VIEW)
    with pytest.raises(CheckpointError, match="tells 1000 classes"):
        build(checkpoint, "vit_cam")
    with pytest.raises(CheckpointError, match="cls_token"):
        adapt({"conv1.weight": torch.zeros(1)})
    assert not is_backbone(small().state_dict())


def test_sizes_are_read_off_the_tensors() -> None:
    """The small size and a narrow one with patches are built again from their own states."""
    for network in (small(), VitCam(width=128, depth=2)):
        state, size = adapt(dict(sorted(network.state_dict().items())))  # files have their keys in this order
        VitCam(**size).load_state_dict(state)


@pytest.mark.parametrize("stem", [(), pytest.param((4, 8, 8, 8), marks=pytest.mark.slow)], ids=["patches", "stem"])
def test_exports_answer_the_same(stem: tuple[int, ...]) -> None:
    """Both kinds of embedding run in onnxruntime with the same log-odds."""
    export(VitCam(width=64, depth=1, stem=stem).eval(), torch.zeros(1, 3, SIDE, SIDE), threads=1)


def test_the_stem_starts_blind_to_level_and_slope() -> None:
    """Flat and sloping pictures give nothing in the first layer; patches are left as they are."""
    network = small()
    start_with_residuals(network)
    assert isinstance(network.patch_embed, Stem)
    slope = torch.arange(32.0).expand(1, 3, 32, 32)
    with torch.no_grad():
        for flat in (torch.ones(1, 3, 32, 32), slope, slope.transpose(2, 3)):
            assert network.patch_embed.layers[0](flat)[..., 1:-1, 1:-1].abs().max() < 1e-4
    with pytest.raises(TypeError, match="starts VitCam"):
        start_with_residuals(torch.nn.Linear(1, 1))


def test_the_view_is_the_centre_unresized() -> None:
    """Of a 256-pixel challenge the middle 224 pixels, to the last bit; a clip is refused."""
    frames = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    view = centre_view(Media(frames), VIEW, torch.device("cpu"))
    pixels = torch.from_numpy(frames[0, 16:240, 16:240].copy()).permute(2, 0, 1)
    assert view.shape == (1, 3, SIDE, SIDE)
    assert torch.equal(((view[0] * 0.5 + 0.5) * 255).round().to(torch.uint8), pixels)
    with pytest.raises(MediaUnreadable, match="2 frames"):
        centre_view(Media(np.repeat(frames, 2, axis=0), 10.0), VIEW, torch.device("cpu"))


def test_tokens_become_maps_without_the_class_token() -> None:
    """Tokens are laid out row by row; those before them that have no place are left out."""
    tokens = torch.arange(16.0).view(1, 16, 1)
    for places in (0, 1, 5):
        maps = _from_tokens(torch.cat([torch.full((1, places, 1), -1.0), tokens], dim=1))
        assert torch.equal(maps[0, 0], torch.arange(16.0).view(4, 4))


def test_the_last_block_in_any_depth() -> None:
    """ "blocks.-1.norm1" is in the last of two blocks and of four."""
    for network, last in ((VitCam(width=128, depth=2), 1), (small(), 3)):
        assert layer_of(network, "blocks.-1.norm1") is network.blocks[last].norm1


def test_it_learns_through_the_one_loop(tmp_path: Path) -> None:
    """A few steps on a handful of photographs and blurred twins: the loss falls, and the weights load again."""
    data = write_images(tmp_path / "train", 4)
    losses: list[float] = []
    settings = Training(
        "vit_cam",
        data,
        tmp_path / "out.safetensors",
        validation=data,
        steps=8,
        plan=BatchPlan(pairs=4, crop=64, early=(1.0, 0.0, 0.0, 0.0), late=(1.0, 0.0, 0.0, 0.0)),
        evaluate_every=8,
        validation_items=4,
    )
    result = train(settings, lambda progress: losses.append(progress.losses["loss"]))
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert build(open_checkpoint(result.weights, "vit_cam", VIEW), "vit_cam") is not None
