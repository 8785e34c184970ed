"""Who plays in the local network: the table of miners, their keys, and the first state of its chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from subnet.chain.devnode.keys import wallet_from_seed
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules

NETUID = 34
VALIDATOR = "validator"
STAKE = 100_000.0  # TAO of each validator
MOST_VALIDATORS = 16


@dataclass(frozen=True)
class Player:
    """One miner: the name it is shown by, its command, and what becomes of it."""

    name: str
    command: tuple[str, ...]
    leaves: bool = False  # is killed half way
    expect: str = "any"  # high, low, zero or any: where the verdict wants it


def _serving(image: str, video: str) -> tuple[str, ...]:
    detectors = ("--detector.image", image, "--detector.video", video, "--detector.device", "cpu")
    return ("miner", "--local", *detectors, "--detector.serving", "plain")  # exports would outlast the game


PLAYERS = (
    Player("npr", _serving("npr", "frames"), expect="high"),
    Player("ucf-tall", _serving("ucf", "tall"), expect="high"),
    Player("camo", _serving("camo", "frames"), expect="high"),
    Player("npr-weak", _serving("npr-weak", "tall")),
    Player("random", _serving("random", "random-video"), expect="low"),
    Player("constant", _serving("constant", "constant-video"), expect="low"),
    Player("out-of-range", ("rogue",), expect="zero"),
    Player("offline", _serving("npr", "constant-video"), leaves=True, expect="zero"),
)


@dataclass(frozen=True)
class Keys:
    """Hotkey addresses (ss58) by player, the validator's too; the wallets lie in a folder of the run."""

    wallets: Path
    hotkeys: dict[str, str]


def validator_names(count: int) -> tuple[str, ...]:
    """validator, validator-2, validator-3 ..."""
    return (VALIDATOR, *(f"{VALIDATOR}-{number}" for number in range(2, count + 1)))


def make_keys(folder: Path, players: Sequence[Player], seed: int, validators: Sequence[str] = (VALIDATOR,)) -> Keys:
    """Wallets for the validators and the players: the same for the same seed, so that their variants are too."""
    names = [*validators, *(player.name for player in players)]
    return Keys(folder, {name: wallet_from_seed(name, folder, str(seed)).hotkey.ss58_address for name in names})


def genesis(
    keys: Keys,
    validators: Sequence[str] = (VALIDATOR,),
    *,
    tempo: int,
    rate_limit: int,
    commit_reveal: bool = False,
) -> Genesis:
    """The first state: the validators have the stake, in equal parts, so the first uids and the only permits."""
    neurons = tuple(
        GenesisNeuron(hotkey, hotkey, stake=STAKE if name in validators else 0.0)
        for name, hotkey in keys.hotkeys.items()
    )
    rules = Rules(tempo=tempo, weights_rate_limit=rate_limit, commit_reveal=commit_reveal, allow_loopback=True)
    return Genesis(NETUID, neurons, rules)
