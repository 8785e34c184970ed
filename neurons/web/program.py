"""`assay web`: a read-only site over journals of validators, served, or written as files.

assay web ~/.assay/validator-34-HOTKEY/journal.db
assay web --try
assay web --try --detector.address http://127.0.0.1:8000
assay web export site ~/.assay/validator-34-HOTKEY/journal.db
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from neurons import settings as s
from neurons.naming import names_of
from subnet.errors import SettingsError
from subnet.printing import counted

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from neurons.log import Log
    from neurons.web.book import Book
    from neurons.web.report.complaints import Complaints
    from neurons.web.server import Forms
    from neurons.web.site import Site
    from neurons.web.trying import Trying

web = App(name="web", help="Show journals of validators as pages: who earns what, and why.")


@web.default
def serve(
    *journal: str,
    ip: str = "127.0.0.1",
    port: int = 8092,
    host: tuple[str, ...] = (),
    refresh: float = 5.0,
    names: Path | None = None,
    trying: Annotated[bool, Parameter(name="--try", negative="")] = False,
    device: str = "auto",
    address: Annotated[str | None, Parameter(name="--detector.address")] = None,
    trust: Path | None = None,
    state: Path | None = None,
    logging: s.LoggingSettings = s.LoggingSettings(),
) -> None:
    """Serve the site until SIGINT or SIGTERM. It reads journals, and changes nothing.

    Parameters
    ----------
    journal
        The file journal.db of a validator, running or not, its folder, or a folder or address of published evidence.
    ip
        Address to listen on; by default nobody else can see the site.
    port
        Port to listen on; 0 takes a free one.
    host
        A name by which the site is asked, such as that of a proxy before it; once for each. IP addresses and localhost
        always are; requests for other names are refused.
    refresh
        Seconds between two looks at the journals.
    names
        Names to show beside hotkeys: a folder of wallets, or a JSON file {hotkey: name}.
    trying
        Also a page where whoever sees the site may have a picture or clip judged. No journal is needed.
    device
        Where files are judged: auto, cpu, cuda or cuda:N.
    address
        http://HOST:PORT where `assay replicas` has detectors judge files on a Ray cluster; none is loaded here, then.
    trust
        Certificates (PEM) of authorities whose Content Credentials are trusted, such as the C2PA trust list.
    state
        Folder for what people say was judged wrongly. [default: ~/.assay/web]
    """
    if not 0.1 <= refresh <= 86400:
        raise SettingsError(f"--refresh must be in 0.1..86400 seconds, not {refresh}")
    from neurons.log import configure
    from subnet.wire.http.hosts import own_names

    hosts = own_names(host, "--host") | {ip.lower()}
    if trust is not None:
        from neurons.provenance.trust import anchors

        anchors(trust)
    _check_address(address, device, trying=trying)
    place = "" if address else s.device(device)
    judging = Judging(place, address, trust, state or s.home() / "web") if trying else None
    site = _site(journal, names, needed=not trying)
    asyncio.run(_serve(site, ip, port, hosts, refresh, configure(logging, "web"), judging))


@web.command(name="export")
def export(out: Path, *journal: str, rounds: int = 500, names: Path | None = None) -> None:
    """Write the site as files that open from a disk. Exit status 1 for a journal that cannot be shown.

    Parameters
    ----------
    out
        A new or empty folder.
    journal
        The file journal.db of a validator, running or not, its folder, or a folder or address of published evidence.
    rounds
        How many of each journal's newest rounds get a page; miners' pages have their last answers all the same.
    names
        Names to show beside hotkeys: a folder of wallets, or a JSON file {hotkey: name}.
    """
    from neurons.web.export import export_site

    if rounds < 0:
        raise SettingsError(f"--rounds must not be negative, not {rounds}")
    site = _site(journal, names, rounds)
    for book in site.books:
        book.refresh()
    count = export_site(site, out)
    print(f"{counted(count, 'page')} written to {out}; open {out / 'index.html'}")


@dataclass(frozen=True)
class Judging:
    """With what files are judged, and below which folder complaints are kept. Without an `address`, on `device`."""

    device: str
    address: str | None
    trust: Path | None
    state: Path


def _site(journals: tuple[str, ...], names: Path | None, keep: int | None = None, *, needed: bool = True) -> Site:
    """Raises SettingsError for a journal that is not there, or none at all where one is `needed`."""
    if needed and not journals:
        raise SettingsError("JOURNAL: name one or several, such as a validator's journal.db")
    from neurons.web.book import Book
    from neurons.web.site import Site
    from neurons.web.sources import open_source
    from neurons.web.summary import ROUNDS

    sources = [open_source(journal) for journal in journals]
    called: Mapping[str, str] = {}
    for journal in journals:
        called = {**called, **names_of(names, Path(journal))}
    books = [Book(number, source, ROUNDS if keep is None else keep) for number, source in enumerate(sources, 1)]
    return Site(tuple(books), called)


def _check_address(address: str | None, device: str, *, trying: bool) -> None:
    """Raises SettingsError for an address that is none, or that nothing would use."""
    from neurons.cluster.address import check_address

    if address is None:
        return
    check_address(address)
    if not trying:
        raise SettingsError("--detector.address: files are judged there with --try; add it, or leave this out")
    if device != "auto":
        raise SettingsError(f"--device {device}: with --detector.address nothing is judged here; leave one of them out")


@asynccontextmanager
async def _forms(judging: Judging | None, stop: asyncio.Event, log: Log) -> AsyncIterator[Forms | None]:
    """*Try a file*, with a decoder that is closed afterwards; None where it is not wanted."""
    if judging is None:
        yield None
        return
    from neurons.verdicts.judging import open_chosen
    from neurons.web.report.complaints import Complaints
    from neurons.web.trying import Trying, decoder, forms

    complaints = Complaints(judging.state)
    if judging.address is not None:
        async with elsewhere(judging.address, complaints, judging.trust, stop, log) as trying:
            yield forms(trying)
        return
    with decoder() as clips:
        opened = cache(lambda modality: open_chosen(None, modality, judging.device))
        yield forms(Trying(opened, clips, complaints, judging.trust, told=partial(_told, log)))


@asynccontextmanager
async def elsewhere(
    address: str, complaints: Complaints, trust: Path | None, stop: asyncio.Event, log: Log
) -> AsyncIterator[Trying]:
    """Files are judged by the replicas at `address`, which may come and go until `stop`."""
    from neurons.cluster.judge import open_there
    from neurons.cluster.remote import Replicas
    from neurons.web.trying import AT_ONCE, Trying, decoder

    told = partial(_told, log)
    with decoder(AT_ONCE) as clips, Replicas(address, log) as replicas:
        watching = asyncio.create_task(replicas.watch(stop, pinned=False))
        try:
            yield Trying(partial(open_there, replicas), clips, complaints, trust, lambda: replicas.count, told)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


def _told(log: Log, what: str, why: str) -> None:
    log.warning(what, why=why)


async def _serve(
    site: Site, ip: str, port: int, hosts: frozenset[str], refresh: float, log: Log, judging: Judging | None
) -> None:
    from neurons.signals import ends_before, until_signal

    with until_signal() as stop:
        async with (
            _forms(judging, stop, log) as forms,
            listening(site, ip, port, forms, hosts, stop) as address,
        ):
            log.info("listening", address=address, journals=len(site.books))
            if judging and _public(ip):
                log.warning("whoever reaches this address may have files judged", ip=ip)
            following = asyncio.create_task(follow(site, refresh, stop, log))
            if await ends_before(stop, following):
                following.result()
            log.info("stopping")


def _public(host: str) -> bool:
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


@asynccontextmanager
async def listening(
    site: Site,
    ip: str = "127.0.0.1",
    port: int = 0,
    forms: Forms | None = None,
    hosts: Collection[str] = (),
    stop: asyncio.Event | None = None,
) -> AsyncIterator[str]:
    """The site is served, at the address that is given, to who asks for that or for one of `hosts`, until `stop`.

    Raises SettingsError for a port that cannot be listened on.
    """
    from neurons.web.server import PatientProtocol, application
    from subnet.wire.http.server import BoundedProtocol
    from subnet.wire.http.server import serve as listen

    protocol = PatientProtocol if forms else BoundedProtocol
    server = await listen(application(site, forms, hosts), ip, port, protocol=protocol, flags="--")
    if stop is not None:
        server.stop_at(stop)
    try:
        host = f"[{server.host}]" if ":" in server.host else server.host
        yield f"http://{host}:{server.port}/"
    finally:
        await server.stop()


async def follow(site: Site, refresh: float, stop: asyncio.Event, log: Log | None = None) -> None:
    """Read journals as they grow, each by itself: one that is long, or does not answer, holds up no other."""
    from concurrent.futures import ThreadPoolExecutor

    threads = ThreadPoolExecutor(len(site.books) or 1, "journals")
    try:
        await asyncio.gather(stop.wait(), *(_follow(book, threads, refresh, stop, log) for book in site.books))
    finally:
        threads.shutdown(wait=False)


async def _follow(book: Book, threads: Executor, refresh: float, stop: asyncio.Event, log: Log | None) -> None:
    """Read one. That it cannot be read is told of once, and it is looked at again."""
    from neurons.signals import pause

    told = ""
    while not stop.is_set():
        await asyncio.get_running_loop().run_in_executor(threads, book.refresh, stop.is_set)
        if log is not None and book.fault != told:
            if book.fault:
                log.warning("journal cannot be shown", journal=book.number, reason=book.fault)
            else:
                log.info("journal reads again", journal=book.number)
        told = book.fault
        await pause(stop, refresh)
