"""The site over HTTP: pages and their JSON at the same address, with headers that let a browser do nothing else."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from neurons.web.addresses import FILES
from neurons.web.pages import as_json, html
from neurons.web.rendering.environment import file
from neurons.web.report.forms import BODY_SECONDS
from neurons.web.site import Site, notice
from subnet.wire.http.server import BoundedProtocol

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
KEPT: Final = 100  # pages; the largest, a scoreboard of 256 miners as JSON, takes 1 MB


class Drawn:
    """Answers as they were drawn, until a journal moves: readers of a page share it, and one is drawn at a time."""

    def __init__(self, site: Site, *, trying: bool) -> None:
        self._site, self._trying = site, trying
        self._kept: OrderedDict[str, tuple[tuple[int, ...], Response]] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, path: str) -> Response:
        """What is at `path`, without its first stroke. What hangs on the clock, and what is no page, is not kept."""
        with self._lock:
            versions = tuple(book.version for book in self._site.books)
            known = self._kept.get(path)
            if known is None or known[0] != versions:
                response = respond(self._site, path, trying=self._trying)
                if response.status_code != 200 or path.removesuffix(".json") == "health":
                    return response
                known = self._kept[path] = (versions, response)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(path)
        drawn = known[1]
        return Response(drawn.body, drawn.status_code, media_type=drawn.headers["content-type"])


class PatientProtocol(BoundedProtocol):
    """A connection whose uploads may take as long as a form may, and a second for the answer 408."""

    message_seconds: ClassVar[float] = BODY_SECONDS + 1


@dataclass(frozen=True)
class Forms:
    """Pages that take what a browser sends: their routes, and the headers in which they differ from others.

    `first` is the page that stands in front where there are no journals.
    """

    first: str
    paths: frozenset[str]
    headers: Mapping[str, str]
    add_routes: Callable[[FastAPI], None]


def application(site: Site, forms: Forms | None = None) -> FastAPI:
    """The ASGI application. Requests only read what `Book.refresh` has gathered, but for those of `forms`."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # their pages load scripts from elsewhere

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        form = forms if forms is not None and request.url.path in forms.paths else None
        methods = (*METHODS, "POST") if form else METHODS
        if request.method not in methods:
            response = Response(status_code=405, headers={"allow": ", ".join(methods)})
        else:
            response = await call_next(request)
        response.headers.update({**HEADERS, **form.headers} if form else HEADERS)
        return response

    if forms is not None:
        forms.add_routes(app)
    drawn = Drawn(site, trying=forms is not None)

    @app.api_route("/{path:path}", methods=list(METHODS))
    def show(path: str) -> Response:
        if path in FILES:
            return Response(file(path), media_type=FILES[path])
        if forms is not None and not site.books and not path:
            return RedirectResponse(f"./{forms.first}", 303)
        return drawn.answer(path)

    return app


def respond(site: Site, path: str, *, trying: bool = False) -> Response:
    """What is at `path`, without its first stroke; with `trying` pages have a link to *Try a file*."""
    address = path.removesuffix(".json")
    page = site.page(address)
    headers = {"retry-after": RETRY_AFTER} if page.status == 503 else {}
    if page.template == "notice":  # its links start at the root, however deep the address was
        page = notice("/" * path.count("/"), page.status, page.title, page.facts["detail"])
    if path.endswith(".json"):
        kind = "application/json" if page.template != "notice" else "application/problem+json"
        return Response(as_json(page), page.status, headers, kind)
    return Response(html(page, trying=trying), page.status, headers, "text/html; charset=utf-8")
