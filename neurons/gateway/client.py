"""A small typed client of a gateway, over httpx2.

with Client("https://gateway.example", key) as client:
    detection = client.detect(Path("picture.jpg"))
"""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx2
from pydantic import ValidationError

from neurons.gateway.schemas import Detection, JobBody, ProblemBody
from neurons.gateway.store.jobs import State
from subnet.errors import SubnetError

AGAIN: Final = (429, 503)  # what is tried again after Retry-After


class GatewayError(SubnetError):
    """The gateway refused: `problem` says why; None where what came is not its own."""

    def __init__(self, status: int, problem: ProblemBody | None) -> None:
        super().__init__(problem.detail if problem else f"status {status}")
        self.status, self.problem = status, problem


class Client:
    """Asks the gateway at `url` with `key`. Refusals that pass are tried again for `patience` seconds in all."""

    def __init__(self, url: str, key: str, *, patience: float = 60.0, timeout: float = 60.0) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout)
        self._patience = patience

    def detect(self, file: Path | bytes, *, idempotency_key: str | None = None) -> Detection:
        """What the subnet says of a picture or a clip; of a clip once its job is done. Raises GatewayError."""
        ends = time.monotonic() + self._patience
        response = self._post(file, ends, idempotency_key)
        if response.status_code == 200:
            return Detection.model_validate_json(response.content)
        job = JobBody.model_validate_json(response.content)
        while job.state in (State.QUEUED, State.RUNNING) and time.monotonic() < ends:
            time.sleep(min(_wait(response), max(0.0, ends - time.monotonic())))
            response = self._request("GET", f"/v1/jobs/{job.id}", ends)
            job = JobBody.model_validate_json(response.content)
        if job.detection is None:
            raise GatewayError(job.problem.status if job.problem else 504, job.problem)
        return job.detection

    def submit(self, clip: Path | bytes, *, idempotency_key: str | None = None) -> JobBody:
        """Queue a clip, without waiting for its job. Raises GatewayError, and ValidationError for a picture."""
        response = self._post(clip, time.monotonic() + self._patience, idempotency_key)
        return JobBody.model_validate_json(response.content)

    def _post(self, file: Path | bytes, ends: float, idempotency_key: str | None) -> httpx2.Response:
        data = file.read_bytes() if isinstance(file, Path) else file
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key is not None else {}
        return self._request("POST", "/v1/detections", ends, files={"file": data}, headers=headers)

    def job(self, id: str) -> JobBody:
        """How far a job is. Raises GatewayError."""
        response = self._request("GET", f"/v1/jobs/{id}", time.monotonic() + self._patience)
        return JobBody.model_validate_json(response.content)

    def _request(
        self,
        method: str,
        path: str,
        ends: float,
        files: dict[str, bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        while True:
            response = self._http.request(method, path, files=files, headers=headers)
            wait = _wait(response)
            if response.status_code not in AGAIN or time.monotonic() + wait > ends:
                break
            time.sleep(wait)
        if response.status_code >= 400:
            raise GatewayError(response.status_code, _problem(response.content))
        return response

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
    return float(text) if text.isascii() and text.isdigit() else 1.0


def _problem(body: bytes) -> ProblemBody | None:
    try:
        return ProblemBody.model_validate_json(body)
    except ValidationError:
        return None
