"""The site over HTTP: pages and their JSON at the same address, with headers that let a browser do nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI, Request, Response

from neurons.web.addresses import FILES
from neurons.web.pages import as_json, file, html
from neurons.web.site import Site, notice

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-cache",
}
RETRY_AFTER: Final = "5"  # seconds
METHODS: Final = ("GET", "HEAD")


def application(site: Site) -> FastAPI:
    """The ASGI application. Requests only read what `Book.refresh` has gathered."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # their pages load scripts from elsewhere

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.method not in METHODS:
            response = Response(status_code=405, headers={"allow": ", ".join(METHODS)})
        else:
            response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.api_route("/{path:path}", methods=list(METHODS))
    def show(path: str) -> Response:
        return Response(file(path), media_type=FILES[path]) if path in FILES else respond(site, path)

    return app


def respond(site: Site, path: str) -> Response:
    """What is at `path`, without its first stroke."""
    address = path.removesuffix(".json")
    page = site.page(address)
    headers = {"retry-after": RETRY_AFTER} if page.status == 503 else {}
    if page.template == "notice":  # its links start at the root, however deep the address was
        page = notice("/" * path.count("/"), page.status, page.title, page.facts["detail"])
    if path.endswith(".json"):
        kind = "application/json" if page.template != "notice" else "application/problem+json"
        return Response(as_json(page), page.status, headers, kind)
    return Response(html(page), page.status, headers, "text/html; charset=utf-8")
