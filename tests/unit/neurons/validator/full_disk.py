"""Plays rounds on a disk that fills up, in a process of its own: `python -m ... FOLDER limit|disk`, a line of JSON.

"limit" bounds the size of files (EFBIG from every write), "disk" fills the file system that FOLDER lies on (ENOSPC).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from neurons.validator.challenge_source import draw_challenge
from subnet.evidence.replay import replay
from subnet.media.pool.ledger import Ledger
from subnet.media.pool.pool import Pool
from subnet.types import Label
from tests.unit.neurons.validator.test_loop import Game
from tests.unit.subnet.media.pool.samples import make_sample

BEFORE, FULL, AFTER = 2, 5, 2  # rounds


class Disk:
    """Fills up and gives room again."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.ballast, self.mode = folder / "ballast", mode

    def fill(self) -> None:
        if self.mode == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
            return
        for size in (2**16, 512, 1):
            with contextlib.suppress(OSError), self.ballast.open("ab", buffering=0) as file:
                while True:
                    file.write(b"x" * size)

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.ballast.unlink(missing_ok=True)


async def play(folder: Path, mode: str) -> dict[str, object]:
    disk, ledger = Disk(folder, mode), Ledger(folder / "ledger.db")
    pool = Pool(folder / "pool", ledger=ledger, floor=0)
    for n in range(BEFORE + FULL + AFTER):
        for label in Label:
            pool.put(make_sample(n + 100 * label, label=label, origin="here"), stream="main", sequence=n)
    with ThreadPoolExecutor(2) as executor:
        game = Game(folder, executor)
        await game.start()
        draw = partial(draw_challenge, pool, substitute=True)
        loop = game.loop(None, draw=draw, retire=pool.retire)
        waiting = []
        for number in range(BEFORE + FULL + AFTER):
            if BEFORE <= number < BEFORE + FULL:
                disk.fill()  # also what the last item left behind
            else:
                disk.free()
            await loop.play()
            waiting.append((game.store.unwritten, ledger.unwritten))
    records = game.records()
    facts = {
        "numbers": [record.number for record in records],
        "void": [record.void for record in records if record.void],
        "waiting": waiting,
        "replays": replay(game.journal.entries()).history == game.store.state.history,
    }
    game.journal.close()
    ledger.close()
    with Ledger(folder / "ledger.db") as written:
        facts["asked"] = [written.asked(hotkey) for hotkey in ("m1", "m2")]
    return facts


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(play(Path(sys.argv[1]), sys.argv[2]))))
