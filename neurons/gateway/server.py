"""The API over HTTP: routes, keys, allowances, and how every refusal is told."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final

from fastapi import FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from neurons.gateway.metrics import Metrics
from neurons.gateway.openapi import HEALTH, LOOKED, posted
from neurons.gateway.requests.around import Around, only, request_id
from neurons.gateway.requests.fetching import JSON_TYPE, Fetching, address_in
from neurons.gateway.requests.problems import MEDIA_TYPE, Kind, Problem, Refusal, seconds
from neurons.gateway.requests.uploads import file_of, read_body, recognised, size_of
from neurons.gateway.schemas import Detection, Health, JobBody, ProblemBody
from neurons.gateway.service import Service
from neurons.gateway.store.holding import held
from neurons.gateway.store.jobs import Job, Jobs, State, TooMany
from neurons.gateway.store.keys import Key, Keys, Scope, Spent
from neurons.gateway.store.repeats import Answered, Different, InHand, Repeats
from neurons.log import Log
from subnet.errors import StateError
from subnet.types import Modality
from subnet.wire.bodies import Bodies, BodyLimits, NoRoom
from subnet.wire.http.lingering import Lingering
from subnet.wire.http.presence import while_present

SCOPES: Final[Mapping[Modality, Scope]] = {Modality.IMAGE: Scope.IMAGE, Modality.VIDEO: Scope.VIDEO}
HUNG_UP: Final = 499  # in metrics, of clients that did not wait
LOOK_AGAIN: Final = 2.0  # seconds between two looks at a job
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,255}")
_BEARER: Final = HTTPBearer(auto_error=False, description="A key of `assay gateway key add`")
_MIB: Final = 2**20
_LAST: Final = {"Connection": "close"}
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]


@dataclass(frozen=True)
class Api:
    """What the routes work with; `most` are the bytes of the largest file."""

    service: Service
    keys: Keys
    jobs: Jobs
    repeats: Repeats
    bodies: Bodies
    fetching: Fetching
    most: int
    wake: asyncio.Event  # set where a job was queued
    metrics: Metrics
    log: Log


def bodies() -> Bodies:
    """Room for request bodies: 256 MiB in all, 64 MiB of one key."""
    return Bodies(BodyLimits(total_bytes=256 * _MIB, hotkey_bytes=64 * _MIB, hotkey_bodies=64))


def application(api: Api) -> Around:
    """The ASGI application; documentation is at /openapi.json alone, since pages for it load scripts from elsewhere."""
    app = FastAPI(title="Assay gateway", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    _add_handlers(app, api.log)

    @app.post("/v1/detections", **posted(api.fetching.schemes))
    async def detect(request: Request, credentials: Credentials = None) -> Response:
        """Judge one picture at once, or queue one clip as a job."""
        key, token = await _key(api, request, credentials), _token(request)
        try:
            await asyncio.to_thread(api.keys.admit, key, fresh=token is None)
        except Spent as spent:
            raise Refusal(Kind.TOO_MANY, str(spent), spent.retry_after, unread=True) from spent
        return await _received(api, key, token, request)

    @app.get("/v1/jobs/{id}", responses=LOOKED, response_model_exclude_none=True)
    async def job(
        id: str,
        request: Request,
        response: Response,
        credentials: Credentials = None,
    ) -> JobBody:
        """How far a job is, and its answer."""
        key = await _key(api, request, credentials)
        found = await asyncio.to_thread(api.jobs.find, id, key.id)
        if found is None:
            raise Refusal(Kind.NOT_FOUND, "there is no such job of this key, or it was forgotten")
        if found.state in (State.QUEUED, State.RUNNING):
            response.headers["Retry-After"] = str(seconds(LOOK_AGAIN))
        return body_of(found)

    @app.get("/health", responses=HEALTH)
    async def health(response: Response) -> Health:
        """Whether files can be judged."""
        faults = api.service.faults()
        response.status_code = 503 if faults else 200
        return Health(ok=not faults, faults=faults)

    return Around(app, count=api.metrics.request)


async def _key(api: Api, request: Request, credentials: HTTPAuthorizationCredentials | None) -> Key:
    """Raises Refusal for a request without a valid key; what is wrong with it is nobody's business."""
    only(request, "Authorization")
    key = await asyncio.to_thread(api.keys.find, credentials.credentials) if credentials else None
    if key is None:
        raise Refusal(
            Kind.UNAUTHORIZED, "send `Authorization: Bearer KEY` with a key that was not revoked", unread=True
        )
    return key


def _token(request: Request) -> str | None:
    """The Idempotency-Key; None without one. Raises Refusal."""
    token = only(request, "Idempotency-Key")
    if token is not None and not _TOKEN.fullmatch(token):
        wrong = f"has {len(token)}" if len(token) > 255 else "has a space, or others" if token else "is empty"
        detail = f"Idempotency-Key must be 1 to 255 printable characters of ASCII without spaces; this one {wrong}"
        raise Refusal(Kind.BAD_REQUEST, detail, unread=True)
    return token


async def _received(api: Api, key: Key, token: str | None, request: Request) -> Response:
    """Read the file, and answer as the first request under this Idempotency-Key was, or anew."""
    try:
        with api.bodies.room(key.id, size_of(request, api.most)):
            file = await _file(api, key, request)
            return await _once(api, key, token, file, request)
    except NoRoom as full:
        own = full.refused.status == Kind.TOO_MANY.status
        what = "too many uploads of this key are in hand" if own else "too many uploads are in hand"
        raise Refusal(Kind.TOO_MANY if own else Kind.BUSY, what, full.retry_after, unread=True) from full


async def _file(api: Api, key: Key, request: Request) -> bytes:
    """The file in a form or, where the operator allows it, at an address in JSON. Raises Refusal."""
    kind = only(request, "Content-Type") or ""
    body = await read_body(request.receive, api.most)
    if api.fetching.schemes and kind.partition(";")[0].strip().lower() == JSON_TYPE:
        with api.bodies.room(key.id, api.most):
            return await while_present(request.receive, api.fetching.fetch(address_in(body)))
    return await asyncio.to_thread(file_of, kind, body, api.most)


async def _once(api: Api, key: Key, token: str | None, file: bytes, request: Request) -> Response:
    """The answer to a file; one that comes again under its token gets the first one's. Only problems of ours, and
    those of keys, are tried again."""
    if token is None:
        return _response(await _counted(api, key, file, request))
    digest = hashlib.sha256(file).digest()
    try:
        before = await asyncio.to_thread(api.repeats.begin, key.id, token, digest)
    except (InHand, Different) as error:
        kind = Kind.IN_HAND if isinstance(error, InHand) else Kind.DIFFERENT
        raise Refusal(kind, str(error), 1.0 if kind is Kind.IN_HAND else None) from error
    if isinstance(before, Answered):
        return _response(before, again=True)
    answered: Answered | None = None
    try:
        async with held(partial(api.repeats.hold, before)):
            answered = await _counted(api, key, file, request)
    except Refusal as refused:
        if not refused.problem.kind.passes:
            fields = refused.problem.fields(request_id(request))
            answered = Answered(refused.problem.kind.status, ProblemBody(**fields).model_dump_json(exclude_none=True))
        raise
    finally:
        await asyncio.to_thread(api.repeats.end, before, answered)
    return _response(answered)


async def _counted(api: Api, key: Key, file: bytes, request: Request) -> Answered:
    """The answer to a file, which counts for the quota of `key` unless nothing is said of it. Raises Refusal."""
    try:
        day = await asyncio.to_thread(api.keys.spend, key)
    except Spent as spent:
        raise Refusal(Kind.TOO_MANY, str(spent), spent.retry_after) from spent
    counts = False
    try:
        answered = await _answered(api, key, file, request, day)
        counts = True
    except Refusal as refused:
        counts = not refused.problem.kind.passes
        raise
    finally:
        if not counts:
            with suppress(StateError):
                await asyncio.to_thread(api.keys.give_back, key, day)
    return answered


async def _answered(api: Api, key: Key, file: bytes, request: Request, day: int) -> Answered:
    upload = recognised(file)
    if SCOPES[upload.modality] not in key.scopes:
        raise Refusal(Kind.FORBIDDEN, f"this key has no scope '{SCOPES[upload.modality]}'")
    if upload.modality is Modality.IMAGE:
        detection = await while_present(request.receive, api.service.detect(upload, each=Scope.ANSWERS in key.scopes))
        return Answered(200, detection.model_dump_json(exclude_none=True))
    try:
        job = await asyncio.to_thread(api.jobs.put, key.id, file, request_id(request), day)
    except TooMany as many:
        raise Refusal(Kind.TOO_MANY if many.own else Kind.BUSY, str(many), 10.0) from many
    api.wake.set()
    return Answered(202, body_of(job).model_dump_json(exclude_none=True), job.location)


def body_of(job: Job) -> JobBody:
    """A job as its client sees it."""
    told: dict[str, Any] = {"id": job.id, "state": job.state}
    if job.state in (State.DONE, State.FAILED):  # before that nobody knows when it ends
        told["expires"] = int(job.until)
    if job.state is State.DONE:
        told["detection"] = Detection.model_validate_json(job.answer)
    elif job.state is State.FAILED:
        told["problem"] = ProblemBody.model_validate_json(job.answer)
    return JobBody(**told)


def _response(answered: Answered, *, again: bool = False) -> Response:
    headers = {"Idempotency-Replayed": "true"} if again else {}
    if answered.location:
        headers |= {"Location": answered.location, "Retry-After": str(seconds(LOOK_AGAIN))}
    kind = "application/json" if answered.status < 400 else MEDIA_TYPE
    return Response(answered.body, answered.status, headers, kind)


def _add_handlers(app: FastAPI, log: Log) -> None:
    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> Response:
        return _problem(request, error.problem, unread=error.unread)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=HUNG_UP)

    @app.exception_handler(StateError)
    async def unwritable(request: Request, error: StateError) -> Response:
        log.error("the gateway's own records cannot be used", error=str(error))
        return _problem(request, Problem(Kind.NOT_READY, "the gateway's own records cannot be used now", 30.0))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        kind = Kind.NOT_ALLOWED if error.status_code == Kind.NOT_ALLOWED.status else Kind.NOT_FOUND
        return _problem(request, Problem(kind, "see /openapi.json for what there is", headers=error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return _problem(request, Problem(Kind.BAD_REQUEST, "see /openapi.json for what is taken here"))

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:  # uvicorn logs the traceback, and hangs up
        return _problem(request, Problem(Kind.FAULT, "tell its operator the request_id", headers=_LAST))


def _problem(request: Request, problem: Problem, *, unread: bool = False) -> Response:
    headers = dict(problem.headers)
    if problem.retry_after is not None:
        headers["Retry-After"] = str(seconds(problem.retry_after))
    if problem.kind is Kind.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    content = problem.fields(request_id(request))
    response = JSONResponse(content, problem.kind.status, headers, MEDIA_TYPE)
    return Lingering(response, request.receive) if unread else response
