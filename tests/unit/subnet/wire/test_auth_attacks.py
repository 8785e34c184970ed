"""Attacks on an axon, each by its name, over a real socket against the real server.

Where the answer does not need the body, only the head is sent: that an answer comes proves the body was not read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from bittensor import http_auth
from bittensor.sp_core import CRYPTO_ED25519, Keypair

from subnet.wire.admission import Policy
from subnet.wire.synapse import ImageSynapse
from tests.unit.subnet.wire.rig import (
    BODY,
    MINER,
    STRANGER,
    VALIDATOR,
    Rig,
    exchange,
    head,
    post,
    read_response,
    signed,
    start,
    validator_row,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    rig = await start(tmp_path_factory.mktemp("axon") / "nonces.sqlite")
    yield rig
    await rig.close()


@pytest.fixture
def rig(shared: Rig) -> Rig:
    """The shared axon with an honest metagraph and a detector that was not asked yet."""
    shared.asked.clear()
    shared.metagraph.clear()
    shared.metagraph[VALIDATOR.ss58_address] = validator_row()
    return shared


async def refused(rig: Rig, *args: object, status: int = 401, **kwargs: object) -> str:
    """Send; the status must be as said and the detector unasked. Gives the reason."""
    answer = await post(rig, *args, **kwargs)  # type: ignore[arg-type]
    assert answer.status == status, answer
    assert rig.asked == []
    return answer.body.decode()


async def pour(rig: Rig, first: bytes, then: bytes) -> int:
    """Send `first`, then `then` again and again until the axon hangs up. Gives the bytes it took."""
    _, writer = await asyncio.open_connection("127.0.0.1", rig.serving.port)
    writer.write(first)
    sent = 0
    try:
        while sent < 128 * 2**20:
            writer.write(then)
            await writer.drain()
            sent += len(then)
    except ConnectionError:
        pass
    writer.close()
    return sent


async def test_an_honest_request_is_answered(rig: Rig) -> None:
    """The control: what all attacks below are variations of is accepted."""
    answer = await post(rig, signed())
    assert answer.status == 200
    assert rig.asked == [BODY]


# --- the signature -----------------------------------------------------------------------------------------------


async def test_no_signature(rig: Rig) -> None:
    """A request without a signature is refused, its body unread."""
    await refused(rig, signed(signature=None), None)


async def test_empty_signature(rig: Rig) -> None:
    """An empty signature is refused, its body unread."""
    await refused(rig, signed(signature=""), None)


@pytest.mark.parametrize("value", ["0x", "0x00", "0x" + "00" * 63, "0x" + "00" * 65, "zz" * 64, "00" * 64])
async def test_signature_of_the_wrong_shape(rig: Rig, value: str) -> None:
    """A signature that is not 64 bytes of hex is refused, its body unread."""
    await refused(rig, signed(signature=value), None)


async def test_signature_of_zeros(rig: Rig) -> None:
    """A well-formed signature that proves nothing is refused."""
    await refused(rig, signed(signature="0x" + "00" * 64))


async def test_wrong_key(rig: Rig) -> None:
    """A stranger's signature under a validator's name is refused."""
    await refused(rig, signed(key=STRANGER, hotkey=VALIDATOR.ss58_address))


async def test_ed25519_signature_labelled_sr25519(rig: Rig) -> None:
    """A signature is verified under the scheme it is labelled with, never under another."""
    key = Keypair.create_from_uri("//Validator", CRYPTO_ED25519)
    rig.metagraph[key.ss58_address] = validator_row(hotkey=key.ss58_address)
    await refused(rig, signed(key=key, crypto=None))
    await refused(rig, signed(key=key, crypto="sr25519"))
    assert (await post(rig, signed(key=key))).status == 200  # labelled as what it is


@pytest.mark.parametrize("value", ["2", "rsa", "", "SR25519", "0", "1"])
async def test_unknown_scheme(rig: Rig, value: str) -> None:
    """Only the two schemes of the protocol, by name."""
    await refused(rig, [*signed(), ("X-Bittensor-Crypto", value)], None)


async def test_swapped_body(rig: Rig) -> None:
    """The signature covers the body."""
    await refused(rig, signed(BODY), b"x" + BODY[1:])


async def test_emptied_body(rig: Rig) -> None:
    """The signature of a body does not serve for none."""
    await refused(rig, signed(BODY), b"", length=0)


async def test_changed_query(rig: Rig) -> None:
    """The signature covers the query: adding, changing or dropping a parameter is refused."""
    await refused(rig, signed(), target="/ImageSynapse?a=1")
    await refused(rig, signed(target="/ImageSynapse?a=1"), target="/ImageSynapse?a=2")
    await refused(rig, signed(target="/ImageSynapse?a=1"), target="/ImageSynapse")
    assert (await post(rig, signed(target="/ImageSynapse?a=1"), target="/ImageSynapse?a=1")).status == 200


async def test_changed_path(rig: Rig) -> None:
    """A request signed for one synapse does not serve for the other."""
    await refused(rig, signed(target="/VideoSynapse"))


async def test_changed_method(rig: Rig) -> None:
    """The signature covers the method, and only POST asks anything."""
    await refused(rig, signed(method="GET"))
    await refused(rig, signed(method="PUT"), None, method="PUT", status=405)
    await refused(rig, signed(method="GET"), None, method="GET", status=405)


# --- version and receiver ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "", "0", "2", "10", "1.0", "01"])
async def test_old_or_absent_version(rig: Rig, value: str | None) -> None:
    """Exactly version 1, else refused with the body unread."""
    await refused(rig, signed(version=value), None)


async def test_other_receiver(rig: Rig) -> None:
    """A request that was signed for another miner cannot be passed on to this one."""
    await refused(rig, signed(receiver=STRANGER.ss58_address), None)


async def test_receiver_relabelled(rig: Rig) -> None:
    """Nor by writing this miner's name over the other's."""
    headers = dict(signed(receiver=STRANGER.ss58_address)) | {"X-Bittensor-Receiver": MINER.ss58_address}
    await refused(rig, list(headers.items()))


async def test_no_receiver(rig: Rig) -> None:
    """A request bound to nobody is refused."""
    await refused(rig, signed(receiver=None), None)


@pytest.mark.parametrize("value", [None, "", "not-a-key", "5" * 48, "5" * 4000])
async def test_hotkey_that_is_none(rig: Rig, value: str | None) -> None:
    """A sender that cannot be a hotkey is refused: 401 for the form, 403 where the form is right but nobody has it."""
    await refused(rig, signed(hotkey=value), None, status=403 if value == "5" * 48 else 401)


# --- nonces ------------------------------------------------------------------------------------------------------


async def test_nonce_reused_on_the_same_worker(rig: Rig) -> None:
    """The same request twice: the second is refused."""
    headers = signed()
    assert (await post(rig, headers)).status == 200
    rig.asked.clear()
    assert "already accepted" in await refused(rig, headers)


async def test_nonce_reused_with_another_body(rig: Rig) -> None:
    """A nonce serves once, also for a new body with a new signature."""
    headers = dict(signed())
    assert (await post(rig, list(headers.items()))).status == 200
    rig.asked.clear()
    nonce = int(headers["X-Bittensor-Nonce"])
    again = http_auth.sign(
        VALIDATOR,
        method="POST",
        path="/ImageSynapse",
        body=b"new",
        receiver_ss58=MINER.ss58_address,
        nonce_ns=nonce,
    )
    await refused(rig, list(again.items()), b"new")


async def test_twenty_copies_at_once(rig: Rig) -> None:
    """Of many copies that race, exactly one is answered."""
    headers = signed()
    answers = await asyncio.gather(*(post(rig, headers) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 19


async def test_nonce_reused_on_another_worker(rig: Rig) -> None:
    """Workers share what they accepted: a request that one took, another refuses."""
    other = await start(rig.store.path)
    headers = signed()
    assert (await post(rig, headers)).status == 200
    assert (await post(other, headers)).status == 401
    await other.close()


async def test_nonce_reused_after_a_restart(tmp_path: Path) -> None:
    """A new process on the same file refuses what the old one accepted."""
    first = await start(tmp_path / "nonces.sqlite")
    headers = signed()
    assert (await post(first, headers)).status == 200
    await first.close()
    second = await start(tmp_path / "nonces.sqlite")
    assert (await post(second, headers)).status == 401
    assert (await post(second, signed())).status == 200
    await second.close()


async def test_nonce_11_seconds_old(rig: Rig) -> None:
    """A request older than ten seconds is refused, its body unread."""
    assert "stale" in await refused(rig, signed(age=11), None)


async def test_nonce_3_seconds_ahead(rig: Rig) -> None:
    """A request from a clock that is more than two seconds ahead is refused, its body unread."""
    assert "ahead" in await refused(rig, signed(age=-3), None)
    assert (await post(rig, signed(age=-1.5))).status == 200


@pytest.mark.parametrize(
    "value",
    [
        "-1",
        str(10**30),
        "9" * 5000,
        "0",
        "",
        "x",
        "1e18",
        "0x10",
        "1.0",
        "1_000",
        "+1",
        "１２３".encode().decode("latin-1"),
    ],
)
async def test_nonce_that_is_no_number(rig: Rig, value: str) -> None:
    """Negative, huge, signed, spelled or foreign digits: refused, the body unread."""
    await refused(rig, signed(nonce=value), None)


async def test_refused_requests_use_up_no_nonce(rig: Rig) -> None:
    """A forged copy that arrives first does not spoil the real request."""
    headers = signed()
    forged = [*(h for h in headers if h[0] != "X-Bittensor-Signature"), ("X-Bittensor-Signature", "0x" + "11" * 64)]
    await refused(rig, forged)
    assert (await post(rig, headers)).status == 200


# --- headers and framing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("short", ["Version", "Hotkey", "Receiver", "Nonce", "Signature"])
async def test_duplicated_headers(rig: Rig, short: str) -> None:
    """A header that stands twice can be read in two ways, so it is refused, also when both say the same."""
    headers = signed()
    twin = next(header for header in headers if header[0].endswith(short))
    await refused(rig, [*headers, twin], None)
    await refused(rig, [*headers, (twin[0].lower(), "other")], None)


async def test_header_case(rig: Rig) -> None:
    """Names of headers have no case (RFC 9110 section 5.1)."""
    assert (await post(rig, [(name.swapcase(), value) for name, value in signed()])).status == 200


async def test_header_whitespace(rig: Rig) -> None:
    """Blanks around a value are no part of it; blanks inside one, before the colon or as a fold are refused."""
    assert (await post(rig, [(name, f"  {value}\t") for name, value in signed()])).status == 200
    rig.asked.clear()
    nonce = dict(signed())["X-Bittensor-Nonce"]
    await refused(rig, signed(nonce=f"{nonce[:5]} {nonce[5:]}"), None)
    await refused(rig, [(name + " ", value) for name, value in signed()], None, status=400)
    await refused(rig, [*signed(), ("X-Other", "a\r\n folded")], None, status=400)


async def test_huge_header(rig: Rig) -> None:
    """A header of a megabyte ends the connection with 431 or at once, long before it is read."""
    data = head([*signed(), ("X-Pad", "a" * 2**20)], length=len(BODY))
    assert (await exchange(rig.serving.port, data)).status in (0, 431)
    assert rig.asked == []


async def test_header_without_end(rig: Rig) -> None:
    """A head that never ends is cut off by its size."""
    sent = await pour(rig, b"POST /ImageSynapse HTTP/1.1\r\nX-Pad: ", b"a" * 65536)
    assert sent < 16 * 2**20  # what sockets buffer


async def test_ten_thousand_headers(rig: Rig) -> None:
    """Many small headers count like one large one."""
    data = head([*signed(), *((f"X-{i}", "y") for i in range(10_000))], length=len(BODY))
    assert (await exchange(rig.serving.port, data)).status in (0, 431)


async def test_content_length_of_a_gigabyte(rig: Rig) -> None:
    """A size that is too large is refused before a byte of the body."""
    await refused(rig, signed(), None, length=2**30, status=413)
    await refused(rig, signed(), None, length=ImageSynapse.max_body + 1, status=413)


async def test_content_length_says_more_than_comes(rig: Rig) -> None:
    """A body that stalls is given up with 408; one whose stream ends early reaches no detector."""
    await refused(rig, signed(), length=len(BODY) + 10, status=408)
    data = head(signed(), length=len(BODY) + 10) + BODY
    assert (await exchange(rig.serving.port, data, finish=True)).status in (0, 400, 408)
    assert rig.asked == []


async def test_content_length_says_less_than_comes(rig: Rig) -> None:
    """What is announced is the body, and its signature does not fit; the rest is not taken for more of it."""
    answer = await post(rig, signed(), length=len(BODY) - 10)
    assert answer.status in (400, 401)
    assert rig.asked == []


@pytest.mark.parametrize("value", ["-1", "+5", "0x10", "5,5", "1e3", "", "99999999999999999999999"])
async def test_content_length_that_is_no_size(rig: Rig, value: str) -> None:
    """A size that is not a plain number is bad framing."""
    data = head([*signed(), ("Content-Length", value)])
    assert (await exchange(rig.serving.port, data)).status == 400
    assert rig.asked == []


async def test_two_framings(rig: Rig) -> None:
    """Content-Length twice, or beside chunked coding, is request smuggling."""
    for extra in (("Content-Length", str(len(BODY))), ("Content-Length", "3"), ("Transfer-Encoding", "chunked")):
        data = head([*signed(), extra], length=len(BODY)) + BODY
        assert (await exchange(rig.serving.port, data)).status == 400
    assert rig.asked == []


async def test_chunked_body_is_counted(rig: Rig) -> None:
    """Chunked bodies are served like others, and too large ones cut off while they come."""
    chunked = [("Transfer-Encoding", "chunked")]
    whole = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    assert (await exchange(rig.serving.port, head([*signed(), *chunked]) + whole)).status == 200
    rig.asked.clear()
    piece = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    endless = head([*signed(), *chunked]) + piece * (ImageSynapse.max_body // 65536 + 1)
    assert (await exchange(rig.serving.port, endless)).status == 413
    assert rig.asked == []


async def test_chunked_without_end(rig: Rig) -> None:
    """A chunked body that goes on for ever is cut off by its size, whatever it was going to be."""
    start_line = head([*signed(), ("Transfer-Encoding", "chunked")])
    sent = await pour(rig, start_line, b"10000\r\n" + b"a" * 65536 + b"\r\n")
    assert sent < 8 * ImageSynapse.max_body
    assert rig.asked == []


async def test_trailers_without_end(rig: Rig) -> None:
    """Headers after a chunked body count as headers before it do."""
    start_line = head([*signed(), ("Transfer-Encoding", "chunked")]) + b"0\r\n"
    assert await pour(rig, start_line, b"X-Pad: " + b"a" * 4096 + b"\r\n") < 16 * 2**20
    assert rig.asked == []


async def trickle(rig: Rig, first: bytes, then: bytes) -> int:
    """Send `first` at once and `then` byte by byte. Gives the status that cuts it off (0 for none) within 3 s."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.serving.port)
    writer.write(first)
    answer = asyncio.create_task(read_response(reader))
    for byte in then:
        if answer.done() or writer.is_closing():
            break
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)
    try:
        return (await asyncio.wait_for(answer, 3)).status
    except ConnectionError:
        return 0
    finally:
        writer.close()


async def test_slowloris_in_the_head(rig: Rig) -> None:
    """A head that comes byte by byte is given up after its deadline."""
    began = time.monotonic()
    assert await trickle(rig, b"", head(signed(), length=len(BODY))) in (0, 408)
    assert time.monotonic() - began < 3


async def test_connection_that_says_nothing(rig: Rig) -> None:
    """An open connection without a request is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.serving.port)
    assert await asyncio.wait_for(reader.read(), 3) == b""
    writer.close()


async def test_slowloris_in_the_body(rig: Rig) -> None:
    """A body that comes byte by byte is given up with 408 after its deadline."""
    assert await trickle(rig, head(signed(), length=len(BODY)), BODY) == 408
    assert rig.asked == []


async def test_slowloris_after_a_refusal(rig: Rig) -> None:
    """A body that nobody waits for any more does not keep its connection open."""
    began = time.monotonic()
    assert await trickle(rig, head(signed(key=STRANGER), length=len(BODY)), BODY) == 403
    assert await trickle(rig, head([], method="GET", target="/health", length=len(BODY)), BODY) == 200
    assert time.monotonic() - began < 5


async def test_forwarded_for_spoof(rig: Rig) -> None:
    """What a caller says about its address changes nothing."""
    spoofs = [("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1"), ("Forwarded", "for=127.0.0.1")]
    await refused(rig, [*signed(key=STRANGER), *spoofs], None, status=403)


# --- who may ask -------------------------------------------------------------------------------------------------


async def test_unregistered_hotkey(rig: Rig) -> None:
    """A hotkey that is not in the metagraph is refused, its body unread."""
    await refused(rig, signed(key=STRANGER), None, status=403)


async def test_no_permit(rig: Rig) -> None:
    """A hotkey without validator permit is refused, its body unread."""
    rig.metagraph[VALIDATOR.ss58_address] = validator_row(permit=False)
    await refused(rig, signed(), None, status=403)


async def test_too_little_stake(rig: Rig) -> None:
    """A hotkey below the minimum stake is refused, its body unread."""
    rig.metagraph[VALIDATOR.ss58_address] = validator_row(stake=9.99)
    await refused(rig, signed(), None, status=403)


async def test_blacklisted(tmp_path: Path) -> None:
    """A blacklisted hotkey is refused whatever its permit and stake."""
    rig = await start(tmp_path / "n.sqlite", policy=Policy(blacklist=frozenset({VALIDATOR.ss58_address})))
    await refused(rig, signed(), None, status=403)
    await rig.close()


async def test_permit_lost_in_mid_session(rig: Rig) -> None:
    """A refreshed metagraph counts from the next request on."""
    assert (await post(rig, signed())).status == 200
    rig.asked.clear()
    rig.metagraph[VALIDATOR.ss58_address] = validator_row(permit=False)
    await refused(rig, signed(), None, status=403)
    rig.metagraph[VALIDATOR.ss58_address] = validator_row()
    assert (await post(rig, signed())).status == 200


async def test_faster_than_its_rate(tmp_path: Path) -> None:
    """Above its rate a hotkey gets 429 with a Retry-After, its body unread; later it is served again."""
    now = [0.0]
    rig = await start(tmp_path / "n.sqlite", policy=Policy(rate=0.5, burst=3), monotonic=lambda: now[0])
    assert [(await post(rig, signed())).status for _ in range(3)] == [200] * 3
    answer = await post(rig, signed(), None)
    assert (answer.status, answer.headers["retry-after"]) == (429, "2")
    now[0] = 2.1
    assert [(await post(rig, signed())).status for _ in range(2)] == [200, 429]
    await rig.close()


async def test_nobody_spends_anothers_allowance(tmp_path: Path) -> None:
    """Forged requests in a validator's name cost the validator nothing."""
    rig = await start(tmp_path / "n.sqlite", policy=Policy(rate=0.001, burst=1))
    for _ in range(5):
        await refused(rig, signed(key=STRANGER, hotkey=VALIDATOR.ss58_address))
    assert (await post(rig, signed())).status == 200
    await rig.close()


async def test_flood_from_1000_hotkeys(rig: Rig) -> None:
    """A thousand strangers are all refused unread, or cut off on a busy machine; a validator is answered among them."""
    keys = [Keypair.create_from_uri(f"//Flood{i}") for i in range(1000)]
    floods = [head(signed(key=key), length=len(BODY)) for key in keys]
    gate = asyncio.Semaphore(64)

    async def one(data: bytes) -> int:
        async with gate:
            return (await exchange(rig.serving.port, data, patience=30)).status

    flood = asyncio.gather(*(one(data) for data in floods))
    await asyncio.sleep(0.05)
    assert (await post(rig, signed())).status == 200
    refused = await flood
    assert set(refused) <= {0, 403}
    assert refused.count(403) > 900
    assert rig.asked == [BODY]


async def test_metagraph_not_loaded(tmp_path: Path) -> None:
    """Before the first sync nobody is let in on trust: 503 with a Retry-After."""
    rig = await start(tmp_path / "n.sqlite", metagraph=lambda: None)
    answer = await post(rig, signed(), None)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    await rig.close()


async def test_nonce_memory_that_fails(tmp_path: Path) -> None:
    """An axon that cannot remember what it accepts accepts nothing: 503, not 200."""
    rig = await start(tmp_path / "folder" / "n.sqlite")
    rig.store.close()
    (tmp_path / "folder").rename(tmp_path / "gone")
    (tmp_path / "folder").write_text("a file where the folder was")
    await refused(rig, signed(), status=503)
    await rig.serving.stop()


async def test_reasons_name_no_secret(rig: Rig) -> None:
    """A refusal never repeats the signature or the body to the caller."""
    headers = signed(key=STRANGER, hotkey=VALIDATOR.ss58_address)
    reason = await refused(rig, headers)
    assert dict(headers)["X-Bittensor-Signature"][2:20] not in reason


# --- the digest that is said ahead -------------------------------------------------------------------------------


async def test_a_forged_signature_is_refused_before_the_body(rig: Rig) -> None:
    """What a stranger signs in a validator's name costs no reading: the answer comes without a byte of the body."""
    await refused(rig, signed(key=STRANGER, hotkey=VALIDATOR.ss58_address), None)
    await refused(rig, signed(signature="0x" + "11" * 64), None)
    await refused(rig, [*signed(BODY[:-1])[:-1], ("X-Assay-Digest", "00" * 32)], None)


async def test_a_body_that_is_not_the_announced_one(rig: Rig) -> None:
    """The body is compared with the digest that was signed, and the nonce is spent: no second try with it."""
    headers = signed(BODY)
    assert "digest" in await refused(rig, headers, b"x" + BODY[1:])
    assert "already accepted" in await refused(rig, headers)


async def test_a_body_that_breaks_off_spends_its_nonce(rig: Rig) -> None:
    """Breaking off the body frees nothing for a replay."""
    headers = signed()
    assert (await exchange(rig.serving.port, head(headers, length=len(BODY)) + BODY[:9], finish=True)).status in (
        0,
        400,
    )
    assert "already accepted" in await refused(rig, headers)


@pytest.mark.parametrize("value", ["", "0" * 63, "A" * 64, "g" * 64, "0" * 65])
async def test_a_digest_that_is_none(rig: Rig, value: str) -> None:
    """Lowercase hex of 32 bytes, once; else refused unread."""
    headers = [*signed(ahead=False), ("X-Assay-Digest", value)]
    await refused(rig, headers, None)
    await refused(rig, [*signed(), ("x-assay-digest", "0" * 64)], None)


async def test_clients_that_say_no_digest(rig: Rig) -> None:
    """A request as the SDK signs it is served, once, and every forgery of it refused as before."""
    headers = signed(ahead=False)
    assert (await post(rig, headers)).status == 200
    rig.asked.clear()
    assert "already accepted" in await refused(rig, headers)
    await refused(rig, signed(ahead=False), b"x" + BODY[1:])
    await refused(rig, signed(ahead=False, key=STRANGER, hotkey=VALIDATOR.ss58_address))
    await refused(rig, signed(ahead=False, target="/VideoSynapse"))
    await refused(rig, signed(ahead=False, key=STRANGER), None, status=403)


async def test_clients_that_say_no_digest_share_a_small_allowance(rig: Rig) -> None:
    """Bodies that nothing vouches for fill their own allowance; who says the digest is served all the while."""
    unproven = rig.axon.bodies.unproven_bodies
    forged = head(signed(ahead=False, signature="0x" + "11" * 64), length=len(BODY))
    drips = [asyncio.create_task(exchange(rig.serving.port, forged + BODY[:9])) for _ in range(unproven)]
    await asyncio.sleep(0.1)
    assert "X-Assay-Digest" in await refused(rig, signed(ahead=False), None, status=503)
    assert (await post(rig, signed())).status == 200
    assert {answer.status for answer in await asyncio.gather(*drips)} == {408}
    assert (await post(rig, signed(ahead=False))).status == 200


async def test_a_flood_of_forged_bodies(rig: Rig) -> None:
    """520 connections that drip bodies in a validator's name, half of them with a digest: 26 of its requests out of
    26 are served meanwhile."""
    forged = {"hotkey": VALIDATOR.ss58_address, "key": STRANGER}
    drips = [
        asyncio.create_task(
            exchange(rig.serving.port, head(signed(ahead=n % 2 == 0, **forged), length=len(BODY)) + BODY[:9])  # type: ignore[arg-type]
        )
        for n in range(520)
    ]
    statuses = []
    for _ in range(26):
        statuses.append((await post(rig, signed())).status)
        await asyncio.sleep(0.01)
    assert statuses == [200] * 26
    await asyncio.gather(*drips)
