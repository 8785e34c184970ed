"""What happens by itself: commits are opened when their round is out, and every tempo blocks an epoch pays.

An epoch runs when block >= LastEpochBlock + Tempo (the schedule is stateful since 2026). It computes Yuma consensus
over the stakes and weights that count, then gives the validator permits anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from subnet.chain.devnode.ledger.rules import reveal_weights
from subnet.chain.devnode.ledger.state import Commit, Refused, Row, SubnetState
from subnet.chain.devnode.ledger.yuma import Yuma, normal, u16, yuma

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
    """Pay the epoch that ends in `block`, and give the permits anew."""
    voting = state.permits_held()
    result = yuma(_voting_stake(state, block, voting), _counting_weights(state, voting), _bonds(state, block))
    permits = state.permits_due()
    rows = tuple(
        _paid(row, uid, result, uid in permits, _active(row, state, block)) for uid, row in enumerate(state.rows)
    )
    return replace(state, rows=rows, last_epoch_block=block, epoch_index=state.epoch_index + 1)


def _active(row: Row, state: SubnetState, block: int) -> bool:
    return row.last_update + state.rules.activity_cutoff >= block


def _voting_stake(state: SubnetState, block: int, voting: Collection[int]) -> list[int]:
    """Shares of the stake of who may vote and set weights (or registered) within the activity cut-off, I32F32."""
    shares = enumerate(state.stake_shares())
    votes = [share if uid in voting and _active(state.rows[uid], state, block) else 0 for uid, share in shares]
    return normal(votes)


def _counting_weights(state: SubnetState, voting: Collection[int]) -> list[dict[int, int]]:
    """Weights by row without self-weights (but the owner's) and without those to neurons that came after them.

    With commit-reveal on, a neuron also came after the weights when it came after the validator's oldest commit that is
    not opened yet.
    """
    owner = state.owner_uid()
    sealed = _oldest_commits(state)
    rows: list[dict[int, int]] = [{} for _ in state.rows]
    for validator in voting:
        row = state.rows[validator]
        since = min(row.last_update, sealed.get(row.hotkey, row.last_update) + 1)
        for uid, value in row.weights:
            itself = uid == validator and uid != owner
            if not itself and state.rows[uid].registered_at < since:
                rows[validator][uid] = value
    return rows


def _oldest_commits(state: SubnetState) -> dict[str, int]:
    """The block of each hotkey's oldest sealed commit; nothing when the subnet does not use them."""
    blocks: dict[str, int] = {}
    for commit in state.commits if state.rules.commit_reveal else ():
        blocks[commit.hotkey] = min(commit.block, blocks.get(commit.hotkey, commit.block))
    return blocks


def _bonds(state: SubnetState, block: int) -> list[dict[int, int]]:
    """Bonds by row without those to neurons that registered since the last epoch."""
    rules = state.rules
    since = state.last_epoch_block + 1 if state.last_epoch_block else max(0, block - rules.tempo)
    return [{uid: value for uid, value in row.bonds if state.rows[uid].registered_at < since} for row in state.rows]


def _paid(row: Row, uid: int, result: Yuma, permit: bool, active: bool) -> Row:
    return replace(
        row,
        permit=permit,
        active=active,
        bonds=tuple((miner, u16(bond)) for miner, bond in result.bonds[uid].items()) if permit else (),
        incentive=u16(result.incentive[uid]),
        dividends=u16(result.dividends[uid]),
        consensus=u16(result.consensus[uid]),
        validator_trust=u16(result.validator_trust[uid]),
    )
