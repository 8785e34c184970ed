"""The network of a run, as its recipe and the settings size it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from detectors.families import network_size
from detectors.training.recipes import Recipe
from subnet.errors import SettingsError
from subnet.registry import resolve

if TYPE_CHECKING:
    from detectors.training.loop import Training


def arguments(settings: Training, chosen: Recipe, origins: int) -> dict[str, Any]:
    """Arguments of the network to train. Raises SettingsError for one that it does not take, naming those it does."""
    own = network_size(chosen.family, origins, settings.size)
    given = dict(settings.network or {})
    known = list(inspect.signature(resolve(chosen.family.network)).parameters)
    if unknown := sorted(set(given) - set(known)):
        takes = f"takes {', '.join(known)}" if known else "takes none"
        raise SettingsError(f"network: {chosen.name} has no argument {', '.join(unknown)}; it {takes}")
    return {**own, **given}


def build(chosen: Recipe, size: Mapping[str, Any]) -> nn.Module:
    """The untrained network. Raises SettingsError for arguments out of range."""
    try:
        network: nn.Module = resolve(chosen.family.network)(**size)
    except (ValueError, TypeError, RuntimeError) as error:
        raise SettingsError(f"network: {chosen.name}: {error}") from error
    return network
