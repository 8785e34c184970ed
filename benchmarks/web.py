"""What the pages of `assay web` take over a long journal.

    python -m benchmarks.web [--rounds 100000] [--miners 256] [--asked 50] [--requests 200] [--folder DIR] [--json FILE]

The journal is written first, by the real rules, with weights every 150 rounds, behind which rounds may be shown: some
7 ms of a processor a round. A journal that lies in --folder already is taken as it is, however long. Reading and
serving is then done by a process of its own: a real server on the loopback, asked by a client in the same process, by
one request at a time, and by eight at once for a mixture of all pages. Milliseconds of the clock, of whole answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from benchmarks.journal import rounds
from neurons.web.addresses import slug
from neurons.web.book import Book
from neurons.web.server import application
from neurons.web.site import Site
from neurons.web.sources import JournalFile
from subnet.evidence.journal import Journal
from subnet.evidence.records import ROUND, WEIGHTS, WeightsRecord, record
from subnet.files import write_atomically
from subnet.types import Submission
from subnet.wire.http.server import serve

Took = tuple[float, float]  # milliseconds of the clock, and of a processor
EVERY = 150  # rounds between two settings of weights
TOGETHER = 8  # clients
LOOKED_AT = 5.0  # seconds between two looks at a journal
MIXED = f"all of them, {TOGETHER} at once"
QUANTILES = ((0, 0.5), (0, 0.95), (0, 0.99), (1, 0.5), (1, 0.95))  # of the clock, of a processor


def write(folder: Path, miners: int, asked: int, count: int) -> None:
    """A journal as a validator leaves it: finished parts, which a thread packs, and a live file."""
    with closing(Journal(folder / "journal.db")) as journal, ThreadPoolExecutor(1) as packer:
        packing = packer.submit(journal.finish_segment)
        for played in rounds(miners, asked, count, np.random.default_rng(7)):
            journal.append(ROUND, record(played).model_dump_json())
            if played.plan.number % EVERY == EVERY - 1:
                told = WeightsRecord(block=played.block, weights={}, submission=Submission.OK, code=None, message="")
                journal.append(WEIGHTS, told.model_dump_json())
                packing.result()
                packing = packer.submit(journal.finish_segment)
        while packing.result():
            packing = packer.submit(journal.finish_segment)


def measure(folder: Path, requests: int) -> dict[str, Any]:
    """Everything of one site, in this process."""
    before = _memory()
    book = Book(1, JournalFile(folder / "journal.db"))
    begun, busy = time.perf_counter(), time.process_time()
    book.refresh()
    found: dict[str, Any] = {"read_s": time.perf_counter() - begun, "read_cpu_s": time.process_time() - busy}
    with book.open() as summary:
        found |= {"rounds": summary.player.rounds, "miners": len(summary.miners), "shown": len(summary.rounds)}
    begun = time.perf_counter()
    book.refresh()
    found["look_ms"] = 1000 * (time.perf_counter() - begun)
    found["pages"] = asyncio.run(_ask(Site((book,), {}), requests))
    return found | {"mib_before": before, "mib": _memory()}


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def _ask(site: Site, requests: int) -> dict[str, list[Took]]:
    """By kind of page what each request took."""
    rng, kinds = random.Random(7), _kinds(site)
    server = await serve(application(site), "127.0.0.1", 0, flags="--")
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as client:
            found = {
                name: [await _anew(client, rng.choice(all_), site) for _ in range(requests)]
                for name, all_ in kinds.items()
            }
            every = [rng.choice(all_) for _ in range(requests) for all_ in kinds.values()]
            rng.shuffle(every)
            lanes = [every[at::TOGETHER] for at in range(TOGETHER)]
            moving = asyncio.create_task(_move(site))
            mixed = await asyncio.gather(*(_lane(client, lane) for lane in lanes))
            moving.cancel()
            return found | {MIXED: [took for lane in mixed for took in lane]}
    finally:
        await server.stop()


def _kinds(site: Site) -> dict[str, list[str]]:
    with site.books[0].open() as summary:
        miners, numbers = [slug(hotkey) for hotkey in summary.miners], list(summary.rounds)
    return {
        "validators": [""],
        "scoreboard": ["1/scoreboard"],
        "scoreboard as JSON": ["1/scoreboard.json"],
        "miner": [f"1/miner/{name}" for name in miners],
        "rounds": [f"1/rounds/{number // 100}" for number in numbers],
        "round": [f"1/round/{number}" for number in numbers],
        "incentive": ["incentive"],
        "health": ["health"],
    }


async def _lane(client: aiohttp.ClientSession, addresses: list[str]) -> list[Took]:
    return [await _once(client, address) for address in addresses]


async def _move(site: Site) -> None:
    """The journal has another round, as often as it is looked at."""
    while True:
        site.books[0].version += 1
        await asyncio.sleep(LOOKED_AT)


async def _anew(client: aiohttp.ClientSession, address: str, site: Site) -> Took:
    """A page that nobody asked for since the journal moved."""
    site.books[0].version += 1
    return await _once(client, address)


async def _once(client: aiohttp.ClientSession, address: str) -> Took:
    begun, busy = time.perf_counter(), time.process_time()
    async with client.get(f"/{address}") as response:
        await response.read()
        assert response.status == 200, address
    return 1000 * (time.perf_counter() - begun), 1000 * (time.process_time() - busy)


def rows(found: dict[str, Any]) -> list[list[str]]:
    """Quantiles of each page; what a processor takes for one of several at once cannot be told."""
    lines = []
    for name, took in found["pages"].items():
        cells = [f"{np.quantile(np.array(took)[:, at], q):.1f}" for at, q in QUANTILES]
        lines.append([name, *(cells if name != MIXED else [*cells[:3], "", ""])])
    return lines


def table_of(found: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    """A result of the page."""
    flags = f"--rounds {found['rounds']} --miners {given.miners} --asked {given.asked} --requests {given.requests}"
    return {
        "title": "Pages over a long journal",
        "command": f"python -m benchmarks.web {flags} --json benchmarks/results/web.json",
        "measured": date.today().isoformat(),
        "commit": "",
        "about": [
            f"`assay web` over a journal of {found['rounds']:,} rounds with {found['miners']} miners, {given.asked} of "
            f"them asked in each, of which {found['shown']:,} rounds may be shown. It is read once, in "
            f"{found['read_s']:,.0f} s ({found['read_cpu_s']:,.0f} s of a processor); a look that finds nothing new "
            f"takes {found['look_ms']:.1f} ms. The program takes {found['mib']:,.0f} MiB at most, "
            f"{found['mib_before']:,.0f} before it read. {given.requests} requests a page from the loopback, one at a "
            f"time, to miners and rounds at random, each page drawn anew; {TOGETHER} at once while the journal moves "
            f"every {LOOKED_AT:.0f} s. Milliseconds."
        ],
        "digits": [1, 1],
        "columns": ["page", "p50", "p95", "p99", "p50 of a processor", "p95 of a processor"],
        "rows": rows(found),
        "notes": [
            f"Client and server share a process and one processor. Other programs had the machine's two cores busy "
            f"(load {os.getloadavg()[0]:.0f} at the end), so that times of the clock are too long by far. The aim is a "
            "p95 under 300 ms over 100,000 rounds with 256 miners."
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--miners", type=int, default=256)
    parser.add_argument("--asked", type=int, default=50)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="where the journal is written, and stays")
    parser.add_argument("--json", type=Path, help="write the table there")
    given = parser.parse_args()
    with nullcontext(given.folder) if given.folder else tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not (folder / "journal.db").exists():
            begun = time.perf_counter()
            write(folder, given.miners, given.asked, given.rounds)
            print(f"written in {time.perf_counter() - begun:.0f} s", flush=True)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            found = alone.submit(measure, folder, given.requests).result()
    table = table_of(found, given)
    print(
        *table["about"],
        *(f"{row[0]:30s}" + "".join(f"{cell:>10}" for cell in row[1:]) for row in table["rows"]),
        sep="\n",
    )
    if given.json:
        write_atomically(given.json, (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode())


if __name__ == "__main__":
    main()
