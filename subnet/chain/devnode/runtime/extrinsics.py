"""Signed transactions: decoded and checked as the pool does, then dispatched to the rules."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import bittensor_core

from subnet.chain.devnode.ledger.rules import Refused, burned_register, commit_weights, serve_axon, set_weights
from subnet.chain.devnode.ledger.state import AxonRow, SubnetState
from subnet.chain.devnode.runtime.metadata import Metadata, compact

SR25519, ED25519 = 1, 0
IMMORTAL = "00"
DISABLED = {"mode": "Disabled"}


class InvalidTransaction(Exception):
    """The pool does not take a transaction; the text is the reason in the node's words."""


@dataclass(frozen=True)
class Extrinsic:
    """A transaction whose signature and era hold."""

    raw: bytes = field(repr=False)
    hash: str  # 0x + blake2b-256
    signer: str
    nonce: int
    call: str
    params: Mapping[str, Any] = field(repr=False)
    dies: int | None = None  # the block from which on it is void; None for an immortal one


def blake2(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def decode(metadata: Metadata, raw: bytes, *, current: int, hash_of: Callable[[int], bytes | None]) -> Extrinsic:
    """Decode `raw`, check its era against block `current` and its signature. Raises InvalidTransaction."""
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
    return Extrinsic(
        raw=raw,
        hash="0x" + blake2(raw).hex(),
        signer=body["address"],
        nonce=body["nonce"],
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
    call = CALLS.get(extrinsic.call)
    if call is None:
        raise Refused("CallFiltered")
    if extrinsic.params.get("netuid") != state.netuid:
        raise Refused("SubnetNotExists")
    return call(state, extrinsic.signer, block, extrinsic.params)


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
    return burned_register(state, signer, params["hotkey"], block)


CALLS: Mapping[str, Callable[[SubnetState, str, int, Params], SubnetState]] = {
    "set_weights": _set_weights,
    "set_mechanism_weights": _set_weights,
    "commit_timelocked_weights": _commit_weights,
    "commit_timelocked_mechanism_weights": _commit_weights,
    "serve_axon": _serve_axon,
    "burned_register": _burned_register,
    "register_limit": _burned_register,
}


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
    if error not in metadata.errors:
        return b"\x00"  # DispatchError::Other
    pallet, index = metadata.errors[error]
    return b"\x03" + bytes([pallet]) + index.to_bytes(4, "little")  # DispatchError::Module
