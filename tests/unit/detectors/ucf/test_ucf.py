"""UCF: the published size, its losses, and the layouts of public weights."""

from __future__ import annotations

import timm
import torch

from detectors import TABLE
from detectors.backbones.xception import is_imagenet
from detectors.training.batches import Batch
from detectors.ucf.layouts import adapt, start
from detectors.ucf.losses import contrastive, objective, partners
from detectors.ucf.network import UCF, Encoder, adain


def test_size_and_keys_are_the_published_ones() -> None:
    """46.84 M parameters in 600 tensors: 283 for each encoder, 34 for decoder, heads and bottles."""
    with torch.device("meta"):
        network = UCF()
    keys = list(network.state_dict())
    assert sum(parameter.numel() for parameter in network.parameters()) == 46_838_430
    assert len(keys) == TABLE["ucf"].tensors == 600
    count = {
        prefix: sum(key.startswith(prefix + ".") for key in keys)
        for prefix in dict.fromkeys(k.split(".")[0] for k in keys)
    }
    assert count == {
        "encoder_f": 283,
        "encoder_c": 283,
        "con_gan": 14,
        "head_spe": 4,
        "head_sha": 4,
        "block_spe": 6,
        "block_sha": 6,
    }
    assert {key.rsplit(".", 1)[0] for key in keys if key.startswith("con_gan")} == {
        *(f"con_gan.dconv_up{n}.{m}" for n in (1, 2, 3) for m in (0, 2)),
        "con_gan.conv_last",
    }


def test_xception_is_timms() -> None:
    """With timm's weights our encoder gives timm's last feature map: same keys, same numbers."""
    torch.manual_seed(0)
    theirs = timm.create_model("legacy_xception", pretrained=False).eval()
    network = UCF().eval()
    assert is_imagenet(theirs.state_dict())
    start(network, theirs.state_dict())
    x = torch.randn(1, 3, 96, 96)
    with torch.inference_mode():
        torch.testing.assert_close(network.encoder_f.features(x).relu(), theirs.forward_features(x))
    assert torch.equal(network.encoder_c.conv1.weight, theirs.conv1.weight)


def test_the_older_imagenet_file_fits() -> None:
    """Pointwise kernels of two dimensions and a `last_linear` of a thousand classes are understood."""
    theirs = timm.create_model("legacy_xception", pretrained=False).state_dict()
    old = {key.replace("fc.", "last_linear."): value for key, value in theirs.items() if "num_batches" not in key}
    old = {key: value[..., 0, 0] if "pointwise" in key else value for key, value in old.items()}
    network = UCF()
    start(network, old)
    assert torch.equal(network.encoder_f.conv4.pointwise.weight, theirs["conv4.pointwise.weight"])


def test_width_and_methods_are_read_off_the_file() -> None:
    """A checkpoint of any width and any number of forgery methods builds the network that it fits."""
    small = UCF(width=0.125, methods=9)
    state, size = adapt(small.state_dict())
    again = UCF(**size)
    again.load_state_dict(state)
    assert again.methods == 9


def test_judging_runs_one_encoder() -> None:
    """The content encoder, the decoder and the specific head take no part in an answer."""
    network = UCF(width=0.125, methods=3).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        before = network(x)
        for part in (network.encoder_c, network.con_gan, network.head_spe, network.block_spe):
            for parameter in part.parameters():
                parameter.fill_(float("nan"))
        assert torch.equal(network(x), before)


def test_adain_takes_over_the_style() -> None:
    """Content comes out with the mean and deviation of the style, channel by channel."""
    content, style = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8) * 3 + 1
    moved = adain(content, style)
    torch.testing.assert_close(moved.mean((2, 3)), style.mean((2, 3)), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(moved.std((2, 3)), style.std((2, 3)), atol=1e-3, rtol=1e-3)


def batch(half: int = 4) -> Batch:
    labels = torch.tensor([0.0] * half + [1.0] * half)
    methods = torch.tensor([0] * half + [1 + i % 2 for i in range(half)])
    return Batch(torch.empty(0), labels, methods)


def test_all_four_losses_reach_all_parts() -> None:
    """One backward pass leaves a gradient in every part but the classifier that nobody uses."""
    torch.manual_seed(0)
    network = UCF(width=0.125, methods=3)
    losses = objective(network, torch.rand(8, 1, 3, 64, 64) * 2 - 1, batch(), torch.Generator().manual_seed(0))
    losses["loss"].backward()
    weighted = losses["common"] + 0.1 * losses["method"] + 0.3 * losses["rebuild"] + 0.05 * losses["contrast"]
    torch.testing.assert_close(losses["loss"], weighted)
    without = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert without == {f"encoder_{e}.last_linear.{p}" for e in "fc" for p in ("weight", "bias")}


def test_decoder_gives_back_the_input_size() -> None:
    """Codes of a picture become a picture of the same size in [-1, 1]."""
    codes = UCF(width=0.125, methods=3).eval().disentangle(torch.rand(2, 3, 96, 96))
    for picture in (*codes.rebuilt, *codes.swapped):
        assert picture.shape == (1, 3, 96, 96)
        assert picture.abs().max() <= 1


def test_contrastive_loss_is_zero_when_classes_are_far_apart() -> None:
    """Codes that are alike within a group and further apart than the margin across cost nothing."""
    group = batch().methods
    far = torch.nn.functional.one_hot(group, 3).float() * 10
    from detectors.ucf.network import Codes

    nothing = torch.empty(0)
    codes = Codes(nothing, nothing, far * 0 + (group > 0)[:, None] * 10.0, far, (nothing, nothing), (nothing, nothing))
    assert float(contrastive(codes, group, torch.Generator().manual_seed(0))) < 1e-4


def test_partners_share_the_group() -> None:
    """A positive is another item of the same group, or the item itself where it is alone."""
    groups = torch.tensor([0, 0, 0, 1, 1, 2])
    chosen = partners(groups, torch.Generator().manual_seed(1))
    assert torch.equal(groups[chosen], groups)
    assert all(int(chosen[i]) != i for i in range(5))
    assert int(chosen[5]) == 5


def test_widths_are_usable() -> None:
    """Small encoders have the same stride of 32 and a proportional number of channels, but no fewer than `least`."""
    assert Encoder(0.25, 4)(torch.randn(2, 3, 128, 128)).shape == (2, 128, 4, 4)
    wide = Encoder(0.25, 32)
    assert wide(torch.randn(2, 3, 128, 128)).shape == (2, 128, 4, 4)
    assert (wide.conv1.out_channels, wide.conv2.out_channels) == (32, 32)
    state, size = adapt(UCF(0.25, 3, least=32).state_dict())
    assert size == {"width": 0.25, "methods": 3, "least": 32}
    UCF(**size).load_state_dict(state)
