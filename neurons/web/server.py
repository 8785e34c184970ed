"""The site over HTTP: pages and their JSON at the same address, with headers that let a browser do nothing else."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from neurons.web.addresses import FILES, FRONT
from neurons.web.pages import as_json, html
from neurons.web.rendering.environment import file
from neurons.web.report.forms import BODY_SECONDS
from neurons.web.site import Site, notice, reads
from subnet.wire.http.hosts import ours
from subnet.wire.http.lingering import Lingering
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
MISDIRECTED: Final = "This site is not known by that name; who runs it can add a name by --host.\n"
KEPT: Final = 100  # pages; the largest, a scoreboard of 256 miners as JSON, takes 1 MB


class Drawn:
    """Answers as they were drawn, until a journal moves: whoever asks for a page meanwhile shares it.

    Drawing holds the interpreter, and more threads would only take it from each other and from the loop: one draws, in
    the order in which pages were first asked for, and one of each journal those for which it is read, on a disk or
    afar. What is drawn already waits for none of them.
    """

    def __init__(self, site: Site, *, trying: bool) -> None:
        self._site, self._trying = site, trying
        self._kept: OrderedDict[str, tuple[tuple[int, ...], asyncio.Future[Response]]] = OrderedDict()
        self._drawer = ThreadPoolExecutor(1, "pages")
        self._readers = {book.number: ThreadPoolExecutor(1, f"rounds of {book.number}") for book in site.books}

    async def answer(self, path: str) -> Response:
        """What is at `path`, without its first stroke. What hangs on the clock, and what is no page, is not kept."""
        versions = self._site.versions(path)
        known = self._kept.get(path)
        if known is None or known[0] != versions:
            known = self._kept[path] = (versions, self._draw(path))
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(path)
        drawn = await asyncio.shield(known[1])
        return Response(drawn.body, drawn.status_code, drawn.headers)

    def _draw(self, path: str) -> asyncio.Future[Response]:
        draw = partial(respond, self._site, path, trying=self._trying)
        drawer = self._readers.get(reads(path) or 0, self._drawer)
        drawing = asyncio.get_running_loop().run_in_executor(drawer, draw)
        drawing.add_done_callback(partial(self._forget, path))
        return drawing

    def _forget(self, path: str, drawn: asyncio.Future[Response]) -> None:
        known = self._kept.get(path)
        lasts = not drawn.cancelled() and not drawn.exception() and drawn.result().status_code == 200
        if known is not None and known[1] is drawn and (not lasts or path.removesuffix(".json") == "health"):
            del self._kept[path]


class PatientProtocol(BoundedProtocol):
    """A connection whose uploads may take as long as a form may, and a second for the answer 408."""

    message_seconds: ClassVar[float] = BODY_SECONDS + 1


@dataclass(frozen=True)
class Forms:
    """Pages that take what a browser sends: their routes (which are told whether there are journals),
    and the headers in which they differ from others.

    `first` is the page that stands in front where there are no journals.
    """

    first: str
    paths: frozenset[str]
    headers: Mapping[str, str]
    add_routes: Callable[[FastAPI, bool], None]


def application(site: Site, forms: Forms | None = None, hosts: Collection[str] = ()) -> FastAPI:
    """The ASGI application. Requests only read what `Book.refresh` has gathered, but for those of `forms`.

    `hosts` are names, in lower case, by which it may be asked besides IP addresses and localhost.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # their pages load scripts from elsewhere

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        form = forms if forms is not None and request.url.path in forms.paths else None
        methods = (*METHODS, "POST") if form else METHODS
        response: Response
        if not ours(request.headers.getlist("host"), hosts):
            response = Lingering(PlainTextResponse(MISDIRECTED, 421), request.receive)
        elif request.method not in methods:
            response = Response(status_code=405, headers={"allow": ", ".join(methods)})
        else:
            response = await call_next(request)
        response.headers.update({**HEADERS, **form.headers} if form else HEADERS)
        return response

    if forms is not None:
        forms.add_routes(app, bool(site.books))
    drawn = Drawn(site, trying=forms is not None)

    @app.get("/{path:path}")
    async def show(path: str) -> Response:
        if path in FILES:
            return Response(file(path), media_type=FILES[path])
        if forms is not None and not site.books and path in ("", FRONT):
            return RedirectResponse(f"./{forms.first}", 303)
        return await drawn.answer(path)

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
    return Response(
        html(page, trying=trying, journals=bool(site.books)), page.status, headers, "text/html; charset=utf-8"
    )
