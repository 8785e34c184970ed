"""Commitments say one thing only, and an epoch's seed follows from the secret and the block hash alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.game.epochs import (
    MAX_NUMBER,
    PROTOCOL,
    Commitment,
    break_between,
    commit_of,
    dump,
    epoch_seed,
    parse,
    secret_of,
)
from subnet.game.sampling import Sampling, plan
from subnet.types import Label, Modality, Neuron

secrets = st.binary(min_size=32, max_size=32)
digests = secrets.map(bytes.hex)
numbers = st.integers(0, MAX_NUMBER)
commitments = st.builds(Commitment, numbers, digests, st.none() | digests, digests, numbers)
ORIGINS = {(m, label): {"here": 1.0, "there": 2.0} for m in Modality for label in Label}
HASH = "0x" + "ab" * 32


@given(commitments)
def test_a_commitment_reads_back_as_it_was_written_and_fits_three_fields(commitment: Commitment) -> None:
    """Two fields of 128 bytes are enough."""
    line = dump(commitment)
    assert parse(line) == commitment
    assert line.isascii()
    assert len(line) <= 256


def _read(text: str) -> Commitment | None:
    try:
        return parse(text)
    except ValueError:
        return None


@given(commitments, st.data())
def test_no_other_text_reads_as_the_same_commitment(commitment: Commitment, data: st.DataObject) -> None:
    """One changed, added or missing character gives another commitment or an error, never the same one."""
    line = dump(commitment)
    at = data.draw(st.integers(0, len(line)))
    changed = line[:at] + data.draw(st.text(max_size=2)) + line[at + data.draw(st.integers(0, 2)) :]
    assert changed == line or _read(changed) != commitment


@pytest.mark.parametrize(
    "text", ["", "hello", "assay-epoch/2 0 a - b 0", f"{PROTOCOL} 0", f"{PROTOCOL} 00 {'a' * 64} - {'b' * 64} 0"]
)
def test_what_is_no_commitment_is_refused_with_its_reason(text: str) -> None:
    """Another protocol is told from a damaged line."""
    with pytest.raises(ValueError, match="five words" if text.startswith(PROTOCOL) else "another kind"):
        parse(text)


@pytest.mark.parametrize("change", [{"number": -1}, {"seq": MAX_NUMBER + 1}, {"commitment": "AB" * 32}, {"head": ""}])
def test_a_commitment_cannot_be_built_wrong(change: dict[str, object]) -> None:
    """Nor with upper-case digits, which would give one thing two texts."""
    good = Commitment(1, "a" * 64, None, "b" * 64, 5)
    with pytest.raises(ValueError, match="not a commitment"):
        replace(good, **change)  # type: ignore[arg-type]


@given(secrets, secrets, numbers, numbers)
def test_what_binds_to_a_secret_belongs_to_it_to_its_epoch_and_its_hotkey(
    one: bytes, other: bytes, number: int, later: int
) -> None:
    """Nobody can take another's commitment, nor use one twice."""
    bound = commit_of(one, number, 34, "hotkey")
    assert (bound == commit_of(other, number, 34, "hotkey")) == (one == other)
    assert (bound == commit_of(one, later, 34, "hotkey")) == (number == later)
    assert bound not in (commit_of(one, number, 35, "hotkey"), commit_of(one, number, 34, "another"))
    assert one.hex() not in bound


@given(secrets, secrets)
def test_an_epochs_seed_needs_the_secret_and_the_block_hash(secret: bytes, block_hash: bytes) -> None:
    """Written with or without 0x it is one hash; any other hash, secret, subnet or hotkey gives another seed."""
    seed = epoch_seed(secret, block_hash.hex(), 34, "hotkey")
    assert seed == epoch_seed(secret, "0x" + block_hash.hex().upper(), 34, "hotkey")
    flipped = bytes([secret[0] ^ 1]) + secret[1:]
    after = (bytes([block_hash[0] ^ 1]) + block_hash[1:]).hex()
    others = {
        epoch_seed(flipped, block_hash.hex(), 34, "hotkey"),
        epoch_seed(secret, after, 34, "hotkey"),
        epoch_seed(secret, block_hash.hex(), 35, "hotkey"),
        epoch_seed(secret, block_hash.hex(), 34, "another"),
    }
    assert seed not in others
    assert len(others) == 4
    assert 0 <= seed < 2**128


def test_the_numbers_of_the_protocol_never_change() -> None:
    """Another machine, another year: the same secret, commitment, seed and plan."""
    secret = secret_of(7, b"\x01" * 32, 3, 34, "hotkey")
    assert secret.hex() == "db5b8c975fd4d5f118772bd34a6ceaabc92ed9863e6ee3cfd1025c4ea6e5d76b"
    assert commit_of(secret, 3, 34, "hotkey") == "ad8a4d886f61d1526398659ffffe0c8ffb3a73d48c84986e90dbcfb4c4182e4a"
    seed = epoch_seed(secret, HASH, 34, "hotkey")
    assert seed == 41550268162305148667438446965780946698
    miners = [Neuron(uid, f"miner{uid}", "cold", 0.0, False) for uid in range(3)]
    planned = plan(seed, 12, Sampling(origins=ORIGINS, sample_size=2), miners)
    assert (planned.modality, planned.label, planned.origin) == (Modality.IMAGE, Label.SYNTHETIC, "there")
    assert (planned.level, planned.seed, planned.hotkeys) == (1, 2188103039221399893, ("miner2", "miner1"))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_secret_of_another_length_is_refused(length: int) -> None:
    """A short one could be guessed."""
    with pytest.raises(ValueError, match="32 bytes"):
        commit_of(bytes(length), 0, 34, "hotkey")
    with pytest.raises(ValueError, match="32 bytes"):
        epoch_seed(bytes(length), HASH, 34, "hotkey")


@pytest.mark.parametrize("block_hash", ["", "0x", "ab" * 31, "zz" * 32, "ab" * 33])
def test_what_is_no_block_hash_is_refused(block_hash: str) -> None:
    """It would be a seed that the validator can choose."""
    with pytest.raises(ValueError, match="block hash"):
        epoch_seed(bytes(32), block_hash, 34, "hotkey")


def _pair() -> tuple[Commitment, Commitment]:
    secret = bytes(range(32))
    before = Commitment(4, commit_of(secret, 4, 34, "hotkey"), None, "a" * 64, 100)
    return before, Commitment(5, "c" * 64, secret.hex(), "b" * 64, 120)


def test_honest_commitments_follow_from_one_another() -> None:
    """The first from nothing."""
    before, after = _pair()
    assert break_between(before, after, 34, "hotkey") == ""
    assert break_between(None, Commitment(0, "c" * 64, None, "b" * 64, 0), 34, "hotkey") == ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"number": 4}, "rise by one"),
        ({"number": 6}, "rise by one"),
        ({"revealed": None}, "does not reveal"),
        ({"revealed": "0" * 64}, "does not open"),
        ({"seq": 99}, "entry 99"),
        ({"seq": 100}, "entry 100"),
    ],
)
def test_each_break_has_its_own_message(change: dict[str, object], why: str) -> None:
    """A number twice is a seed chosen among two."""
    before, after = _pair()
    assert why in break_between(before, replace(after, **change), 34, "hotkey")  # type: ignore[arg-type]
    assert "without one before" in break_between(None, after, 34, "hotkey")
    assert "does not open" in break_between(before, after, 34, "another")
