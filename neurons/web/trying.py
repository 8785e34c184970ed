"""*Try a file*: a form for a picture or clip, and the report on it. Nothing is stored.

One file is judged at a time on this machine, as many as there are replicas where these judge. Decoding and evidence are
this machine's in both cases.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from markupsafe import Markup
from starlette.requests import ClientDisconnect

from neurons.provenance.evidence import evidence
from neurons.verdicts.files import decoded, several_in
from neurons.verdicts.judging import Opened, explain, explains, judge_by
from neurons.verdicts.kinds import CLIPS as CLIP_FORMATS
from neurons.verdicts.kinds import read_here
from neurons.web.pages import as_json, html
from neurons.web.rendering.environment import file
from neurons.web.report.complaints import LONGEST, Complaints, Full
from neurons.web.report.forms import NotTaken, body_of, check_origin, fields_in, sent_in, too_large
from neurons.web.report.page import STYLE, Report, section
from neurons.web.server import Forms
from neurons.web.site import Page, notice
from subnet.codec.image import FILE_IMAGES, ImageLimits
from subnet.codec.sandbox import VideoDecoder
from subnet.codec.video import FILE_CLIPS
from subnet.errors import CheckpointError, MediaError, MediaTooLarge, Overloaded, SettingsError, StateError
from subnet.printing import excerpt
from subnet.wire.http.lingering import Lingering
from subnet.wire.http.presence import while_present

MOST: Final = 30 * 2**20  # bytes of a file; a connection takes 32 MiB
WAITING: Final = 4  # files behind the one that is judged
ROOM: Final = (1 + WAITING) * MOST  # bytes of all files that arrive or wait
RETRY: Final = 15  # seconds
AT_ONCE: Final = 8  # files that are judged, however many replicas there are: each is in memory as pixels
IMAGES: Final = ImageLimits(
    bytes=MOST, pixels=24_000_000, jpeg_pixels=50_000_000, formats=FILE_IMAGES.formats, true_range=True
)
CLIPS: Final = replace(FILE_CLIPS, bytes=MOST, frame_pixels=4096 * 2304, seconds=30)
DIFFERENT: Final = {  # from the headers of other pages; without a referrer browsers do not say where a form is from
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "referrer-policy": "same-origin",
}
ADDRESS: Final = "try"
WRONG: Final = "try/wrong"
_SAID: Final = 4096  # bytes of the form of a complaint, besides its comment
_TITLE: Final = "Try a file"
_FULL: Final = "Too many files are arriving or waiting here; try again in a moment."
_TOO_LONG: Final = f"The comment is too long: it may have {LONGEST} characters. Nothing was stored."


def decoder(children: int = 1) -> VideoDecoder:
    """Decodes clips of strangers in processes that may be killed: 45 seconds and 1.5 GB of addresses each."""
    return VideoDecoder(CLIPS, timeout=45.0, children=children, memory=3 * 2**29)


@dataclass
class Trying:
    """Judges files by detectors that are `opened` when one comes. `clips` is closed by whoever made it.

    `lanes` is how many files may be judged at once, or None where detectors are on this machine. `told` hears what
    did not work and why, of which strangers hear the former alone.
    """

    opened: Opened
    clips: VideoDecoder
    complaints: Complaints
    trust: Path | None = None
    lanes: Callable[[], int] | None = None
    told: Callable[[str, str], None] = lambda what, why: None
    arriving: int = field(default=0, init=False)  # bytes of files that arrive or wait
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AT_ONCE, "judging"))
    _in_hand: int = 0
    _took: deque[float] = field(default_factory=lambda: deque(maxlen=9))  # seconds of the last ones
    _judged: int = 0
    _unstored: str = ""  # why the last complaint was not

    @property
    def at_once(self) -> int:
        """How many files may be judged at once."""
        return 1 if self.lanes is None else max(1, min(AT_ONCE, self.lanes()))

    def form(self) -> Page:
        """The page that asks for a file."""
        facts = {
            "most_bytes": MOST,
            "megapixels": IMAGES.pixels // 10**6,
            "jpeg_megapixels": IMAGES.jpeg_pixels // 10**6,
            "waiting": self._in_hand,
            "seconds": round(median(self._took)) or 1 if self._took else None,
            "at_once": self.at_once,
            "elsewhere": self.lanes is not None,
            "pictures": read_here().pictures,
            "clips": CLIP_FORMATS,
        }
        return Page(ADDRESS, "try", _TITLE, facts)

    async def take(self, request: Request) -> tuple[Report, dict[str, Any], str]:
        """The report on the file in a form, the same for machines, and the file's sha256. Raises NotTaken."""
        check_origin(request)
        self._check_place(unread=True)
        with self._arriving() as took:
            body = await body_of(request, MOST, too_large(MOST), took)
            kind = request.headers.get("content-type", "")
            name, data = await asyncio.to_thread(sent_in, kind, body, MOST)
            del body
            with self._place():
                try:
                    report, found = await while_present(request.receive, self._in_turn(name, data))
                except ClientDisconnect as error:
                    raise NotTaken(400, "You did not wait for the answer.") from error
        return report, found, hashlib.sha256(data).hexdigest()

    async def _in_turn(self, name: str, data: bytes) -> tuple[Report, dict[str, Any]]:
        """The turn lasts until its thread is done, which for a client who left ends at its next step."""
        async with self._turn():
            began, left = time.monotonic(), threading.Event()
            looking = asyncio.get_running_loop().run_in_executor(self._threads, self._look, name, data, left)
            try:
                looked = await asyncio.shield(looking)
            except asyncio.CancelledError:
                left.set()
                with suppress(Exception):
                    await looking
                raise
            self._took.append(time.monotonic() - began)
        return looked

    @contextmanager
    def _arriving(self) -> Iterator[Callable[[int], None]]:
        """What counts the bytes of one file until its answer: who sends nothing takes nobody's room. Raises NotTaken
        where there is none."""
        held = 0

        def took(count: int) -> None:
            nonlocal held
            if self.arriving + count > ROOM:
                raise NotTaken(503, _FULL, RETRY, unread=True)
            held += count
            self.arriving += count

        try:
            yield took
        finally:
            self.arriving -= held

    def _check_place(self, *, unread: bool) -> None:
        if self._in_hand >= self.at_once + WAITING:
            raise NotTaken(503, _FULL, RETRY, unread=unread)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """A place in the queue, from the last byte to the answer. Raises NotTaken where there is none."""
        self._check_place(unread=False)
        self._in_hand += 1
        try:
            yield
        finally:
            self._in_hand -= 1

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with self._moved:
            await self._moved.wait_for(lambda: self._judged < self.at_once)
            self._judged += 1
        try:
            yield
        finally:
            async with self._moved:
                self._judged -= 1
                self._moved.notify_all()

    def _look(self, name: str, data: bytes, left: threading.Event) -> tuple[Report, dict[str, Any]]:
        called = excerpt(Path(name).name) or "the file"
        try:
            given = decoded(data, self.clips, Path(name).suffix, IMAGES)
            _go_on(left)
            judged = judge_by(self.opened, called, given, several=several_in(data))
            _go_on(left)
            explained = explain(judged) if explains(judged) else None
        except MediaError as error:
            raise NotTaken(413 if isinstance(error, MediaTooLarge) else 422, f"{_sentence(error)}.") from error
        except (CheckpointError, SettingsError) as error:
            raise NotTaken(503, f"No detector can judge this here: {error}.", RETRY) from error
        except Overloaded as error:
            self.told("a file was not judged", str(error))
            raise NotTaken(503, "The detectors do not answer now; try again in a moment.", RETRY) from error
        clues = evidence(data, given, self.trust)
        found = {**judged.found, **(explained.found if explained else {})}
        return Report(called, judged, explained, clues), {**found, "evidence": [clue.to_json() for clue in clues]}

    def shown(self, report: Report, digest: str) -> Page:
        """The page with a report, and the form that says it is wrong."""
        found = report.judged.found
        told = {name: found[name] for name in ("verdict", "p_synthetic", "detector", "weights_hash")}
        said = json.dumps({"sha256": digest, **told})
        facts = {"section": Markup(section(report)), "said": said, "seal": self.complaints.seal(said)}
        return Page(ADDRESS, "tried", "What is said of it", {**facts, "longest": LONGEST})

    async def complain(self, request: Request) -> Page:
        """Take "this is wrong". Raises NotTaken."""
        check_origin(request)
        sent = fields_in(await body_of(request, _SAID + 12 * LONGEST, _TOO_LONG))
        said, comment = sent.get("said", ""), sent.get("comment", "").replace("\r\n", "\n")
        if not self.complaints.sound(said, sent.get("seal", "")):
            raise NotTaken(400, "This is not what was said here since the program started; judge the file again.")
        if sent.get("consent") != "yes":
            return notice(WRONG, 200, "Nothing was stored", "You did not agree to it, so nothing was stored.")
        if len(comment) > LONGEST:
            raise NotTaken(413, _TOO_LONG)
        if not await self._stored(said, comment):
            return notice(WRONG, 200, "Known already", "This was said of the file before; nothing more was stored.")
        told = "The file's SHA-256, what was said of it and your comment were stored on this machine; the file was not."
        return notice(WRONG, 200, "Thank you", told)

    async def _stored(self, said: str, comment: str) -> bool:
        """Whether a complaint is new, and stored. Raises NotTaken; why is told once until it works again."""
        try:
            stored = await asyncio.to_thread(self.complaints.keep, said, comment, time.time())
        except StateError as error:
            if str(error) != self._unstored:
                self.told("what people say is not stored", str(error))
            self._unstored = str(error)
            full = isinstance(error, Full)
            text = "There is no room for more of these here." if full else "It could not be stored here."
            raise NotTaken(503, text, RETRY) from error
        self._unstored = ""
        return stored


def forms(trying: Trying) -> Forms:
    """The form at /try, its JSON, and where they are sent to, for the site."""
    paths = frozenset({f"/{ADDRESS}", f"/{ADDRESS}.json", f"/{WRONG}"})
    return Forms(ADDRESS, paths, DIFFERENT, lambda app, journals: _add_routes(app, trying, journals))


def _add_routes(app: FastAPI, trying: Trying, journals: bool) -> None:
    shown = partial(_page, journals=journals)

    @app.get(f"/{ADDRESS}")
    def form() -> Response:
        return shown(trying.form())

    @app.get(f"/{ADDRESS}.json")
    def bounds() -> Response:
        return Response(as_json(trying.form()), media_type="application/json")

    @app.get(f"/{STYLE}")
    def styles() -> Response:
        return Response(file(STYLE), media_type="text/css")

    @app.post(f"/{ADDRESS}")
    async def judged(request: Request) -> Response:
        report, _, digest = await trying.take(request)
        return shown(await asyncio.to_thread(trying.shown, report, digest))

    @app.post(f"/{ADDRESS}.json")
    async def told(request: Request) -> Response:
        _, found, digest = await trying.take(request)
        return Response(json.dumps({**found, "sha256": digest}) + "\n", media_type="application/json")

    @app.post(f"/{WRONG}")
    async def complaint(request: Request) -> Response:
        return shown(await trying.complain(request))

    @app.exception_handler(NotTaken)
    async def refused(request: Request, error: NotTaken) -> Response:
        response = _refusal(request.url.path.strip("/"), error, shown)
        return Lingering(response, request.receive) if error.unread else response


def _page(page: Page, *, journals: bool) -> Response:
    return Response(html(page, trying=True, journals=journals), page.status, media_type="text/html; charset=utf-8")


def _refusal(address: str, error: NotTaken, shown: Callable[[Page], Response]) -> Response:
    page = notice(address.removesuffix(".json"), error.status, _TITLE, str(error))
    response = shown(page)
    if address.endswith(".json"):
        response = Response(as_json(page), page.status, media_type="application/problem+json")
    if error.retry_after is not None:
        response.headers["retry-after"] = str(error.retry_after)
    return response


def _go_on(left: threading.Event) -> None:
    if left.is_set():
        raise ClientDisconnect


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
