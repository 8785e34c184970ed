"""An evaluation on a Ray cluster, a worker killed in the middle, beside the same without Ray: is every number the same?

    python -m benchmarks.cluster [--items 20000] [--detector random] [--replicas 1] [--kills 2] [--folder DIR] [--json]

Items are the JPEGs of 64 pixels of `benchmarks.training`, in shards of parquet. Both are `assay evaluate` itself, at
level 0, the one with --ray.address local. As soon as some parts are there a process that answers is killed (SIGKILL),
then one that prepares, and so on in turn. `random` answers with a digest of the pixels that it is shown: any other
pixel, and any item in another's place, is another number. Needs the extra `ray`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pyarrow.parquet as pq

from benchmarks.training import write

ROOT = Path(__file__).parents[1]
ACTOR, TASK = "ray::MapWorker", "ray::Map("  # titles that Ray gives its processes
PAUSE = 0.2  # seconds between two looks


def command(data: Path, out: Path, detector: str, replicas: int | None = None) -> list[str]:
    words = [sys.executable, "-m", "neurons", "evaluate", detector, "--data", str(data), "--out", str(out)]
    words += ["--levels", "0", "--no-null", "--device", "cpu", "--json"]
    return words if replicas is None else [*words, "--ray.address", "local", "--ray.replicas", str(replicas)]


def kill_one(program: int, title: str) -> str:
    """Kill a process below `program` whose title begins so; returns the title, "" where there is none."""
    for process in psutil.Process(program).children(recursive=True):
        try:
            words = process.cmdline()
            if words and words[0].startswith(title):
                process.kill()
                return words[0]
        except psutil.Error:  # it has ended meanwhile
            continue
    return ""


def on_cluster(data: Path, out: Path, detector: str, replicas: int, kills: int) -> dict[str, Any]:
    """Evaluate on a Ray of its own, and kill `kills` of its processes when parts are there."""
    started = time.monotonic()
    killed: list[dict[str, Any]] = []
    titles = islice(cycle((ACTOR, TASK)), kills)
    wanted = next(titles, None)
    with (out.parent / "ray.log").open("w") as log:
        program = subprocess.Popen(command(data, out, detector, replicas), stdout=log, stderr=log, cwd=ROOT)
        while program.poll() is None:
            time.sleep(PAUSE)
            parts = len(list((out / "answers").glob("*.jsonl"))) if (out / "answers").is_dir() else 0
            if wanted and parts > 2 + 2 * len(killed) and (title := kill_one(program.pid, wanted)):
                killed.append({"title": title, "parts": parts, "after_s": time.monotonic() - started})
                wanted = next(titles, None)
    if program.returncode:
        raise SystemExit((out.parent / "ray.log").read_text()[-4000:])
    return {"wall_s": time.monotonic() - started, "killed": killed}


def alone(data: Path, out: Path, detector: str) -> dict[str, Any]:
    started = time.monotonic()
    subprocess.run(command(data, out, detector), check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return {"wall_s": time.monotonic() - started}


def compared(first: Path, second: Path) -> dict[str, Any]:
    """Both matrices and reports, side by side."""
    left, right = (pq.read_table(folder / "matrix.parquet") for folder in (first, second))
    times = Counter(left["item"].to_pylist())
    return {
        "rows": left.num_rows,
        "items": len(times),
        "items_more_than_once": sum(count > 1 for count in times.values()),
        "different_answers": len(set(left["p"].to_pylist())),
        "matrices_equal": left.equals(right),
        "reports_equal": (first / "report.json").read_bytes() == (second / "report.json").read_bytes(),
    }


def measure(folder: Path, items: int, detector: str, replicas: int, kills: int) -> dict[str, Any]:
    data = folder / "items"
    if not data.is_dir():
        write(data, items)
    found = {"items": items, "detector": detector, "ray": on_cluster(data, folder / "ray", detector, replicas, kills)}
    found["alone"] = alone(data, folder / "alone", detector)
    return {**found, **compared(folder / "ray", folder / "alone")}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--detector", default="random")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="folder for shards and reports, kept; by default one that goes")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    given = parser.parse_args()
    with TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        found = measure(folder, given.items, given.detector, given.replicas, given.kills)
    if given.json:
        print(json.dumps(found, indent=1))
        return
    for name, value in found.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
