"""UnivFD (Ojha et al., CVPR 2023): one linear layer on the picture's embedding by OpenAI's CLIP ViT-L/14.

The tower has transformers' keys (`vision_model.`, `visual_projection.`), 303,966,208 parameters in 392 tensors; the
layer is `fc`, which its authors publish by itself as `weight` and `bias`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from subnet.errors import CheckpointError

HEAD_WIDTH = 64
WRITE = "write univfd=CLIP.safetensors,fc_weights.pth"
TEXT = ("text_model.", "text_projection.", "logit_scale")  # the half of CLIP that reads


class UnivFD(nn.Module):
    """Normalised RGB (B, 3, side, side) -> log-odds of synthetic (B,). CLIP ViT-L/14 where nothing else is said."""

    def __init__(
        self,
        width: int = 1024,
        hidden: int = 4096,
        depth: int = 24,
        patch: int = 14,
        side: int = 224,
        embedding: int = 768,
    ) -> None:
        super().__init__()
        tower = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=width,
                intermediate_size=hidden,
                projection_dim=embedding,
                num_hidden_layers=depth,
                num_attention_heads=max(1, width // HEAD_WIDTH),
                image_size=side,
                patch_size=patch,
                hidden_act="quick_gelu",
            )
        )
        self.vision_model, self.visual_projection = tower.vision_model, tower.visual_projection
        self.fc = nn.Linear(embedding, 1)

    def features(self, x_BCHW: Tensor) -> Tensor:
        """CLIP's embedding of the picture, not scaled to unit length: (B, embedding)."""
        embedding: Tensor = self.visual_projection(self.vision_model(pixel_values=x_BCHW).pooler_output)
        return embedding

    def forward(self, x_BCHW: Tensor) -> Tensor:
        logit: Tensor = self.fc(self.features(x_BCHW)).squeeze(1)
        return logit


def adapt(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """CLIP's picture half and the layer, and the network's size. Raises CheckpointError for another layout."""
    kept = {key: value for key, value in state.items() if not key.startswith(TEXT)}
    kept = {key: value for key, value in kept.items() if not key.endswith("embeddings.position_ids")}
    kept = {f"fc.{key}" if key in ("weight", "bias") else key: value for key, value in kept.items()}
    kernel = kept.get("vision_model.embeddings.patch_embedding.weight")
    places = kept.get("vision_model.embeddings.position_embedding.weight")
    if kernel is None or places is None or kernel.ndim != 4:
        raise CheckpointError(
            "weights: UnivFD needs CLIP's tower in transformers' keys (vision_model.embeddings...) beside "
            f"fc_weights.pth: {WRITE}"
        )
    missing = [key for key in ("visual_projection.weight", "fc.weight", "fc.bias") if key not in kept]
    if missing:
        raise CheckpointError(f"weights: UnivFD needs {', '.join(missing)}: {WRITE}")
    numbers = {int(key.split(".")[3]) for key in kept if key.startswith("vision_model.encoder.layers.")}
    hidden = kept.get("vision_model.encoder.layers.0.mlp.fc1.bias")
    size = {
        "width": kernel.shape[0],
        "hidden": 4 * kernel.shape[0] if hidden is None else len(hidden),
        "depth": 1 + max(numbers, default=-1),
        "patch": kernel.shape[2],
        "side": round((len(places) - 1) ** 0.5) * kernel.shape[2],
        "embedding": len(kept["visual_projection.weight"]),
    }
    return kept, size
