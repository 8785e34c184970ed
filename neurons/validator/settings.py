"""Everything that decides how one validator runs, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from neurons import settings as s
from subnet.errors import SettingsError
from subnet.game.sampling import Sampling


@dataclass(frozen=True)
class ValidatorSettings:
    """The validator's flags, as `assay validator --help` describes them; `sampling` follows from the plan's file."""

    netuid: int
    sampling: Sampling
    neuron: s.NeuronSettings = s.NeuronSettings()
    subtensor: s.SubtensorSettings = s.SubtensorSettings()
    wallet: s.WalletSettings = s.WalletSettings()
    pool: s.PoolSettings = s.PoolSettings()
    state: Path | None = None
    seed: int | None = None
    rounds: int | None = None
    local: bool = False
    seed_file: Path | None = None
    segments: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.netuid <= 65535:
            raise SettingsError(f"--netuid must be in 0..65535, not {self.netuid}")
        if self.neuron.seal_round is not None and not self.local:
            raise SettingsError("--neuron.seal_round hides weights from nobody: it is for --local alone; leave it out")
        if self.neuron.await_miners and not self.local:
            raise SettingsError("--neuron.await_miners would wait for ever on a real network: it is for --local alone")

    def folder(self, hotkey: str) -> Path:
        """Where this validator's journal, ledger and seed lie."""
        return self.state or s.home() / f"validator-{self.netuid}-{hotkey}"
