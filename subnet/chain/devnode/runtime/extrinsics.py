"""Signed transactions: decoded and checked as the pool does, then dispatched to the rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import bittensor_core

from subnet.chain.devnode.ledger.accounts import add_stake, remove_stake, transfer, transfer_all
from subnet.chain.devnode.ledger.commitments import set_commitment
from subnet.chain.devnode.ledger.rules import burned_register, commit_weights, serve_axon, set_weights
from subnet.chain.devnode.ledger.state import AxonRow, Refused, SubnetState
from subnet.chain.devnode.runtime.metadata import COMMITMENTS, SUBTENSOR, Metadata, compact
from subnet.chain.devnode.runtime.shield import unsealed

SR25519, ED25519 = 1, 0
IMMORTAL = "00"
DISABLED = {"mode": "Disabled"}
TOKEN_ERRORS = {"FundsUnavailable": 0, "NotExpendable": 8}  # sp_runtime::TokenError


class InvalidTransaction(Exception):
    """The pool does not take a transaction; the text is the reason in the node's words."""


class UnsupportedCall(InvalidTransaction):
    """The runtime has the call, this chain does not."""

    def __init__(self, pallet: str, call: str) -> None:
        super().__init__(f"the development chain does not support the call {pallet}.{call}")


@dataclass(frozen=True)
class Extrinsic:
    """A transaction whose signature and era hold."""

    raw: bytes = field(repr=False)
    hash: str  # 0x + blake2b-256
    signer: str
    nonce: int
    pallet: str
    call: str
    params: Mapping[str, Any] = field(repr=False)
    dies: int | None = None  # the block from which on it is void; None for an immortal one


def blake2(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def decode(metadata: Metadata, raw: bytes, *, current: int, hash_of: Callable[[int], bytes | None]) -> Extrinsic:
    """Decode `raw`, check its era against block `current` and its signature.

    Raises InvalidTransaction, UnsupportedCall for a call that this chain does not have.
    """
    runtime = metadata.runtime
    try:
        body = runtime.decode_extrinsic(raw, True)
        call = body["call"]
        params = {row["name"]: row["value"] for row in call["call_args"]}
        data = bytes(runtime.compose_call(call["call_module"], call["call_function"], params))
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise InvalidTransaction(f"Transaction could not be decoded: {error}") from error
    if "signature" not in body or not body.get("address"):
        raise InvalidTransaction("Transaction has no signature")
    if body.get("mode", DISABLED) != DISABLED:  # CheckMetadataHash (RFC-0078): the hash would be signed too
        raise InvalidTransaction("Transaction signs a metadata hash, which this chain does not check")
    era, birth_hash = _era(body["era"], current, hash_of)
    payload = runtime.signature_payload(
        data,
        era=era,
        nonce=body["nonce"],
        tip=body["tip"],
        tip_asset_id=None,
        genesis_hash=hash_of(0),
        era_block_hash=birth_hash,
    )
    scheme, signature = next(iter(body["signature"].items()))
    crypto = SR25519 if scheme == "Sr25519" else ED25519
    if not bittensor_core.verify(bytes(payload), bytes.fromhex(signature[2:]), body["address"], crypto):
        raise InvalidTransaction("Transaction has a bad signature")
    if (call["call_module"], call["call_function"]) not in CALLS:
        raise UnsupportedCall(call["call_module"], call["call_function"])
    return Extrinsic(
        raw=raw,
        hash="0x" + blake2(raw).hex(),
        signer=body["address"],
        nonce=body["nonce"],
        pallet=call["call_module"],
        call=call["call_function"],
        params=params,
        dies=None if era == IMMORTAL else era["current"] + era["period"],
    )


def _era(era: Any, current: int, hash_of: Callable[[int], bytes | None]) -> tuple[Any, bytes | None]:
    """The era as the codec wants it and the hash of the block it is bound to (mortal eras).

    An era that is over shows as a bad signature, since it names another block now.
    """
    if era == IMMORTAL:
        return IMMORTAL, hash_of(0)
    period, phase = era
    birth = (max(current, phase) - phase) // period * period + phase
    birth_hash = hash_of(birth)
    if birth_hash is None:
        raise InvalidTransaction("Transaction has an ancient birth block")
    return {"period": period, "current": birth}, birth_hash


def dispatch(state: SubnetState, extrinsic: Extrinsic, block: int, reject: Mapping[str, str]) -> SubnetState:
    """The state after the call. Raises Refused; `reject` names calls that fail with a given error whatever they say."""
    if extrinsic.call in reject:
        raise Refused(reject[extrinsic.call])
    if extrinsic.params.get("netuid", state.netuid) != state.netuid:
        raise Refused("SubnetNotExists")
    return CALLS[extrinsic.pallet, extrinsic.call](state, extrinsic.signer, block, extrinsic.params)


Params = Mapping[str, Any]


def _set_weights(state: SubnetState, signer: str, block: int, params: Params) -> SubnetState:
    return set_weights(
        state,
        signer,
        block,
        uids=params["dests"],
        values=params["weights"],
        version_key=params["version_key"],
        mechanism=params.get("mecid", 0),
    )


def _commit_weights(state: SubnetState, signer: str, block: int, params: Params) -> SubnetState:
    return commit_weights(
        state,
        signer,
        block,
        data=_bytes(params["commit"]),
        reveal_round=params["reveal_round"],
        version=params["commit_reveal_version"],
        mechanism=params.get("mecid", 0),
    )


def _serve_axon(state: SubnetState, signer: str, block: int, params: Params) -> SubnetState:
    names = ("version", "ip", "port", "ip_type", "protocol")
    return serve_axon(state, signer, block, AxonRow(block=block, **{name: params[name] for name in names}))


def _burned_register(state: SubnetState, signer: str, block: int, params: Params) -> SubnetState:
    return burned_register(state, signer, params["hotkey"], block, limit_price=params.get("limit_price"))


def _add_stake(state: SubnetState, signer: str, block: int, params: Params) -> SubnetState:
    limit = params.get("limit_price")
    return add_stake(state, signer, params["hotkey"], params["amount_staked"], limit_price=limit)


def _remove_stake(state: SubnetState, signer: str, block: int, params: Params) -> SubnetState:
    limit = params.get("limit_price")
    return remove_stake(state, signer, params["hotkey"], params["amount_unstaked"], limit_price=limit)


def _remove_stake_full(state: SubnetState, signer: str, block: int, params: Params) -> SubnetState:
    held = state.positions.get((params["hotkey"], signer), 0)
    return remove_stake(state, signer, params["hotkey"], held, limit_price=params.get("limit_price"))


def _transfer_keep_alive(state: SubnetState, signer: str, block: int, params: Params) -> SubnetState:
    return transfer(state, signer, _account(params["dest"]), params["value"], keep_alive=True)


def _transfer_allow_death(state: SubnetState, signer: str, block: int, params: Params) -> SubnetState:
    return transfer(state, signer, _account(params["dest"]), params["value"], keep_alive=False)


def _transfer_all(state: SubnetState, signer: str, block: int, params: Params) -> SubnetState:
    return transfer_all(state, signer, _account(params["dest"]), keep_alive=params["keep_alive"])


def _set_commitment(state: SubnetState, signer: str, block: int, params: Params) -> SubnetState:
    fields = params["info"]["fields"]
    return set_commitment(state, signer, block, [json.dumps(field) for field in fields], sum(map(_size, fields)))


def _size(field: Any) -> int:
    """Bytes of a commitment's field as the space limit counts them: its payload in hex, whatever its kind."""
    value = next(iter(field.values())) if isinstance(field, Mapping) else ""
    value = value.get("encrypted", "") if isinstance(value, Mapping) else value
    return len(_bytes(value))


def _submit_encrypted(state: SubnetState, signer: str, block: int, params: Params) -> SubnetState:
    """Carries another transaction, which the chain puts after it into the block: see `DevChain.produce`."""
    return state


def carried(extrinsic: Extrinsic) -> bytes | None:
    """The transaction inside an encrypted one, None for any other kind. Raises InvalidTransaction when it is shut."""
    if (extrinsic.pallet, extrinsic.call) != ("MevShield", "submit_encrypted"):
        return None
    try:
        return unsealed(_bytes(extrinsic.params["ciphertext"]))
    except ValueError as error:
        reason = "the encrypted transaction does not open; encrypt it to MevShield.NextKey"
        raise InvalidTransaction(f"{reason} ({error})") from error


CALLS: Mapping[tuple[str, str], Callable[[SubnetState, str, int, Params], SubnetState]] = {
    (SUBTENSOR, "set_weights"): _set_weights,
    (SUBTENSOR, "set_mechanism_weights"): _set_weights,
    (SUBTENSOR, "commit_timelocked_weights"): _commit_weights,
    (SUBTENSOR, "commit_timelocked_mechanism_weights"): _commit_weights,
    (SUBTENSOR, "serve_axon"): _serve_axon,
    (SUBTENSOR, "burned_register"): _burned_register,
    (SUBTENSOR, "register_limit"): _burned_register,
    (SUBTENSOR, "add_stake"): _add_stake,
    (SUBTENSOR, "add_stake_limit"): _add_stake,
    (SUBTENSOR, "remove_stake"): _remove_stake,
    (SUBTENSOR, "remove_stake_limit"): _remove_stake,
    (SUBTENSOR, "remove_stake_full_limit"): _remove_stake_full,
    (COMMITMENTS, "set_commitment"): _set_commitment,
    ("Balances", "transfer_keep_alive"): _transfer_keep_alive,
    ("Balances", "transfer_allow_death"): _transfer_allow_death,
    ("Balances", "transfer_all"): _transfer_all,
    ("MevShield", "submit_encrypted"): _submit_encrypted,
}


def _account(target: Any) -> str:
    """The address in a MultiAddress; only the kind Id names an account here."""
    if isinstance(target, Mapping):
        target = target.get("Id")
    if not isinstance(target, str):
        raise Refused("CannotLookup")
    return target


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return bytes.fromhex(value.removeprefix("0x")) if value.startswith("0x") else value.encode("latin-1")
    return bytes(value)


def events(metadata: Metadata, outcomes: list[str | None]) -> bytes:
    """System.Events of a block: per transaction ExtrinsicSuccess, or ExtrinsicFailed with the error of that name."""
    return compact(len(outcomes)) + b"".join(_event(metadata, index, name) for index, name in enumerate(outcomes))


def _event(metadata: Metadata, index: int, error: str | None) -> bytes:
    phase = b"\x00" + index.to_bytes(4, "little")  # ApplyExtrinsic(index)
    info = compact(1000) + compact(0) + b"\x00" + b"\x00"  # weight (ref_time, proof_size), Normal, pays fee: Yes
    system, success, failed = b"\x00", b"\x00", b"\x01"
    if error is None:
        return phase + system + success + info + compact(0)
    return phase + system + failed + _dispatch_error(metadata, error) + info + compact(0)


def _dispatch_error(metadata: Metadata, error: str) -> bytes:
    if error in TOKEN_ERRORS:
        return b"\x07" + bytes([TOKEN_ERRORS[error]])  # DispatchError::Token
    if error not in metadata.errors:
        return b"\x01" if error == "CannotLookup" else b"\x00"  # DispatchError::CannotLookup, ::Other
    pallet, index = metadata.errors[error]
    return b"\x03" + bytes([pallet]) + index.to_bytes(4, "little")  # DispatchError::Module
