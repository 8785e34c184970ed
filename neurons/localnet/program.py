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
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.live import Live

from neurons.localnet.epochs import read_epochs
from neurons.localnet.players import (
    MOST_VALIDATORS,
    NETUID,
    PLAYERS,
    VALIDATOR,
    Keys,
    Player,
    genesis,
    make_keys,
    validator_names,
)
from neurons.localnet.processes import Crew, ProcessDied
from neurons.localnet.scoreboard import Scoreboard
from neurons.settings import Json
from neurons.signals import ends_before, pause, until_signal
from neurons.terminal import terminal
from subnet.chain.sealing import PAST_ROUND, PAST_SIGNATURE
from subnet.errors import ChainError, SettingsError
from subnet.files import write_atomically
from subnet.lifetime import INTERRUPTED

if TYPE_CHECKING:
    from subnet.chain.bittensor import BittensorChain

TEMPO = 20  # blocks between two epochs of the chain
LEAST_TEMPO = 4  # below, weights cannot come twice in an epoch
MIN_ANSWERS = 5  # a game of a few minutes cannot wait for as many as a subnet should
LEAST_BLOCK_MS = 50  # a chain that only makes blocks answers nobody
START_SECONDS = 300.0
PRODUCERS_BEHIND = 10  # steps of niceness: rounds begin when the last miner serves, and need an item at a time


def localnet(
    *,
    rounds: int = 200,
    seed: int = 7,
    out: Path | None = None,
    block_ms: int = 250,
    kill: tuple[str, ...] = (),
    validators: int = 1,
    commit: Annotated[bool, Parameter(negative="")] = False,
    commit_reveal: Annotated[bool, Parameter(negative="")] = False,
    tempo: int = TEMPO,
    web: Annotated[bool, Parameter(negative="")] = False,
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
    validators
        How many validators play, each with a pool, a seed and a journal of its own; the report is the first one's.
    commit
        Validators commit to their epochs' secrets on chain; in the end their evidence is published and verified. Two
        runs with one seed then differ.
    commit_reveal
        Weights are sealed, and open one epoch of the chain later; to a past round of the public beacon, so that no
        internet is needed.
    tempo
        Blocks between two epochs of the chain; weights may be set four times in one, and are set twice.
    web
        Also serve the game as the pages of `assay web` while it runs; the address is printed at the start.
    """
    if tempo < LEAST_TEMPO:
        raise SettingsError(f"--tempo must be at least {LEAST_TEMPO} blocks, not {tempo}")
    if block_ms < LEAST_BLOCK_MS:
        raise SettingsError(f"--block_ms must be at least {LEAST_BLOCK_MS}, not {block_ms}")
    if rounds < 1:
        raise SettingsError(f"--rounds must be at least 1, not {rounds}")
    if not 1 <= validators <= MOST_VALIDATORS:
        raise SettingsError(f"--validators must be in 1..{MOST_VALIDATORS}, not {validators}")
    unknown = set(kill) - {player.name for player in PLAYERS}
    if unknown:
        raise SettingsError(f"--kill {sorted(unknown)[0]}: there are {', '.join(p.name for p in PLAYERS)}")
    folder = out or Path("runs") / f"localnet-{datetime.now():%Y%m%d-%H%M%S}"
    if folder.exists() and any(folder.iterdir()):
        raise SettingsError(f"--out {folder}: the folder is not empty; name a new one")
    rules = {"commit": commit, "commit_reveal": commit_reveal, "web": web}
    network = Network(folder.resolve(), rounds, seed, block_ms, frozenset(kill), validators, tempo=tempo, **rules)
    sys.exit(asyncio.run(network.run(terminal(stderr=json), json)))


class Network:
    """One run. Paths of everything it leaves behind are below `folder`."""

    def __init__(
        self,
        folder: Path,
        rounds: int,
        seed: int,
        block_ms: int,
        kill: frozenset[str],
        validators: int = 1,
        *,
        tempo: int = TEMPO,
        commit: bool = False,
        commit_reveal: bool = False,
        web: bool = False,
    ) -> None:
        self.web = web
        self.folder, self.rounds, self.seed = folder, rounds, seed
        self.block_ms, self.kill, self.tempo = block_ms, kill, tempo
        self.validators, self.commit, self.commit_reveal = validator_names(validators), commit, commit_reveal
        environment = {"ASSAY_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        environment |= {"BITTENSOR_RUNTIME_CACHE_DIR": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
        self.crew = Crew(folder / "logs", environment)
        self.crew.prepare()  # first, since everything waits for it
        self.keys: Keys = make_keys(folder / "wallets", PLAYERS, seed, self.validators)
        self.board = Scoreboard(PLAYERS, self.keys.hotkeys, rounds, tempo)
        self.first_round_after = 0.0

    async def run(self, console: Console, json: bool) -> int:
        """Play, report, and stop everything; the status to exit with."""
        started = time.monotonic()
        async with AsyncExitStack() as stack:
            stop = stack.enter_context(until_signal(INTERRUPTED))
            stack.push_async_callback(self.crew.stop)
            if self.web:
                from neurons.localnet.site import shown

                address = await stack.enter_async_context(shown(self.folder, self.keys.hotkeys, self.validators))
                console.print(f"the game as pages: {address}", highlight=False)
            try:
                with console.status("starting the chain, the producer and the miners"):
                    starting = asyncio.create_task(self._start(stop))
                    if not await ends_before(stop, starting, grace=0.0):
                        return INTERRUPTED
                    chain = starting.result()
                stack.push_async_callback(chain.close)
                console.print(f"the chain, with subnet {NETUID}: {chain.endpoint}", highlight=False)
                with Live(console=console, refresh_per_second=4, get_renderable=self.board.render):
                    playing = asyncio.create_task(self._play(chain, started, stop))
                    if await ends_before(stop, playing, grace=0.0):
                        playing.result()
                if not console.is_terminal:
                    console.line()  # which rich leaves out there, behind the last table
            except (ProcessDied, ChainError) as error:
                console.print(f"[red]{error}[/red]", highlight=False)
                return 1
            if stop.is_set():
                console.print("stopped; no report was written")
                return INTERRUPTED
        from neurons.localnet.report import standings, summarise, write_report
        from neurons.localnet.site import leave

        summary = summarise(self.board, self.folder, time.monotonic() - started, self.first_round_after, self.seed)
        write_report(summary, self.board, self.folder)
        pages = leave(self.folder, self.keys.hotkeys, self.validators)
        told = f"{summary['verdict']}\nreport: {self.folder}\nin it, as pages: {pages}"
        console.print(standings(summary), told, sep="\n", highlight=False)
        if json:
            print(jsonlib.dumps(summary))
        return 1 if summary["as_expected"] is False else 0

    async def _start(self, stop: asyncio.Event) -> BittensorChain:
        """Everything at once, until all miners have published where they listen: with the last, rounds begin."""
        limits = {"tempo": self.tempo, "rate_limit": self.tempo // 4}
        first = genesis(self.keys, self.validators, **limits, commit_reveal=self.commit_reveal)
        path = self.folder / "genesis.json"
        path.write_text(first.to_json())
        endpoint = await self._start_chain(path)
        self.common = ["--netuid", str(NETUID), "--subtensor.chain_endpoint", endpoint]
        self.common += ["--wallet.path", str(self.keys.wallets)]
        for number in range(len(self.validators)):
            await self._start_validator(number)
        from subnet.chain.bittensor import BittensorChain
        from subnet.chain.wallets import open_wallet

        for player in PLAYERS:
            await self.crew.fork(player.name, [*player.command, *self.common, *_listening(player)])
        for number in range(len(self.validators)):
            making = ["producer", *self._own(number), "--stream", "main", "--split", "test", "--total", "120"]
            await self.crew.fork(_nth("producer", number), [*making, "--device", "cpu"], behind=PRODUCERS_BEHIND)
        chain = BittensorChain(endpoint, NETUID, open_wallet(VALIDATOR, "default", str(self.keys.wallets)))
        await self._await_miners(chain, stop)
        return chain

    def _own(self, number: int) -> list[str]:
        """Pool and seed of a validator and its producer."""
        seed, pool = self.folder / _nth("seed", number), self.folder / _nth("pool", number)
        write_atomically(seed, f"{self.seed + number}\n".encode(), mode=0o600)
        limits = ["--pool.gigabytes", "2", "--pool.floor_gigabytes", "0.2"]
        return ["--pool.path", str(pool), *limits, "--seed_file", str(seed)]

    async def _start_chain(self, path: Path) -> str:
        """Start the development chain and give its address."""
        arguments = ["--genesis", str(path), "--port", "0", "--block-ms", str(self.block_ms)]
        if self.commit_reveal:
            beacon = self.folder / "beacon.json"
            beacon.write_text(jsonlib.dumps({PAST_ROUND: PAST_SIGNATURE}))
            arguments += ["--beacon", str(beacon)]
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
        """Follow the validators to their end, and the chain to the next epoch, which pays by their last weights."""
        playing = [self.crew.processes[name] for name in self.validators]
        lines = playing[0].stdout
        assert lines
        watching = asyncio.create_task(self._watch(chain, stop))
        ending = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                reading = asyncio.create_task(lines.readline())
                await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    reading.cancel()
                    return
                if not (line := reading.result()):
                    break
                self._take(jsonlib.loads(line), time.monotonic() - started)
                self.crew.check("chain", "producer")
            for name, ended in zip(self.validators, playing, strict=True):
                if await ended.wait() != 0:
                    raise ProcessDied(f"{name} ended with status {ended.returncode}:\n{self.crew.tail(name)}")
            await self._await_epoch(chain, stop)
            self.board.trust = await chain.trust()
            self.board.epochs = await read_epochs(chain, self.board.block, self.tempo)
            for name in self.validators:
                self.board.validators[name] = await chain.weights(self.board.neurons[self.keys.hotkeys[name]].uid)
            if self.commit and not stop.is_set():
                from neurons.localnet.proof import prove

                self.board.evidence = await prove(self.crew, self.folder, self.validators, chain.endpoint)
        finally:
            ending.cancel()
            watching.cancel()

    async def _start_validator(self, number: int) -> None:
        """The first one is watched: its rounds come as lines of JSON, its challenges as small pictures."""
        name = self.validators[number]
        arguments = ["validator", *self.common, "--wallet.name", name, "--local", *self._own(number)]
        arguments += ["--rounds", str(self.rounds), "--state", str(self.folder / name)]
        arguments += ["--neuron.interval", "0", "--neuron.epoch_length", str(self.tempo // 2), "--neuron.timeout", "15"]
        arguments += ["--neuron.min_answers", str(MIN_ANSWERS)]
        arguments += ["--neuron.await_miners", str(len(PLAYERS))]
        arguments += [] if number else ["--json", "--gallery", str(self.folder / "gallery")]
        arguments += ["--neuron.commit" if self.commit else "--neuron.no-commit"]
        arguments += ["--neuron.seal_round", str(PAST_ROUND)] if self.commit_reveal else []
        await self.crew.start(name, "neurons", arguments)

    def _take(self, line: dict[str, object], seconds: float) -> None:
        """One round was played: from the first on, rounds wait for media. Half way, those that leave are killed."""
        if not self.board.lines:
            self.first_round_after = seconds
            for number in range(len(self.validators)):
                self.crew.catch_up(_nth("producer", number))
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
        target = self.board.block + self.tempo * (1 + self.commit_reveal) + 2  # sealed weights open an epoch later
        while self.board.block < target and not stop.is_set():
            self.crew.check("chain")
            await pause(stop, 0.25)
            await self._look(chain)


def _nth(name: str, number: int) -> str:
    return f"{name}-{number + 1}" if number else name


def _listening(player: Player) -> Sequence[str]:
    return ("--wallet.name", player.name, "--axon.ip", "127.0.0.1", "--axon.port", "0")
