"""Run a development chain: python -m subnet.chain.devnode --help. Prints READY ws://HOST:PORT when it listens."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from subnet.chain.devnode.keys import seeded
from subnet.chain.devnode.ledger.genesis import Genesis
from subnet.chain.devnode.node.chain import DevChain
from subnet.chain.devnode.node.faults import Faults
from subnet.chain.devnode.node.server import Node
from subnet.chain.devnode.node.store import Store, read, write
from subnet.chain.devnode.runtime.metadata import read_metadata
from subnet.errors import SettingsError
from subnet.lifetime import end_soon, end_with_parent


def parser() -> argparse.ArgumentParser:
    """The flags; each of the rules given here wins over the genesis file."""
    flags = argparse.ArgumentParser(prog="python -m subnet.chain.devnode", description=__doc__)
    flags.add_argument("--host", default="127.0.0.1", help="address to listen on")
    flags.add_argument("--port", type=int, default=9944, help="0 picks a free one (default %(default)d)")
    flags.add_argument("--genesis", type=Path, help="JSON file with netuid, rules and neurons {hotkey, coldkey, stake}")
    flags.add_argument(
        "--seed-keys", type=int, default=0, metavar="N", help="neurons //Val0, //Miner0 ... //MinerN-1, 0: none"
    )
    flags.add_argument("--netuid", type=int, help="number of the subnet")
    flags.add_argument(
        "--block-ms",
        type=int,
        default=250,
        help="time between blocks (default %(default)d); 0: only when a transaction waits",
    )
    flags.add_argument("--tempo", type=int, help="blocks between epochs")
    flags.add_argument("--weights-rate-limit", type=int, help="blocks between weights of one validator")
    flags.add_argument("--version-key", type=int, help="least version of weights")
    flags.add_argument("--commit-reveal", action="store_true", default=None, help="weights must come sealed")
    flags.add_argument("--allow-loopback", action="store_true", default=None, help="accept axons on exactly 127.0.0.1")
    flags.add_argument("--state", type=Path, help="file in which the chain lives on when the node is stopped or killed")
    flags.add_argument("--burn", type=float, help="TAO that a registration costs")
    flags.add_argument("--beacon", type=Path, help='JSON file {"round": "signature in hex"} of drand quicknet')
    flags.add_argument("--faults", type=json.loads, default={}, help="JSON object; see devnode/node/faults.py")
    return flags


def genesis_of(given: argparse.Namespace) -> Genesis:
    """The genesis from file or seed keys, with the flags on top. Raises SettingsError."""
    genesis = Genesis()
    if given.genesis:
        try:
            genesis = Genesis.from_json(given.genesis.read_text())
        except OSError as error:
            raise SettingsError(f"--genesis {given.genesis}: {error.strerror}") from error
    elif given.seed_keys:
        genesis = seeded(validators=1, miners=given.seed_keys)
    names = ("tempo", "weights_rate_limit", "version_key", "commit_reveal", "allow_loopback", "burn")
    chosen = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    netuid = genesis.netuid if given.netuid is None else given.netuid
    return replace(genesis, netuid=netuid, rules=replace(genesis.rules, **chosen))


def chain_of(given: argparse.Namespace) -> DevChain:
    """The chain of --state, or a new one. Raises SettingsError when flags ask for another than --state holds."""
    saved = read(given.state) if given.state else None
    if saved is None:
        return DevChain(genesis_of(given), read_metadata(), time.time)
    bare = parser().parse_args([])
    if genesis_of(given) not in (saved.genesis, genesis_of(bare)):
        raise SettingsError(
            f"--state {given.state}: holds another chain than the flags describe; leave them out, or name another file"
        )
    return DevChain(saved.genesis, read_metadata(), time.time, saved)


async def run(given: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    chain = chain_of(given)
    if given.state:
        write(given.state, chain.saved())
    chain.faults = Faults().changed(given.faults)
    if given.beacon:
        for number, signature in json.loads(given.beacon.read_text()).items():
            chain.beacon.publish(int(number), signature)
    node = Node(
        chain,
        block_ms=given.block_ms,
        instant=given.block_ms == 0,
        host=given.host,
        store=given.state and Store(given.state),
    )
    stop = asyncio.Event()

    def end() -> None:
        end_soon()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        await node.start(given.port)
    except OSError as error:
        raise SettingsError(
            f"--port {given.port}: {error.strerror or error}; choose another, or 0 for a free one"
        ) from error
    sys.stdout.write(f"READY {node.endpoint}\n")
    sys.stdout.flush()
    await stop.wait()
    await node.stop()


def main() -> int:
    """Exit code 2 for a wrong flag or file."""
    end_with_parent()
    try:
        asyncio.run(run(parser().parse_args()))
    except ValueError as error:
        sys.stderr.write(f"devnode: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
