"""Everything that decides how one validator runs, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from neurons import settings as s
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

    def folder(self, hotkey: str) -> Path:
        """Where this validator's journal, ledger and seed lie."""
        return self.state or s.home() / f"validator-{self.netuid}-{hotkey}"
