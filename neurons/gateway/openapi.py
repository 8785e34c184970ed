"""How OpenAPI shows what is asked and answered, beyond what FastAPI knows of itself."""

from __future__ import annotations

from typing import Any, Final

from neurons.gateway.requests.fetching import JSON_TYPE, MOST_CHARACTERS, NAME
from neurons.gateway.requests.problems import MEDIA_TYPE, Kind
from neurons.gateway.requests.uploads import FORMATS
from neurons.gateway.schemas import Detection, Health, JobBody
from neurons.verdicts.form import FIELD
from neurons.verdicts.kinds import CLIPS


def _told(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How OpenAPI shows problems of these statuses."""
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    titles = {
        status: "; ".join(kind.title for kind in Kind if kind.status == status) for status in (*statuses, 400, 500)
    }
    content = {MEDIA_TYPE: {"schema": schema}}
    return {
        status: {"description": title, "content": content, "headers": _headers("X-Request-Id", *_MORE.get(status, ()))}
        for status, title in titles.items()
    }


def _headers(*names: str) -> dict[str, Any]:
    """How OpenAPI shows headers of an answer."""
    return {name: _HEADERS[name] for name in names}


_MORE: Final = {
    413: ("Idempotency-Replayed",),
    422: ("Idempotency-Replayed",),
    409: ("Retry-After",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_HEADERS: Final[dict[str, Any]] = {
    "X-Request-Id": {"required": True, "schema": {"type": "string"}, "description": "the request's own, or one drawn"},
    "Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "seconds"},
    "Idempotency-Replayed": {
        "schema": {"type": "string", "enum": ["true"]},
        "description": "there where the answer is that to an earlier request",
    },
    "Location": {"schema": {"type": "string"}, "description": "of the job"},
}
LOOKED: Final[dict[int | str, dict[str, Any]]] = {
    **_told(401, 404, 503),
    200: {"headers": _headers("X-Request-Id", "Retry-After")},
    "default": _told()[500],  # without one FastAPI adds an answer 422 of its own
}
HEALTH: Final[dict[int | str, dict[str, Any]]] = {
    200: {"headers": _headers("X-Request-Id")},
    503: {"model": Health, "description": "Nothing can be judged now.", "headers": _headers("X-Request-Id")},
}


_FILE: Final[dict[str, Any]] = {
    "type": "string",
    "format": "binary",
    "description": f"{', '.join(FORMATS.pictures)}; {CLIPS}.",
}
_TOKENS: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and file again give the first answer, and ask no miner.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
}


def _object(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A body with one member, and nothing else."""
    properties = {name: schema}
    return {"schema": {"type": "object", "required": [name], "additionalProperties": False, "properties": properties}}


def posted(schemes: tuple[str, ...]) -> dict[str, Any]:
    """How OpenAPI shows what is posted: a file, or also its address, where there are schemes for these."""
    content = {"multipart/form-data": _object(FIELD, _FILE)}
    if schemes:
        begins = f"begins with {' or '.join(f'{each}://' for each in schemes)}"
        address = {"type": "string", "format": "uri", "maxLength": MOST_CHARACTERS, "description": begins}
        content[JSON_TYPE] = _object(NAME, address)
    queued = {
        "model": JobBody,
        "description": "A clip, queued.",
        "headers": _headers("X-Request-Id", "Location", "Retry-After", "Idempotency-Replayed"),
    }
    judged = {"description": "A picture, judged.", "headers": _headers("X-Request-Id", "Idempotency-Replayed")}
    answers = {200: judged, 202: queued}
    return {
        "response_model": Detection,
        "responses": {**answers, **_told(401, 403, 408, 409, 413, 415, 422, 429, 503)},
        "openapi_extra": {"parameters": [_TOKENS], "requestBody": {"required": True, "content": content}},
    }
