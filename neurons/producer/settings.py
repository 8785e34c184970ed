"""The producer's own families of flags, as `assay producer --help` describes them."""

from __future__ import annotations

from dataclasses import dataclass

from cyclopts import Parameter

from generators.prompts.rows import CAPTIONERS, REPHRASERS
from subnet.errors import SettingsError
from subnet.registry import find


@Parameter(name="ray")
@dataclass(frozen=True)
class Cluster:
    """Where --ray works."""

    address: str | None = None
    """A running cluster to join: auto, or HOST:PORT; else $RAY_ADDRESS, else one is started on this machine."""
    card_gigabytes: float | None = None
    """Memory of one card of the cluster: models share a card as far as they fit. By default that of this machine."""

    def __post_init__(self) -> None:
        if self.card_gigabytes is not None and not self.card_gigabytes > 0:
            raise SettingsError(f"--ray.card_gigabytes must be above 0, not {self.card_gigabytes:g}")


@Parameter(name="prompts")
@dataclass(frozen=True)
class Prompts:
    """Where the prompts of generators come from."""

    captioner: str | None = None
    """Describe the plan's real images as prompts: blip2 (needs a GPU) or blip. Without it prompts are made up."""
    rephraser: str | None = None
    """Chat model that makes better prompts of the descriptions: llama-8b (needs a GPU) or smollm2."""

    def __post_init__(self) -> None:
        """Raises UnknownName, and SettingsError for a rephraser that has nothing to rephrase."""
        for name, rows in ((self.captioner, CAPTIONERS), (self.rephraser, REPHRASERS)):
            if name is not None:
                find(rows, name, "model for prompts")
        if self.rephraser is not None and self.captioner is None:
            raise SettingsError("--prompts.rephraser needs descriptions to work on: give --prompts.captioner, too")
