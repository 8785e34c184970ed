"""Images a second of each detector: eager fp32 one by one beside the serving path, in the same run.

    python benchmarks/throughput.py [NAME ...]

The published sizes of UCF and TALL are measured with random weights, which cost the same as trained ones.
"""

from __future__ import annotations

import sys

import torch

from detectors import TABLE, load_detector
from detectors.acceleration.benchmark import Throughput, examples, throughput
from detectors.acceleration.options import CANDIDATES
from detectors.families import family
from detectors.torch_detector import TorchDetector
from subnet.protocols import Detector
from subnet.registry import resolve
from subnet.types import Modality

IMAGES, CLIPS = 16, 2


def published(name: str) -> Detector:
    """The network of a row in its published size, with random weights."""
    torch.manual_seed(0)
    row, made = TABLE[name], family(TABLE[name].family)
    views = resolve(made.views)
    network = resolve(made.network)()
    return TorchDetector(f"{name} (published size)", row.modality, network, preprocess=row.preprocess, views=views)


def candidates(names: list[str]) -> list[Detector]:
    """Detectors with embedded weights, and published sizes of those whose weights are smaller."""
    return [*map(load_detector, names), *(published(name) for name in names if name in ("ucf", "tall"))]


def line(found: Throughput) -> str:
    speeds = f"{found.plain:8.2f}/s {found.served:8.2f}/s {found.speedup:5.1f}x"
    cpu = f"{found.plain_cpu * 1000:7.0f} -> {found.served_cpu * 1000:6.0f} ms CPU"
    return f"{found.detector:24} {found.backend:32} {speeds} {cpu}  moved {found.moved:.1e}"


def main() -> None:
    names = sys.argv[1:] or [row.name for row in TABLE.values() if row.weights and row.name != "npr-weak"]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; other jobs on the machine count against both")
    for detector in candidates(names):
        media = examples(detector.modality, IMAGES if detector.modality is Modality.IMAGE else CLIPS)
        for backend in CANDIDATES["cpu"]:
            if not backend.bf16:
                print(line(throughput(detector, media, backend=backend)), flush=True)


if __name__ == "__main__":
    main()
