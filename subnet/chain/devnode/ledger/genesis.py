"""How a development chain begins: one subnet, its hyperparameters and its first neurons. Plain values and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from subnet.errors import SettingsError
from subnet.types import U16

RAO = 10**9  # rao in one TAO


@dataclass(frozen=True)
class Rules:
    """The subnet's hyperparameters. Blocks unless said otherwise; defaults are the chain's, made small where noted."""

    tempo: int = 20  # blocks between epochs; 360 on the public chain
    weights_rate_limit: int = 5  # 100 on the public chain
    version_key: int = 0
    min_allowed_weights: int = 1
    max_weight_limit: int = U16  # share of the sum; U16 means no limit
    commit_reveal: bool = False
    reveal_period: int = 1  # epochs
    immunity_period: int = 4096
    serving_rate_limit: int = 50
    activity_cutoff: int = 5000  # without weights for longer, a validator's stake does not count
    max_uids: int = 256
    max_validators: int = 64
    stake_threshold: float = 0.0  # TAO needed to set weights
    registration: bool = True
    burn: float = 0.1  # TAO that a registration costs
    owner: str = ""  # hotkey of the subnet's owner: exempt from the permit
    allow_loopback: bool = False  # accept an axon on exactly 127.0.0.1 or ::1, which the public chain refuses


@dataclass(frozen=True)
class GenesisNeuron:
    """A neuron that is there from block 0; ss58 addresses, stake in TAO."""

    hotkey: str
    coldkey: str
    stake: float = 0.0


@dataclass(frozen=True)
class Genesis:
    """The first state. Uids are positions in `neurons`."""

    netuid: int = 1
    neurons: tuple[GenesisNeuron, ...] = ()
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        if not 1 <= self.netuid < 4096:
            raise SettingsError(f"genesis: netuid must be in 1..4095, not {self.netuid}")
        if self.rules.tempo < 1:
            raise SettingsError(f"genesis: rules.tempo must be at least 1 block, not {self.rules.tempo}")
        for name in ("burn", "stake_threshold"):
            amount = getattr(self.rules, name)
            if not (math.isfinite(amount) and amount >= 0):
                raise SettingsError(f"genesis: rules.{name} must be a number >= 0 of TAO, not {amount}")
        if len(self.neurons) > self.rules.max_uids:
            raise SettingsError(f"genesis: {len(self.neurons)} neurons, but rules.max_uids is {self.rules.max_uids}")
        hotkeys = [neuron.hotkey for neuron in self.neurons]
        twice = sorted({hotkey for hotkey in hotkeys if hotkeys.count(hotkey) > 1})
        if twice:
            raise SettingsError(f"genesis: hotkey {twice[0]} stands twice in neurons")
        for neuron in self.neurons:
            if not (math.isfinite(neuron.stake) and neuron.stake >= 0):
                raise SettingsError(f"genesis: the stake of {neuron.hotkey} must be a number >= 0, not {neuron.stake}")

    def to_json(self) -> str:
        """One JSON object; `from_json` reads it back."""
        return json.dumps(asdict(self), indent=2)

    @staticmethod
    def from_json(text: str) -> Genesis:
        """Raises SettingsError naming the field that is unknown, missing or of the wrong type."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise SettingsError(f"genesis: not JSON: {error}") from error
        record = _record(data, Genesis, "genesis")
        rows = record.get("neurons", [])
        if not isinstance(rows, list):
            raise SettingsError("genesis: neurons must be a list")
        neurons = tuple(GenesisNeuron(**_record(row, GenesisNeuron, f"neurons[{i}]")) for i, row in enumerate(rows))
        rules = Rules(**_record(record.get("rules", {}), Rules, "rules"))
        return Genesis(netuid=record.get("netuid", 1), neurons=neurons, rules=rules)


_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}


def _record(data: Any, kind: type, where: str) -> dict[str, Any]:
    """`data` if it is an object with only the fields of `kind`, each of its type."""
    if not isinstance(data, Mapping):
        raise SettingsError(f"{where} must be an object, not {type(data).__name__}")
    known = {f.name: str(f.type) for f in fields(kind)}
    for name, value in data.items():
        if name not in known:
            raise SettingsError(f"{where}: unknown field {name!r}; there are: {', '.join(known)}")
        allowed = _TYPES.get(known[name])
        if allowed and (not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed)):
            raise SettingsError(f"{where}: {name} must be {known[name]}, not {value!r}")
    required = {"hotkey", "coldkey"} & known.keys()
    if missing := sorted(required - data.keys()):
        raise SettingsError(f"{where}: {missing[0]} is missing")
    return dict(data)
