"""The MEV shield: transactions that come encrypted, as the SDK sends registrations and stake.

The public chain's authors hold rotating ML-KEM-768 keys. This chain has one for good, whose secret is zero: its public
part is zero too, so a ciphertext's second half is the message but for noise, and anybody can open it. Nothing here is
worth hiding. Blob: key hash (16 bytes), length of the ML-KEM ciphertext (u16), that, nonce (24), XChaCha20-Poly1305.
Sources: FIPS 203; `bittensor_core.encrypt_mlkem768`, which says "v1: raw shared secret as the AEAD key, empty aad".
"""

from __future__ import annotations

import hashlib
from typing import Final

from Crypto.Cipher import ChaCha20_Poly1305

Q: Final = 3329  # the field of ML-KEM
ZERO_VECTOR: Final = bytes(3 * 384)  # t = A s + e with s = e = 0: three polynomials of 256 coefficients of 12 bits
KEY: Final = ZERO_VECTOR + b"\xff" * 32  # and the seed of A; no UTF-8, as the SDK would take that for a text
HASH, LENGTH, NONCE, TAG = 16, 2, 24, 16  # bytes
U_BYTES, V_BYTES = 960, 128  # the two halves of an ML-KEM-768 ciphertext


def unsealed(blob: bytes) -> bytes:
    """What was encrypted to `KEY`. Raises ValueError."""
    start = HASH + LENGTH
    end = start + int.from_bytes(blob[HASH:start], "little")
    if end - start != U_BYTES + V_BYTES or len(blob) < end + NONCE + TAG:
        raise ValueError("not an encrypted transaction of the shield")
    secret = hashlib.sha3_512(_message(blob[start + U_BYTES : end]) + hashlib.sha3_256(KEY).digest()).digest()[:32]
    cipher = ChaCha20_Poly1305.new(key=secret, nonce=blob[end : end + NONCE])
    return bytes(cipher.decrypt_and_verify(blob[end + NONCE : -TAG], blob[-TAG:]))


def _message(compressed: bytes) -> bytes:
    """The 256 bits of the message from v = message * q/2 + noise, four bits per coefficient, lowest first."""
    coefficients = ((nibble * Q + 8) >> 4 for byte in compressed for nibble in (byte & 15, byte >> 4))
    bits = [Q < 4 * coefficient < 3 * Q for coefficient in coefficients]
    return bytes(sum(bit << place for place, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))
