"""Flags and variables, by the names that miners and validators of the ecosystem know.

A flag wins over its variable, a variable over the file given with --config, the file over the default. Each class is
one family of dotted flags; its field docstrings are the help texts.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from subnet import files
from subnet.chain import check_endpoint
from subnet.errors import SettingsError
from subnet.types import Split

if TYPE_CHECKING:
    from subnet.media.pool.ledger import Ledger
    from subnet.media.pool.pool import Pool

VALIDATOR_STAKE = 1000.0  # TAO; with a permit and this much, a neuron is a validator to miners and to other validators
KEPT = "kept"  # below a validator's state: media that was asked
VERSION_KEY = 2  # raised whenever the same answers give other weights than in the last version

LEAST = 0.001  # of what must be above 0, where less is as good as nothing

home = files.home
Deadline = Annotated[float, Parameter(validator=validators.Number(gt=0))]  # seconds
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for machines instead of tables.")]


@Parameter(name="subtensor")
@dataclass(frozen=True)
class SubtensorSettings:
    """Which chain to speak to."""

    network: Annotated[str, Parameter(env_var=("BT_NETWORK", "BT_SUBTENSOR_NETWORK"))] = "finney"
    """A known network: finney, test or local."""
    chain_endpoint: Annotated[str | None, Parameter(env_var=("BT_CHAIN_ENDPOINT", "BT_SUBTENSOR_CHAIN_ENDPOINT"))] = (
        None
    )
    """ws:// or wss:// address of a node; wins over the network. Several, with commas between them, are used in turn
    when one fails."""

    def __post_init__(self) -> None:
        if not self.network.strip():
            raise SettingsError("--subtensor.network is empty: give finney, test or local (variable BT_NETWORK)")
        check_endpoint("--subtensor.network (variable BT_NETWORK)", self.network)
        for name in self.chain_endpoint.split(",") if self.chain_endpoint else ():
            if not name.strip().startswith(("ws://", "wss://")):
                raise SettingsError(f"--subtensor.chain_endpoint must begin with ws:// or wss://, not {name!r}")

    @property
    def endpoint(self) -> str:
        return self.chain_endpoint or self.network


@Parameter(name="wallet")
@dataclass(frozen=True)
class WalletSettings:
    """Whose keys to sign with."""

    name: Annotated[str, Parameter(env_var=("BT_WALLET_NAME", "BT_WALLET"))] = "default"
    """Name of the coldkey."""
    hotkey: Annotated[str, Parameter(env_var="BT_WALLET_HOTKEY")] = "default"
    """Name of the hotkey."""
    path: Annotated[Path, Parameter(env_var="BT_WALLET_PATH")] = Path("~/.bittensor/wallets")
    """Folder of the wallets."""

    def __post_init__(self) -> None:
        for flag, name in (("name", self.name), ("hotkey", self.hotkey)):
            if not name.strip():
                raise SettingsError(f"--wallet.{flag} is empty: name one (variable BT_WALLET_{flag.upper()})")
            if name != name.strip() or name[0] in "\"'":
                raise SettingsError(f"--wallet.{flag} is a name without quotes or blanks around it, not {name!r}")
            if name in {".", ".."} or {"/", "\\", "\0"} & set(name):
                raise SettingsError(f"--wallet.{flag} is a name, no path, not {name!r}: folders go to --wallet.path")


@Parameter(name="axon")
@dataclass(frozen=True)
class AxonSettings:
    """Where the miner's server listens."""

    port: Annotated[int, Parameter(env_var="BT_AXON_PORT")] = 8091
    """Port to listen on; 0 takes a free one."""
    ip: Annotated[str, Parameter(env_var="BT_AXON_IP")] = "0.0.0.0"
    """Address to listen on."""
    external_ip: Annotated[str | None, Parameter(env_var="BT_AXON_EXTERNAL_IP")] = None
    """Address to publish on chain: the one that validators can reach."""
    external_port: Annotated[int | None, Parameter(env_var="BT_AXON_EXTERNAL_PORT")] = None
    """Port to publish on chain, when another than the one listened on."""
    monitors: tuple[str, ...] = ("127.0.0.0/8", "::1")
    """Networks that may read /metrics, /docs and /openapi.json; to all others they do not exist. Behind a proxy on this
    machine every caller is 127.0.0.1: have the proxy refuse those paths."""

    def __post_init__(self) -> None:
        for name, port in (("port", self.port), ("external_port", self.external_port)):
            if port is not None and not 0 <= port <= 65535:
                raise SettingsError(f"--axon.{name} must be in 0..65535, not {port}")
        for name, address in (("ip", self.ip), ("external_ip", self.external_ip)):
            try:
                ipaddress.ip_address(address or "0.0.0.0")
            except ValueError as error:
                raise SettingsError(f"--axon.{name} must be an IP address, not {address!r}") from error
        for network in self.monitors:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError as error:
                raise SettingsError(f"--axon.monitors must be IP networks, not {network!r}") from error


@Parameter(name="blacklist")
@dataclass(frozen=True)
class BlacklistSettings:
    """Who may ask this miner."""

    force_validator_permit: bool = True
    """Only validators with a permit."""
    allow_non_registered: bool = False
    """Hotkeys that are not in the metagraph too."""
    min_stake: float = VALIDATOR_STAKE
    """Least stake of a validator, in TAO: below it a key may be another miner's that has you answer for it."""
    hotkeys: tuple[str, ...] = ()
    """Hotkeys that are always refused."""
    rate: float = 20.0
    """Requests per second and hotkey, at least 0.001."""

    def __post_init__(self) -> None:
        if self.rate < LEAST:
            raise SettingsError(f"--blacklist.rate must be at least {LEAST}, not {self.rate:g}: nobody could ask")
        for hotkey in self.hotkeys:
            check_address("--blacklist.hotkeys", hotkey)


@Parameter(name="neuron")
@dataclass(frozen=True)
class NeuronSettings:
    """How the validator plays."""

    sample_size: int = 50
    """Miners asked per round."""
    timeout: float = 10.0
    """Seconds that miners have to answer."""
    interval: float = 30.0
    """Seconds from one round to the next; 0 plays as fast as it can."""
    epoch_length: int = 100
    """Blocks between two settings of weights, when the chain's rate limit is not longer."""
    irregular: Annotated[bool, Parameter(negative="")] = False
    """Draw the time between rounds at random, about --neuron.interval, and ask each on a connection of its own: so no
    miner tells by the clock what a gateway asks."""
    min_answers: int = 24
    """Answers that the median miner must have given before the first weights are set: fewer pay luck."""
    vpermit_tao_limit: float = VALIDATOR_STAKE
    """A neuron with a permit and at least this stake (TAO) is a validator, and not asked."""
    seal_round: int | None = None
    """With --local: seal weights (commit-reveal) to this past round of the drand beacon, which a chain without internet
    can open, rather than to the one that is due."""
    await_miners: int = 0
    """With --local: play no round before so many miners have published where they listen."""
    twin_share: float = 0.0
    """Share of rounds, 0 to 1, in which some miners are asked a photograph and the others its synthetic twin: answers
    shared by look are wrong half of the time. Works on synthetic items that were made from the embedded set."""
    share_places: Annotated[bool, Parameter(negative="")] = False
    """Pay a cluster of miners that answer alike as its best one, in equal parts; honest miners with one public detector
    share a place, too."""
    disable_set_weights: bool = False
    """Score, but set no weights."""
    forward: Annotated[bool, Parameter(negative="")] = False
    """Go on with a state that is older than what this hotkey committed on chain, behind all that it may have played, or
    with none where it has set weights."""
    keep_media: float = 24.0
    """Hours for which media that was asked is kept in the state folder, for `assay publish --media`; 0 deletes it."""
    keep_gigabytes: float = 2.0
    """Most that kept media may take; the oldest goes first."""
    commit: bool = True
    """Commit on chain to the secret of each epoch's challenges, and reveal it after the epoch's weights."""
    take_over: Annotated[bool, Parameter(negative="")] = False
    """Set weights at once where the chain shows work of this hotkey that is not in this journal: only when the machine
    that did it is off. By default the validator first looks for one tempo, and sets none if it goes on elsewhere."""

    def __post_init__(self) -> None:
        for name in ("timeout", "sample_size", "epoch_length"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"--neuron.{name} must be above 0, not {getattr(self, name)}")
        for name in ("keep_media", "keep_gigabytes", "min_answers", "vpermit_tao_limit"):
            if not getattr(self, name) >= 0:
                raise SettingsError(f"--neuron.{name} must not be negative, not {getattr(self, name)}")
        if not 0 <= self.twin_share <= 1:
            raise SettingsError(f"--neuron.twin_share must be in [0, 1], not {self.twin_share}")


@Parameter(name="pool")
@dataclass(frozen=True)
class PoolSettings:
    """Where ready media lies, and how much of the disk it may take."""

    path: Path | None = None
    """Folder of the pool; by default below $ASSAY_HOME."""
    gigabytes: float = 20.0
    """Most that the pool may hold."""
    floor_gigabytes: float = 1.0
    """Free space that is always left on the disk."""

    def __post_init__(self) -> None:
        if self.gigabytes < LEAST:
            raise SettingsError(f"--pool.gigabytes must be at least {LEAST}, not {self.gigabytes:g}: nothing would fit")

    @property
    def folder(self) -> Path:
        return self.path or home() / "pool"

    def open(self, ledger: Ledger | None = None) -> Pool:
        """The pool these settings name; without a `ledger`, who was asked what is forgotten with the process."""
        from subnet.media.pool.pool import GIGABYTE, Pool

        budget, floor = int(self.gigabytes * GIGABYTE), int(self.floor_gigabytes * GIGABYTE)
        return Pool(self.folder, ledger=ledger, budget=budget, floor=floor)


@Parameter(name="*")
@dataclass(frozen=True)
class ProducerSettings:
    """What the producer makes, from what, and where."""

    plan: Path | None = None
    """TOML file: what to make in which shares. Without one: the embedded set and the embedded generators."""
    total: int = 2000
    """Items to keep ready, when there is no plan."""
    seed: int | None = None
    """Same seed, stream and plan: same items. Every user of the machine sees it in `ps`, so for tests only."""
    seed_file: Path | None = None
    """File with the secret seed; by default it is drawn once and kept below $ASSAY_HOME/producer."""
    stream: str | None = None
    """Name of this producer in the pool; no two producers of one pool may share it. By default from the seed."""
    split: Split = Split.TRAIN
    """Which part of the embedded set real media and reconstructions are taken from."""
    folder: Annotated[dict[str, Path], Parameter(show_default=False)] = field(default_factory=dict)
    """A folder of real media under a name that the plan uses: --folder.holiday ~/photos."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    once: Annotated[bool, Parameter(negative="")] = False
    """Stop when all targets are met."""
    threads: int | None = None
    """Origins that are worked on side by side; by default one for each processor, and one where there is a GPU."""
    ray: Annotated[bool, Parameter(negative="")] = False
    """Work on a Ray cluster, one worker for each origin of the plan: pip install 'assay-subnet[ray]'."""

    def __post_init__(self) -> None:
        if self.stream is not None:
            from subnet.media.pool.item import check_stream  # with the codecs: wrong flags need not wait

            try:
                check_stream(self.stream)
            except ValueError as error:
                raise SettingsError(f"--stream: {error}") from error
        if self.threads is not None and self.threads < 1:
            raise SettingsError(f"--threads must be at least 1, not {self.threads}")


@Parameter(name="logging")
@dataclass(frozen=True)
class LoggingSettings:
    """What is written to standard error, and to a file."""

    level: Annotated[str, Parameter(env_var="BT_LOGGING_LEVEL")] = "info"
    """debug, info, warning or error."""
    debug: Annotated[bool, Parameter(negative="", env_var="BT_LOGGING_DEBUG")] = False
    """The same as --logging.level debug."""
    trace: Annotated[bool, Parameter(negative="", env_var="BT_LOGGING_TRACE")] = False
    """The same as --logging.level debug."""
    file: Path | None = None
    """Write JSON lines to this file, too. It is for the owner's eyes only."""
    megabytes: float = 50.0
    """Size from which on the file becomes FILE.1, and the older ones FILE.2 and so on."""
    keep: int = 5
    """Older files that are kept."""

    def __post_init__(self) -> None:
        if not 0 < self.megabytes < 1e6:
            raise SettingsError(f"--logging.megabytes must be above 0 and below 1e6, not {self.megabytes:g}")
        if not 1 <= self.keep <= 1000:
            raise SettingsError(f"--logging.keep must be from 1 to 1000, not {self.keep}")
        if self.level.lower() not in {"debug", "info", "warning", "error"}:
            raise SettingsError(f"--logging.level must be debug, info, warning or error, not {self.level!r}")


@Parameter(name="wandb")
@dataclass(frozen=True)
class WandbSettings:
    """Numbers of rounds for Weights & Biases: pip install 'assay-subnet[wandb]'."""

    project_name: str | None = None
    """Project to send to; without one nothing is sent. $WANDB_API_KEY is your key."""
    entity: str | None = None
    """Team or user of the project; by default the key's."""
    offline: Annotated[bool, Parameter(negative="")] = False
    """Keep the numbers in the state folder, for `wandb sync`."""
    off: Annotated[bool, Parameter(negative="")] = False
    """Send nothing, whatever else is said."""

    @property
    def on(self) -> bool:
        return self.project_name is not None and not self.off


def check_address(flag: str, address: str) -> None:
    """Raises SettingsError for what is no ss58 address of a key: a misspelt one names nobody."""
    import bittensor_core

    try:
        bittensor_core.Keypair(ss58_address=address)
    except ValueError as error:
        raise SettingsError(f"{flag} must be ss58 addresses (5Grwva...), not {address!r}: copy it anew") from error


GPUS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvhost-gpu", "/dev/kfd", "/dev/dxg")  # drivers' device files on Linux


def device(name: str, flag: str = "--device") -> str:
    """ "auto" becomes "cuda" where there is a GPU; anything that is not there is a SettingsError.

    torch is asked only where the machine shows a GPU's device file, or another device than the CPU is wanted.
    """
    if name == "cpu" or (name == "auto" and not any(Path(file).exists() for file in GPUS)):
        return "cpu"
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise SettingsError(f"{flag} {name}: this machine has no CUDA device; use {flag} cpu or auto")
    try:
        torch.device(name)
    except RuntimeError as error:
        raise SettingsError(f"{flag} {name!r} is not a device; use auto, cpu or cuda:N") from error
    return name
