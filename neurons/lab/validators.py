"""How a validator may set its weights: honestly, or in the ways that cheats have tried."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from neurons.settings import VALIDATOR_STAKE
from subnet.chain.devnode.ledger.state import SubnetState
from subnet.game import scoring
from subnet.game.history import History
from subnet.game.scoring import Smoothing
from subnet.types import Neuron

Weigh = Callable[[SubnetState, History, Sequence[Neuron], Smoothing, random.Random], Mapping[int, float]]


@dataclass(frozen=True)
class Policy:
    """One row."""

    name: str
    about: str
    weights: Weigh
    asks: bool = True  # plays rounds
    open_because: str = ""


def by_score(
    state: SubnetState, history: History, neurons: Sequence[Neuron], smoothing: Smoothing, rng: random.Random
) -> Mapping[int, float]:
    return scoring.weights(history, neurons, VALIDATOR_STAKE, smoothing)


def copy_consensus(
    state: SubnetState, history: History, neurons: Sequence[Neuron], smoothing: Smoothing, rng: random.Random
) -> Mapping[int, float]:
    """What the chain's last epoch agreed on: free, and of yesterday."""
    return {uid: float(row.consensus) for uid, row in enumerate(state.rows) if row.consensus}


def at_random(
    state: SubnetState, history: History, neurons: Sequence[Neuron], smoothing: Smoothing, rng: random.Random
) -> Mapping[int, float]:
    return {n.uid: rng.random() for n in neurons if not n.permit}


HONEST = Policy("honest", "plays, scores, sets weights", by_score)
TELLER = Policy("tells labels", "plays honestly, but tells a friend every label", by_score)
COPIER = Policy(
    "copies weights",
    "sets the consensus of the epoch before, and asks nobody",
    copy_consensus,
    False,
    "scores move slowly, so yesterday's consensus is nearly today's; sealed weights (commit-reveal) age it",
)
RANDOM = Policy("scores at random", "weights from a die", at_random, False)
POLICIES = (HONEST, TELLER, COPIER, RANDOM)
