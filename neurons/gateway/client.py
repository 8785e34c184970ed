"""A small typed client of a gateway, over httpx2.

with Client("https://gateway.example", key) as client:
    detection = client.detect(Path("picture.jpg"))
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from neurons.gateway.schemas import Detection, JobBody, ProblemBody
from neurons.gateway.store.jobs import State
from subnet.errors import SubnetError

AGAIN: Final = (409, 429, 503)  # what is tried again after Retry-After; of safe requests also what a proxy says
_PROXY: Final = (502, 504)
_LEAST_WAIT, _USUAL_WAIT = 0.5, 1.0  # seconds, whatever is said, and where nothing is
_MOST_BYTES: Final = 2**20  # of an answer
_STRANGE: Final = "what came is no answer of a gateway"
Body = TypeVar("Body", bound=BaseModel)


class GatewayError(SubnetError):
    """There is no detection: `problem` says why, None where what came is not the gateway's own; `status` is 0 where
    nothing came. `job` is the id of the clip's job, which may be done yet: ask for it by `Client.job`."""

    def __init__(self, status: int, problem: ProblemBody | None, reason: str = "", job: str | None = None) -> None:
        super().__init__(problem.detail if problem else reason or f"status {status}")
        self.status, self.problem, self.job = status, problem, job


@dataclass(frozen=True)
class _Answer:
    status: int
    wait: float  # seconds until it is worth asking again
    content: bytes


class Client:
    """Asks the gateway at `url` with `key`. Refusals that pass are tried again for `patience` seconds in all.

    So are broken connections of requests that may be made twice: looks at jobs, and files with an `idempotency_key`.
    `timeout` seconds are for a connection, each of its silences, and all of an answer's body.
    """

    def __init__(self, url: str, key: str, *, patience: float = 60.0, timeout: float = 60.0) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout)
        self._patience, self._timeout = patience, timeout

    def detect(self, file: Path | bytes, *, idempotency_key: str | None = None) -> Detection:
        """What the subnet says of a picture or a clip; of a clip once its job is done. Raises GatewayError, and OSError
        for a file that cannot be read."""
        ends = time.monotonic() + self._patience
        answer = self._post(file, ends, idempotency_key)
        if answer.status == 200:
            return _read(Detection, answer)
        job = _read(JobBody, answer)
        try:
            return self._finished(job, answer.wait, ends)
        except GatewayError as error:
            error.job = job.id
            raise

    def _finished(self, job: JobBody, wait: float, ends: float) -> Detection:
        while job.state in (State.QUEUED, State.RUNNING):
            if (left := ends - time.monotonic()) <= 0:
                raise GatewayError(504, None, f"the job {job.id} is not done yet; ask for it later")
            time.sleep(min(wait, left))
            answer = self._request("GET", f"/v1/jobs/{job.id}", ends)
            job, wait = _read(JobBody, answer), answer.wait
        if job.detection is None:
            raise GatewayError(job.problem.status if job.problem else 200, job.problem, _STRANGE)
        return job.detection

    def submit(self, clip: Path | bytes, *, idempotency_key: str | None = None) -> JobBody:
        """Queue a clip, without waiting for its job. Raises GatewayError, also for a picture, and OSError."""
        return _read(JobBody, self._post(clip, time.monotonic() + self._patience, idempotency_key))

    def _post(self, file: Path | bytes, ends: float, idempotency_key: str | None) -> _Answer:
        data = file.read_bytes() if isinstance(file, Path) else file
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key is not None else {}
        return self._request("POST", "/v1/detections", ends, files={"file": data}, headers=headers)

    def job(self, id: str) -> JobBody:
        """How far a job is. Raises GatewayError."""
        return _read(JobBody, self._request("GET", f"/v1/jobs/{id}", time.monotonic() + self._patience))

    def _request(
        self,
        method: str,
        path: str,
        ends: float,
        files: dict[str, bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> _Answer:
        safe = method == "GET" or bool(headers)
        while True:
            wait = _USUAL_WAIT
            try:
                answer = self._exchange(method, path, files, headers)
                if answer.status < 300:
                    return answer
                error = GatewayError(answer.status, _problem(answer.content))
                again, wait = answer.status in AGAIN or (safe and answer.status in _PROXY), answer.wait
            except GatewayError as broken:
                error, again = broken, safe
            if not again or time.monotonic() + wait > ends:
                raise error
            time.sleep(wait)

    def _exchange(
        self, method: str, path: str, files: dict[str, bytes] | None, headers: dict[str, str] | None
    ) -> _Answer:
        """One request and the whole answer. Raises GatewayError where it breaks."""
        body = bytearray()
        try:
            with self._http.stream(method, path, files=files, headers=headers) as response:
                ends = time.monotonic() + self._timeout
                for part in response.iter_bytes():
                    body += part
                    if len(body) > _MOST_BYTES or time.monotonic() > ends:
                        raise GatewayError(response.status_code, None, _STRANGE)
                return _Answer(response.status_code, _wait(response), bytes(body))
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise GatewayError(0, None, f"the gateway cannot be reached: {error or type(error).__name__}") from error

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _wait(response: httpx2.Response) -> float:
    """Seconds until it is worth asking again: Retry-After (RFC 9110, section 10.2.3), and 1 for a date or none."""
    text = response.headers.get("retry-after", "")
    return max(_LEAST_WAIT, float(text)) if text.isascii() and text.isdigit() else _USUAL_WAIT


def _read(kind: type[Body], answer: _Answer) -> Body:
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError as error:
        raise GatewayError(answer.status, None, _STRANGE) from error


def _problem(body: bytes) -> ProblemBody | None:
    try:
        return ProblemBody.model_validate_json(body)
    except ValidationError:
        return None
