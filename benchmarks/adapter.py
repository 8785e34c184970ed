"""What the adapter costs beside calling a pipeline directly: the same tiny pipeline, the same call, taking turns.

    python -m benchmarks.adapter [--rounds 15] [--json]

"direct" is the pipeline alone, to arrays of floats. "adapter" adds all the rest: arguments drawn, the prompt measured
against the tokenizer, the check for NaN and flat pictures, uint8, the random crop and Lanczos to 256x256, provenance.
Times are processor seconds of one thread, so that a busy machine does not matter; the overhead is the median over
rounds of adapter/direct - 1. Large models take a thousand times longer per call, and the extra milliseconds stay.
"""

from __future__ import annotations

import argparse
import inspect
import json
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from generators.catalog import CATALOG, pipelines
from generators.catalog.adapter import DiffusionGenerator
from generators.catalog.arguments import arguments, draw_call
from generators.rows import Range
from tests.unit.generators import tiny

PROMPT = "a red boat on a lake in the morning, wide shot"
CASES = (("openjourney-v4", (128, 128), 30), ("sdxl", (128, 128), 30), ("animatediff-lightning", (64, 64), 4))


def measure(name: str, size: tuple[int, int], steps: int, rounds: int, folder: Path) -> dict[str, float | str]:
    """Median processor milliseconds of both, and the overhead in percent."""
    row = CATALOG[name]
    row = tiny.shrunk(row, tiny.build(row.pipeline, folder / row.pipeline), sizes=(size,))
    row = tiny.shrunk(row, Path(row.repository), sizes=(size,), ranges={**row.ranges, "steps": Range(steps, steps)})
    pipeline = pipelines.open_pipeline(row, "cpu")
    generator = DiffusionGenerator(row, pipeline)
    accepted = inspect.signature(type(pipeline).__call__).parameters
    given = arguments(row, draw_call(row, np.random.default_rng(0)), accepted)
    if isinstance(row.options.get("negative"), str):
        given["negative_prompt"] = [row.options["negative"]]

    def direct(seed: int) -> None:
        with torch.inference_mode():
            pipeline(prompt=[PROMPT], generator=[torch.Generator().manual_seed(seed)], output_type="np", **given)

    def adapted(seed: int) -> None:
        generator.generate([PROMPT], np.random.default_rng(seed))

    pairs = []
    for turn in range(rounds + 2):
        order = (direct, adapted) if turn % 2 else (adapted, direct)
        spent = {call: seconds(call, turn) for call in order}
        pairs.append((spent[direct], spent[adapted]))
    pairs = pairs[2:]
    return {
        "row": name,
        "pipeline": row.pipeline,
        "size": f"{size[0]}x{size[1]}",
        "steps": steps,
        "direct_ms": round(1000 * statistics.median(a for a, _ in pairs), 1),
        "adapter_ms": round(1000 * statistics.median(b for _, b in pairs), 1),
        "extra_ms": round(1000 * statistics.median(b - a for a, b in pairs), 2),
        "overhead_percent": round(100 * statistics.median(b / a - 1 for a, b in pairs), 2),
    }


def seconds(call: Any, seed: int) -> float:
    begun = time.process_time()
    call(seed)
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        results = [measure(*case, options.rounds, Path(folder)) for case in CASES]
    if options.json:
        print(json.dumps(results))
        return
    for result in results:
        print(
            f"{result['row']:22} {result['size']:>8} {result['steps']:>3} steps   direct {result['direct_ms']:>8} ms   "
            f"adapter {result['adapter_ms']:>8} ms   extra {result['extra_ms']:>6} ms   "
            f"{result['overhead_percent']:+.2f} %"
        )


if __name__ == "__main__":
    main()
