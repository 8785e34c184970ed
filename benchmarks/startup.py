"""How long `assay --help` takes, beside an interpreter that does nothing; and a miner until it serves, with its memory.

python -m benchmarks.startup [--json]
python -m benchmarks.startup --miner [--image npr] [--video frames] [--home FOLDER] [--json]

The first start of a miner exports its networks into FOLDER; what is told is a later one. Where other jobs share the
machine its processor's seconds tell more than the clock's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from subnet.chain.devnode.keys import wallet_from_seed
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules

REPEATS = 9
STARTS = 3


def seconds(command: list[str]) -> float:
    """Median wall time of a command."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def start(command: list[str], home: Path) -> dict[str, float]:
    """A miner until it is published on chain, and then at rest: seconds by clock and processor, and megabytes."""
    began = time.perf_counter()
    environment = {**os.environ, "ASSAY_HOME": str(home)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as miner:
        assert miner.stderr
        try:
            lines = iter(miner.stderr.readline, "")
            if not any('"event": "published"' in line for line in lines):
                raise SystemExit(f"the miner ended with status {miner.wait()}")
            ready = time.perf_counter() - began
            fields = Path(f"/proc/{miner.pid}/stat").read_text().rsplit(")", 1)[1].split()
            time.sleep(2.0)
            resident = int(Path(f"/proc/{miner.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        finally:
            miner.terminate()
    processor = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return {"ready_seconds": ready, "processor_seconds": processor, "idle_megabytes": resident / 2**20}


def miner(image: str, video: str, home: Path) -> dict[str, float]:
    """The median of some starts against a development chain, behind one that leaves exports in `home`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        hotkey = wallet_from_seed("miner", folder, "startup").hotkey.ss58_address
        genesis = Genesis(34, (GenesisNeuron(hotkey, hotkey),), Rules(allow_loopback=True, serving_rate_limit=0))
        (folder / "genesis.json").write_text(genesis.to_json())
        node = [sys.executable, "-m", "subnet.chain.devnode", "--genesis", str(folder / "genesis.json"), "--port", "0"]
        chain = stack.enter_context(subprocess.Popen(node, stdout=subprocess.PIPE, text=True))
        stack.callback(chain.terminate)
        assert chain.stdout
        command = [sys.executable, "-m", "neurons", "miner", "--netuid", "34", "--local", "--axon.ip", "127.0.0.1"]
        command += ["--axon.port", "0", "--wallet.path", str(folder), "--wallet.name", "miner"]
        command += ["--detector.image", image, "--detector.video", video, "--detector.device", "cpu"]
        command += ["--subtensor.chain_endpoint", chain.stdout.readline().split()[1]]
        runs = [start(command, home) for _ in range(1 + STARTS)][1:]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--miner", action="store_true")
    arguments.add_argument("--image", default="npr")
    arguments.add_argument("--video", default="frames")
    arguments.add_argument("--home", type=Path, help="where exports are kept; by default a new folder")
    options = arguments.parse_args()
    if options.miner:
        with tempfile.TemporaryDirectory() as new:
            figures = miner(options.image, options.video, options.home or Path(new))
    else:
        figures = {
            "help_seconds": seconds([sys.executable, "-m", "neurons", "--help"]),
            "bare_interpreter_seconds": seconds([sys.executable, "-c", "pass"]),
        }
    lines = [f"{name.replace('_', ' ')}: {value:.3f}" for name, value in figures.items()]
    print(json.dumps(figures) if options.json else "\n".join(lines))


if __name__ == "__main__":
    main()
