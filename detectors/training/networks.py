"""The network of a run, as its recipe and the settings size it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from detectors.families import network_size
from detectors.training.recipes import Recipe
from subnet.errors import SettingsError
from subnet.registry import resolve


def arguments(chosen: Recipe, origins: int, size: str, network: Mapping[str, Any] | None) -> dict[str, Any]:
    """Arguments of the network of a size, with those of `network` in place of its own.

    Raises SettingsError for one that it does not take, naming those it does, and for a fraction where it counts.
    """
    own = network_size(chosen.family, origins, size)
    given = dict(network or {})
    known = inspect.signature(resolve(chosen.family.network)).parameters
    if unknown := sorted(set(given) - set(known)):
        takes = f"takes {', '.join(known)}" if known else "takes none"
        raise SettingsError(f"network: {chosen.name} has no argument {', '.join(unknown)}; it {takes}")
    for name, value in given.items():
        if known[name].annotation in ("int", int) and not isinstance(value, int):
            raise SettingsError(f"network: {name} of {chosen.name} must be a whole number, not {value}")
    return {**own, **given}


def build(chosen: Recipe, size: Mapping[str, Any]) -> nn.Module:
    """The untrained network. Raises SettingsError for arguments out of range."""
    try:
        network: nn.Module = resolve(chosen.family.network)(**size)
    except (ValueError, TypeError, RuntimeError) as error:
        raise SettingsError(f"network: {chosen.name}: {error}") from error
    return network
