"""A real axon on 127.0.0.1, a validator's key, and raw sockets: what the tests of the wire share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bittensor import http_auth
from bittensor.sp_core import Keypair

from subnet.types import Endpoint, Modality, Neuron, Prediction
from subnet.wire.admission import Policy
from subnet.wire.axon import AxonConfig, RequestHandler, Served, application
from subnet.wire.http.connections import Connections
from subnet.wire.http.server import BoundedProtocol, RunningServer, serve
from subnet.wire.nonces import SqliteNonceStore
from subnet.wire.synapse import DIGEST_HEADER, digest_of

VALIDATOR = Keypair.create_from_uri("//Validator")
MINER = Keypair.create_from_uri("//Miner")
STRANGER = Keypair.create_from_uri("//Stranger")
BODY = bytes(range(256)) * 40
WEIGHTS = "ab" * 32

Headers = Sequence[tuple[str, str]]


class HastyProtocol(BoundedProtocol):
    """Patient for less than a second, so that tests need not wait."""

    head_seconds = 0.4
    message_seconds = 1.0


@dataclass(frozen=True)
class Answered:
    """A raw HTTP response; status 0 when the connection ended without one."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Rig:
    """One axon that serves, what its detector was asked, and the metagraph it sees (change it at will)."""

    axon: AxonConfig
    serving: RunningServer
    store: SqliteNonceStore
    metagraph: dict[str, Neuron]
    asked: list[bytes]

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("127.0.0.1", self.serving.port)

    @property
    def neuron(self) -> Neuron:
        """The miner as the validator's metagraph shows it."""
        return Neuron(7, MINER.ss58_address, "cold", 0.0, permit=False, endpoint=self.endpoint)

    async def close(self) -> None:
        await self.serving.stop()
        self.store.close()


def validator_row(stake: float = 100.0, *, permit: bool = True, hotkey: str = VALIDATOR.ss58_address) -> Neuron:
    return Neuron(0, hotkey, "cold", stake, permit=permit)


async def start(
    path: Path,
    *,
    policy: Policy | None = None,
    body_seconds: float = 0.5,
    connections: Connections | None = None,
    protocol: type[BoundedProtocol] = HastyProtocol,
    **changes: object,
) -> Rig:
    """A rig whose detector says 0.25 to everything. `changes` replace fields of its `AxonConfig`."""
    asked: list[bytes] = []
    metagraph = {VALIDATOR.ss58_address: validator_row()}

    async def answer(modality: Modality, body: bytes, hotkey: str) -> Prediction:
        asked.append(body)
        return Prediction(0.25)

    store = SqliteNonceStore(path)
    served = {modality: Served("npr", WEIGHTS) for modality in Modality}
    generous = Policy(min_stake=10.0, rate=1000.0, burst=1000.0)
    axon = AxonConfig(MINER, lambda: metagraph, store, answer, served, policy or generous, body_seconds)
    axon = replace(axon, **changes)  # type: ignore[arg-type]
    handler = RequestHandler(axon)
    serving = await serve(
        application(handler), "127.0.0.1", 0, drain=handler.drain, connections=connections, protocol=protocol
    )
    return Rig(axon, serving, store, metagraph, asked)


def signed(
    body: bytes = BODY,
    *,
    key: Keypair = VALIDATOR,
    receiver: str | None = MINER.ss58_address,
    method: str = "POST",
    target: str = "/ImageSynapse",
    age: float = 0.0,
    ahead: bool = True,
    **changes: str | None,
) -> list[tuple[str, str]]:
    """Headers from the SDK's own signer, `age` seconds old; then `changes` by short name (None takes one away).

    With `ahead` the digest of the body is said ahead, as our dendrite does and the SDK does not.
    """
    nonce = time.time_ns() - int(age * 1e9)
    headers = http_auth.sign(key, method=method, path=target, body=body, receiver_ss58=receiver, nonce_ns=nonce)
    if ahead:
        headers[DIGEST_HEADER] = digest_of(body)
    for short, value in changes.items():
        name = "X-Bittensor-" + short.capitalize()
        if value is None:
            del headers[name]
        else:
            headers[name] = value
    return list(headers.items())


def head(headers: Headers, *, method: str = "POST", target: str = "/ImageSynapse", length: int | None = None) -> bytes:
    """The head of an HTTP/1.1 request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: axon", *(f"{name}: {value}" for name, value in headers)]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def exchange(port: int, data: bytes, *, finish: bool = False, patience: float = 5.0) -> Answered:
    """Send raw bytes, read one response. `finish` ends our side of the stream after sending."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        await writer.drain()
        if finish:
            writer.write_eof()
        return await asyncio.wait_for(read_response(reader), patience)
    except ConnectionError:
        return Answered(0)
    finally:
        writer.close()


async def read_response(reader: asyncio.StreamReader) -> Answered:
    try:
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return Answered(0)
    status, *lines = text.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answered(int(status.split()[1]), headers, body)


async def post(
    rig: Rig,
    headers: Headers,
    body: bytes | None = BODY,
    *,
    method: str = "POST",
    target: str = "/ImageSynapse",
    length: int | None = None,
) -> Answered:
    """Send a request. With body None only the head goes out: an answer then proves that the body was not read."""
    size = len(body or BODY) if length is None else length
    return await exchange(rig.serving.port, head(headers, method=method, target=target, length=size) + (body or b""))
