"""What detectors do on a card, in their published sizes: items a second plainly and served, one training step, memory.

    python -m benchmarks.card [NAME ...] [--device cuda] [--compile] [--json FILE]

Weights are random, which cost as much as trained ones. `plain` is fp32 one by one, as an evaluation without batches is;
served is the best of the backends that are tried for the device, with all items at once, and the backend of the miner
(`default`) beside it. `moved` is the largest change of a score by serving. A step is forward, backward and AdamW on one
fixed batch under bf16 autocast; its loss falls, or the row says so.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detectors import TABLE
from detectors.acceleration.accelerate import original
from detectors.acceleration.benchmark import examples, throughput
from detectors.acceleration.options import CANDIDATES, default
from detectors.families import family
from detectors.torch_detector import TorchDetector, torch_device
from subnet.registry import resolve
from subnet.types import Modality

NAMES = ("npr", "ucf", "tall", "vit_cam", "patchwise", "community-forensics", "safe", "univfd", "dda", "omniaid")
ITEMS = {Modality.IMAGE: 64, Modality.VIDEO: 8}
TRAINED = {Modality.IMAGE: 32, Modality.VIDEO: 2}
STEPS = 20


def published(name: str, device: str) -> TorchDetector:
    """The network of a row in its published size, with random weights, on `device`."""
    torch.manual_seed(0)
    row, made = TABLE[name], family(TABLE[name].family)
    network = resolve(made.network)()
    views = resolve(made.views)
    return TorchDetector(
        name, row.modality, network, preprocess=row.preprocess, views=views, device=torch_device(device)
    )


def steps(network: nn.Module, x: Tensor, groups: int) -> dict[str, Any]:
    """Seconds of one training step on views `x` (V, ...) of `groups` items, its peak of memory, and its losses."""
    network = network.train()
    labels = (torch.arange(groups, device=x.device) % 2).float().repeat_interleave(len(x) // groups)
    optimiser = torch.optim.AdamW([each for each in network.parameters() if each.requires_grad], lr=1e-4)
    losses, spent = [], []
    torch.cuda.reset_peak_memory_stats(x.device)
    for _ in range(STEPS):
        torch.cuda.synchronize(x.device)
        start = time.perf_counter()
        with torch.autocast(x.device.type, torch.bfloat16):
            logits = network(x).float().flatten()
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(float(loss))
        torch.cuda.synchronize(x.device)
        spent.append(time.perf_counter() - start)
    return {
        "batch": groups,
        "step_s": sorted(spent[5:])[len(spent[5:]) // 2],
        "peak_gb": torch.cuda.max_memory_allocated(x.device) / 1e9,
        "first_loss": losses[0],
        "last_loss": losses[-1],
    }


def measure(name: str, device: str, *, compiled: bool) -> dict[str, Any]:
    """Both sides of one row; compiling a network takes a minute."""
    detector = published(name, device)
    media = examples(detector.modality, ITEMS[detector.modality])
    kind = torch.device(device).type
    found, best = {}, 0.0
    for backend in dict.fromkeys((default(kind), *CANDIDATES[kind])):
        if backend.engine == "compile" and not compiled:
            continue
        seen = throughput(detector, media, backend=backend)
        found[str(backend)] = {"served": seen.served, "moved": seen.moved}
        best = max(best, seen.plain)
    count = TRAINED[detector.modality]
    few = [detector.views(each) for each in examples(detector.modality, count, seed=1)]
    return {
        "detector": name,
        "parameters": sum(each.numel() for each in original(detector).parameters()),
        "plain": best,
        "backends": found,
        "training": steps(original(detector), torch.cat(few), count),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--compile", action="store_true", help="torch.compile, too")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    given = parser.parse_args()
    card = torch.cuda.get_device_name(torch.device(given.device))
    print(f"{card}, torch {torch.__version__}", flush=True)
    rows = []
    for name in given.names:
        rows.append(measure(name, given.device, compiled=given.compile))
        print(json.dumps(rows[-1]), flush=True)
        if given.json:
            given.json.write_text(json.dumps({"card": card, "torch": torch.__version__, "rows": rows}, indent=1))
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
