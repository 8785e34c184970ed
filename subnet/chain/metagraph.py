"""From the SDK's metagraph to our `Snapshot`. Knows the SDK's shapes, but does not import it."""

from __future__ import annotations

import math
from typing import Any

from subnet.types import Endpoint, Hyperparameters, Neuron, Snapshot


def snapshot_of(netuid: int, graph: Any) -> Snapshot:
    """Of a bittensor.Metagraph; its `raw` record has the hyperparameters."""
    raw = graph.raw
    return Snapshot(
        netuid=netuid,
        block=int(graph.block),
        neurons=tuple(_neuron(row) for row in graph),
        hyperparameters=Hyperparameters(
            tempo=int(graph.tempo),
            weights_rate_limit=int(raw["weights_rate_limit"]),
            version_key=int(raw["weights_version"]),
            min_allowed_weights=int(raw["min_allowed_weights"]),
            max_weight_limit=int(raw["max_weights_limit"]),
            commit_reveal=bool(raw["commit_reveal_weights_enabled"]),
            immunity_period=int(raw["immunity_period"]),
        ),
    )


def _neuron(row: Any) -> Neuron:
    stake = float(row.total_stake.amount)
    return Neuron(
        uid=int(row.uid),
        hotkey=str(row.hotkey),
        coldkey=str(row.coldkey),
        stake=stake if math.isfinite(stake) else 0.0,
        permit=bool(row.validator_permit),
        endpoint=endpoint_of(row.axon),
        last_update=int(row.last_update),
        registered_at=int(row.block_at_registration),
        incentive=float(row.incentive),
        dividends=float(row.dividends),
    )


def endpoint_of(axon: str | None) -> Endpoint | None:
    """Of "1.2.3.4:8091" or "[::1]:8091"; None for nothing served and for what cannot be an address."""
    host, _, port = (axon or "").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        return None
    return Endpoint(host.strip("[]"), int(port))
