"""A whole round with 8, 64 and 256 miners, stage by stage, each beside its limit in the same run.

    python -m benchmarks.round [--miners 8 64 256] [--repeats 5] [--side 256] [--json FILE]

Stages are the product's: `Pool.take` with its ledger; a variant for each miner with its digest, in four threads as the
validator has them; `Dendrite.ask` against an axon with every check on in a process of its own; `judge` and `settle`;
the round's record in the journal. Signing and verifying are in the fan-out and stand apart, too. The limits do the
same bytes and no more: reading and decoding the file that is drawn; augmenting and encoding all variants in as many
threads, and hashing them; bare aiohttp posts of them over kept connections, and signing and verifying on both sides
by the library, one after another; the new scores; the lines of JSON, hashed, and two waits for the disk.

Repeats of stages and limits take turns; medians. Only ratios say something where other programs use the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import uvloop
from bittensor.sp_core import Keypair

from benchmarks.fanout import MINER, VALIDATOR, bare_round, crypto_round, server
from subnet.evidence.journal import Journal
from subnet.evidence.records import ROUND, record
from subnet.evidence.state import State, StateStore
from subnet.game.history import History
from subnet.game.sampling import RoundPlan, derive
from subnet.game.scoring import settle
from subnet.game.step import Round, challenge_of, judge, vary
from subnet.game.variant import render
from subnet.media.pool.item import Cell, unpack
from subnet.media.pool.ledger import Ledger
from subnet.media.pool.pool import Drawn, Pool
from subnet.types import Endpoint, Label, Media, Modality, Neuron, Provenance, Sample
from subnet.wire.dendrite import Dendrite

CELL = Cell(Modality.IMAGE, Label.REAL, "noise")
STAGES = ("draw", "variants", "fan-out", "judging", "journal")
Seconds = dict[str, list[float]]


class Watch:
    """Seconds by name since the last mark."""

    def __init__(self) -> None:
        self.seconds: Seconds = defaultdict(list)
        self._at = time.perf_counter()

    def begin(self) -> None:
        self._at = time.perf_counter()

    def mark(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name].append(now - self._at)
        self._at = now


def picture(side: int, rng: np.random.Generator) -> Media:
    """Noise of 2 x 2 pixels: about 76 kB as a JPEG of 256 x 256."""
    coarse = rng.integers(0, 256, (1, -(-side // 2), -(-side // 2), 3), np.uint8)
    return Media(np.ascontiguousarray(coarse.repeat(2, axis=1).repeat(2, axis=2)[:, :side, :side]))


class Table:
    """What one measurement plays with: a pool with its ledger, a journal, threads, and who is asked."""

    def __init__(self, folder: Path, miners: int, port: int, items: int, side: int) -> None:
        self.folder = folder
        self.pool = Pool(folder / "pool", ledger=Ledger(folder / "ledger.db"), floor=0)
        self.journal = Journal(folder / "journal.db")
        self.store, self.history = StateStore(self.journal), History()
        self.executor = ThreadPoolExecutor(4)
        rng = np.random.default_rng(1)
        for number in range(items):
            sample = Sample(picture(side, rng), Label.REAL, Provenance("noise", str(number), "CC0-1.0"))
            self.pool.put(sample, stream="main", sequence=number, origin="noise")
        self.names = tuple(Keypair.create_from_uri(f"//Miner{n}").ss58_address for n in range(miners))
        at = Endpoint("127.0.0.1", port)
        self.asked = [Neuron(n, MINER.ss58_address, "", 0.0, permit=False, endpoint=at) for n in range(miners)]
        self.neurons = [Neuron(n, name, "", 0.0, permit=False) for n, name in enumerate(self.names)]


@dataclass(frozen=True)
class Played:
    """A round, what it drew, and what it sent."""

    drawn: Drawn
    round: Round[Drawn]
    bodies: list[bytes]


async def ours(table: Table, dendrite: Dendrite, number: int, watch: Watch) -> Played:
    """One round of the product. All asks go to one axon, whose key signs for all."""
    loop = asyncio.get_running_loop()
    plan = RoundPlan(number, CELL.modality, CELL.label, CELL.origin, number % 4, derive("round", number), table.names)
    watch.begin()
    drawn = await loop.run_in_executor(table.executor, table.pool.take, CELL, table.names)
    watch.mark("draw")
    assert drawn is not None
    challenges = [challenge_of(plan, drawn, name) for name in table.names]
    varying = (loop.run_in_executor(table.executor, vary, c, n) for c, n in zip(challenges, table.names, strict=True))
    queries, hashes = zip(*await asyncio.gather(*varying), strict=True)
    watch.mark("variants")
    replies = await dendrite.ask(list(zip(table.asked, queries, strict=True)), 60.0)
    watch.mark("fan-out")
    outcomes = judge(challenges, table.neurons, replies, number)
    table.history = settle(table.history, outcomes)
    watch.mark("judging")
    played = Round(plan, number, table.history, drawn, outcomes, tuple(replies), hashes)
    table.store.write(ROUND, record(played, None, drawn.item.content), State(number + 1, table.history))
    watch.mark("journal")
    assert all(reply.status == 200 for reply in replies), next(reply for reply in replies if reply.status != 200)
    return Played(drawn, played, [query.body for query in queries])


async def limits(table: Table, session: aiohttp.ClientSession, port: int, what: Played, watch: Watch) -> None:
    """The same work of libraries alone."""
    loop = asyncio.get_running_loop()
    drawn, played, bodies = what.drawn, what.round, what.bodies
    plan, outcomes = played.plan, played.outcomes
    watch.begin()
    unpack(drawn.item, drawn.item.path.read_bytes())
    watch.mark("draw")

    def encode(name: str) -> bytes:
        return render(drawn.sample.media, plan.level, np.random.default_rng(derive(plan.seed, name)))

    def share(names: Sequence[str]) -> list[bytes]:
        return [encode(name) for name in names]

    shares = [table.names[start::4] for start in range(4)]
    await asyncio.gather(*(loop.run_in_executor(table.executor, share, part) for part in shares))
    for body in bodies:
        hashlib.sha256(body).digest()
    watch.mark("variants")
    await bare_round(session, port, bodies)
    watch.mark("bare posts")
    await crypto_round(bodies)
    watch.mark("sign and verify")
    settle(table.history, outcomes)
    watch.mark("judging")
    text = record(played, None, drawn.item.content).model_dump_json().encode()
    hashlib.sha256(text).digest()
    with (table.folder / "bare").open("ab") as file:
        for _ in range(2):
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    watch.mark("journal")


async def measure(miners: int, repeats: int, side: int) -> tuple[Seconds, Seconds, float]:
    """Seconds of stages and limits, the first repeat dropped, and the mean size of a body."""
    product, bare, size = Watch(), Watch(), 0.0
    with server("axon") as (axon, _), server("bare") as (port, _), tempfile.TemporaryDirectory() as name:
        table = Table(Path(name), miners, axon, repeats + 1, side)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            Dendrite(VALIDATOR, local=True) as dendrite,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            for number in range(repeats + 1):
                what = await ours(table, dendrite, number, product)
                await limits(table, session, port, what, bare)
                size = statistics.mean(map(len, what.bodies))
        table.journal.close()
        table.executor.shutdown()
    first = [{key: values[1:] for key, values in watch.seconds.items()} for watch in (product, bare)]
    first[1]["fan-out"] = [a + b for a, b in zip(first[1]["bare posts"], first[1]["sign and verify"], strict=True)]
    return first[0], first[1], size


def rows(miners: int, product: Seconds, bare: Seconds, size: float) -> list[list[str]]:
    """Medians in milliseconds, and ratios."""
    lines = []
    for stage in STAGES:
        mine, limit = (1000 * statistics.median(seconds[stage]) for seconds in (product, bare))
        lines.append([str(miners), stage, f"{mine:.1f}", f"{limit:.1f}", f"{mine / limit:.2f}"])
    whole, least = (
        1000 * statistics.median(map(sum, zip(*(seconds[stage] for stage in STAGES), strict=True)))
        for seconds in (product, bare)
    )
    lines.append([str(miners), f"whole, bodies of {size / 1000:.0f} kB", f"{whole:.1f}", f"{least:.1f}"])
    lines[-1].append(f"**{whole / least:.2f}**")
    return lines


def table_of(lines: list[list[str]], given: argparse.Namespace) -> dict[str, Any]:
    """A result of the page."""
    flags = f"--miners {' '.join(map(str, given.miners))} --repeats {given.repeats} --side {given.side}"
    return {
        "title": "A round beside its limits",
        "command": f"python -m benchmarks.round {flags} --json benchmarks/results/round.json",
        "measured": date.today().isoformat(),
        "commit": "",
        "about": [
            "Each stage of a round as the validator plays it, beside what the libraries under it take for the same "
            "bytes in the same minute: reading and decoding, codec and hash, bare aiohttp posts with signing and "
            "verifying on both sides, JSON and two waits for the disk. Medians in milliseconds."
        ],
        "digits": [3, 2],
        "columns": ["miners", "stage", "ours", "limit", "ratio"],
        "rows": lines,
        "notes": [
            f"Other programs had both cores busy (load {os.getloadavg()[0]:.0f} at the end), so that the milliseconds "
            "are too long by far; ratios are of medians of turns in one run, and still move by some tenths. The aims "
            "are 1.3 for the whole round and 1.2 for the fan-out."
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--miners", type=int, nargs="+", default=[8, 64, 256])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--side", type=int, default=256, help="pixels of a challenge's side")
    parser.add_argument("--json", type=Path, help="write the table there")
    given = parser.parse_args()
    lines = []
    for miners in given.miners:
        for line in rows(miners, *uvloop.run(measure(miners, given.repeats, given.side))):
            print("".join(f"{cell:<26}" for cell in line), flush=True)
            lines.append(line)
    if given.json:
        given.json.write_text(json.dumps(table_of(lines, given), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
