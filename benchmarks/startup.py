"""How long `assay --help` takes, beside an interpreter that does nothing.

python benchmarks/startup.py [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

REPEATS = 9


def seconds(command: list[str]) -> float:
    """Median wall time of a command."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    bare = seconds([sys.executable, "-c", "pass"])
    ours = seconds([sys.executable, "-m", "neurons", "--help"])
    if options.json:
        print(json.dumps({"help_seconds": ours, "bare_interpreter_seconds": bare}))
    else:
        print(f"assay --help: {ours:.3f} s (bare interpreter {bare:.3f} s)")


if __name__ == "__main__":
    main()
