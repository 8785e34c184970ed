"""A validator on a development node that kills itself at a named moment: `python -m ... FOLDER ENDPOINT MOMENT...`.

Each life is a fork of a process that has imported what it needs; their exit statuses are printed. Moments: before-commit, after-commit, before-weights, after-weights, or the number of an epoch at which it ends well.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import structlog

from neurons.chain_view import ChainView
from neurons.secrets.epochs import kept, lines_of
from neurons.settings import NeuronSettings
from neurons.signals import pause
from neurons.validator.loop import Partners, ValidatorLoop
from neurons.validator.onchain.doppelganger import Doppelganger
from neurons.validator.onchain.epochs import Epochs
from neurons.validator.onchain.past import read_past
from neurons.validator.settings import ValidatorSettings
from neurons.validator.weight_setter import WeightSetter
from subnet.chain.bittensor import BittensorChain
from subnet.chain.devnode.keys import keypair
from subnet.evidence.journal import Journal
from subnet.evidence.state import StateStore
from subnet.game.epochs import parse
from subnet.types import Receipt
from subnet.wire.memory import MemoryTransport
from tests.unit.neurons.validator.test_loop import SAMPLING, Shelf, Watching, right

NEURON = NeuronSettings(interval=0.02, epoch_length=4, min_answers=0, timeout=5)


class Mortal(BittensorChain):
    """Ends the process at its moment, once the validator has stood in an epoch or set weights before."""

    moment = ""
    commitments = 0

    async def commit(self, text: str) -> Receipt:
        self._die("before-commit", parse(text).number > 0)
        receipt = await super().commit(text)
        self._die("after-commit", parse(text).number > 0)
        return receipt

    async def set_weights(self, weights: Mapping[int, float]) -> Receipt:
        self._die("before-weights")
        receipt = await super().set_weights(weights)
        self._die("after-weights", receipt.block is not None)
        return receipt

    def _die(self, moment: str, now: bool = True) -> None:
        if now and moment == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


async def _end(seeds: Epochs, moment: str, stop: asyncio.Event) -> None:
    """End well once the epoch called `moment` runs."""
    while not await pause(stop, 0.05):
        if moment.isdecimal() and (seeds.seed.epoch or 0) >= int(moment):
            stop.set()


async def play(folder: Path, endpoint: str, moment: str) -> None:
    log, key, hotkey = structlog.get_logger(), keypair("//Val0"), keypair("//Val0").ss58_address
    journal = Journal(folder / "journal.db")
    chain, path, stop = Mortal(endpoint, 1, key), folder / "epochs.json", asyncio.Event()
    past, store = read_past(journal, kept(path)), StateStore(journal)
    chain.moment = moment
    view = ChainView(chain, log, every=1)
    await view.refresh()
    following = asyncio.create_task(view.follow(stop))
    seeds = Epochs(chain, view, hotkey, 7, path, store, log, netuid=1, recorded=past.epoch)
    guard = Doppelganger(chain, hotkey, past, lambda: lines_of(kept(path)), log)
    setter = WeightSetter(chain, view, hotkey, NEURON, store, log, guard=guard, unsettled=past.unsettled)
    shelf = Shelf()
    with ThreadPoolExecutor(2) as executor:
        partners = Partners(view, MemoryTransport(right), shelf.draw, shelf.retired.append, executor)
        loop = ValidatorLoop(hotkey, ValidatorSettings(1, SAMPLING, NEURON), seeds, partners, store, Watching(), log)
        playing = asyncio.create_task(loop.run(setter, stop))
        await asyncio.gather(playing, _end(seeds, moment, stop))
    following.cancel()
    await chain.close()
    journal.close()


def live(folder: Path, endpoint: str, moment: str) -> None:
    asyncio.run(asyncio.wait_for(play(folder, endpoint, moment), 90))


if __name__ == "__main__":
    for each in sys.argv[3:]:
        life = get_context("fork").Process(target=live, args=(Path(sys.argv[1]), sys.argv[2], each))
        life.start()
        life.join()
        sys.stdout.write(f"ended: {each} {life.exitcode}\n")  # beside lines of the log
