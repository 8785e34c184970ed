"""Which pages there are, and what each says: the server and the files that are exported ask here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from neurons.web import facts
from neurons.web.addresses import FRONT, slug
from neurons.web.book import Book, Unready
from neurons.web.facts import Facts, Names
from neurons.web.summary import ROUNDS
from subnet.game.history import ACCURACY_WINDOW, MCC_WINDOW
from subnet.game.scoring import ALPHA, AVERAGING, HEADROOM, IMAGE_SHARE, VIDEO_SHARE

_OF_JOURNAL: Final = re.compile(r"([1-9][0-9]{0,3})/(scoreboard|rounds|miner|round)(?:/([A-Za-z0-9-]{1,64}))?")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")


def reads(address: str) -> int | None:
    """The number of the journal that the page at `address` takes a look into; others tell what was gathered."""
    match = _OF_JOURNAL.match(address)
    return int(match[1]) if match is not None and match[2] == "round" else None


@dataclass(frozen=True)
class Page:
    """`template` is the name of its template, without .html; `status` that of HTTP."""

    address: str
    template: str
    title: str
    facts: Facts
    status: int = 200


def notice(address: str, status: int, title: str, text: str) -> Page:
    """A page that says why there is no other."""
    return Page(address, "notice", title, {"status": status, "title": title, "detail": text}, status)


@dataclass(frozen=True)
class Site:
    """The pages over `books`."""

    books: tuple[Book, ...]
    names: Names

    def page(self, address: str) -> Page:
        """The page at an address without its first stroke; one with status 404 or 503 where nothing can be shown."""
        try:
            found = self._page(address or FRONT)
        except Unready as error:
            return notice(address, 503, "Not to be shown now", str(error))
        told = "There is no such page. A round has one once its epoch is over and its item is not asked any more."
        return found or notice(address, 404, "Not here", told)

    def versions(self, address: str) -> tuple[int, ...]:
        """Of the journals that the page at `address` tells of: while they are the same, so is the page."""
        match = _OF_JOURNAL.match(address)
        return tuple(book.version for book in self.books if match is None or book.number == int(match[1]))

    def addresses(self) -> Iterator[str]:
        """Of all pages. Raises Unready."""
        yield from (FRONT, "incentive", "health")
        for book in self.books:
            with book.open() as summary:
                miners = [slug(hotkey) for hotkey in summary.player.history.standings]
                numbers = [number for number in summary.rounds if summary.shown(number)]
            yield from (f"{book.number}/{name}" for name in ("scoreboard", "rounds"))
            yield from (f"{book.number}/miner/{name}" for name in miners)
            yield from (f"{book.number}/rounds/{at}" for at in sorted({n // facts.HUNDRED for n in numbers}))
            book.load(numbers)
            yield from (f"{book.number}/round/{number}" for number in numbers)

    def _page(self, address: str) -> Page | None:
        if address in (FRONT, "incentive", "health"):
            return {FRONT: self._front, "incentive": self._incentive, "health": self._health}[address]()
        match = _OF_JOURNAL.fullmatch(address)
        if match is None or int(match[1]) > len(self.books):
            return None
        book, kind, name = self.books[int(match[1]) - 1], match[2], match[3]
        found = self._of_journal(book, kind, name)
        if found is None:
            return None
        told = {"journal": book.number, "journals": len(self.books), **found}
        return Page(address, kind, _title(kind, told), told)

    def _of_journal(self, book: Book, kind: str, name: str | None) -> Facts | None:
        number = int(name) if name and _NUMBER.fullmatch(name) else None
        if kind == "round":
            return self._round(book, number) if number is not None else None
        with book.open() as summary:
            if kind == "scoreboard":
                return facts.scoreboard(summary, self.names) if name is None else None
            if kind == "miner":
                return facts.miner(summary, book.likeness, name, self.names) if name else None
            return facts.rounds(summary, number) if name is None or number is not None else None

    def _round(self, book: Book, number: int) -> Facts | None:
        found = book.round(number)
        if found is None:
            return None
        with book.open() as summary:
            scored = frozenset(summary.player.history.standings)
        return facts.one_round(*found, scored, self.names)

    def _front(self) -> Page:
        rows = [self._validator(book) for book in self.books]
        for row, share in zip(rows, facts.agreement(rows), strict=True):
            row["agreement"] = share
        status = 503 if rows and all(row["fault"] for row in rows) else 200
        return Page(FRONT, "validators", "Validators", {"validators": rows}, status)

    def _validator(self, book: Book) -> Facts:
        try:
            with book.open() as summary:
                return {"journal": book.number, "fault": "", **facts.validator(summary, self.names)}
        except Unready as error:
            return {"journal": book.number, "fault": str(error)}

    def _incentive(self) -> Page:
        rules = {
            "accuracy_window": ACCURACY_WINDOW,
            "mcc_window": MCC_WINDOW,
            "image_share": IMAGE_SHARE,
            "video_share": VIDEO_SHARE,
            "alpha": ALPHA,
            "averaging": AVERAGING,
            "headroom": HEADROOM,
            "laboratory": facts.laboratory(),
        }
        return Page("incentive", "incentive", "The incentive", rules)

    def _health(self) -> Page:
        rows: list[dict[str, Any]] = []
        for book in self.books:
            row: dict[str, Any] = {"journal": book.number, "entries": book.total, "read_at": book.read_at or None}
            try:
                with book.open() as summary:
                    row |= {"fault": "", "read": summary.last.seq, "tip": summary.last.hash}
                    row |= {
                        "last_answer": summary.answered_at,
                        "withheld": summary.curtain.waiting,
                        "never": summary.curtain.dropped,
                    }
            except Unready as error:
                row |= {"fault": str(error)}
            rows.append(row)
        fine = not any(row["fault"] for row in rows)
        told = {"ok": fine, "rounds_kept": ROUNDS, "journals": rows}
        return Page("health", "health", "Health", told, 200 if fine else 503)


def _title(kind: str, told: Facts) -> str:
    if kind == "miner":
        return f"Miner {told['name'] or told['hotkey']}"
    if kind == "round":
        return f"Round {told['number']}"
    return {"scoreboard": "Scoreboard", "rounds": "Rounds"}[kind]
