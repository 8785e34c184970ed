"""What is signed and how replies are read: pure, so mostly properties."""

from __future__ import annotations

import json
import math
import time
from inspect import signature

import pytest
from bittensor import http_auth
from bittensor.sp_core import CRYPTO_ED25519, Keypair
from hypothesis import given
from hypothesis import strategies as st

from subnet.types import Failure, Modality, Prediction
from subnet.wire.synapse import (
    DIGEST_HEADER,
    PREFIX,
    SYNAPSES,
    Envelope,
    ImageSynapse,
    ReplyBody,
    Synapse,
    VideoSynapse,
    digest_of,
    in_range,
    read_answer,
    read_reply,
    reply_text,
    request_text,
    signed_headers,
    write_reply,
)

VALIDATOR = Keypair.create_from_uri("//Validator")
MINER = Keypair.create_from_uri("//Miner")
HASH = "0f" * 32
ENVELOPE = Envelope(1_800_000_000_000_000_000, digest_of(b"body"), VALIDATOR.ss58_address, MINER.ss58_address)
SIGNATURE = "0x" + "ab" * 64
EXPECTED = "expected_crypto_type"  # asked for by the SDK's verifier from 11.3.2 on


def reply(**changes: object) -> bytes:
    """A well-formed reply (its signature is not), with some fields changed; None takes one away."""
    fields: dict[str, object] = {"prediction": 0.5, "detector": "npr", "weights_hash": HASH, "signature": SIGNATURE}
    fields |= changes
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def raw(number: str) -> bytes:
    """A reply whose prediction is written exactly so."""
    return reply().replace(b'"prediction": 0.5', b'"prediction": ' + number.encode())


def test_the_table_of_synapses() -> None:
    """One synapse for each modality, posted where the design says."""
    assert set(SYNAPSES) == set(Modality)
    assert (ImageSynapse.path, VideoSynapse.path) == ("/ImageSynapse", "/VideoSynapse")
    assert all(SYNAPSES[synapse.modality] is synapse for synapse in (ImageSynapse, VideoSynapse))
    with pytest.raises(ValueError, match="max_body"):
        Synapse(name="x", modality=Modality.IMAGE, content_type="image/jpeg", max_body=0)


@given(body=st.binary(max_size=200), nonce=st.integers(1, 2**63 - 1), target=st.text("abc/?=&%", max_size=30))
def test_the_signed_request_is_the_protocols(body: bytes, nonce: int, target: str) -> None:
    """From a hash already made we sign, byte for byte, what the SDK's own signer signs."""
    envelope = Envelope(nonce, digest_of(body), VALIDATOR.ss58_address, MINER.ss58_address)
    theirs = http_auth.build_payload(
        scheme="sr25519",
        method="POST",
        path=target,
        body=body,
        nonce_ns=nonce,
        sender_ss58=VALIDATOR.ss58_address,
        receiver_ss58=MINER.ss58_address,
    )
    assert request_text(envelope, "POST", target) == theirs


@pytest.mark.parametrize("crypto", [None, CRYPTO_ED25519])
def test_signed_headers_satisfy_the_protocols_verifier(crypto: int | None) -> None:
    """The SDK verifies what we sign, under both schemes, and finds the sender."""
    key = VALIDATOR if crypto is None else Keypair.create_from_uri("//Validator", crypto)
    envelope = Envelope(time.time_ns(), digest_of(b"body"), key.ss58_address, MINER.ss58_address)
    headers = signed_headers(key, envelope, "POST", "/ImageSynapse?a=1")
    theirs = http_auth.sign(
        key,
        method="POST",
        path="/ImageSynapse?a=1",
        body=b"body",
        receiver_ss58=MINER.ss58_address,
        nonce_ns=envelope.nonce,
    )
    assert headers.pop(DIGEST_HEADER) == digest_of(b"body")  # stock verifiers look past it
    assert headers.keys() == theirs.keys()
    assert all(name.startswith(PREFIX) for name in headers)
    pinned = {"expected_crypto_type": key.crypto_type} if EXPECTED in signature(http_auth.verify).parameters else {}
    caller = http_auth.verify(
        headers, b"body", method="POST", path="/ImageSynapse?a=1", self_hotkey_ss58=MINER.ss58_address, **pinned
    )
    assert (caller.hotkey_ss58, caller.nonce_ns) == (key.ss58_address, envelope.nonce)


@given(p=st.floats(0.0, 1.0).map(abs), detector=st.from_regex(r"[A-Za-z0-9._+-]{1,64}", fullmatch=True))
def test_a_signed_reply_comes_back_the_same(p: float, detector: str) -> None:
    """What an honest miner writes, the validator reads, to the last bit of the number."""
    verdict = read_answer(write_reply(MINER, ENVELOPE, p, detector, HASH), ENVELOPE)
    assert verdict.answer == Prediction(p)
    assert verdict.body is not None
    assert (verdict.body.detector, verdict.body.weights_hash) == (detector, HASH)


@given(st.integers(1, 30))
def test_the_signed_reply_names_exactly_one_number(step: int) -> None:
    """Neighbouring floats have different signed texts: the number is signed exactly, not as printed."""
    p = 0.5
    for _ in range(step):
        p = math.nextafter(p, 1.0)
    assert reply_text(ENVELOPE, p, "npr", HASH) != reply_text(ENVELOPE, 0.5, "npr", HASH)


BOUND = {
    "another nonce": Envelope(ENVELOPE.nonce + 1, ENVELOPE.digest, ENVELOPE.sender, ENVELOPE.receiver),
    "another body": Envelope(ENVELOPE.nonce, digest_of(b"other"), ENVELOPE.sender, ENVELOPE.receiver),
    "another sender": Envelope(ENVELOPE.nonce, ENVELOPE.digest, MINER.ss58_address, ENVELOPE.receiver),
    "another receiver": Envelope(ENVELOPE.nonce, ENVELOPE.digest, ENVELOPE.sender, VALIDATOR.ss58_address),
}


@pytest.mark.parametrize("envelope", BOUND.values(), ids=BOUND.keys())
def test_a_reply_answers_one_request(envelope: Envelope) -> None:
    """A reply to another request, body, asker or miner does not pass for the answer to this one."""
    assert read_answer(write_reply(MINER, envelope, 0.5, "npr", HASH), ENVELOPE).answer is Failure.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("field", "value"), [("prediction", 0.51), ("detector", "ucf"), ("weights_hash", "00" * 32), ("weights_hash", "")]
)
def test_a_reply_changed_on_its_way(field: str, value: object) -> None:
    """The signature covers every field."""
    fields = json.loads(write_reply(MINER, ENVELOPE, 0.5, "npr", HASH)) | {field: value}
    assert read_answer(json.dumps(fields).encode(), ENVELOPE).answer is Failure.BAD_SIGNATURE


def test_a_reply_signed_by_another() -> None:
    """Only the hotkey that was asked can answer."""
    assert read_answer(write_reply(VALIDATOR, ENVELOPE, 0.5, "npr", HASH), ENVELOPE).answer is Failure.BAD_SIGNATURE


@pytest.mark.parametrize(
    "number",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1.0001",
        "-0",
        "-0.0",
        "-1e-400",
        "-0.5",
        "1e400",
        "2",
        "9" * 5000,
        "1." + "0" * 15 + "3",
    ],
)
def test_numbers_outside_the_range(number: str) -> None:
    """NaN, infinities, negatives (also minus zero), and anything above one: OUT_OF_RANGE."""
    assert read_answer(raw(number), ENVELOPE).answer is Failure.OUT_OF_RANGE


@pytest.mark.parametrize("number", ["0", "1", "0.0", "1.0", "1e-400", "0.5e0", "1E-5"])
def test_numbers_inside_the_range(number: str) -> None:
    """Any JSON spelling of a number in [0, 1] reads as that number."""
    assert read_reply(raw(number)).prediction == float(number)
    assert in_range(float(number))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"0.5",
        b"null",
        b"[]",
        b"[0.5]",
        b'"0.5"',
        b"<html><body>502 Bad Gateway</body></html>",
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf" + reply(),
        b"\x80" + reply(),
        reply() + reply(),
        reply()[:-1],
        b"{" * 30_000,
        b"[" * 30_000,
        b'{"prediction":' * 10_000,
        reply(prediction=None),
        reply(prediction="0.5"),
        reply(prediction=[0.5]),
        reply(prediction={"value": 0.5}),
        reply(prediction=True),
        reply(detector=None),
        reply(detector=""),
        reply(detector=5),
        reply(detector="a" * 65),
        reply(detector="two\nlines"),
        reply(detector="npr\n"),
        reply(detector="\ud800"),
        reply(weights_hash="XYZ"),
        reply(weights_hash=HASH.upper()),
        reply(weights_hash=HASH + "\n"),
        reply(signature=None),
        reply(signature="0x"),
        reply(signature=SIGNATURE[:-1]),
        reply(extra=1),
        reply().replace(b"{", b'{"prediction": 0.1, ', 1),
        reply().replace(b'"npr"', b'"npr", "detector": "npr"'),
        raw("0.5.5"),
        raw("+0.5"),
        raw(".5"),
        raw("0x1"),
        raw("1_0"),
        raw("nan"),
        raw("null"),
        raw('"NaN"'),
    ],
    ids=lambda body: repr(body[:48]),
)
def test_replies_that_cannot_be_read_in_exactly_one_way(body: bytes) -> None:
    """Anything but one flat object with the four keys and their exact types: MALFORMED, with a reason."""
    verdict = read_answer(body, ENVELOPE)
    assert verdict.answer is Failure.MALFORMED
    assert 0 < len(verdict.reason) < 300
    assert verdict.body is None


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    """Arbitrary bytes end in an answer, never in an exception."""
    assert read_answer(body, ENVELOPE).answer is Failure.MALFORMED


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(ReplyBody.model_fields)) | st.text(max_size=5), JSON_VALUES, max_size=6))
def test_no_json_breaks_the_reader(fields: dict[str, object]) -> None:
    """Nor does any JSON; without a valid signature none of it becomes a prediction."""
    assert isinstance(read_answer(json.dumps(fields).encode(), ENVELOPE).answer, Failure)


@given(st.floats())
def test_the_range_is_predictions_own(value: float) -> None:
    """What is in range can be built as a Prediction; minus zero is the one number of difference."""
    if in_range(value):
        assert Prediction(value).p_synthetic == value
    elif math.copysign(1.0, value) < 0 and value == 0:
        assert not in_range(value)
    else:
        with pytest.raises(ValueError, match="p_synthetic"):
            Prediction(value)


@pytest.mark.parametrize("key", ["\u2028", "\u0085", "\ud800", "\x1b[2J", "a\nb"])
def test_a_reason_is_one_printable_line(key: str) -> None:
    """A miner chooses the names of keys, and they come into the validator's journal and logs."""
    judged = read_answer(reply(**{key: 1}), ENVELOPE)
    assert judged.answer is Failure.MALFORMED
    assert judged.reason.isprintable()
    judged.reason.encode()
