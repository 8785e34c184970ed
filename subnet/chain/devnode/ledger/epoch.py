"""What happens by itself: commits are opened when their round is out, and every tempo blocks an epoch pays.

An epoch runs when block >= LastEpochBlock + Tempo (the schedule is stateful since 2026). It computes Yuma consensus
over the stakes and weights that count, then gives the validator permits anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from subnet.chain.devnode.ledger.rules import Refused, reveal_weights
from subnet.chain.devnode.ledger.state import Commit, Row, SubnetState, top_stakes
from subnet.chain.devnode.ledger.yuma import Matrix, Vector, Yuma, yuma
from subnet.types import U16

Opened = tuple[list[int], list[int], int]  # uids, u16 values, version key
Opener = Callable[[Commit], Opened | None]  # None: the round is not out yet, or the commit cannot be opened


def on_block(state: SubnetState, block: int, opener: Opener) -> SubnetState:
    """The state after the automatic part of `block`, before its transactions."""
    state = open_commits(state, block, opener)
    return run_epoch(state, block) if block >= state.next_epoch() else state


def open_commits(state: SubnetState, block: int, opener: Opener) -> SubnetState:
    """Open the commits that are `reveal_period` epochs old. One that never opens expires an epoch later."""
    kept: list[Commit] = []
    for commit in state.commits:
        due = commit.epoch + state.rules.reveal_period
        if state.epoch_index < due:
            kept.append(commit)
            continue
        opened = opener(commit)
        if opened is not None:
            state = _revealed(state, commit, block, opened)
        elif state.epoch_index == due:
            kept.append(commit)
    return replace(state, commits=tuple(kept)) if len(kept) != len(state.commits) else state


def _revealed(state: SubnetState, commit: Commit, block: int, opened: Opened) -> SubnetState:
    uids, values, version_key = opened
    try:
        return reveal_weights(state, commit.hotkey, block, uids=uids, values=values, version_key=version_key)
    except Refused:
        return state  # as on the chain: a commit that breaks the rules is dropped, and nobody is told


def run_epoch(state: SubnetState, block: int) -> SubnetState:
    """Pay the epoch that ends in `block`."""
    if not state.rows:
        return replace(state, last_epoch_block=block, epoch_index=state.epoch_index + 1)
    result = yuma(_voting_stake(state, block), _counting_weights(state), _bonds(state))
    permits = top_stakes((row.stake for row in state.rows), state.rules.max_validators)
    rows = tuple(_paid(row, uid, result, uid in permits, state, block) for uid, row in enumerate(state.rows))
    return replace(state, rows=rows, last_epoch_block=block, epoch_index=state.epoch_index + 1)


def _active(row: Row, state: SubnetState, block: int) -> bool:
    return row.last_update + state.rules.activity_cutoff >= block


def _voting_stake(state: SubnetState, block: int) -> Vector:
    """Stake of who holds a permit and set weights (or registered) within the activity cut-off."""
    votes = (row.stake if row.permit and _active(row, state, block) else 0 for row in state.rows)
    return np.fromiter(votes, dtype=np.float64, count=len(state.rows))


def _counting_weights(state: SubnetState) -> Matrix:
    """Weights by row without self-weights (but the owner's) and without those to neurons registered after them."""
    count = len(state.rows)
    weights_VM = np.zeros((count, count))
    for validator, row in enumerate(state.rows):
        for uid, value in row.weights:
            stale = state.rows[uid].registered_at >= row.last_update
            itself = uid == validator and row.hotkey != state.rules.owner
            if row.permit and not stale and not itself:
                weights_VM[validator, uid] = value
    return weights_VM


def _bonds(state: SubnetState) -> Matrix:
    bonds_VM = np.zeros((len(state.rows), len(state.rows)))
    for validator, row in enumerate(state.rows):
        for uid, value in row.bonds:
            bonds_VM[validator, uid] = value
    return bonds_VM


def _paid(row: Row, uid: int, result: Yuma, permit: bool, state: SubnetState, block: int) -> Row:
    bonds = tuple((int(m), _u16(value)) for m, value in enumerate(result.bonds[uid]) if _u16(value) > 0)
    return replace(
        row,
        permit=permit,
        active=_active(row, state, block),
        bonds=bonds if permit else (),
        incentive=_u16(result.incentive[uid]),
        dividends=_u16(result.dividends[uid]),
        consensus=_u16(result.consensus[uid]),
        trust=_u16(result.trust[uid]),
        validator_trust=_u16(result.validator_trust[uid]),
    )


def _u16(value: float) -> int:
    return min(U16, round(float(value) * U16))
