"""`assay gateway`: files of outsiders, judged by the subnet's miners over the key of a validator.

assay gateway key add NAME
assay gateway --netuid 34 --wallet.name cold --wallet.hotkey hot
"""

from __future__ import annotations

import asyncio
import json as jsonlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from neurons import settings as s
from neurons.gateway.settings import GatewaySettings, check_database, folder_of
from subnet.errors import SettingsError

if TYPE_CHECKING:
    from neurons.gateway.store.database import Database
    from neurons.gateway.store.keys import Key

_SECRET = re.compile(r"[?#].*")  # of a webhook's address: what may open it
gateway = App(name="gateway", help="Answer files of outsiders by what the subnet's miners say.")
key = App(name="key", help="API keys of the gateway.")
gateway.command(key)
State = Annotated[Path | None, Parameter(help="Folder of keys and jobs; by default below $ASSAY_HOME.")]
Address = Annotated[
    str,
    Parameter(name="--gateway.database", help="Address of the PostgreSQL server that has them instead."),
]


@gateway.default
def serve(
    *,
    netuid: int,
    gateway: GatewaySettings = GatewaySettings(),
    subtensor: s.SubtensorSettings = s.SubtensorSettings(),
    wallet: s.WalletSettings = s.WalletSettings(),
    logging: s.LoggingSettings = s.LoggingSettings(),
    journal: Path | None = None,
    state: State = None,
    local: Annotated[bool, Parameter(negative="")] = False,
    metrics_port: int | None = None,
) -> None:
    """Serve the API until SIGINT or SIGTERM. It sends no transaction, and only reads what the validator keeps.

    Parameters
    ----------
    netuid
        Number of the subnet.
    journal
        The validator's journal.db, or the folder that it lies in; by default that of this hotkey below $ASSAY_HOME.
    local
        This is a local network: call loopback addresses.
    metrics_port
        Serve Prometheus metrics on this port of 127.0.0.1.
    """
    from neurons.gateway.run import Running, run  # and the chain's SDK
    from neurons.log import configure

    settings = Running(netuid, gateway, subtensor, wallet, journal, folder_of(state), local, metrics_port)
    asyncio.run(run(settings, configure(logging, "gateway")))


@key.command
def add(
    name: str,
    *,
    scopes: tuple[str, ...] = ("image", "video"),
    rate: float = 60.0,
    quota: int = 1000,
    webhook: str = "",
    state: State = None,
    database: Address = "",
    json: s.Json = False,
) -> None:
    """Make a key, and print it: this once, since only a hash of it is kept.

    Parameters
    ----------
    name
        Whose it is, for you.
    scopes
        What it opens: image, video, and answers (to see what each miner said); once for each.
    rate
        Requests a minute.
    quota
        Requests a day, from midnight UTC on.
    webhook
        Address that is told when a clip is done, signed.
    """
    from neurons.gateway.store.keys import Keys, Scope
    from neurons.gateway.webhooks import secret_of, told_secret

    unknown = sorted(set(scopes) - set(Scope))
    if unknown:
        raise SettingsError(f"--scopes: {unknown[0]!r} is none of {', '.join(Scope)}; say --scopes once for each")
    with _opened(state, database) as opened:
        made, text = Keys(opened).add(name, frozenset(map(Scope, scopes)), rate, quota, webhook)
        told = {**_told(made), "key": text}
        if webhook:
            told["webhook_secret"] = told_secret(secret_of(opened.secret(), made.id))
    if json:
        print(jsonlib.dumps(told))
        return
    print(f"{text}\nThis is the key of {name}. It is not kept here and cannot be shown again.")
    if webhook:
        print(f"{told['webhook_secret']}\nThis is what its webhooks are signed with (Standard Webhooks).")


@key.command(name="list")
def list_keys(*, state: State = None, database: Address = "", json: s.Json = False) -> None:
    """List all keys, without their secrets."""
    from neurons.gateway.store.keys import Keys

    with _opened(state, database) as opened:
        rows = [_told(each) for each in Keys(opened).all()]
    if json:
        print(jsonlib.dumps(rows))
        return
    from rich.table import Table

    from neurons.terminal import terminal

    table = Table(box=None, padding=(0, 1, 0, 0))
    shown = [name for name in (rows[0] if rows else ()) if any(row[name] not in ("", None) for row in rows)]
    for name in shown:
        table.add_column(name, overflow="fold", no_wrap=name == "id")
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in shown))
    terminal().print(table if rows else "There are no keys: assay gateway key add NAME")


@key.command
def revoke(name: str, *, state: State = None, database: Address = "") -> None:
    """Make a key useless for good, from the next request on.

    Parameters
    ----------
    name
        Its name, or its id.
    """
    from neurons.gateway.store.keys import Keys

    with _opened(state, database) as opened:
        done = Keys(opened).revoke(name)
    print(f"the key of {done.name} ({done.id}) is revoked")


@contextmanager
def _opened(state: Path | None, address: str) -> Iterator[Database]:
    from neurons.gateway.store.opening import open_database

    check_database(address)
    database = open_database(folder_of(state), address)
    try:
        yield database
    finally:
        database.close()


def _told(key: Key) -> dict[str, str | float | int | None]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": ",".join(sorted(key.scopes)),
        "rate": key.rate,
        "quota": key.quota,
        "spent": key.spent,
        "webhook": _SECRET.sub("?***", key.webhook),
        "created": _time(key.created),
        "revoked": _time(key.revoked) if key.revoked is not None else None,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
