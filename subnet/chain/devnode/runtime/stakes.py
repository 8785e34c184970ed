"""Runtime calls about stake and its price: (block, SCALE arguments) to the value."""

from __future__ import annotations

from typing import Any

import bittensor_core

from subnet.chain.devnode.ledger.accounts import PRICE
from subnet.chain.devnode.runtime.block import Block
from subnet.chain.devnode.runtime.metadata import SS58_FORMAT, read_compact

ACCOUNT = 32  # bytes


def of_coldkey(block: Block, params: bytes) -> list[dict[str, Any]]:
    """StakeInfo of each hotkey on which a coldkey holds stake, in this subnet."""
    return _positions(block, _account(params))


def of_coldkeys(block: Block, params: bytes) -> list[tuple[str, list[dict[str, Any]]]]:
    """The same for several coldkeys."""
    return [(coldkey, _positions(block, coldkey)) for coldkey in _accounts(params)]


def of_position(block: Block, params: bytes) -> dict[str, Any] | None:
    """StakeInfo of one (hotkey, coldkey, netuid); None when nothing is there."""
    hotkey, coldkey = _account(params), _account(params[ACCOUNT:])
    if _u16(params[2 * ACCOUNT :]) != block.state.netuid:
        return None
    found = [info for info in _positions(block, coldkey) if info["hotkey"] == hotkey]
    return found[0] if found else None


def availability(block: Block, params: bytes) -> dict[str, dict[int, dict[str, int]]]:
    """Per coldkey and subnet its stake, none of it locked."""
    available = {}
    for coldkey in _accounts(params):
        total = sum(info["stake"] for info in _positions(block, coldkey))
        amounts = {"total": total, "locked": 0, "available": total}
        available[coldkey] = {block.state.netuid: amounts} if total else {}
    return available


def price(block: Block, params: bytes) -> int:
    """Rao per alpha."""
    return PRICE


def prices(block: Block, params: bytes) -> list[dict[str, int]]:
    return [{"netuid": netuid, "price": PRICE} for netuid in (0, block.state.netuid)]


def swap(block: Block, params: bytes) -> dict[str, int]:
    """What TAO buys in alpha, or the other way: the same, without fee and slippage."""
    amount = int.from_bytes(params[2:10], "little")
    costs = dict.fromkeys(("tao_fee", "alpha_fee", "tao_slippage", "alpha_slippage"), 0)
    return {"tao_amount": amount, "alpha_amount": amount, **costs}


def _positions(block: Block, coldkey: str) -> list[dict[str, Any]]:
    nothing = dict.fromkeys(("locked", "emission", "tao_emission", "drain"), 0)
    return [
        {
            "hotkey": hotkey,
            "coldkey": coldkey,
            "netuid": block.state.netuid,
            "stake": alpha,
            "is_registered": block.state.uid(hotkey) is not None,
            **nothing,
        }
        for (hotkey, holder), alpha in block.state.positions.items()
        if holder == coldkey
    ]


def _account(params: bytes) -> str:
    return str(bittensor_core.ss58_encode(params[:ACCOUNT], SS58_FORMAT))


def _accounts(params: bytes) -> list[str]:
    """A Vec<AccountId>."""
    count, start = read_compact(params)
    end = start + count * ACCOUNT
    if end > len(params):
        raise ValueError(f"{count} accounts are announced, but the data ends before")
    return [_account(params[at:]) for at in range(start, end, ACCOUNT)]


def _u16(params: bytes) -> int:
    return int.from_bytes(params[:2], "little")
