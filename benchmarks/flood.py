"""What a permitted validator notices while others attack a miner: requests served, their times, the miner's memory.

    python -m benchmarks.flood [--requests 104] [--only NAME ...] [--json FILE]

The miner is the product, in a process of its own: axon, nonce store, decoders and batchers, with detectors that answer
at once, so that what is measured is the way to them. The attacker is another process. The validator sends signed
requests of a 256 x 256 JPEG one after another, on a new connection each and from the attacker's address, as a rival
would wish it. Whoever is cut off comes back after 0 to 10 s.

    idle          nobody else
    forged        520 connections that claim the validator's hotkey under a noise signature and drip their bodies
    large         80 such bodies of 16 MB, as fast as they go
    half-open     2,000 connections that send half a head
    silent        1,100 connections that send nothing, to a miner with 1,024 descriptors
    pictures      another permitted validator with 6 PNGs of 50 megapixels in 6 kB in hand at a time
    largest       the same with 32 pictures of the largest size that is taken
    strangers     200 signed requests a second of 64 keys that are not registered
    alone         nobody else, and a detector that takes 50 ms an item, as npr on a core: it answers 20 a second
    guests        the same, which answers strangers, too, and is asked 200 times a second by 64 of them

p50 and p99 in milliseconds; memory of the miner in MB before, at most during, and after; log in bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import itertools
import json
import logging
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from bittensor.sp_core import Keypair

from detectors.baselines import Constant
from detectors.loading import open_detector
from neurons.miner.answering import IMAGE_PIXELS, answering
from subnet.codec.image import encode_image
from subnet.files import write_atomically
from subnet.types import Media, Modality, Neuron, Prediction
from subnet.wire.admission import Policy, weight
from subnet.wire.axon import AxonConfig, RequestHandler, application
from subnet.wire.http.server import serve
from subnet.wire.nonces import SqliteNonceStore
from subnet.wire.synapse import Envelope, digest_of, signed_headers

VALIDATOR, OTHER, MINER = (Keypair.create_from_uri(uri) for uri in ("//Validator", "//Other", "//Miner"))
RECONNECT = 5.0  # seconds on average from a connection that was closed to the next in its place
NOISE = "0x" + "5a" * 64
SLOW = ("alone", "guests")
TAKES = 0.05  # seconds an item of the slow detector, as npr takes on a core
OFFERED = 200  # requests a second of strangers: ten times what the slow detector answers
PENDING = 512  # of them at most on their way
digest = functools.lru_cache(digest_of)  # an attacker hashes a body once


class Slow(Constant):
    """Answers as it does, after TAKES seconds an item."""

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        time.sleep(TAKES * len(batch))
        return super().predict(batch)


async def serve_until_closed(name: str) -> None:
    """The miner's process: prints its port, ends when stdin does."""
    logging.basicConfig(level=logging.WARNING)
    if name == "silent":
        descriptors = 1024
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        image = Slow("constant") if name in SLOW else open_detector("constant")
        detectors = {Modality.IMAGE: {"cpu": image}, Modality.VIDEO: {"cpu": open_detector("constant-video")}}
        neurons = [Neuron(uid, key.ss58_address, "", 2000.0, permit=True) for uid, key in enumerate((VALIDATOR, OTHER))]
        table = {neuron.hotkey: neuron for neuron in neurons}
        store = SqliteNonceStore(Path(folder) / "nonces.db")
        stack.callback(store.close)
        guests = name == "guests"
        policy = Policy(not guests, guests, 0.0 if guests else 1000.0, rate=1e6, burst=1e6)
        answer = await answering(stack, detectors, 32, lambda hotkey: weight(hotkey, table, policy))
        handler = RequestHandler(AxonConfig(MINER, lambda: table, store, answer, answer.served, policy))
        serving = await serve(application(handler), "127.0.0.1", 0, drain=handler.drain)
        print(serving.port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await serving.stop()


def request(key: Keypair, body: bytes, target: str = "/ImageSynapse", **changes: str) -> bytes:
    """Head of a signed request; `changes` replace headers."""
    envelope = Envelope(time.time_ns(), digest(body), key.ss58_address, MINER.ss58_address)
    headers = signed_headers(key, envelope, "POST", target) | changes
    lines = [f"POST {target} HTTP/1.1", "Host: axon", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n").encode()


def small_picture() -> bytes:
    """A challenge of noise, some 50 kB of JPEG."""
    return encode_image(Media(np.random.default_rng(1).integers(0, 256, (1, 256, 256, 3), np.uint8)), 85)


def png(side: int) -> bytes:
    """A black PNG of side x side pixels of one bit, in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    rows = zlib.compress(bytes((1 + -(-side // 8)) * side), 9)
    start = chunk(b"IHDR", side.to_bytes(4, "big") * 2 + b"\x01\0\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def ask(port: int, head: bytes, body: bytes, patience: float = 10.0) -> int:
    """One request on a connection of its own; its status, 0 for none."""
    writer = None
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + body)
            line = await reader.readline()
            await reader.read(1)
            return int(line.split()[1]) if line else 0
    except (OSError, TimeoutError, IndexError, ValueError):
        return 0
    finally:
        if writer is not None:
            writer.transport.abort()


async def keep_dripping(port: int, begin: Callable[[], bytes], drip: bytes) -> None:
    """Open a connection, send what `begin` makes and then a byte now and then; again when it is closed."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begin())
            while not reader.at_eof() and not writer.is_closing():
                if not drip:
                    await reader.read()
                    break
                writer.write(drip)
                await writer.drain()
                await asyncio.sleep(1)
        await asyncio.sleep(random.uniform(0, 2 * RECONNECT))


async def keep_sending(port: int, key: Keypair, body: bytes, **changes: str) -> None:
    """Whole requests, one after another."""
    while True:
        target = "/VideoSynapse" if len(body) > 2**22 else "/ImageSynapse"
        await ask(port, request(key, body, target, **changes), body)
        await asyncio.sleep(0.01)


async def keep_offering(port: int, body: bytes) -> None:
    """OFFERED requests a second of 64 strangers, whether the last were answered or not."""
    keys, began, pending = [Keypair.create_from_uri(f"//Stranger{n}") for n in range(64)], time.monotonic(), set()
    for number in itertools.count():
        await asyncio.sleep(max(0.0, began + number / OFFERED - time.monotonic()))
        if len(pending) >= PENDING:
            continue
        task = asyncio.create_task(ask(port, request(keys[number % len(keys)], body), body, 5.0))
        pending.add(task)
        task.add_done_callback(pending.discard)


async def attack(kind: str, port: int) -> None:
    """The attacker's process: until it is killed."""
    forged = {"X-Bittensor-Signature": NOISE}
    huge, largest, large = png(7071), png(round(IMAGE_PIXELS**0.5)), bytes(2**24)
    makers: dict[str, tuple[int, Callable[[], Any]]] = {
        "idle": (0, lambda: None),
        "forged": (520, lambda: keep_dripping(port, lambda: request(VALIDATOR, bytes(99_999), **forged), b"x")),
        "large": (80, lambda: keep_sending(port, VALIDATOR, large, **forged)),
        "half-open": (2000, lambda: keep_dripping(port, lambda: b"POST /ImageSynapse HTTP/1.1\r\nHost: a", b"")),
        "silent": (1100, lambda: keep_dripping(port, lambda: b"", b"")),
        "pictures": (6, lambda: keep_sending(port, OTHER, huge)),
        "largest": (32, lambda: keep_sending(port, OTHER, largest)),
        "strangers": (1, lambda: keep_offering(port, small_picture())),
        "alone": (0, lambda: None),
        "guests": (1, lambda: keep_offering(port, small_picture())),
    }
    count, make = makers[kind]
    tasks = [asyncio.create_task(make()) for _ in range(count)]
    print("ready", flush=True)
    await asyncio.gather(*tasks)


@dataclass(frozen=True)
class Row:
    """What the validator saw and the miner took."""

    name: str
    served: int
    requests: int
    p50_ms: float
    p99_ms: float
    memory_mb: tuple[int, int, int]  # before, most, after
    log_bytes: int


@contextlib.contextmanager
def process(*arguments: str, log: Any = None) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.flood", *arguments]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


async def measure(name: str, requests: int) -> Row:
    """One row: a miner, an attack that has been on for three seconds, and the validator's requests."""
    small = small_picture()
    with tempfile.TemporaryFile() as log:
        with process("--serve", name, log=log) as miner:
            assert miner.stdout is not None
            port, memory = int(miner.stdout.readline()), psutil.Process(miner.pid)
            for _ in range(5):
                await ask(port, request(VALIDATOR, small), small)
            before = most = memory.memory_info().rss
            seconds, served = [], 0
            with process("--attack", name, "--port", str(port)) as attacker:
                assert attacker.stdout is not None
                attacker.stdout.readline()
                await asyncio.sleep(3)
                for _ in range(requests):
                    began = time.perf_counter()
                    served += await ask(port, request(VALIDATOR, small), small) == 200
                    seconds.append(time.perf_counter() - began)
                    most = max(most, memory.memory_info().rss)
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)
            after = memory.memory_info().rss
        size = log.seek(0, os.SEEK_END)
    ranked = sorted(seconds)
    p99 = ranked[min(len(ranked) - 1, int(0.99 * len(ranked)))]
    megabytes = (before // 2**20, most // 2**20, after // 2**20)
    return Row(name, served, requests, 1000 * statistics.median(ranked), 1000 * p99, megabytes, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ("idle", "forged", "large", "half-open", "silent", "pictures", "largest", "strangers", *SLOW)
    parser.add_argument("--requests", type=int, default=104)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--json", type=Path, help="file for the rows, which benchmarks.tables makes a page of")
    parser.add_argument("--serve", choices=names, help=argparse.SUPPRESS)
    parser.add_argument("--attack", choices=names, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve is not None:
        asyncio.run(serve_until_closed(args.serve))
        return
    if args.attack:
        asyncio.run(attack(args.attack, args.port))
        return
    rows = []
    for name in args.only:
        rows.append(asyncio.run(measure(name, args.requests)))
        print(rows[-1], flush=True)
    if args.json:
        write_atomically(args.json, (json.dumps(result_of(rows), indent=2, ensure_ascii=False) + "\n").encode())


def result_of(rows: Sequence[Row]) -> dict[str, Any]:
    """The rows as `benchmarks.tables` takes them."""
    about = (
        "One miner with every check on, and one validator with a permit that sends "
        f"{rows[0].requests} signed requests of a "
        "256 px JPEG, each on a connection of its own from the attackers' address, while the attack of the row is on: "
        "it is described in `benchmarks/flood.py`. The miner, the attackers and the validator share two cores."
    )
    return {
        "title": "A validator's requests while others attack the miner",
        "command": "python -m benchmarks.flood --json benchmarks/results/flood.json",
        "measured": date.today().isoformat(),
        "commit": "",
        "about": [about],
        "digits": [0, 1, 1, 0, 0, 0, 0],
        "columns": ["attack", "served", "p50 ms", "p99 ms", "MB before", "MB at most", "MB after", "log bytes"],
        "rows": [
            [row.name, f"{row.served}/{row.requests}", f"{row.p50_ms:.1f}", f"{row.p99_ms:.1f}"]
            + [str(value) for value in (*row.memory_mb, row.log_bytes)]
            for row in rows
        ],
        "notes": ["`guests` is to be held against `alone`, all others against `idle`."],
    }


if __name__ == "__main__":
    main()
