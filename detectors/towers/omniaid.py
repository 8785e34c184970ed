"""OmniAID (Guo et al., ICML 2026): CLIP ViT-L/14 at 336 pixels whose attention is a mixture of low-rank experts.

A frozen CLIP looks first; a small router picks two of the semantic experts by what it saw. Every projection of the
attention is its frozen weight plus the picked experts by their shares, plus the expert for artefacts, always and whole.
The key names are those of the authors' checkpoint (arXiv 2511.08423 and github.com/yunncheng/OmniAID); class 1 of the
head is synthetic, as their data set labels it (data/datasets.py) and their scorer reads it (reward/omniaid.py).
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from subnet.errors import CheckpointError

HEAD_WIDTH = 64
PICKED = 2  # semantic experts for a picture
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")
_TRAINING = re.compile(r"\.(U_r|V_r|weight_original_fnorm)$|position_ids$")  # kept for its losses, not used to judge


class Mixture(nn.Module):
    """x W + b and, of every expert e, its share times U_e diag(S_e) V_e x. Shares (B, E)."""

    weight_main: Tensor

    def __init__(self, width: int, experts: int, rank: int) -> None:
        super().__init__()
        self.register_buffer("weight_main", torch.zeros(width, width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.U_experts = nn.ParameterList(torch.zeros(width, rank) for _ in range(experts))
        self.S_experts = nn.ParameterList(torch.zeros(rank) for _ in range(experts))
        self.V_experts = nn.ParameterList(torch.zeros(rank, width) for _ in range(experts))

    def forward(self, x_BNC: Tensor, shares_BE: Tensor) -> Tensor:
        up, down = torch.cat([*self.U_experts], 1), torch.cat([*self.V_experts])
        weights = (shares_BE[:, :, None] * torch.stack([*self.S_experts])).flatten(1)  # (B, E * rank)
        inner = functional.linear(x_BNC, down) * weights[:, None]
        return functional.linear(x_BNC, self.weight_main, self.bias) + functional.linear(inner, up)


class Attention(nn.Module):
    """Self-attention over tokens (B, N, C) with mixtures as projections."""

    def __init__(self, width: int, experts: int, rank: int) -> None:
        super().__init__()
        self.heads = max(1, width // HEAD_WIDTH)
        for name in PROJECTIONS:
            setattr(self, name, Mixture(width, experts, rank))

    def forward(self, x_BNC: Tensor, shares_BE: Tensor) -> Tensor:
        q, k, v = (
            getattr(self, name)(x_BNC, shares_BE).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for name in PROJECTIONS[:3]
        )
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        projected: Tensor = getattr(self, PROJECTIONS[3])(mixed, shares_BE)
        return projected


class Feed(nn.Module):
    """Two layers with CLIP's quick GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x_BNC: Tensor) -> Tensor:
        inner = self.fc1(x_BNC)
        fed: Tensor = self.fc2(inner * torch.sigmoid(1.702 * inner))
        return fed


class Layer(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, width: int, hidden: int, experts: int, rank: int) -> None:
        super().__init__()
        self.self_attn, self.mlp = Attention(width, experts, rank), Feed(width, hidden)
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x_BNC: Tensor, shares_BE: Tensor) -> Tensor:
        x = x_BNC + self.self_attn(self.layer_norm1(x_BNC), shares_BE)
        added: Tensor = x + self.mlp(self.layer_norm2(x))
        return added


class Router(nn.Module):
    """What the frozen tower saw (B, C) -> shares of all experts (B, E): two semantic ones, and artefacts whole."""

    def __init__(self, width: int, hidden: int, experts: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, experts - 1))

    def forward(self, x_BC: Tensor) -> Tensor:
        logits: Tensor = self.network(x_BC)
        values, places = logits.topk(min(PICKED, logits.shape[1]), dim=1)
        shares = torch.zeros_like(logits).scatter(1, places, values.softmax(dim=1).to(logits.dtype))
        return torch.cat([shares, torch.ones_like(shares[:, :1])], dim=1)


class OmniAID(nn.Module):
    """Normalised RGB (B, 3, side, side) -> log-odds of synthetic (B,). The published size unless told otherwise."""

    def __init__(
        self,
        width: int = 1024,
        hidden: int = 4096,
        depth: int = 24,
        patch: int = 14,
        side: int = 336,
        experts: int = 6,
        rank: int = 1,
        routing: int = 256,
    ) -> None:
        super().__init__()
        config = CLIPVisionConfig(
            hidden_size=width,
            intermediate_size=hidden,
            num_hidden_layers=depth,
            num_attention_heads=max(1, width // HEAD_WIDTH),
            image_size=side,
            patch_size=patch,
            hidden_act="quick_gelu",
        )
        self.feature_extractor = CLIPVisionModelWithProjection(config).vision_model
        self.embeddings = type(self.feature_extractor.embeddings)(config)
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.encoder_layers = nn.ModuleList(Layer(width, hidden, experts, rank) for _ in range(depth))
        self.gating_network = Router(width, routing, experts)
        self.head = nn.Linear(width, 2)
        # ONNX holds at most 2 GiB in one file
        self.exportable = sum(each.nbytes for each in (*self.parameters(), *self.buffers())) < 2**31

    def features(self, x_BCHW: Tensor) -> Tensor:
        """What the last layer decides upon: the normalised class token (B, width)."""
        shares = self.gating_network(self.feature_extractor(pixel_values=x_BCHW).pooler_output)
        tokens = self.ln_pre(self.embeddings(x_BCHW))
        for layer in self.encoder_layers:
            tokens = layer(tokens, shares)
        token: Tensor = self.ln_post(tokens[:, 0])
        return token

    def forward(self, x_BCHW: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x_BCHW))
        return logits[:, 1] - logits[:, 0]


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The published keys without what only training needs, and the network's size. Raises CheckpointError."""
    kept = {key: value for key, value in state.items() if not _TRAINING.search(key)}
    try:
        kernel, places = (kept[f"embeddings.{name}.weight"] for name in ("patch_embedding", "position_embedding"))
        expert = "encoder_layers.0.self_attn.q_proj.S_experts."
        experts = sum(key.startswith(expert) for key in kept)
        hidden, rank = (len(kept[key]) for key in ("encoder_layers.0.mlp.fc1.bias", f"{expert}0"))
        routing, routed = (len(kept[f"gating_network.network.{number}.bias"]) for number in (0, 2))
    except KeyError as error:
        raise CheckpointError(f"weights: not a checkpoint of OmniAID on CLIP: {error} is needed") from error
    if kernel.ndim != 4 or routed != experts - 1:
        raise CheckpointError(
            f"weights: OmniAID routes between all experts but the last: {experts} experts, and {routed} are routed"
        )
    depth = 1 + max(int(key.split(".")[1]) for key in kept if key.startswith("encoder_layers."))
    side = round((len(places) - 1) ** 0.5) * kernel.shape[2]
    sizes = {"width": kernel.shape[0], "hidden": hidden, "depth": depth, "patch": kernel.shape[2], "side": side}
    return kept, {**sizes, "experts": experts, "rank": rank, "routing": routing}
