"""What the two stages of the study minimise. x (2N, T, 3, H, W) is in [0, 1], N reals and then N fakes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.autoencoder.network import FAINTEST, Classifier, middle
from detectors.torch_detector import TorchDetector
from detectors.training.batches import Batch
from detectors.training.losses import Losses
from detectors.training.validation_set import Examples

L1, L2 = 0.01, 0.1  # of the dense layer's weights, as sums over them
NOISE = 0.1  # deviation of what the denoising autoencoder has to remove, with colours in [0, 1]
CHUNK = 8


def reconstruction(network: nn.Module, x: Tensor, batch: Batch, rng: torch.Generator) -> Losses:
    """Mean squared error between pictures and what comes out for them."""
    return {"loss": functional.mse_loss(network.rebuild(x[:, 0]), x[:, 0])}  # type: ignore[operator]


def denoising(network: nn.Module, x: Tensor, batch: Batch, rng: torch.Generator) -> Losses:
    """The same, where what goes in has Gaussian noise on it (Vincent et al. 2008)."""
    clean = x[:, 0]
    noise = torch.randn(clean.shape, generator=rng).to(clean) * NOISE
    return {"loss": functional.mse_loss(network.rebuild((clean + noise).clamp(0, 1)), clean)}  # type: ignore[operator]


def classification(network: nn.Module, x: Tensor, batch: Batch, rng: torch.Generator) -> Losses:
    """Cross entropy, categorical for two outputs and binary for one, plus both norms of the dense layer's weights."""
    logits = network.outputs(x[:, 0])  # type: ignore[operator]
    if logits.shape[1] == 2:
        entropy = functional.cross_entropy(logits, batch.labels.long())
        log_odds = logits[:, 1] - logits[:, 0]
    else:
        log_odds = logits[:, 0]
        entropy = functional.binary_cross_entropy_with_logits(log_odds, batch.labels)
    accuracy = ((log_odds > 0) == (batch.labels > 0)).float().mean()
    return {"loss": entropy + penalty(network), "entropy": entropy, "accuracy": accuracy}


def penalty(network: nn.Module) -> Tensor:
    """L1 * sum |w| + L2 * sum w^2 over the dense layer's weights, its bias left out (Keras's `l1_l2`)."""
    if not isinstance(network, Classifier):
        raise TypeError(f"a Classifier has a dense layer, not {type(network).__name__}")
    weight = network.dense.weight
    return L1 * weight.abs().sum() + L2 * weight.square().sum()


@torch.inference_mode()
def fidelity(network: nn.Module, pictures: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in the middle of pictures (B, 3, H, W), (B,) in decibels: 10 log10(1 / error)."""
    errors = [network.error(part) for part in torch.split(middle(pictures, 8), CHUNK)]  # type: ignore[operator]
    return -10 * torch.log10(torch.cat(errors).clamp_min(FAINTEST))


def psnr(detector: TorchDetector, judged: Examples) -> float:
    """The mean over validation, by which the reconstruction's best weights are chosen."""
    return float(torch.cat([fidelity(detector.network, detector.views(media)) for media in judged.media]).mean())
