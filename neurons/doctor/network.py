"""What `assay doctor` looks at beyond this machine: the clock, the wallet, the chain, and the axon's port."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from neurons import settings as s
from neurons.doctor.machine import Finding, Health
from subnet.chain.bittensor import BittensorChain
from subnet.chain.wallets import open_wallet
from subnet.errors import ChainError, SettingsError
from subnet.game.scoring import is_validator
from subnet.printing import without_credentials
from subnet.types import Endpoint, Snapshot
from subnet.wire.endpoints import refusal
from subnet.wire.http.listener import listen

_REQUESTS = re.compile(r'^assay_axon_requests_total\{.*?status="([^"]*)".*?\} ([0-9.e+]+)$', re.MULTILINE)
GOOD, BAD = 1.5, 2.0  # seconds off: requests from a clock that is more than 2 s ahead are refused

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine is not asked through a proxy


def clock(url: str, deadline: float = 5.0) -> Iterator[Finding]:
    """This clock beside the Date of an HTTP answer, which is exact to half a second and half the way there and back."""
    try:
        began = time.time()
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=deadline) as answer:
            date = answer.headers.get("Date")
    except urllib.error.HTTPError as error:  # an answer all the same
        date = error.headers.get("Date")
    except (OSError, ValueError) as error:
        fix = "look yourself: timedatectl status"
        yield Finding("clock", Health.WARN, f"not compared: {url} does not answer ({error})", fix)
        return
    middle, unsure = (began + time.time()) / 2, 0.5 + (time.time() - began) / 2
    try:
        off = middle - (parsedate_to_datetime(date or "").timestamp() + 0.5)
    except ValueError:
        yield Finding("clock", Health.WARN, f"not compared: {url} gives no date", "look yourself: timedatectl status")
        return
    found = f"{abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} {url} (+-{unsure:.1f} s)"
    certainly = abs(off) - unsure
    verdict = Health.FAIL if certainly > BAD else Health.WARN if certainly > GOOD else Health.OK
    fix = "" if verdict is Health.OK else "signed requests will be refused: run sudo timedatectl set-ntp true"
    yield Finding("clock", verdict, found, fix)


def btcli(words: str, subtensor: s.SubtensorSettings | None, wallet: s.WalletSettings) -> str:
    """A line to run, with the wallet and the network that are meant: `btcli` would take its own otherwise."""
    line = ["btcli", *words.split(), "--wallet", wallet.name, "--wallet-hotkey", wallet.hotkey]
    if wallet.path.expanduser() != s.WalletSettings().path.expanduser():
        line += ["--wallet-path", str(wallet.path)]
    if subtensor is not None:
        line += ["--network", subtensor.endpoint]
    return shlex.join(line)


def keys(wallet: s.WalletSettings, needed: bool) -> tuple[Any, Finding]:
    """The wallet, None where it cannot be used, and what was found."""
    folder = wallet.path.expanduser()
    try:
        opened = open_wallet(wallet.name, wallet.hotkey, str(folder))
    except SettingsError as error:
        coldkey = (folder / wallet.name / "coldkeypub.txt").exists()
        fix = f"run: {btcli('wallet new-hotkey' if coldkey else 'wallet create', None, wallet)}"
        if not needed:
            what = f"no hotkey {wallet.name}/{wallet.hotkey}: only mining and validating need one"
            return None, Finding("wallet", Health.WARN, what, fix)
        found = str(error).removeprefix("wallet: ").partition("; ")[0]
        fix += ", or correct --wallet.name, --wallet.hotkey and --wallet.path"
        return None, Finding("wallet", Health.FAIL, found, fix)
    return opened, Finding("wallet", Health.OK, f"{wallet.name}/{wallet.hotkey} is {opened.hotkey.ss58_address}")


async def chain(
    subtensor: s.SubtensorSettings, netuid: int | None, wallet: s.WalletSettings, opened: Any, deadline: float
) -> list[Finding]:
    """Whether the node answers within `deadline` seconds, and with a `netuid` who we are on that subnet."""
    needed = Health.WARN if netuid is None else Health.FAIL
    try:
        link = BittensorChain(subtensor.endpoint, netuid or 0, opened, call_deadline=deadline)
    except SettingsError as error:
        return [Finding("chain", Health.FAIL, str(error))]
    try:
        began = time.monotonic()
        block = await link.block()
        name = without_credentials(subtensor.endpoint)
        found = [Finding("chain", Health.OK, f"{name} is at block {block:,}")]
        took = time.monotonic() - began
        if took > deadline / 2:
            found = [Finding("chain", Health.WARN, f"{name} took {took:.1f} s", "use a nearer node")]
        if netuid is not None:
            found += registration(await link.snapshot(), subtensor, wallet, opened)
        return found
    except ChainError as error:
        fix = "check --subtensor.network or --subtensor.chain_endpoint, and whether this machine may reach it"
        return [Finding("chain", needed, without_credentials(str(error)), fix)]
    finally:
        await link.close()


async def spares(subtensor: s.SubtensorSettings, netuid: int | None, deadline: float) -> list[Finding]:
    """Each address of several, asked by itself: together they hide that one is dead until all are."""
    found, needed = [], Health.WARN if netuid is None else Health.FAIL
    names = [name.strip() for name in (subtensor.chain_endpoint or "").split(",")]
    for name in names if len(names) > 1 else ():
        link = BittensorChain(name, 0, None, call_deadline=deadline)
        try:
            await link.block()
        except ChainError as error:
            fix = f"take {without_credentials(name)} out of --subtensor.chain_endpoint, or mend that node"
            found.append(Finding("endpoints", needed, without_credentials(str(error)), fix))
        finally:
            await link.close()
    return found


def registration(
    snapshot: Snapshot, subtensor: s.SubtensorSettings, wallet: s.WalletSettings, opened: Any
) -> Iterator[Finding]:
    """Who the wallet's hotkey is on the subnet, and whether validators call the address that it has published."""
    if opened is None:
        yield Finding("registration", Health.FAIL, "unknown without a wallet", "mend the wallet first")
        return
    hotkey = opened.hotkey.ss58_address
    me = snapshot.neuron(hotkey)
    if me is None:
        fix = f"run: {btcli(f'subnets register --netuid {snapshot.netuid}', subtensor, wallet)}"
        yield Finding("registration", Health.FAIL, f"{hotkey} is not registered on subnet {snapshot.netuid}", fix)
        return
    role = "validator" if is_validator(me, s.NeuronSettings().vpermit_tao_limit) else "miner"
    serves = f"serving at {me.endpoint.url}" if me.endpoint else "serving nowhere"
    yield Finding("registration", Health.OK, f"uid {me.uid}, {role}, stake {me.stake:,.0f}, {serves}")
    why_not = refusal(me.endpoint, local=_on_this_machine(subtensor)) if me.endpoint else ""
    if why_not:
        fix = "publish the address that the world reaches: start the miner with --axon.external_ip and external_port"
        yield Finding("published", Health.FAIL, f"no validator calls {me.endpoint and me.endpoint.url}: {why_not}", fix)


def _on_this_machine(subtensor: s.SubtensorSettings) -> bool:
    """Whether the chain is a development one, whose validators may call private addresses, too."""
    host = urlsplit(subtensor.endpoint).hostname
    return subtensor.endpoint == "local" or host in ("localhost", "127.0.0.1", "::1")


def address(axon: s.AxonSettings, subtensor: s.SubtensorSettings) -> Iterator[Finding]:
    """Whether validators would call the address that the miner is to publish."""
    if not axon.external_ip:
        return
    endpoint = Endpoint(axon.external_ip, axon.external_port or axon.port)
    why_not = refusal(endpoint, local=_on_this_machine(subtensor))
    if why_not:
        fix = "give the address that the world reaches with --axon.external_ip, and its port with --axon.external_port"
        yield Finding("address", Health.FAIL, f"no validator would call {endpoint.url}: {why_not}", fix)
    else:
        yield Finding("address", Health.OK, f"{endpoint.url} is one that validators call")


def port(axon: s.AxonSettings, deadline: float = 2.0) -> Iterator[Finding]:
    """Whether the axon's port can be had now, or is taken by an axon of Assay that runs."""
    try:
        listen(axon.ip, axon.port).close()
    except SettingsError as error:
        running = axon_state(axon, deadline)
        if running is None:
            found, _, fix = str(error).partition(": ")
            yield Finding("port", Health.FAIL, found, fix)
        elif running.why:
            found = f"an Assay miner runs on {axon.port}, not ready: {running.why}"
            yield Finding("port", Health.WARN, found, "read its log")
        else:
            yield Finding("port", Health.OK, f"an Assay miner runs on {axon.port} of {axon.ip}, and is ready")
    else:
        yield Finding("port", Health.OK, f"{axon.port} on {axon.ip} is free")


@dataclass(frozen=True)
class Axon:
    """What an axon says of itself: whose it is, why it is not ready or "", seconds since its look at the chain."""

    hotkey: str
    why: str
    chain_age: float | None


def axon_state(axon: s.AxonSettings, deadline: float) -> Axon | None:
    """How the axon stands that listens there; None for any other program."""
    health, ready = (_fetch(f"{_root(axon)}/{page}", deadline) for page in ("health", "ready"))
    if health != {"status": "ok"} or not isinstance(ready.get("ready"), bool):
        return None
    why = "" if ready["ready"] else str(ready.get("why", "it is starting or stopping"))
    age = ready.get("chain_age")
    return Axon(str(ready.get("hotkey", "unknown")), why, float(age) if isinstance(age, int | float) else None)


def axon_requests(axon: s.AxonSettings, deadline: float) -> dict[str, float]:
    """How many requests ended with which HTTP status since the start; empty where its metrics are not to be read."""
    try:
        with _DIRECT.open(f"{_root(axon)}/metrics", timeout=deadline) as answer:
            text = answer.read(2**20).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return {}
    counts: defaultdict[str, float] = defaultdict(float)
    for status, count in _REQUESTS.findall(text):
        counts[status] += float(count)
    return dict(counts)


def _root(axon: s.AxonSettings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(axon.ip, axon.ip)
    return f"http://[{host}]:{axon.port}" if ":" in host else f"http://{host}:{axon.port}"


def _fetch(url: str, deadline: float) -> dict[str, Any]:
    """The JSON object at `url`, whatever the status; empty for anything else."""
    try:
        try:
            with _DIRECT.open(url, timeout=deadline) as answer:
                body = answer.read(4096)
        except urllib.error.HTTPError as error:
            body = error.read(4096)
        told = json.loads(body)
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    return told if isinstance(told, dict) else {}
