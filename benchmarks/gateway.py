"""How long a gateway takes, beside the detectors' own time, with miners that are silent, and with miners that die.

    python -m benchmarks.gateway [--requests 200] [--json FILE]

A local network of real programs on this machine: a development chain, six miners with detectors that ship, and the
gateway, which reads a journal of 120 rounds that was written for it. Clients are threads of this process with the
client that ships, each of which sends photographs of the embedded test set one after another.

    predict         no network: one detector after another judges the photograph's cut, as the miners would
    N clients       so many at once
    one silent      one of six miners is stopped (SIGSTOP): it takes the connection and says nothing
    dying           one miner after another is killed (SIGKILL) while ten clients ask, until one is left

A request counts as an error where the client gave up; it comes again after 503 with Retry-After, as it ships.
`answered` is the mean number of miners behind an answer.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from detectors.loading import open_detector
from neurons.gateway.asking import question
from neurons.gateway.client import Client, GatewayError
from neurons.gateway.schemas import Detection
from neurons.gateway.store.keys import Keys, Scope
from neurons.gateway.store.opening import open_database
from subnet.chain.devnode.keys import wallet_from_seed
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.devnode.node.store import read
from subnet.codec.image import decode_image
from subnet.errors import SettingsError
from subnet.evidence.journal import Journal
from subnet.evidence.records import ROUND, OutcomeRecord, RoundRecord, outcomes
from subnet.evidence.state import State, StateStore
from subnet.game.sampling import Sampling
from subnet.game.scoring import settle
from subnet.media import embedded
from subnet.types import Label, Modality, Split

NETUID = 34
MINERS = ("npr", "ucf", "patchwise", "vit_cam", "cnn_svm", "npr-weak")
ROUNDS = 120
PATIENCE = 400.0  # seconds


@dataclass
class Net:
    """Processes by name."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *words: object) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", *map(str, words)]
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"}
            )

    def until(self, holds: Callable[[], bool]) -> None:
        ends = time.monotonic() + PATIENCE
        while not holds():
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            if ended or time.monotonic() > ends:
                tail = {name: (self.folder / f"{name}.log").read_text()[-2000:] for name in ended or self.processes}
                raise SystemExit(f"the network does not come up: {tail}")
            time.sleep(0.1)


@contextmanager
def network(miners: tuple[str, ...]) -> Iterator[tuple[Net, str, str]]:
    """The programs, the gateway's address and a key of it."""
    with tempfile.TemporaryDirectory() as name:
        net = Net(Path(name))
        try:
            yield net, *_started(net, miners)
        finally:
            for process in net.processes.values():
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()


def _started(net: Net, miners: tuple[str, ...]) -> tuple[str, str]:
    folder = net.folder
    keys = {
        each: wallet_from_seed(each, folder / "wallets", "x").hotkey.ss58_address for each in ("validator", *miners)
    }
    rows = tuple(GenesisNeuron(key, key, stake=1e5 * (name == "validator")) for name, key in keys.items())
    (folder / "genesis.json").write_text(Genesis(NETUID, rows, Rules(allow_loopback=True)).to_json())
    chain, port = free_port(), free_port()
    made = ("--genesis", folder / "genesis.json", "--state", folder / "chain.json")
    net.start("chain", "subnet.chain.devnode", "--port", chain, "--block-ms", 250, *made)
    net.until((folder / "chain.json").exists)
    joined = ("--netuid", NETUID, "--subtensor.chain_endpoint", f"ws://127.0.0.1:{chain}", "--local")
    for each in miners:
        wallet = ("--wallet.path", folder / "wallets", "--wallet.name", each, "--state", folder / each)
        serving = ("--detector.image", each, "--detector.video", "constant-video", "--detector.device", "cpu")
        more = ("--detector.serving", "plain", "--blacklist.rate", 1000, "--axon.ip", "127.0.0.1", "--axon.port", 0)
        net.start(each, "neurons", "miner", *joined, *wallet, *serving, *more)
    net.until(lambda: len([row for row in _saved(folder) if row.axon]) == len(miners))
    write_journal(folder / "journal.db", {name: keys[name] for name in miners})
    database = open_database(folder / "gateway")
    _, key = Keys(database).add("clients", frozenset((Scope.IMAGE, Scope.ANSWERS)), 100_000, 10**9)
    database.close()
    wallet = ("--wallet.path", folder / "wallets", "--wallet.name", "validator", "--state", folder / "gateway")
    own = ("--gateway.port", port, "--gateway.miner_rate", 1000, "--gateway.at_once", 8, "--gateway.waiting", 64)
    net.start("gateway", "neurons", "gateway", *joined, *wallet, "--journal", folder / "journal.db", *own)
    net.until(lambda: "listening" in (folder / "gateway.log").read_text())
    return f"http://127.0.0.1:{port}", key


def _saved(folder: Path) -> Any:
    try:
        saved = read(folder / "chain.json")
    except SettingsError:
        return ()
    return saved.state.rows if saved else ()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def write_journal(path: Path, hotkeys: dict[str, str]) -> None:
    """Rounds in which each miner told synthetic from real as well as noise of its own allowed."""
    rng, journal = np.random.default_rng(0), Journal(path)
    store = StateStore(journal)
    for number in range(ROUNDS):
        label = Label(int(rng.integers(2)))
        said = 1 / (1 + np.exp(-(2 * label - 1) * 3 - 2.5 * rng.normal(size=len(hotkeys))))
        order = [list(hotkeys.items())[n] for n in rng.permutation(len(hotkeys)).tolist()]
        rows = [
            OutcomeRecord(
                hotkey=hotkey, p_synthetic=float(p), failure=None, latency=0.1, status=200, reason="",
                detector=name, weights_hash=None, query="", score=0.0,
            )
            for p, (name, hotkey) in zip(said, order, strict=True)
        ]  # fmt: skip
        played = RoundRecord(
            number=number, block=1, modality=Modality.IMAGE, label=label, origin="here", level=0, seed=number,
            provenance=None, void="", outcomes=tuple(rows),
        )  # fmt: skip
        store.write(ROUND, played, State(number + 1, settle(store.state.history, outcomes(played))))
    journal.close()


@dataclass
class Told:
    """What clients got: seconds of each answer, answers, and errors by what they said."""

    seconds: list[float] = field(default_factory=list)
    answers: list[Detection] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def row(self, name: str, clients: int) -> list[str]:
        if not self.answers:
            raise SystemExit(f"{name}: no answer, but {self.errors[:3]}")
        answered = np.mean([each.answered for each in self.answers])
        counts = (str(clients), str(len(self.answers)), str(len(self.errors)))
        row = [name, *counts, *times(self.seconds), f"{answered:.2f}"]
        print(*row, *self.errors[:1], sep="  ", flush=True)
        return row


def times(seconds: list[float]) -> list[str]:
    """Median and 99th percentile in milliseconds."""
    return [f"{1000 * float(np.quantile(seconds, q)):.0f}" for q in (0.5, 0.99)]


def ask(url: str, key: str, clients: int, requests: int, photographs: list[bytes]) -> Told:
    """So many requests by so many clients at once."""
    told, left, lock = Told(), list(range(requests)), threading.Lock()

    def client() -> None:
        with Client(url, key, patience=60.0) as own:
            while True:
                with lock:
                    if not left:
                        return
                    number = left.pop()
                start = time.perf_counter()
                try:
                    answer = own.detect(photographs[number % len(photographs)])
                except (GatewayError, OSError) as error:
                    told.errors.append(str(error))
                    continue
                told.seconds.append(time.perf_counter() - start)
                told.answers.append(answer)

    with ThreadPoolExecutor(clients) as executor:
        for done in [executor.submit(client) for _ in range(clients)]:
            done.result()
    return told


def predicted(photographs: list[bytes], count: int) -> list[str]:
    """The row of detectors alone, in this process."""
    rng, seconds = np.random.default_rng(0), list[float]()
    served = [open_detector(name) for name in MINERS]
    for number in range(count):
        query = question([decode_image(photographs[number % len(photographs)])], Sampling(), rng)
        start = time.perf_counter()
        served[number % len(served)].predict([decode_image(query.body)])
        seconds.append(time.perf_counter() - start)
    return ["predict", "", str(count), "0", *times(seconds[len(served) :]), "1"]


def dying(net: Net, url: str, key: str, requests: int, photographs: list[bytes]) -> list[list[str]]:
    """Ten clients while miners are killed, a row for each number that is left."""
    rows = []
    for left in range(len(MINERS) - 1, 0, -1):
        killer = threading.Timer(1.0, net.processes[MINERS[left]].kill)
        killer.start()
        rows.append(ask(url, key, 10, requests, photographs).row(f"dying: {left + 1}, then {left}", 10))
        killer.join()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200, help="of each row")
    parser.add_argument("--json", type=Path, help="write the table there")
    given = parser.parse_args()
    items = embedded.items(Modality.IMAGE, Split.TEST)[:20]
    photographs, count = [embedded.path(item).read_bytes() for item in items], given.requests
    with network(MINERS) as (net, url, key):
        ask(url, key, 4, 40, photographs)  # everybody is warm
        rows = [
            ask(url, key, clients, count, photographs).row(f"{clients} at once", clients) for clients in (1, 10, 50)
        ]
        silent = net.processes[MINERS[0]]
        silent.send_signal(signal.SIGSTOP)
        rows += [ask(url, key, clients, count, photographs).row("one silent", clients) for clients in (1, 10)]
        silent.send_signal(signal.SIGCONT)
        rows += dying(net, url, key, count, photographs)
    rows.insert(0, predicted(photographs, count))
    print(*rows[0], sep="  ")
    if given.json:
        given.json.write_text(json.dumps(result(rows), indent=2) + "\n")


def result(rows: list[list[str]]) -> dict[str, Any]:
    return {
        "title": "A gateway before six miners",
        "command": "python -m benchmarks.gateway --json benchmarks/results/gateway.json",
        "measured": date.today().isoformat(),
        "commit": "",
        "about": [
            f"Miners with {', '.join(MINERS)}, the gateway (five miners an answer), a chain and all clients share two "
            "cores; a row is described in `benchmarks/gateway.py`. *predict* is one detector alone in one process. An "
            "answer of the gateway is the work of five of them, so that two cores are its bound from a few clients on."
        ],
        "digits": [0, 0],
        "columns": ["what", "clients", "answers", "errors", "p50 ms", "p99 ms", "answered"],
        "rows": rows,
        "notes": [],
    }


if __name__ == "__main__":
    main()
