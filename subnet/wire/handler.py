"""How an axon deals with one request, from its headers to its signed reply; `axon.py` makes an application of it.

Order of checks, cheapest first, so that a stranger costs a few microseconds and no memory: headers (shape, receiver,
age: 401), size (413), who may ask (403, 429, 503), then signature and nonce (401), then room for the body (429, 503),
then the body while counting bytes and hashing (413, 408, 401), then the detector. The answer is signed by the miner.

The signature comes before the body because the request says the body's digest ahead (`X-Assay-Digest`), which is all
of the body that `btauth/1` signs. A client that does not say it is served too: its body is read first, from a small
allowance that such clients share, and only when the hotkey it claims may ask.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from subnet.errors import MediaError, Overloaded, SettingsError, StateError, SubnetError
from subnet.types import Modality, Prediction
from subnet.wire.admission import GUEST, Buckets, Metagraph, Policy, Refused, admission, too_fast, weight
from subnet.wire.bodies import UNPROVEN, Bodies, BodyLimits, NoRoom
from subnet.wire.credentials import PROVEN, Credentials, read_credentials
from subnet.wire.synapse import Envelope, Signer, Synapse, write_reply

_log = logging.getLogger("subnet.wire")


class NonceStore(Protocol):
    """Remembers accepted requests; see `subnet.wire.nonces`."""

    def check_and_store(self, hotkey_ss58: str, nonce_ns: int) -> bool: ...


Answerer = Callable[[Modality, bytes, str], Awaitable[Prediction]]  # modality, body, hotkey


@dataclass(frozen=True)
class Served:
    """What answers for one modality: the detector's name and the sha256 of its weights in hex ("" without weights)."""

    detector: str
    weights_hash: str = ""


@dataclass(frozen=True)
class AxonConfig:
    """Everything the application needs.

    `answer` may raise MediaError (422) and Overloaded (503). `metagraph` is asked on every request, and gives None
    until the first sync. `unready` gives why no validator can reach this axon yet, or "", and `chain_age` the seconds
    since the chain was read, where it is; networks in `monitors` may read metrics and documentation. `served` may
    change while it serves. `say` is the number sent for a prediction; a dishonest miner of the local network says
    another.
    """

    keypair: Signer
    metagraph: Callable[[], Metagraph | None]
    nonces: NonceStore
    answer: Answerer
    served: Mapping[Modality, Served]
    policy: Policy = field(default_factory=Policy)
    body_seconds: float = 10.0
    bodies: BodyLimits = field(default_factory=BodyLimits)
    unready: Callable[[], str] = lambda: ""
    chain_age: Callable[[], float | None] = lambda: None
    monitors: tuple[str, ...] = ("127.0.0.0/8", "::1")
    now_ns: Callable[[], int] = time.time_ns
    monotonic: Callable[[], float] = time.monotonic
    say: Callable[[Prediction], float] = lambda prediction: prediction.p_synthetic

    def __post_init__(self) -> None:
        if not 0 < self.body_seconds <= 15:
            raise SettingsError(
                f"body_seconds must be in (0, 15], not {self.body_seconds}: the server hangs up after 20"
            )


class _Refusal(SubnetError):
    """Carries a `Refused` out of the reading of a request; `close` also ends the connection, its body unread."""

    def __init__(self, refused: Refused, *, close: bool = False) -> None:
        super().__init__(refused.reason)
        self.refused, self.close = refused, close


class RequestHandler:
    """The life of one application: its buckets, the bodies it has in hand, its metrics.

    Each needs a registry of its own, and has a new one where none is given.
    """

    def __init__(self, axon: AxonConfig, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self.axon = axon
        self.buckets = Buckets(axon.policy, axon.monotonic)
        self.bodies = Bodies(axon.bodies)
        self.draining = False
        self.registry = registry
        self.requests = Counter("assay_axon_requests", "Requests by outcome", ["synapse", "status"], registry=registry)
        self.seconds = Histogram(
            "assay_axon_seconds", "Time from headers to reply, answered requests", ["synapse"], registry=registry
        )
        ready = Gauge("assay_axon_ready", "1 when /ready says yes", registry=registry)
        ready.set_function(lambda: not self.unready())
        ProcessCollector(registry=registry)

    def drain(self) -> None:
        """From now on `/ready` says no; requests in hand are answered."""
        self.draining = True

    def unready(self) -> str:
        """Why requests are not taken, or ""."""
        if self.draining:
            return "stopping"
        return "the metagraph is not loaded yet" if self.axon.metagraph() is None else self.axon.unready()

    async def handle(self, request: Request, synapse: Synapse) -> Response:
        """One request from its headers to its reply."""
        start, status = self.axon.monotonic(), 500
        try:
            response = await self._answer(request, synapse)
            self.seconds.labels(synapse.name).observe(self.axon.monotonic() - start)
            status = 200
        except NoRoom as full:
            response = self._refused(_Refusal(full.refused, close=True), request)
            status = response.status_code
        except _Refusal as refusal:
            response = self._refused(refusal, request)
            status = response.status_code
        except asyncio.CancelledError:
            status = 503  # the server ends
            raise
        finally:
            self.requests.labels(synapse.name, status).inc()
        return response

    def _refused(self, refusal: _Refusal, request: Request) -> Response:
        refused = refusal.refused
        _log.warning(f"requests refused with {refused.status}: %s (from %s)", refused.reason, _address(request))
        return _refusal_response(refusal)

    async def _answer(self, request: Request, synapse: Synapse) -> Response:
        """Prove, read, judge; in another order where the digest of the body is not said ahead."""
        credentials = self._admit(request, synapse, self.axon.now_ns())
        hotkey, digest = credentials.hotkey, credentials.digest
        size = synapse.max_body if credentials.length is None else credentials.length
        guest = weight(hotkey, self.axon.metagraph(), self.axon.policy) == GUEST
        if digest is None:
            with self.bodies.room(UNPROVEN, size):
                body, digest = await self._read(request, synapse.max_body)
            self._prove(request, credentials, digest)
            with self.bodies.room(hotkey, len(body), guest=guest):
                return await self._judge(synapse, credentials, body, digest)
        self._prove(request, credentials, digest)
        with self.bodies.room(hotkey, size, guest=guest):
            body, got = await self._read(request, synapse.max_body)
            if got != digest:
                raise _Refusal(Refused(401, "the body is not the one whose digest is signed"))
            return await self._judge(synapse, credentials, body, digest)

    async def _judge(self, synapse: Synapse, credentials: Credentials, body: bytes, digest: str) -> Response:
        axon = self.axon
        envelope = Envelope(credentials.nonce, digest, credentials.hotkey, axon.keypair.ss58_address)
        try:
            prediction = await axon.answer(synapse.modality, body, credentials.hotkey)
        except MediaError as error:
            raise _Refusal(Refused(422, str(error))) from error
        except Overloaded as error:
            raise _Refusal(Refused(503, str(error), error.retry_after)) from error
        served = axon.served[synapse.modality]  # after the answer: other weights may have taken the places meanwhile
        reply = write_reply(axon.keypair, envelope, axon.say(prediction), served.detector, served.weights_hash)
        return Response(reply, media_type="application/json")

    def _admit(self, request: Request, synapse: Synapse, now_ns: int) -> Credentials:
        """All that can be refused from the headers, except that the hotkey is only claimed."""
        axon = self.axon
        read = read_credentials(request.scope["headers"], axon.keypair.ss58_address, now_ns)
        if isinstance(read, Refused):
            raise _Refusal(read, close=True)
        if read.length is not None and read.length > synapse.max_body:
            raise _Refusal(Refused(413, f"more than {synapse.max_body} bytes"), close=True)
        verdict = admission(read.hotkey, axon.metagraph(), axon.policy, self.buckets.tokens(read.hotkey))
        if isinstance(verdict, Refused):
            raise _Refusal(verdict, close=True)
        return read

    async def _read(self, request: Request, limit: int) -> tuple[bytes, str]:
        """The body and its sha256, counted and hashed as it comes."""
        chunks: list[bytes] = []
        digest, size = hashlib.sha256(), 0
        try:
            async with asyncio.timeout(self.axon.body_seconds):
                more = True
                while more:
                    message = await request.receive()
                    if message["type"] == "http.disconnect":
                        raise _Refusal(Refused(400, "the body ended early"), close=True)
                    chunk: bytes = message.get("body", b"")
                    more = message.get("more_body", False)
                    size += len(chunk)
                    if size > limit:
                        raise _Refusal(Refused(413, f"more than {limit} bytes"), close=True)
                    digest.update(chunk)
                    chunks.append(chunk)
        except TimeoutError:
            late = Refused(408, f"the body took more than {self.axon.body_seconds:g} s")
            raise _Refusal(late, close=True) from None
        return b"".join(chunks), digest.hexdigest()

    def _prove(self, request: Request, credentials: Credentials, digest: str) -> None:
        """Signature, nonce, then one token of the hotkey's bucket. A nonce is spent here, whatever the body does."""
        axon, scope = self.axon, request.scope
        query: bytes = scope["query_string"]
        target: bytes = scope["raw_path"] + (b"?" + query if query else b"")
        if not credentials.proven(axon.keypair.ss58_address, request.method, target.decode("latin-1"), digest):
            raise _Refusal(Refused(401, "the signature is not the hotkey's over this request"), close=True)
        try:
            new = axon.nonces.check_and_store(credentials.hotkey, credentials.nonce)
        except StateError as error:
            raise _Refusal(Refused(503, "accepted requests cannot be remembered now", 5.0), close=True) from error
        if not new:
            raise _Refusal(Refused(401, "this nonce was already accepted, or is older than this axon"), close=True)
        if not self.buckets.take(credentials.hotkey):
            raise _Refusal(too_fast(self.buckets.tokens(credentials.hotkey), axon.policy), close=True)
        if PROVEN in scope.get("extensions", {}):
            scope["extensions"][PROVEN]["call"]()


def _address(request: Request) -> str:
    return request.client.host if request.client else "an unknown address"


def _refusal_response(refusal: _Refusal) -> Response:
    refused = refusal.refused
    headers = {}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "btauth/1"
    if refused.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(refused.retry_after)))
    if refusal.close:
        headers["Connection"] = "close"
    return JSONResponse({"detail": refused.reason}, refused.status, headers)
