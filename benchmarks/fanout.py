"""How long a validator needs to ask 256 miners: signed posts, signed replies, one process on each side.

    python benchmarks/fanout.py [--miners 256] [--bytes 76000] [--repeats 7] [--json]

`dendrite` is the product: `Dendrite.ask` against an axon with every check on, the SQLite nonce store included, and a
handler that answers at once; connections are kept between repeats, as between rounds. `bare` is the limit on this
machine in the same minute: the same bodies posted by aiohttp over kept connections, unsigned, to an application on
the same server that reads them and answers 200 bytes of JSON. `bare, new` opens new connections for each repeat.
`sign + verify` is what the cryptography alone costs on both sides, one after the other on one core. The repeats of the
rows take turns. `cpu` is processor time of client and server together: unlike the wall clock it does not count other
programs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import uvloop
from bittensor import http_auth
from bittensor.sp_core import Keypair

from subnet.types import Endpoint, Modality, Neuron, Prediction, Query
from subnet.wire.admission import Policy
from subnet.wire.axon import AxonConfig, RequestHandler, Served, application
from subnet.wire.bodies import BodyLimits
from subnet.wire.dendrite import Dendrite
from subnet.wire.http.server import serve
from subnet.wire.nonces import SqliteNonceStore
from subnet.wire.synapse import Envelope, digest_of, read_answer, write_reply

VALIDATOR = Keypair.create_from_uri("//Validator")
MINER = Keypair.create_from_uri("//Miner")
REPLY = json.dumps({"prediction": 0.25, "pad": "x" * 170}).encode()


async def bare_application(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
    """Read the body, answer."""
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(REPLY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": REPLY})


async def serve_until_closed(kind: str) -> None:
    """The server process: prints its port, ends when stdin does."""

    async def answer(modality: Modality, body: bytes, hotkey: str) -> Prediction:
        return Prediction(0.25)

    with tempfile.TemporaryDirectory() as folder:
        app: Any = bare_application
        if kind == "axon":
            validator = Neuron(0, VALIDATOR.ss58_address, "", 1.0, permit=True)
            store = SqliteNonceStore(Path(folder) / "nonces.sqlite")
            policy = Policy(min_stake=0.5, rate=1e6, burst=1e6)
            bodies = BodyLimits(total_bytes=2**30, hotkey_bytes=2**30, hotkey_bodies=4096)
            table = {validator.hotkey: validator}
            served = {Modality.IMAGE: Served("constant")}
            axon = AxonConfig(MINER, lambda: table, store, answer, served, policy, bodies=bodies)
            app = application(RequestHandler(axon))
        serving = await serve(app, "127.0.0.1", 0)
        sys.stdout.write(f"{serving.port}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await serving.stop()


@contextlib.contextmanager
def server(kind: str) -> Any:
    """The port of a server process, and the process."""
    command = [sys.executable, "-m", "benchmarks.fanout", "--serve", kind]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), psutil.Process(process.pid)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


async def dendrite_round(dendrite: Dendrite, port: int, bodies: list[bytes]) -> float:
    """Seconds for one `ask`; every answer must be a prediction."""
    miner = Neuron(1, MINER.ss58_address, "", 0.0, permit=False, endpoint=Endpoint("127.0.0.1", port))
    asks = [(miner, Query(Modality.IMAGE, body, "image/jpeg")) for body in bodies]
    start = time.perf_counter()
    replies = await dendrite.ask(asks, 30.0)
    seconds = time.perf_counter() - start
    bad = [reply for reply in replies if not isinstance(reply.answer, Prediction)]
    if bad:
        raise SystemExit(f"{len(bad)} asks failed, the first with {bad[0]}")
    return seconds


async def bare_round(session: aiohttp.ClientSession, port: int, bodies: list[bytes]) -> float:
    """Seconds for the same posts without signatures, checks or parsing."""

    async def post(body: bytes) -> bytes:
        async with session.post(f"http://127.0.0.1:{port}/", data=body) as response:
            return await response.read()

    start = time.perf_counter()
    await asyncio.gather(*(post(body) for body in bodies))
    return time.perf_counter() - start


async def crypto_round(bodies: list[bytes]) -> float:
    """Seconds for the signing, verifying and hashing of both sides, one after another."""
    start = time.perf_counter()
    for body in bodies:
        headers = http_auth.sign(
            VALIDATOR, method="POST", path="/ImageSynapse", body=body, receiver_ss58=MINER.ss58_address
        )
        caller = http_auth.verify(
            headers, body, method="POST", path="/ImageSynapse", self_hotkey_ss58=MINER.ss58_address
        )
        envelope = Envelope(caller.nonce_ns, digest_of(body), caller.hotkey_ss58, MINER.ss58_address)
        read_answer(write_reply(MINER, envelope, 0.25, "constant", ""), envelope)
    return time.perf_counter() - start


@dataclass
class Row:
    """Wall seconds of each repeat, and processor seconds of both sides together."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    async def add(self, round_: Awaitable[float], server_process: psutil.Process) -> None:
        before = time.process_time() + sum(server_process.cpu_times()[:2])
        self.seconds.append(await round_)
        self.cpu.append(time.process_time() + sum(server_process.cpu_times()[:2]) - before)


async def measure(miners: int, size: int, repeats: int) -> dict[str, Row]:
    """One figure per row and repeat; the first round of each row warms up and is dropped."""
    rows = {name: Row() for name in ("dendrite", "bare", "bare, new", "sign + verify")}
    with server("axon") as (axon_port, axon_process), server("bare") as (bare_port, bare_process):
        fresh = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            Dendrite(VALIDATOR, local=True, concurrency=miners) as dendrite,
            aiohttp.ClientSession(connector=fresh) as closing,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as keeping,
        ):
            for _ in range(repeats + 1):
                bodies = [os.urandom(size) for _ in range(miners)]
                await rows["dendrite"].add(dendrite_round(dendrite, axon_port, bodies), axon_process)
                await rows["bare"].add(bare_round(keeping, bare_port, bodies), bare_process)
                await rows["bare, new"].add(bare_round(closing, bare_port, bodies), bare_process)
                await rows["sign + verify"].add(crypto_round(bodies), bare_process)
    return {name: Row(row.seconds[1:], row.cpu[1:]) for name, row in rows.items()}


def to_limit(rows: dict[str, Row], what: Callable[[Row], list[float]] = lambda row: row.seconds) -> float:
    """The product beside bare posts and cryptography together: the median of the ratios of each turn."""
    turns = zip(*(what(rows[name]) for name in ("dendrite", "bare", "sign + verify")), strict=True)
    return statistics.median(ours / (bare + crypto) for ours, bare, crypto in turns)


def report(rows: dict[str, Row]) -> None:
    """A table for people."""
    limit = statistics.median(rows["bare"].seconds)
    print(f"{'':<14}{'median s':>10}{'fastest s':>11}{'x bare':>8}{'cpu s':>8}")
    for name, row in rows.items():
        median = statistics.median(row.seconds)
        cpu = statistics.mean(row.cpu)
        print(f"{name:<14}{median:>10.3f}{min(row.seconds):>11.3f}{median / limit:>8.2f}{cpu:>8.3f}")
    cpu = to_limit(rows, lambda row: row.cpu)
    print(f"beside bare and sign + verify together, turn by turn: {to_limit(rows):.2f} (processor: {cpu:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--miners", type=int, default=256)
    parser.add_argument("--bytes", type=int, default=76_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--serve", choices=("axon", "bare"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        uvloop.run(serve_until_closed(args.serve))
        return
    before = os.getloadavg()[0]
    rows = uvloop.run(measure(args.miners, args.bytes, args.repeats))
    print(
        f"{args.miners} posts of {args.bytes} bytes, {args.repeats} repeats, {os.cpu_count()} cpus, load {before:.1f}"
    )
    report(rows)
    if args.json:
        medians = {name: statistics.median(row.seconds) for name, row in rows.items()}
        result = {"miners": args.miners, "bytes": args.bytes, "repeats": args.repeats, "cpus": os.cpu_count()}
        result |= {"seconds": medians, "fastest": {name: min(row.seconds) for name, row in rows.items()}}
        result |= {"cpu_seconds": {name: statistics.mean(row.cpu) for name, row in rows.items()}}
        ratios = {"ratio_to_bare": medians["dendrite"] / medians["bare"], "ratio_to_limit": to_limit(rows)}
        print(json.dumps(result | ratios | {"load": before}))


if __name__ == "__main__":
    main()
