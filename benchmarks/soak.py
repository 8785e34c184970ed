"""Weeks of a validator in minutes: what grows in it while it plays 10,000 rounds with 64 miners.

    python -m benchmarks.soak [--rounds 10000] [--miners 64] [--looks FILE] [--json FILE] [--picture FILE]

The validator is the product in a process of its own, from `neurons.validator.run.run` on: chain view, plans, pool,
ledger, kept media, variants, dendrite, judging, journal with its segments, commitments, weights, telemetry with its
metrics. It plays without a pause against the development chain (blocks of 4 s, tempo 25, weights each 25 blocks), by
bittensor's client. Three parts are lighter than in life. Media is noise of 64 x 64 pixels, one round in a hundred is a
clip of 8 frames, put into the pool by one process. The miners are one server that checks no signature, answers at once,
and signs: of 50 replies about one is no JSON, one a 503, and one a connection that is cut. Kept media has 5 MB, so
that its end is reached.

It starts with its longest window in memory full: answers of the 2,000 rounds that are compared to find miners that
answer alike. What else has an end reaches it within some hundred rounds. Every fifty rounds the validator says what it
holds: resident memory once what was freed went back to the system, as it does each minute in life, and the most so far
without that; blocks that Python's allocator has given out (a leak of objects shows there before the noise of
memory lets it through), descriptors, threads, tasks of its event loop, bytes of its files: lines of JSON on standard
output. Saved in a file, they become table and picture with --looks, at any time and without playing. Slopes are those
of least-squares lines over the first and over the second half of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.soak_page import draw, result
from neurons import settings as s
from neurons.log import configure
from neurons.validator.run import run
from neurons.validator.settings import ValidatorSettings
from neurons.validator.telemetry import Telemetry
from neurons.validator.upkeep import give_back
from subnet.chain.bittensor import BittensorChain
from subnet.chain.devnode.keys import keypair, neuron, wallet_from_seed
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.game.places import WINDOW
from subnet.game.sampling import Sampling
from subnet.game.step import Draw, Round
from subnet.lifetime import PARENT, end_with_parent
from subnet.media.pool.item import Cell
from subnet.media.pool.pool import Pool
from subnet.types import Endpoint, Label, Media, Modality, Outcome, Prediction, Provenance, Sample
from subnet.wire.http.server import serve
from subnet.wire.synapse import Envelope, write_reply

NETUID = 34
ORIGIN = "noise"
BLOCK = 4000  # milliseconds
EVERY = 50  # rounds between two looks
DEPTH = 40  # items that are kept ready in each cell
TEMPO = 25  # blocks
FIELDS = (
    "round",
    "seconds",
    "memory",
    "peak",
    "blocks",
    "descriptors",
    "threads",
    "tasks",
    "live",
    "segments",
    "ledger",
    "kept",
)
AT_ONCE = 32  # miners that publish together


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--miners", type=int, default=64)
    parser.add_argument("--looks", type=Path, help="play nothing: take what an earlier run said from there")
    parser.add_argument("--json", type=Path, help="write the table there")
    parser.add_argument("--picture", type=Path, help="draw the lines there")
    parser.add_argument("--part", choices=sorted(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        end_with_parent()
        asyncio.run(PARTS[given.part](given))
        return
    if given.looks:
        looks = [json.loads(line) for line in given.looks.read_text().splitlines() if line.startswith("{")]
    else:
        with tempfile.TemporaryDirectory() as folder:
            looks = asyncio.run(soak(Path(folder), given.rounds, given.miners))
    table = result(looks, given.miners)
    print(*(f"{name:<38}{first:<32}{second}" for name, first, second in table["rows"]), sep="\n")
    if given.json:
        given.json.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n")
    if given.picture:
        draw(looks, given.picture)


async def soak(folder: Path, rounds: int, miners: int) -> list[dict[str, float]]:
    """Start all parts, let the validator play, and give what it said."""
    validator = wallet_from_seed("validator", folder / "wallets", "soak").hotkey.ss58_address
    neurons = [GenesisNeuron(validator, validator, 100_000.0)]
    neurons += [neuron(f"//Miner{number}") for number in range(miners)]
    first = Genesis(NETUID, tuple(neurons), Rules(tempo=TEMPO, weights_rate_limit=TEMPO, allow_loopback=True))
    (folder / "genesis.json").write_text(first.to_json())
    chain = [sys.executable, "-m", "subnet.chain.devnode", "--genesis", str(folder / "genesis.json"), "--port", "0"]
    chain += ["--block-ms", str(BLOCK)]
    common = ["--folder", str(folder), "--rounds", str(rounds), "--miners", str(miners)]
    with started(chain) as node:
        endpoint = line_of(node).split()[1]
        with part("answer", *common) as server, part("fill", *common):
            await publish(endpoint, int(line_of(server)), miners)
            with part("play", *common, "--endpoint", endpoint) as validator:
                assert validator.stdout
                looks = []
                for line in validator.stdout:
                    looks.append(json.loads(line))
                    print(line.strip(), flush=True)
    return looks


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process whose standard output is read here, ended with us."""
    environment = {**os.environ, PARENT: str(os.getpid())}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield child
    finally:
        child.terminate()
        child.wait()


def part(name: str, *more: str) -> Any:
    return started([sys.executable, "-m", "benchmarks.soak", "--part", name, *more])


def line_of(child: subprocess.Popen[str]) -> str:
    assert child.stdout
    return child.stdout.readline()


async def publish(endpoint: str, port: int, miners: int) -> None:
    """Have every miner publish the one server."""

    async def one(number: int) -> None:
        chain = BittensorChain(endpoint, NETUID, keypair(f"//Miner{number}"))
        await chain.serve(Endpoint("127.0.0.1", port))
        await chain.close()

    for first in range(0, miners, AT_ONCE):
        await asyncio.gather(*map(one, range(first, min(miners, first + AT_ONCE))))


async def answer(given: argparse.Namespace) -> None:
    """All miners, on one port: the receiver of a request says which is meant."""
    keys = {key.ss58_address: key for key in (keypair(f"//Miner{number}") for number in range(given.miners))}
    dice = random.Random(1)

    async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        number = dice.randrange(50)
        status = 503 if number == 1 else 200
        key = keys[headers["x-bittensor-receiver"]]
        sender, digest = headers["x-bittensor-hotkey"], headers["x-assay-digest"]
        envelope = Envelope(int(headers["x-bittensor-nonce"]), digest, sender, key.ss58_address)
        body = b"no" if number == 2 else write_reply(key, envelope, dice.random(), "soak", "")
        length = (b"content-length", str(len(body) + (number == 0)).encode())  # one byte short: the connection is cut
        await send({"type": "http.response.start", "status": status, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    logging.disable()
    serving = await serve(app, "127.0.0.1", 0)
    print(serving.port, flush=True)
    await asyncio.Event().wait()


async def fill(given: argparse.Namespace) -> None:
    """The producer: keeps DEPTH items in each cell, each of its own noise."""
    pool, rng = Pool(given.folder / "pool", floor=0, refresh=0.05), np.random.default_rng(1)
    cells = [Cell(modality, label, ORIGIN) for modality in Modality for label in Label]
    at = dict.fromkeys(cells, 0)
    while True:
        levels = pool.levels()
        for cell in cells:
            for _ in range(DEPTH - levels.get(cell, 0)):
                video = cell.modality is Modality.VIDEO
                frames = rng.integers(0, 256, (8 if video else 1, 64, 64, 3), np.uint8)
                about = Provenance(ORIGIN, f"{at[cell]}", "CC0-1.0", ORIGIN if cell.label else None, seed=at[cell])
                pool.put(
                    Sample(Media(frames, 8.0 if video else None), cell.label, about),
                    stream="main",
                    sequence=at[cell],
                    origin=ORIGIN,
                )
                at[cell] += 1
        await asyncio.sleep(0.2)


class Looking(Telemetry):
    """The product's telemetry, which also says now and then what the process holds."""

    def __init__(self, folder: Path, log: Any) -> None:
        super().__init__(False, 0, None, log)
        self._folder, self._began, self._process = folder, time.monotonic(), psutil.Process()

    def fill(self, hotkeys: Sequence[str]) -> None:
        """Begin with the answers of `WINDOW` rounds."""
        dice = random.Random(2)
        for number in range(WINDOW):
            label = Label(number % 2)
            answers = ((hotkey, Prediction(dice.random())) for hotkey in hotkeys)
            self._recent.add([Outcome(hotkey, "", Modality.IMAGE, label, answer, 0.0, 0) for hotkey, answer in answers])

    async def played(self, played: Round[Draw], block: int) -> None:
        await super().played(played, block)
        if (played.plan.number + 1) % EVERY == 0:
            print(json.dumps(self._look(played.plan.number + 1)), flush=True)

    def _look(self, number: int) -> dict[str, float]:
        gc.collect()
        give_back()
        process, peak = self._process, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        memory = (process.memory_info().rss, peak, sys.getallocatedblocks())
        sizes = [size(self._folder / name) for name in ("journal.db", "segments", "ledger.db", "kept")]
        counts = (process.num_fds(), process.num_threads(), len(asyncio.all_tasks()))
        return dict(zip(FIELDS, (number, time.monotonic() - self._began, *memory, *counts, *sizes), strict=True))


def size(path: Path) -> int:
    """Bytes of a file with its side files, or of all in a folder."""
    files = path.iterdir() if path.is_dir() else path.parent.glob(f"{path.name}*")
    total = 0
    for file in files:
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


async def play(given: argparse.Namespace) -> None:
    """The validator."""
    folder = given.folder
    origins = {(modality, label): {ORIGIN: 1.0} for modality in Modality for label in Label}
    sampling = Sampling(video_share=0.01, origins=origins, sample_size=given.miners)
    neuron = s.NeuronSettings(interval=0.0, sample_size=given.miners, keep_gigabytes=0.005, epoch_length=TEMPO)
    state, pool = folder / "validator", s.PoolSettings(path=folder / "pool", floor_gigabytes=0.0)
    subtensor = s.SubtensorSettings(chain_endpoint=given.endpoint)
    wallet = s.WalletSettings(name="validator", path=folder / "wallets")
    settings = ValidatorSettings(
        NETUID, sampling, neuron, subtensor, wallet, pool, state, rounds=given.rounds, local=True
    )
    log = configure(s.LoggingSettings(level="warning"), "validator")
    telemetry = Looking(state, log)
    telemetry.fill([keypair(f"//Miner{number}").ss58_address for number in range(given.miners)])
    await run(settings, telemetry, log)


PARTS: dict[str, Callable[[argparse.Namespace], Awaitable[None]]] = {"answer": answer, "fill": fill, "play": play}


if __name__ == "__main__":
    main()
