"""The whole game on one machine: a development chain, miners, a producer and a validator, each a process of its own.

    assay localnet --rounds 200 --seed 7

Nothing between them is fake: real programs, real HTTP, real signatures, real detectors, and a chain that speaks the
real chain's protocol.
"""

from __future__ import annotations

import asyncio
import json as jsonlib
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from neurons.localnet.players import NETUID, PLAYERS, VALIDATOR, Keys, Player, genesis, make_keys
from neurons.localnet.processes import Crew, ProcessDied
from neurons.localnet.scoreboard import Scoreboard
from neurons.settings import Json
from neurons.signals import ends_before, pause, until_signal
from subnet.errors import ChainError, SettingsError
from subnet.files import write_atomically
from subnet.lifetime import INTERRUPTED

if TYPE_CHECKING:
    from subnet.chain.bittensor import BittensorChain

TEMPO, RATE_LIMIT = 20, 20  # blocks
MIN_ANSWERS = 5  # a game of a few minutes cannot wait for as many as a subnet should
LEAST_BLOCK_MS = 50  # a chain that only makes blocks answers nobody
START_SECONDS = 120.0


def localnet(
    *,
    rounds: int = 200,
    seed: int = 7,
    out: Path | None = None,
    block_ms: int = 250,
    kill: tuple[str, ...] = (),
    json: Json = False,
) -> None:
    """Play the whole game on this machine, offline, and write a report.

    Parameters
    ----------
    rounds
        Rounds to play.
    seed
        Same seed: same challenges, same labels.
    out
        Folder of the report; by default a new one below runs/.
    block_ms
        Milliseconds between blocks of the development chain.
    kill
        Also kill these miners half way, by name.
    """
    if block_ms < LEAST_BLOCK_MS:
        raise SettingsError(f"--block_ms must be at least {LEAST_BLOCK_MS}, not {block_ms}")
    if rounds < 1:
        raise SettingsError(f"--rounds must be at least 1, not {rounds}")
    unknown = set(kill) - {player.name for player in PLAYERS}
    if unknown:
        raise SettingsError(f"--kill {sorted(unknown)[0]}: there are {', '.join(p.name for p in PLAYERS)}")
    folder = out or Path("runs") / f"localnet-{datetime.now():%Y%m%d-%H%M%S}"
    if folder.exists() and any(folder.iterdir()):
        raise SettingsError(f"--out {folder}: the folder is not empty; name a new one")
    network = Network(folder.resolve(), rounds, seed, block_ms, frozenset(kill))
    sys.exit(asyncio.run(network.run(Console(stderr=json), json)))


class Network:
    """One run. Paths of everything it leaves behind are below `folder`."""

    def __init__(self, folder: Path, rounds: int, seed: int, block_ms: int, kill: frozenset[str]) -> None:
        self.folder, self.rounds, self.seed = folder, rounds, seed
        self.block_ms, self.kill = block_ms, kill
        self.keys: Keys = make_keys(folder / "wallets", PLAYERS, seed)
        environment = {"ASSAY_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        environment |= {"BITTENSOR_RUNTIME_CACHE_DIR": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
        self.crew = Crew(folder / "logs", environment)
        self.board = Scoreboard(PLAYERS, self.keys.hotkeys, rounds)
        self.first_round_after = 0.0

    async def run(self, console: Console, json: bool) -> int:
        """Play, report, and stop everything; the status to exit with."""
        started = time.monotonic()
        async with AsyncExitStack() as stack:
            stop = stack.enter_context(until_signal(INTERRUPTED))
            stack.push_async_callback(self.crew.stop)
            try:
                with console.status("starting the chain, the producer and the miners"):
                    starting = asyncio.create_task(self._start(stop))
                    if not await ends_before(stop, starting, grace=0.0):
                        return INTERRUPTED
                    chain = starting.result()
                stack.push_async_callback(chain.close)
                with Live(console=console, refresh_per_second=4, get_renderable=self.board.render):
                    playing = asyncio.create_task(self._play(chain, started, stop))
                    if await ends_before(stop, playing, grace=0.0):
                        playing.result()
            except (ProcessDied, ChainError) as error:
                console.print(f"[red]{error}[/red]", highlight=False)
                return 1
            if stop.is_set():
                console.print("stopped; no report was written")
                return INTERRUPTED
        from neurons.localnet.report import summarise, write_report

        summary = summarise(self.board, self.folder, time.monotonic() - started, self.first_round_after, self.seed)
        write_report(summary, self.board, self.folder)
        console.print(f"{summary['verdict']}\nreport: {self.folder}", highlight=False)
        if json:
            print(jsonlib.dumps(summary))
        return 1 if summary["as_expected"] is False else 0

    async def _start(self, stop: asyncio.Event) -> BittensorChain:
        """Everything but the validator, until all miners have published where they listen."""
        from subnet.chain.bittensor import BittensorChain, open_wallet

        first = genesis(self.keys, tempo=TEMPO, rate_limit=RATE_LIMIT)
        path = self.folder / "genesis.json"
        path.write_text(first.to_json())
        endpoint = await self._start_chain(path)
        pool = ["--pool.path", str(self.folder / "pool"), "--pool.gigabytes", "2", "--pool.floor_gigabytes", "0.2"]
        write_atomically(self.folder / "seed", f"{self.seed}\n".encode(), mode=0o600)
        secret = ["--seed_file", str(self.folder / "seed")]
        making = ["producer", *pool, *secret, "--stream", "main", "--split", "test", "--total", "120"]
        making += ["--device", "cpu"]
        await self.crew.start("producer", "neurons", making)
        self.common = ["--netuid", str(NETUID), "--subtensor.chain_endpoint", endpoint]
        self.common += ["--wallet.path", str(self.keys.wallets)]
        self.playing = ["--local", *secret, "--rounds", str(self.rounds), *pool]
        for player in PLAYERS:
            await self.crew.start(player.name, "neurons", [*player.command, *self.common, *_listening(player)])
        chain = BittensorChain(endpoint, NETUID, open_wallet(VALIDATOR, "default", str(self.keys.wallets)))
        await self._await_miners(chain, stop)
        return chain

    async def _start_chain(self, path: Path) -> str:
        """Start the development chain and give its address."""
        arguments = ["--genesis", str(path), "--port", "0", "--block-ms", str(self.block_ms)]
        process = await self.crew.start("chain", "subnet.chain.devnode", arguments)
        assert process.stdout
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().split()
        if len(line) != 2 or line[0] != "READY":
            raise ProcessDied(f"the chain did not start:\n{self.crew.tail('chain')}")
        return line[1]

    async def _await_miners(self, chain: BittensorChain, stop: asyncio.Event) -> None:
        ends = time.monotonic() + START_SECONDS
        while not stop.is_set():
            self.crew.check()
            await self._look(chain)
            missing = [p.name for p in PLAYERS if not self._published(p)]
            if not missing:
                return
            if time.monotonic() > ends:
                raise ProcessDied(f"{', '.join(missing)} did not publish an axon within {START_SECONDS:g} s")
            await pause(stop, 0.25)

    def _published(self, player: Player) -> bool:
        neuron = self.board.neurons.get(self.keys.hotkeys[player.name])
        return neuron is not None and neuron.endpoint is not None

    async def _look(self, chain: BittensorChain) -> None:
        """What the chain says now."""
        snapshot = await chain.snapshot()
        self.board.block = snapshot.block
        self.board.neurons = {neuron.hotkey: neuron for neuron in snapshot.neurons}
        self.board.weights = await chain.weights(self.board.neurons[self.keys.hotkeys[VALIDATOR]].uid)

    async def _play(self, chain: BittensorChain, started: float, stop: asyncio.Event) -> None:
        """Run the validator to its end, and then on to the next epoch, so that incentives follow its last weights."""
        arguments = ["validator", *self.common, "--wallet.name", VALIDATOR, *self.playing, "--json"]
        arguments += ["--state", str(self.folder / "validator"), "--gallery", str(self.folder / "gallery")]
        arguments += ["--neuron.interval", "0", "--neuron.epoch_length", str(RATE_LIMIT), "--neuron.timeout", "15"]
        arguments += ["--neuron.min_answers", str(MIN_ANSWERS)]
        process = await self.crew.start("validator", "neurons", arguments)
        assert process.stdout
        watching = asyncio.create_task(self._watch(chain, stop))
        ending = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                reading = asyncio.create_task(process.stdout.readline())
                await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    reading.cancel()
                    return
                if not (line := reading.result()):
                    break
                self._take(jsonlib.loads(line), time.monotonic() - started)
                self.crew.check("chain", "producer")
            if await process.wait() != 0:
                raise ProcessDied(
                    f"the validator ended with status {process.returncode}:\n{self.crew.tail('validator')}"
                )
            await self._await_epoch(chain, stop)
        finally:
            ending.cancel()
            watching.cancel()

    def _take(self, line: dict[str, object], seconds: float) -> None:
        """One round was played. Half way, those that leave are killed."""
        self.first_round_after = self.first_round_after or seconds
        self.board.lines.append(line)
        if len(self.board.lines) == (self.rounds + 1) // 2:
            for player in PLAYERS:
                if player.leaves or player.name in self.kill:
                    self.crew.kill(player.name)
                    self.board.gone.add(player.name)

    async def _watch(self, chain: BittensorChain, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._look(chain)
            await pause(stop, 1.0)

    async def _await_epoch(self, chain: BittensorChain, stop: asyncio.Event) -> None:
        await self._look(chain)
        target = self.board.block + TEMPO + 2
        while self.board.block < target and not stop.is_set():
            self.crew.check("chain")
            await pause(stop, 0.25)
            await self._look(chain)


def _listening(player: Player) -> Sequence[str]:
    return ("--wallet.name", player.name, "--axon.ip", "127.0.0.1", "--axon.port", "0")
