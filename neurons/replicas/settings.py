"""Where replicas run, and how many, as `assay replicas --help` describes it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from cyclopts import Parameter

from subnet.errors import SettingsError


@Parameter(name="ray")
@dataclass(frozen=True)
class ClusterSettings:
    """The cluster, and each replica's share of it."""

    address: str | None = None
    """A running cluster to join: auto, or HOST:PORT; else $RAY_ADDRESS, else one is started on this machine."""
    replicas: int = 1
    """Processes for each modality, spread over the hosts."""
    cpus: float = 1.0
    """Processors that one of them takes."""
    gpus: float = 0.0
    """Cards that one of them takes; 0.5 shares one."""
    host: str = "127.0.0.1"
    """Address that every host with a replica listens on. Whoever reaches it is answered: no signature is asked for."""
    port: int = 8000
    """Port there: `--detector.address http://127.0.0.1:8000` of `assay miner` and `assay web` on any of these hosts."""

    def __post_init__(self) -> None:
        if self.replicas < 1:
            raise SettingsError(f"--ray.replicas must be at least 1, not {self.replicas}")
        for name in ("cpus", "gpus"):
            if not 0 <= getattr(self, name) < 1e6:
                raise SettingsError(f"--ray.{name} must be from 0 on, not {getattr(self, name)}")
        if not 1 <= self.port <= 65535:
            raise SettingsError(f"--ray.port must be in 1..65535, not {self.port}")
        try:
            ipaddress.ip_address(self.host)
        except ValueError as error:
            raise SettingsError(f"--ray.host must be an IP address, not {self.host!r}") from error
