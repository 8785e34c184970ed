"""What the journal takes: bytes a round on disk before and after its old part is compressed, appends, replay.

    python -m benchmarks.journal [--miners 8 64 256] [--rounds 120] [--asked N]

Rounds follow the real rules, with answers, hashes and provenance of the real sizes; every miner is asked in each round
unless --asked says otherwise. "before" is the live file alone, as version 0.1.0 kept everything; p50 and p99 are
milliseconds of one append, two waits for the disk included; s/MiB (of text, packed and read back) and replay/s are
seconds of one processor.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from subnet.evidence.entries.segments import write_segment
from subnet.evidence.journal import Journal
from subnet.evidence.reader import JournalReader
from subnet.evidence.records import ROUND, record
from subnet.evidence.replay import replay
from subnet.evidence.state import State, StateStore
from subnet.game.history import History
from subnet.game.sampling import RoundPlan
from subnet.game.scoring import settle
from subnet.game.step import Round
from subnet.types import Label, Media, Modality, Outcome, Prediction, Provenance, Reply, Sample

DETECTORS = ("npr", "ucf", "camo", "my-own-detector")
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def rounds(miners: int, asked: int, count: int, rng: np.random.Generator) -> Iterator[Round[Any]]:
    """`count` rounds over equal miners who are right four times of five."""
    hotkeys = ["5" + "".join(rng.choice(list(BASE58), 47)) for _ in range(miners)]
    weights = [rng.bytes(32).hex() for _ in DETECTORS]
    media, history = Media(np.zeros((1, 2, 2, 3), np.uint8)), History()
    for number in range(count):
        label, chosen = Label(int(rng.integers(2))), [hotkeys[i] for i in rng.permutation(miners)[:asked]]
        values = [float(0.5 + (0.5 if label else -0.5) * (v if rng.random() < 0.8 else -v)) for v in rng.random(asked)]
        outcomes = tuple(
            Outcome(hotkey, "c", Modality.IMAGE, label, Prediction(value), float(rng.random()), number)
            for hotkey, value in zip(chosen, values, strict=True)
        )
        said = zip(outcomes, itertools.cycle(zip(DETECTORS, weights, strict=True)))
        replies = tuple(Reply(o.answer, o.latency, status=200, detector=d, weights_hash=w) for o, (d, w) in said)
        history = settle(history, outcomes)
        about = Provenance("photos", f"item-{number}", "CC0-1.0", model=None, seed=number, parameters={"split": "test"})
        plan = RoundPlan(number, Modality.IMAGE, label, "photos", 1, int(rng.integers(2**62)), tuple(chosen))
        drawn = SimpleNamespace(sample=Sample(media, label, about))
        queries = tuple(rng.bytes(32).hex() for _ in outcomes)
        yield Round(plan, number, history, drawn, outcomes, replies, queries)


def measure(miners: int, asked: int, count: int) -> str:
    """One line of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder, seconds = Path(name), list[float]()
        with closing(Journal(folder / "journal.db", segment_bytes=2**40)) as journal:
            store = StateStore(journal)
            for played in rounds(miners, asked, count, np.random.default_rng(7)):
                begun = time.perf_counter()
                store.write(ROUND, record(played), State(played.plan.number + 1, played.history))
                seconds.append(time.perf_counter() - begun)
            before = (folder / "journal.db").stat().st_size / count
            entries = list(journal.entries())
        text = sum(len(entry.body) for entry in entries)
        begun = time.process_time()
        after = write_segment(folder / "packed", entries).path.stat().st_size / count
        packing = (time.process_time() - begun) / text * 2**20
        begun = time.process_time()
        with JournalReader(folder / "journal.db") as reader:
            replay(reader.entries())
        rate = count / (time.process_time() - begun)
    p50, p99 = np.quantile(seconds, (0.5, 0.99)) * 1e3
    sizes = f"{asked:7d} {text / count:11,.0f} {before:10,.0f} {after:10,.0f} {before / after:6.1f}"
    return f"{sizes} {p50:8.1f} {p99:8.1f} {packing:8.2f} {rate:9.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--miners", type=int, nargs="+", default=[8, 64, 256])
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--asked", type=int)
    given = parser.parse_args()
    print("  asked    text B/r   before B/r  after B/r  ratio p50 ms   p99 ms    s/MiB  replay/s")
    for miners in given.miners:
        print(measure(miners, min(miners, given.asked or miners), given.rounds))


if __name__ == "__main__":
    main()
