"""The MEV shield: what the SDK encrypts to this chain's key is opened, and nothing else is."""

from __future__ import annotations

import bittensor_core
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subnet.chain.devnode.runtime.shield import KEY, unsealed


def sealed(payload: bytes, key: bytes = KEY) -> bytes:
    return bytes(bittensor_core.encrypt_mlkem768(key, payload, include_key_hash=True))


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=300))
def test_what_is_sealed_opens(payload: bytes) -> None:
    """For every payload and the noise of every encryption."""
    assert unsealed(sealed(payload)) == payload


@settings(deadline=None)
@given(st.data())
def test_a_changed_or_cut_blob_does_not_open(data: st.DataObject) -> None:
    """Nonce, text and tag are authenticated; a cut blob is refused wherever it ends."""
    blob = sealed(b"a transaction")
    place = data.draw(st.integers(16 + 2 + 1088, len(blob) - 1))
    changed = blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]
    for damaged in (changed, blob[: data.draw(st.integers(0, len(blob) - 1))]):
        with pytest.raises(ValueError, match=r"."):
            unsealed(damaged)


def test_another_key_is_not_ours() -> None:
    """A blob for a key with another seed does not open: the secret follows from the whole key."""
    with pytest.raises(ValueError, match="MAC"):
        unsealed(sealed(b"x", bytes(1184)))


def test_the_key_reads_as_bytes() -> None:
    """It is no UTF-8: the SDK would read it as a text then, and not find the key."""
    with pytest.raises(UnicodeDecodeError):
        KEY.decode()
    assert len(KEY) == 1184
