"""Lines that hotkeys publish on chain: the pallet Commitments, whose only call replaces what a hotkey said before.

Names of errors and the order of the checks are the runtime's (spec 461). Commitments cost nothing, but each takes some
space, at least `LEAST_SPACE`, of what a hotkey has in each epoch of the subnet. Timelocked fields stand as they are:
this chain never opens them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from subnet.chain.devnode.ledger.state import Committed, Refused, SubnetState

MAX_FIELDS: Final = 3
SPACE: Final = 3100  # bytes that a hotkey may commit in an epoch
LEAST_SPACE: Final = 100  # bytes that every commitment takes


def set_commitment(state: SubnetState, hotkey: str, block: int, fields: Sequence[str], size: int) -> SubnetState:
    """The call set_commitment: `fields` are the runtime's values as JSON, `size` their bytes on chain."""
    if state.uid(hotkey) is None:
        raise Refused("AccountNotAllowedCommit")
    if len(fields) > MAX_FIELDS:
        raise Refused("TooManyFieldsInCommitmentInfo")
    space = used_space(state, hotkey) + max(size, LEAST_SPACE)
    if space > SPACE:
        raise Refused("SpaceLimitExceeded")
    committed = Committed(block, tuple(fields), state.epoch_index, space)
    return replace(state, committed={**state.committed, hotkey: committed})


def used_space(state: SubnetState, hotkey: str) -> int:
    """Bytes that a hotkey has committed in the epoch that runs."""
    last = state.committed.get(hotkey)
    return last.space if last and last.epoch == state.epoch_index else 0
