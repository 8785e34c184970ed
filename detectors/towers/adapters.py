"""A frozen tower with low-rank adapters and a linear head, as it is trained; the row `tower=TOWER,WEIGHTS` judges.

W + B A stands for every linear layer (Hu et al. 2022, arXiv 2106.09685; peft makes the layers), with B = 0 at first:
training begins at the head that was fitted before (linear probing first, Kumar et al. 2022, arXiv 2202.10054). Weights
hold what was trained (`head.`, `adapters.`) and the sha256 of the tower they belong to; the tower stays in its folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from detectors.checkpoints import load_strictly
from detectors.heads.head import Head
from detectors.preprocess import prepare
from detectors.tensor_files import some
from detectors.towers.folder import Tower, open_tower
from subnet.errors import CheckpointError, SettingsError

RANK = 8
ADAPTERS, HEAD, DIGEST = "adapters.", "head.", "tower_sha256"
_INSIDE, _NAMED = (".lora_A.default.", ".lora_B.default."), (".lora_A.", ".lora_B.")


class Adapted(nn.Module):
    """RGB 0..1 (B, 3, H, W) -> log-odds of synthetic (B,), prepared as the tower asks.

    `tower` is what `open_tower` takes; of `rank` 0 there are no adapters. The state is what is trained, and the digest.
    """

    tower_sha256: Tensor

    def __init__(self, tower: Path | str = "", rank: int = RANK) -> None:
        super().__init__()
        if not str(tower):
            raise SettingsError(
                "a tower is needed, a folder or OWNER/NAME@<40 hex commit>: --tower to train, tower=TOWER,FILE to judge"
            )
        opened = open_tower(str(tower))
        self.preprocess = opened.preprocess
        side = opened.preprocess.crop or opened.preprocess.size
        self.tower = opened.network.requires_grad_(requires_grad=False)
        with torch.inference_mode():
            features = int(self.tower(torch.zeros(1, 3, side, side)).shape[1])
        if rank:
            self.tower = adapted(self.tower, rank)
        self.head = trainable(Head(features))
        self.register_buffer(DIGEST, digest_tensor(opened.sha256))

    def train(self, mode: bool = True) -> Adapted:
        """The tower stays as it judges, without dropout."""
        super().train(mode)
        self.tower.eval()
        return self

    def features(self, x_BCHW: Tensor) -> Tensor:
        """What the head decides upon: (B, D)."""
        frames = (x_BCHW.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        found: Tensor = self.tower(prepare(frames.cpu().numpy(), self.preprocess, x_BCHW.device))
        return found.float()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        log_odds: Tensor = self.head(self.features(x_BCHW))
        return log_odds

    def state_dict(self, *arguments: Any, **named: Any) -> dict[str, Any]:  # type: ignore[override]
        """What is trained, in peft's names below `adapters.`, and the digest of the tower."""
        whole: dict[str, Any] = super().state_dict(*arguments, **named)
        return {_outside(key): value for key, value in whole.items() if _is_own(key)}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Raises CheckpointError for weights of another tower."""
        check_digest(state_dict, self.tower_sha256)
        return super().load_state_dict({_inside(key): value for key, value in state_dict.items()}, False, assign)


def frozen(tower: Path | str = "", rank: int = 0) -> Adapted:
    """The same without adapters, for the head that is fitted first, whatever `rank` comes after."""
    del rank
    return Adapted(tower, 0)


def adapted(network: nn.Module, rank: int) -> nn.Module:
    """Adapters on every linear layer, the only parameters that are trained. Raises SettingsError where there is none.

    Layers inside torch's own attention are read, not called, and cannot be adapted.
    """
    from peft import LoraConfig, inject_adapter_in_model

    modules = dict(network.named_modules())
    names = [
        name
        for name, module in modules.items()
        if isinstance(module, nn.Linear) and not isinstance(modules[name.rpartition(".")[0]], nn.MultiheadAttention)
    ]
    if not names or rank < 1:
        raise SettingsError(f"network: rank {rank} on {len(names)} linear layers of the tower: nothing to adapt")
    made: nn.Module = inject_adapter_in_model(
        LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules=names), network
    )
    return made


def trainable(head: Head) -> Head:
    """The head with weight and bias as parameters; what standardises features stays as it was fitted."""
    for name in ("weight", "bias"):
        value = getattr(head, name)
        delattr(head, name)
        head.register_parameter(name, nn.Parameter(value.clone()))
    return head


def is_head(state: Mapping[str, Tensor]) -> bool:
    """Whether a checkpoint holds a head alone, which training starts from."""
    return f"{HEAD}weight" in state and not any(key.startswith(ADAPTERS) for key in state)


def start(network: Adapted, state: Mapping[str, Tensor]) -> None:
    """Begin with the head of `state`. Raises CheckpointError for one of another tower or another kind."""
    check_digest(state, network.tower_sha256)
    given = {key.removeprefix(HEAD): value for key, value in state.items() if key.startswith(HEAD)}
    load_strictly(network.head, given, "the head to start from")


def digest_tensor(sha256: str) -> Tensor:
    return torch.from_numpy(np.frombuffer(bytes.fromhex(sha256), dtype=np.uint8).copy())


def check_digest(state: Mapping[str, Tensor], wanted: Tensor) -> None:
    """Raises CheckpointError where `state` says that it belongs to another tower."""
    held = state.get(DIGEST)
    if held is not None and not torch.equal(held.cpu(), wanted.cpu()):
        raise CheckpointError(
            f"weights: they were trained on a tower with sha256 {bytes(held.tolist()).hex()}, and this one has "
            f"{bytes(wanted.tolist()).hex()}: give that tower"
        )


def merge(opened: Tower, state: Mapping[str, Tensor]) -> None:
    """Add the adapters of `state` to the tower's weights for good. Raises CheckpointError naming what does not fit."""
    check_digest(state, digest_tensor(opened.sha256))
    given = {key: value for key, value in state.items() if key.startswith(ADAPTERS)}
    names = sorted({key.removeprefix(ADAPTERS).partition(".lora_")[0] for key in given})
    if missing := [key for name in names for key in _pair(name) if key not in given]:
        raise CheckpointError(f"weights: adapters without their other half: {some(missing)}")
    for name in names:
        down, up = (given[key].float() for key in _pair(name))
        try:
            weight = opened.network.get_parameter(f"{name}.weight")
        except AttributeError as error:
            raise CheckpointError(f"weights: the tower has no layer {name} to adapt") from error
        if weight.shape != (len(up), down.shape[1]) or up.shape[1] != len(down):
            raise CheckpointError(f"weights: the adapter of {name} does not fit {tuple(weight.shape)}")
        weight.data += up @ down


def head_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The head's tensors by their own names, of a file of this module; any other state as it is."""
    if f"{HEAD}weight" not in state:
        return dict(state)
    return {key.removeprefix(HEAD): value for key, value in state.items() if key.startswith(HEAD)}


def _pair(name: str) -> tuple[str, str]:
    return f"{ADAPTERS}{name}.lora_A.weight", f"{ADAPTERS}{name}.lora_B.weight"


def _is_own(key: str) -> bool:
    return not key.startswith("tower.") or ".lora_" in key


def _outside(key: str) -> str:
    for inside, named in zip(_INSIDE, _NAMED, strict=True):
        key = key.replace(inside, named)
    return key.replace("tower.", ADAPTERS, 1) if key.startswith("tower.") else key


def _inside(key: str) -> str:
    if not key.startswith(ADAPTERS):
        return key
    for inside, named in zip(_INSIDE, _NAMED, strict=True):
        key = key.replace(named, inside)
    return key.replace(ADAPTERS, "tower.", 1)
