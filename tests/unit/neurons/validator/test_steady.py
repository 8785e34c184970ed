"""What a validator holds while it plays does not grow with the rounds; `benchmarks/soak.py` plays ten thousand."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from subnet.game.step import Draw, Round
from tests.unit.neurons.validator.test_loop import Game, Watching

WARM, ROUNDS = 20, 140


async def test_tasks_threads_and_descriptors_do_not_grow(tmp_path: Path) -> None:
    """The last rounds hold no more than the first ones behind the start."""
    held: list[tuple[int, int, int]] = []

    class Looking(Watching):
        def played(self, played: Round[Draw], block: int) -> None:
            held.append((len(asyncio.all_tasks()), threading.active_count(), len(os.listdir("/proc/self/fd"))))

    with ThreadPoolExecutor(2) as executor:
        game = Game(tmp_path, executor)
        game.watching = Looking()
        await game.start()
        await game.run(game.loop(ROUNDS))
        game.journal.close()
    first, last = held[WARM : WARM + 20], held[-20:]
    for what in range(3):
        assert max(row[what] for row in last) <= max(row[what] for row in first) + 2
