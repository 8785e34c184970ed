"""How long a validator needs to ask 256 miners: signed posts, signed replies, one process on each side.

    python benchmarks/fanout.py [--miners 256] [--bytes 76000] [--repeats 7] [--json]

`dendrite` is the product: `Dendrite.ask` against an axon with every check on, the SQLite nonce store included, and a
handler that answers at once. `bare` is the limit on this machine in the same minute: the same bodies posted by aiohttp,
unsigned, to a uvicorn application that reads them and answers 200 bytes of JSON; `bare, kept` keeps its connections
open between repeats, which the dendrite does not (see `subnet/dendrite.py`). `sign + verify` is what the cryptography
alone costs on both sides, on one core. The repeats of the rows take turns; the figures are medians.
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
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from bittensor import http_auth
from bittensor.sp_core import Keypair

from subnet.admission import Policy
from subnet.axon import Axon, Served, application
from subnet.dendrite import Dendrite
from subnet.nonces import SqliteNonceStore
from subnet.serving import serve
from subnet.synapse import Envelope, digest_of, judge, write_reply
from subnet.types import Endpoint, Modality, Neuron, Prediction, Query

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

    async def answer(modality: Modality, body: bytes) -> Prediction:
        return Prediction(0.25)

    with tempfile.TemporaryDirectory() as folder:
        app: Any = bare_application
        if kind == "axon":
            validator = Neuron(0, VALIDATOR.ss58_address, "", 1.0, permit=True)
            store = SqliteNonceStore(Path(folder) / "nonces.sqlite")
            policy = Policy(min_stake=0.5, rate=1e6, burst=1e6)
            table = {validator.hotkey: validator}
            served = {Modality.IMAGE: Served("constant")}
            app = application(Axon(MINER, lambda: table, store, answer, served, policy, max_reading=4096))
        serving = await serve(app, "127.0.0.1", 0)
        sys.stdout.write(f"{serving.port}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await serving.stop()


@contextlib.contextmanager
def server(kind: str) -> Any:
    """The port of a server process."""
    command = [sys.executable, __file__, "--serve", kind]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
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


def crypto_round(bodies: list[bytes]) -> float:
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
        judge(write_reply(MINER, envelope, 0.25, "constant", ""), envelope)
    return time.perf_counter() - start


async def measure(miners: int, size: int, repeats: int) -> dict[str, list[float]]:
    """Seconds by row, one figure per repeat; the first round of each row warms up and is dropped."""
    rows: dict[str, list[float]] = {"dendrite": [], "bare": [], "bare, kept": [], "sign + verify": []}
    with server("axon") as axon_port, server("bare") as bare_port:
        fresh = aiohttp.TCPConnector(limit=0, force_close=True)
        async with (
            Dendrite(VALIDATOR, local=True, concurrency=miners) as dendrite,
            aiohttp.ClientSession(connector=fresh) as closing,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as keeping,
        ):
            for _ in range(repeats + 1):
                bodies = [os.urandom(size) for _ in range(miners)]
                rows["dendrite"].append(await dendrite_round(dendrite, axon_port, bodies))
                rows["bare"].append(await bare_round(closing, bare_port, bodies))
                rows["bare, kept"].append(await bare_round(keeping, bare_port, bodies))
                rows["sign + verify"].append(crypto_round(bodies))
    return {name: figures[1:] for name, figures in rows.items()}


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
    rows = uvloop.run(measure(args.miners, args.bytes, args.repeats))
    medians = {name: statistics.median(figures) for name, figures in rows.items()}
    if args.json:
        ratio = medians["dendrite"] / medians["bare"]
        sizes = {"miners": args.miners, "bytes": args.bytes, "repeats": args.repeats, "cpus": os.cpu_count()}
        print(json.dumps(sizes | {"seconds": medians, "ratio_to_bare": ratio, "load": os.getloadavg()[0]}))
        return
    print(f"{args.miners} posts of {args.bytes} bytes, {args.repeats} repeats, load {os.getloadavg()[0]:.1f}")
    print(f"{'':<14}{'median s':>10}{'fastest s':>11}{'x bare':>8}")
    for name, figures in rows.items():
        print(f"{name:<14}{medians[name]:>10.3f}{min(figures):>11.3f}{medians[name] / medians['bare']:>8.2f}")


if __name__ == "__main__":
    main()
