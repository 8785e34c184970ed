"""The SCALE side of the development chain: integers, the shipped metadata, every storage row, hostile bytes."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.chain.devnode.keys import keypair, seeded
from subnet.chain.devnode.ledger.commitments import set_commitment
from subnet.chain.devnode.ledger.genesis import Rules
from subnet.chain.devnode.ledger.rules import set_weights
from subnet.chain.devnode.node.chain import DevChain
from subnet.chain.devnode.node.faults import Faults
from subnet.chain.devnode.node.rpc import Queries, RpcError
from subnet.chain.devnode.runtime.extrinsics import InvalidTransaction
from subnet.chain.devnode.runtime.metadata import Metadata, compact, read_compact, read_metadata
from subnet.chain.devnode.runtime.reveal import parse
from subnet.chain.devnode.runtime.storage import ITEMS, MAPS, Storage


@cache
def metadata() -> Metadata:
    return read_metadata()


def chain() -> DevChain:
    return DevChain(
        seeded(validators=1, miners=2, rules=Rules(owner=keypair("//Val0").ss58_address)), metadata(), float
    )


@given(st.integers(0, 2**30 - 1), st.binary(max_size=4))
def test_compact_round_trip(number: int, rest: bytes) -> None:
    """A compact integer is read back with the position after it; shorter is never longer."""
    data = compact(number)
    assert read_compact(data + rest) == (number, len(data))
    assert len(data) == (1 if number < 64 else 2 if number < 2**14 else 4)


def test_a_large_compact_is_refused() -> None:
    """2**30 and above do not occur here."""
    with pytest.raises(ValueError, match="compact"):
        compact(2**30)
    with pytest.raises(ValueError, match="compact"):
        read_compact(b"\x03\x00\x00\x00\x40")


def test_the_metadata_is_complete() -> None:
    """Every error name that the rules use exists in this runtime, and the appended storage item reads as one byte."""
    names = {
        "HotKeyNotRegisteredInSubNet NotEnoughStakeToSetWeights IncorrectWeightVersionKey SettingWeightsTooFast",
        "NeuronNoValidatorPermit DuplicateUids UidVecContainInvalidOne WeightVecLengthIsLow MaxWeightExceeded",
        "WeightVecNotEqualSize UidsLengthExceedUidsInSubNet MechanismDoesNotExist CommitRevealEnabled SubnetNotExists",
        "CommitRevealDisabled IncorrectCommitRevealVersion CommittingWeightsTooFast TooManyUnrevealedCommits",
        "InvalidIpType InvalidIpAddress InvalidPort ServingRateLimitExceeded HotKeyAlreadyRegisteredInSubNet",
        "SubNetRegistrationDisabled NoNeuronIdAvailable RegistrationPriceLimitExceeded NonAssociatedColdKey",
        "NotEnoughBalanceToStake HotKeyAccountNotExists AmountTooLow SlippageTooHigh NotEnoughStakeToWithdraw",
    }
    assert {name for line in names for name in line.split()} <= metadata().errors.keys()
    entry = metadata().runtime.storage_entry("SubtensorModule", "SubnetEpochConsensus")
    assert metadata().runtime.decode(entry.value_type, b"\x00", True) == 0


@pytest.mark.parametrize("item", ITEMS, ids="/".join)
def test_every_storage_row_encodes(item: tuple[str, str]) -> None:
    """Each row's value fits the type that the runtime declares for it, and its keys the declared hashers."""
    world = chain()
    hotkey = keypair("//Val0").ss58_address
    state = set_weights(world.head.state, hotkey, 1, uids=[1, 2], values=[2, 1], version_key=0)
    state = set_commitment(state, hotkey, 1, ['{"Raw1": "0x61"}'], 1)
    block = type(world.head)(number=1, hash=b"", parent=b"", state=state)
    keys: dict[int, list[Any]] = {0: [], 1: [1], 2: [1, 0]}
    by_account: dict[str, list[Any]] = {
        name: [hotkey] for name in ("Account", "Owner", "OwnedHotkeys", "StakingHotkeys")
    }
    rows = ("Uids", "Axons", "CommitmentOf", "LastCommitment", "UsedSpaceOf")
    by_hotkey = {"IsNetworkMember": [hotkey, 1], **{name: [1, hotkey] for name in rows}}
    runtime = metadata().runtime
    entry = runtime.storage_entry(*item)
    given_keys = (by_account | by_hotkey).get(item[1])
    key = bytes(runtime.storage_key(*item, keys[len(entry.param_types)] if given_keys is None else given_keys))
    value = Storage(metadata()).read(block, key)
    if item[1] != "Axons":
        assert value is not None
        runtime.decode(entry.value_type, value, True)


@pytest.mark.parametrize("item", MAPS, ids="/".join)
def test_maps_page_without_gap_or_repeat(item: tuple[str, str]) -> None:
    """Reading one key at a time gives the same keys as reading all at once."""
    storage, block = Storage(metadata()), chain().head
    prefix = bytes(metadata().runtime.storage_prefix(*item))
    every = storage.keys(block, prefix, None, 1000)
    paged: list[bytes] = []
    while page := storage.keys(block, prefix, paged[-1] if paged else None, 1):
        paged += page
    assert paged == every == sorted(set(every))


@given(st.binary(max_size=300))
def test_random_transactions_are_invalid(raw: bytes) -> None:
    """Whatever the bytes, the pool says no and lives on."""
    with pytest.raises(InvalidTransaction):
        CHAIN.submit(raw)


@given(st.binary(max_size=120))
def test_random_payloads_are_refused_or_read(raw: bytes) -> None:
    """An opened commit that is no payload is a ValueError or IndexError, nothing else."""
    try:
        _, (uids, values, _) = parse(raw)
    except (ValueError, IndexError):
        return
    assert len(raw) >= 41 + 2 * (len(uids) + len(values))


def test_numbers_that_are_claimed_must_be_there() -> None:
    """A few bytes that claim 2^30 - 1 numbers are refused before a list of them is made."""
    hotkey, most = bytes([32 << 2]) + bytes(32), (((1 << 30) - 1) << 2 | 2).to_bytes(4, "little")
    for payload in (hotkey + most, hotkey + b"\0" + most, hotkey + b"\4\0\0" + most + bytes(8)):
        with pytest.raises(ValueError, match="claimed"):
            parse(payload)


METHODS = ["state_call", "state_getStorageAt", "state_queryStorageAt", "state_getKeysPaged", "chain_getBlockHash"]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.binary(max_size=40).map(lambda b: "0x" + b.hex()),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(
    st.sampled_from([*METHODS, "chain_getHeader", "account_nextIndex", "dev_publishRound"]),
    st.lists(json_values, max_size=4),
)
def test_random_requests_get_an_answer_or_an_rpc_error(method: str, params: list[Any]) -> None:
    """No parameter list brings the node down."""
    with suppress(RpcError):
        QUERIES.answer(method, params)


@pytest.mark.parametrize("changes", [{"stal": True}, {"stall": 1}, {"garbage": -1}, {"garbage": True}, {"reject": "x"}])
def test_wrong_faults_are_named(changes: dict[str, Any]) -> None:
    """An unknown knob or a value of the wrong type is an error that names it."""
    with pytest.raises(ValueError, match=next(iter(changes))):
        Faults().changed(changes)


CHAIN = chain()
QUERIES = Queries(CHAIN)
