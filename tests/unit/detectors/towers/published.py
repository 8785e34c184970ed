"""Published checkpoints in their authors' keys with random numbers, and their authors' programs written a second time.

The layouts come from the libraries that the authors used (timm, transformers, torchvision), the sums from their papers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pywt
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torchvision import transforms
from torchvision.models.resnet import Bottleneck, ResNet
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModel

State = dict[str, Tensor]
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
RANK = 8


@dataclass(frozen=True)
class Published:
    """`state` gives the tensors, small or as published; `files` splits them as they are published."""

    state: Callable[[bool], State]
    transform: Callable[[Image.Image], Tensor]
    answer: Callable[[State, Tensor], Tensor]
    files: Callable[[State], list[State]] = lambda state: [state]


def forensics(small: bool) -> State:
    sizes: dict[str, Any] = {"embed_dim": 64, "depth": 2, "num_heads": 1} if small else {}
    model = timm.create_model("vit_small_patch16_384", num_classes=1, **sizes)
    return {f"vit.{key}": value for key, value in model.state_dict().items()}


def forensics_answer(state: State, x: Tensor) -> Tensor:
    model = timm.create_model("vit_small_patch16_384", num_classes=1, embed_dim=64, depth=2, num_heads=1).eval()
    model.load_state_dict({key.removeprefix("vit."): value for key, value in state.items()})
    logits: Tensor = model(x)[:, 0]
    return logits


def dda(small: bool) -> State:
    sizes: dict[str, Any] = {"embed_dim": 64, "depth": 2, "num_heads": 1} if small else {}
    model = timm.create_model("vit_large_patch14_dinov2", num_classes=0, img_size=518, **sizes)
    state = {"base_model.model.mask_token": torch.zeros(1, model.embed_dim)}
    for key, value in model.state_dict().items():
        name, _, kind = f"base_model.model.{key}".rpartition(".")
        adapted = name.endswith(("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"))
        state[f"{name}.original_layer.{kind}" if adapted else f"{name}.{kind}" if name else kind] = value
        if adapted and kind == "weight":
            state[f"{name}.lora.lora_A"] = torch.zeros(RANK, value.shape[1])
            state[f"{name}.lora.lora_B"] = torch.zeros(len(value), RANK)
    return {**state, "base_model.fc.weight": torch.zeros(1, model.embed_dim), "base_model.fc.bias": torch.zeros(1)}


def dda_answer(state: State, x: Tensor) -> Tensor:
    """DINOv2 with adapters, sum by sum."""
    own = {key.removeprefix("base_model.model."): value for key, value in state.items()}

    def linear(x: Tensor, name: str) -> Tensor:
        plain = functional.linear(x, own[f"{name}.original_layer.weight"], own[f"{name}.original_layer.bias"])
        return plain + x @ own[f"{name}.lora.lora_A"].T @ own[f"{name}.lora.lora_B"].T / RANK

    def norm(x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], own[f"{name}.weight"], own[f"{name}.bias"], 1e-6)

    tokens = functional.conv2d(x, own["patch_embed.proj.weight"], own["patch_embed.proj.bias"], 14)
    side, width = tokens.shape[-1], tokens.shape[1]
    table = own["pos_embed"][:, 1:].reshape(1, 37, 37, width).permute(0, 3, 1, 2)
    places = functional.interpolate(table, scale_factor=(float(side + 0.1) / 37,) * 2, mode="bicubic")
    tokens = tokens.flatten(2).transpose(1, 2) + places.permute(0, 2, 3, 1).reshape(1, side * side, width)
    first = (own["cls_token"] + own["pos_embed"][:, :1]).expand(len(x), 1, width)
    y = torch.cat([first, tokens], dim=1)
    for block in ("blocks.0", "blocks.1"):
        q, k, v = linear(norm(y, f"{block}.norm1"), f"{block}.attn.qkv").chunk(3, -1)
        mixed = (q @ k.transpose(1, 2) / width**0.5).softmax(-1) @ v  # one head
        y = y + own[f"{block}.ls1.gamma"] * linear(mixed, f"{block}.attn.proj")
        inner = functional.gelu(linear(norm(y, f"{block}.norm2"), f"{block}.mlp.fc1"))
        y = y + own[f"{block}.ls2.gamma"] * linear(inner, f"{block}.mlp.fc2")
    token = norm(y, "norm")[:, 0]
    return functional.linear(token, state["base_model.fc.weight"], state["base_model.fc.bias"])[:, 0]


def clip(small: bool) -> CLIPModel:
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2} if small else {
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12
    }  # fmt: skip
    vision = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 1} if small else {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16
    }  # fmt: skip
    embedding = 32 if small else 768
    return CLIPModel(
        CLIPConfig(
            text_config={**text, "projection_dim": embedding},
            vision_config={**vision, "patch_size": 14, "image_size": 224, "projection_dim": embedding},
            projection_dim=embedding,
        )
    )


def univfd(small: bool) -> State:
    state = clip(small).state_dict()
    embedding = len(state["visual_projection.weight"])
    return {**state, "weight": torch.zeros(1, embedding), "bias": torch.zeros(1)}


def univfd_files(state: State) -> list[State]:
    layer = {key: state[key] for key in ("weight", "bias") if key in state}
    return [{key: value for key, value in state.items() if key not in layer}, layer]


def univfd_answer(state: State, x: Tensor) -> Tensor:
    tower, layer = univfd_files(state)
    model = clip(True).eval()
    model.load_state_dict(tower)
    found = model.get_image_features(pixel_values=x)
    embedding = found if isinstance(found, Tensor) else found.pooler_output
    return functional.linear(embedding, layer["weight"], layer["bias"])[:, 0]


def omniaid(small: bool) -> State:
    """The checkpoint that training leaves: two CLIP towers, of one of which the attention became experts."""
    vision = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 1} if small else {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16
    }  # fmt: skip
    tower = CLIPVisionModel(CLIPVisionConfig(**vision, patch_size=14, image_size=336))
    plain = {key.removeprefix("vision_model."): value for key, value in tower.state_dict().items()}
    state = {f"feature_extractor.{key}": value for key, value in plain.items()}
    width, experts, rank, routing = int(vision["hidden_size"]), 6, 1, 16 if small else 256
    names = {"pre_layrnorm": "ln_pre", "post_layernorm": "ln_post", "encoder.layers": "encoder_layers"}
    for key, value in plain.items():
        own = next((key.replace(old, new) for old, new in names.items() if key.startswith(old)), key)
        if own.endswith("_proj.weight"):
            name = own.removesuffix(".weight")
            state[f"{name}.weight_main"] = value
            state[f"{name}.weight_original_fnorm"] = torch.zeros(())
            state[f"{name}.U_r"], state[f"{name}.V_r"] = (
                torch.zeros(width, width - rank),
                torch.zeros(width - rank, width),
            )
            for number in range(experts):
                state[f"{name}.U_experts.{number}"] = torch.zeros(width, rank)
                state[f"{name}.S_experts.{number}"] = torch.zeros(rank)
                state[f"{name}.V_experts.{number}"] = torch.zeros(rank, width)
        else:
            state[own] = value
    for number, shape in ((0, (routing, width)), (2, (experts - 1, routing))):
        state[f"gating_network.network.{number}.weight"] = torch.zeros(shape)
        state[f"gating_network.network.{number}.bias"] = torch.zeros(shape[0])
    return {**state, "head.weight": torch.zeros(2, width), "head.bias": torch.zeros(2)}


def omniaid_answer(state: State, x: Tensor) -> Tensor:
    """Picture by picture: the router's two experts and the last are added into each weight, and plain CLIP judges."""
    config = CLIPVisionConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=1, patch_size=14, image_size=336
    )

    def clip_of(weights: State, picture: Tensor) -> Tensor:
        tower = CLIPVisionModel(config).eval()
        before = "vision_model." if "vision_model.post_layernorm.weight" in tower.state_dict() else ""
        tower.load_state_dict({f"{before}{key}": value for key, value in weights.items()})
        pooled: Tensor = tower(pixel_values=picture).pooler_output
        return pooled

    names = {"ln_pre": "pre_layrnorm", "ln_post": "post_layernorm", "encoder_layers": "encoder.layers"}
    answers = []
    for picture in x.split(1):
        first = {key.removeprefix("feature_extractor."): v for key, v in state.items() if key.startswith("feature_ext")}
        inner = functional.linear(
            clip_of(first, picture), *(state[f"gating_network.network.0.{n}"] for n in ("weight", "bias"))
        )
        routed = functional.linear(inner.relu(), *(state[f"gating_network.network.2.{n}"] for n in ("weight", "bias")))[
            0
        ]
        picked = routed.argsort(descending=True)[:2].tolist()
        shares = {**dict(zip(picked, routed[picked].softmax(0).tolist(), strict=True)), 5: 1.0}
        own: State = {}
        for key, value in state.items():
            name, _, kind = key.rpartition(".")
            if key.startswith(("feature_extractor", "gating_network", "head")) or "_experts." in key:
                continue
            if kind in ("U_r", "V_r", "weight_original_fnorm"):
                continue
            weight = value.clone()
            for number, share in shares.items() if kind == "weight_main" else ():
                u, s, v = (state[f"{name}.{part}_experts.{number}"] for part in "USV")
                weight += share * u @ torch.diag(s) @ v
            place = next((key.replace(old, new) for old, new in names.items() if key.startswith(old)), key)
            own[place.replace("weight_main", "weight")] = weight
        answers.append(
            functional.linear(clip_of(own, picture), state["head.weight"], state["head.bias"]).log_softmax(1)[0]
        )
    logits = torch.stack(answers)
    return logits[:, 1] - logits[:, 0]


def residual_network() -> nn.Module:
    """torchvision's ResNet-50 up to its second layer, with the stem and the two outputs of NPR and SAFE."""
    model = ResNet(Bottleneck, [3, 4, 1, 1])
    model.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
    model.layer3, model.layer4, model.fc = nn.Identity(), nn.Identity(), nn.Identity()
    model.fc1 = nn.Linear(512, 2)
    return model


def safe(small: bool) -> State:
    return residual_network().state_dict()


def safe_answer(state: State, x: Tensor) -> Tensor:
    model = residual_network().eval()
    model.load_state_dict(state)
    _, (_, _, band) = pywt.dwt2(x.double().numpy(), "bior1.3", mode="symmetric", axes=(-2, -1))
    resized = transforms.Resize(list(x.shape[-2:]))(torch.from_numpy(band).float())
    logits: Tensor = model.fc1(model(resized))
    return logits.log_softmax(1)[:, 1] - logits.log_softmax(1)[:, 0]


def compose(mean_std: tuple[Iterable[float], Iterable[float]], *steps: Any) -> Callable[[Image.Image], Tensor]:
    chain: Callable[[Image.Image], Tensor] = transforms.Compose(
        [*steps, transforms.ToTensor(), transforms.Normalize(*map(list, mean_std))]
    )
    return chain


PUBLISHED = {
    "community-forensics": Published(
        forensics, compose(IMAGENET, transforms.Resize(440), transforms.CenterCrop(384)), forensics_answer
    ),
    "dda": Published(dda, compose(CLIP, transforms.CenterCrop(336)), dda_answer),
    "omniaid": Published(omniaid, compose(CLIP, transforms.Resize([336, 336])), omniaid_answer),
    "univfd": Published(univfd, compose(CLIP, transforms.CenterCrop(224)), univfd_answer, univfd_files),
    "safe": Published(safe, transforms.Compose([transforms.CenterCrop(256), transforms.ToTensor()]), safe_answer),
}


def filled(state: State, seed: int = 0) -> State:
    """The same keys and shapes with random numbers of the size that training leaves; running variances above 0."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for key, value in state.items():
        if not value.is_floating_point():
            made[key] = value
            continue
        scale = 0.5 if value.ndim < 2 else 1.5 / max(1, int(np.prod(value.shape[1:]))) ** 0.5
        made[key] = torch.randn(value.shape, generator=generator) * scale
        if "running_var" in key or (value.ndim == 1 and "norm" in key and key.endswith("weight")):
            made[key] = made[key].abs() + 0.5
    return made
