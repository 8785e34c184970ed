"""The four losses of UCF (Yan et al. 2023, section 3.3), over a batch of reals followed by as many fakes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.training.batches import Batch
from detectors.training.losses import Losses
from detectors.ucf.network import UCF, Codes

METHOD, REBUILD, CONTRAST = 0.1, 0.3, 0.05  # weights beside the common classification
MARGIN = 3.0
SHUFFLED = 0.7  # how often common features change places within their class


def objective(network: nn.Module, x: Tensor, batch: Batch, rng: torch.Generator) -> Losses:
    """common + 0.1 method + 0.3 reconstruction + 0.05 contrastive. x (2N, T, 3, H, W), of which frame 0 is used."""
    ucf = getattr(network, "module", network)
    if not isinstance(ucf, UCF):
        raise TypeError(f"this objective trains UCF, not {type(ucf).__name__}")
    pictures, half = x[:, 0], len(x) // 2
    shuffle = None
    if float(torch.rand((), generator=rng)) < SHUFFLED:
        shuffle = torch.cat([torch.randperm(half, generator=rng), half + torch.randperm(half, generator=rng)])
    codes = ucf.disentangle(pictures, shuffle)
    common = functional.cross_entropy(codes.common_logits, batch.labels.long())
    method = functional.cross_entropy(codes.specific_logits, batch.methods)
    rebuild = reconstruction(codes, pictures)
    contrast = contrastive(codes, batch.methods, rng)
    total = common + METHOD * method + REBUILD * rebuild + CONTRAST * contrast
    return {"loss": total, "common": common, "method": method, "rebuild": rebuild, "contrast": contrast}


def reconstruction(codes: Codes, pictures: Tensor) -> Tensor:
    """Four mean absolute errors: each half from its own codes, and its content under the other half's forgery code.

    Inputs with mean and deviation 0.5 lie in the decoder's range [-1, 1].
    """
    real, fake = pictures.chunk(2)
    own = functional.l1_loss(codes.rebuilt[0], real) + functional.l1_loss(codes.rebuilt[1], fake)
    crossed = functional.l1_loss(codes.swapped[0], real) + functional.l1_loss(codes.swapped[1], fake)
    return own + crossed


def contrastive(codes: Codes, methods: Tensor, rng: torch.Generator) -> Tensor:
    """Triplets with margin 3 on pooled codes: common and specific, with reals and with fakes as anchors.

    The positive of a common code is another of its class; that of a specific code one of the same method; the negative
    is the item of the other class at the same place.
    """
    half = len(methods) // 2
    total = codes.common.new_zeros(())
    for code, groups in ((codes.common, (methods > 0).long()), (codes.specific, methods)):
        positive = code[partners(groups, rng)]
        negative = code.roll(half, dims=0)
        total = total + functional.triplet_margin_loss(code, positive, negative, margin=MARGIN) * 2
    return total


def partners(groups: Tensor, rng: torch.Generator) -> Tensor:
    """For each item the index of a random item of its group (itself where it is alone)."""
    same = groups[:, None] == groups[None, :]
    odds = torch.rand(same.shape, generator=rng).to(groups.device) * same
    odds.fill_diagonal_(1e-9)
    return odds.argmax(dim=1)
