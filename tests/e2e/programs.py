"""A small network of the real programs: a development chain in a file, miners that guess, a ready pool, validators."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from websockets.sync.client import connect

from subnet.chain.devnode.keys import wallet_from_seed
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.devnode.node.store import Saved, read, write
from subnet.errors import SettingsError
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import ROUND, RoundRecord, read_record
from subnet.media.pool.pool import Pool
from subnet.types import Label
from tests.unit.subnet.media.pool.samples import make_sample

NETUID = 34
PLAN = """total = 4
[weights]
"image/real/photos" = 1
"image/synthetic/model" = 1
"video/real/photos" = 1
"video/synthetic/model" = 1
"""
GUESSING = ("--detector.image", "random", "--detector.video", "random-video", "--detector.device", "cpu")


def fill(root: Path, images: int, videos: int) -> None:
    """Items of noise in all four kinds, so many of each."""
    pool = Pool(root, floor=0)
    for label in Label:
        origin = "model" if label else "photos"
        for count, frames in ((images, 1), (videos, 2)):
            for n in range(count):
                pool.put(make_sample(n, label=label, origin=origin, frames=frames), stream="main", sequence=n)


@dataclass
class Network:
    """Processes by name below `folder`. `updates` has every block in which weights of a hotkey came to stand."""

    folder: Path
    rules: Rules
    validators: tuple[str, ...] = ("validator",)
    block_ms: int = 200
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    updates: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    watching: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        names = (*self.validators, "miner")
        self.hotkeys = {
            name: wallet_from_seed(name, self.folder / "wallets", "life").hotkey.ss58_address for name in names
        }
        rows = tuple(GenesisNeuron(k, k, stake=1e5 * (n in self.validators)) for n, k in self.hotkeys.items())
        (self.folder / "genesis.json").write_text(Genesis(NETUID, rows, self.rules).to_json())
        (self.folder / "plan.toml").write_text(PLAN)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    @property
    def endpoint(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def spawn(self, name: str, module: str, *words: object) -> subprocess.Popen[bytes]:
        """As a service is started: without a terminal."""
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", module, *map(str, words)]
            process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ), start_new_session=True)
        self.processes[name] = process
        return process

    def start_chain(self) -> None:
        """Start the node, or start it again where it was."""
        given = ("--genesis", self.folder / "genesis.json") if not (self.folder / "chain.json").exists() else ()
        words = ("--port", self.port, "--block-ms", self.block_ms, "--state", self.folder / "chain.json", *given)
        self.spawn("chain", "subnet.chain.devnode", *words)

    def faulty(self, **faults: object) -> None:
        """Turn knobs of the running node: `subnet.chain.devnode.node.faults`."""
        with connect(self.endpoint) as node:
            node.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "dev_setFaults", "params": [faults]}))
            assert json.loads(node.recv())["result"]

    def rewrite(self, change: Callable[[Saved], Saved]) -> Saved:
        """Kill the node, change its file, and start it again: the chain as it was before."""
        self.kill("chain")
        try:
            before = self.saved()
            write(self.folder / "chain.json", change(before))
        finally:
            self.start_chain()
        return before

    def joined(self, name: str) -> tuple[object, ...]:
        wallet = ("--wallet.path", self.folder / "wallets", "--wallet.name", name)
        chain = ("--netuid", NETUID, "--subtensor.chain_endpoint", self.endpoint)
        return (*chain, *wallet, "--state", self.folder / f"state-{name}", "--local")

    def start_miner(self, host: str = "127.0.0.1", serving: Sequence[object] = GUESSING) -> None:
        axon = ("--axon.ip", host, "--axon.port", 0)
        self.spawn("miner", "neurons", "miner", *self.joined("miner"), *serving, *axon)
        self.until("the miner serves", lambda: any(row.axon for row in self.saved().state.rows))

    def start_validator(
        self, name: str = "validator", *words: object, program: Sequence[object] = ("neurons",), timeout: float = 5.0
    ) -> subprocess.Popen[bytes]:
        """`program` is the module that is `assay`, and words of its own before ours."""
        pool = ("--pool.path", self.folder / f"pool-{name}", "--plan", self.folder / "plan.toml")
        game = ("--neuron.min_answers", 0, "--neuron.timeout", timeout)
        return self.spawn(name, *map(str, program), "validator", *self.joined(name), *pool, *game, *words)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(60)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def saved(self) -> Saved:
        """The chain as its file has it."""
        saved = read(self.folder / "chain.json")
        if saved is None:
            raise SettingsError("the chain has no file yet")
        return saved

    def journal(self, name: str = "validator") -> Path:
        return self.folder / f"state-{name}" / "journal.db"

    def rounds(self, name: str = "validator") -> int:
        """How many rounds the journal holds now."""
        count = "SELECT count(*) FROM entries WHERE kind = 'round'"
        read_only = f"{self.journal(name).as_uri()}?mode=ro"  # a plain connection would make an empty file
        try:
            with contextlib.closing(sqlite3.connect(read_only, uri=True)) as db:
                return int(db.execute(count).fetchone()[0])
        except sqlite3.Error:
            return 0

    def hashes(self, name: str = "validator") -> list[str]:
        """Of every entry; reading it checks that each follows from the one before."""
        if not self.journal(name).exists():
            return []
        with JournalReader(self.journal(name)) as reader:
            return [entry.hash for entry in reader.entries()]

    def played(self, name: str = "validator") -> list[RoundRecord]:
        """Its rounds in order."""
        if not self.journal(name).exists():
            return []
        with JournalReader(self.journal(name)) as reader:
            return [read_record(RoundRecord, entry) for entry in reader.entries(ROUND)]

    def blocks(self, name: str = "validator") -> list[int]:
        """In which weights of this one came to stand, in order."""
        return sorted(self.updates[self.hotkeys[name]])

    def until(self, what: str, holds: object, seconds: float = 90.0) -> float:
        """Wait until `holds()`: seconds that it took."""
        assert callable(holds)
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            with contextlib.suppress(SettingsError):
                if holds():
                    return time.monotonic() - began
            if any(process.poll() is not None for process in self.processes.values()):
                break
            time.sleep(0.02)
        tails = {name: self.log(name)[-1500:] for name in self.processes}
        raise AssertionError(f"not in {seconds:g} s: {what}: {tails}")

    def watch(self) -> None:
        """Note the block of every setting of weights, as the chain's file shows it, until `watching` is set."""
        while not self.watching.wait(0.03):
            with contextlib.suppress(SettingsError):
                for row in self.saved().state.rows:
                    if row.last_update > 0 and row.hotkey in self.hotkeys.values():
                        self.updates[row.hotkey].add(row.last_update)


@contextlib.contextmanager
def network(
    folder: Path, rules: Rules, *, validators: tuple[str, ...] = ("validator",), items: int, block_ms: int = 200
) -> Iterator[Network]:
    """A chain with a serving miner and a pool for each validator; everything ends with the block."""
    (folder / "wallets").mkdir()
    net = Network(folder, rules, validators, block_ms)
    for name in validators:
        fill(folder / f"pool-{name}", items, max(4, items // 8))
    watcher = threading.Thread(target=net.watch)
    try:
        net.start_chain()
        net.until("the chain runs", lambda: net.saved().number > 0)
        watcher.start()
        net.start_miner()
        yield net
    finally:
        net.watching.set()
        for process in net.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        if watcher.is_alive():
            watcher.join()
