"""The miner's HTTP server: POST /ImageSynapse and /VideoSynapse, GET /health and /ready, and for those who watch it
(by default this machine only) /metrics and OpenAPI at /docs.

This file makes the application. `handler.py` deals with one request, `server.py` runs the server.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Receive, Scope, Send

from subnet.errors import Overloaded
from subnet.wire.handler import Answerer, AxonConfig, NonceStore, RequestHandler, Served
from subnet.wire.synapse import SYNAPSES, ReplyBody, Synapse

__all__ = ["Answerer", "AxonConfig", "NonceStore", "Overloaded", "RequestHandler", "Served", "application"]


PUBLIC: Final = frozenset({"/health", "/ready"})


class _Direct:
    """ASGI: posts of a synapse go straight to the handler. The routes stand for them in the documentation.

    FastAPI's own way to an endpoint costs 0.1 ms, a third of what one request costs without its cryptography. What is
    neither a synapse nor PUBLIC is there for the monitors only.
    """

    def __init__(self, app: ASGIApp, handler: RequestHandler, synapses: Mapping[str, Synapse]) -> None:
        self.app, self.handler, self.synapses = app, handler, synapses
        self.monitors = [ipaddress.ip_network(text, strict=False) for text in handler.axon.monitors]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        synapse = self.synapses.get(scope["path"])
        if synapse is None and scope["path"] not in PUBLIC and not self._monitors(scope):
            await Response(status_code=404)(scope, receive, send)
            return
        if synapse is None or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        response = await self.handler.handle(Request(scope, receive), synapse)
        await response(scope, receive, send)

    def _monitors(self, scope: Scope) -> bool:
        client = scope.get("client")
        try:
            address = ipaddress.ip_address(client[0] if client else "")
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self.monitors)


def application(handler: RequestHandler) -> FastAPI:
    """The FastAPI application around one handler."""
    app = FastAPI(
        title="Assay axon",
        summary="Says how likely media is synthetic",
        version="1",
        redoc_url=None,
        redirect_slashes=False,
    )
    axon = handler.axon
    synapses = {SYNAPSES[modality].path: SYNAPSES[modality] for modality in axon.served}
    for synapse in synapses.values():
        _add_synapse(app, handler, synapse)
    app.add_middleware(_Direct, handler=handler, synapses=synapses)

    @app.get("/health", summary="The process is alive")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", summary="Validators can reach this axon and their requests are taken")
    async def ready() -> JSONResponse:
        why_not = handler.unready()
        about = {"ready": not why_not, "hotkey": axon.keypair.ss58_address, "chain_age": axon.chain_age()}
        return JSONResponse(about | ({"why": why_not} if why_not else {}), 503 if why_not else 200)

    @app.get("/metrics", summary="Prometheus metrics")
    async def metrics() -> Response:
        return Response(generate_latest(handler.registry), media_type=CONTENT_TYPE_LATEST)

    return app


def _add_synapse(app: FastAPI, handler: RequestHandler, synapse: Synapse) -> None:
    async def endpoint(request: Request) -> Response:
        return await handler.handle(request, synapse)

    described = {
        401: "not signed, or not by this hotkey for this receiver, now, once",
        403: "may not ask",
        408: "the body came too slowly",
        413: f"more than {synapse.max_body} bytes",
        422: "not media of this kind",
        429: "too many requests; see Retry-After",
        503: "overloaded or not ready; see Retry-After",
    }
    responses: dict[int | str, dict[str, Any]] = {status: {"description": text} for status, text in described.items()}
    responses[200] = {"model": ReplyBody}
    app.add_api_route(
        synapse.path,
        endpoint,
        methods=["POST"],
        name=synapse.name,
        summary=f"P(synthetic) of one {synapse.modality}; btauth/1 headers; the reply is signed",
        response_model=None,
        responses=responses,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {synapse.content_type: {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
