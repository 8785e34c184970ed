"""What `assay doctor` looks at beyond this machine: the clock, the wallet, the chain, and the axon's port."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from neurons import settings as s
from neurons.doctor.machine import Finding, Health
from subnet.chain.bittensor import BittensorChain, open_wallet
from subnet.errors import ChainError, SettingsError
from subnet.game.scoring import is_validator
from subnet.types import Snapshot
from subnet.wire.http.listener import listen

CLOCK_URL = "https://huggingface.co"
GOOD, BAD = 1.5, 2.0  # seconds off: requests from a clock that is more than 2 s ahead are refused


def clock(url: str = CLOCK_URL, deadline: float = 5.0) -> Iterator[Finding]:
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


def keys(wallet: s.WalletSettings, needed: bool) -> tuple[Any, Finding]:
    """The wallet, None where it cannot be used, and what was found."""
    try:
        opened = open_wallet(wallet.name, wallet.hotkey, str(wallet.path.expanduser()))
    except SettingsError as error:
        if not needed:
            what = f"no hotkey {wallet.name}/{wallet.hotkey}: only mining and validating need one"
            return None, Finding("wallet", Health.WARN, what, "run: btcli wallet create")
        found, _, fix = str(error).removeprefix("wallet: ").partition("; ")
        return None, Finding("wallet", Health.FAIL, found, fix)
    return opened, Finding("wallet", Health.OK, f"{wallet.name}/{wallet.hotkey} is {opened.hotkey.ss58_address}")


async def chain(subtensor: s.SubtensorSettings, netuid: int | None, opened: Any, deadline: float) -> list[Finding]:
    """Whether the node answers within `deadline` seconds, and with a `netuid` who we are on that subnet."""
    needed = Health.WARN if netuid is None else Health.FAIL
    try:
        link = BittensorChain(subtensor.endpoint, netuid or 0, opened, call_deadline=deadline)
    except SettingsError as error:
        return [Finding("chain", Health.FAIL, str(error))]
    try:
        began = time.monotonic()
        block = await link.block()
        found = [Finding("chain", Health.OK, f"{subtensor.endpoint} is at block {block:,}")]
        took = time.monotonic() - began
        if took > deadline / 2:
            found = [Finding("chain", Health.WARN, f"{subtensor.endpoint} took {took:.1f} s", "use a nearer node")]
        if netuid is not None:
            found.append(registration(await link.snapshot(), opened))
        return found
    except ChainError as error:
        fix = "check --subtensor.network or --subtensor.chain_endpoint, and whether this machine may reach it"
        return [Finding("chain", needed, str(error), fix)]
    finally:
        await link.close()


def registration(snapshot: Snapshot, opened: Any) -> Finding:
    """Who the wallet's hotkey is on the subnet."""
    if opened is None:
        return Finding("registration", Health.FAIL, "unknown without a wallet", "mend the wallet first")
    hotkey = opened.hotkey.ss58_address
    me = snapshot.neuron(hotkey)
    if me is None:
        fix = f"run: btcli subnets register --netuid {snapshot.netuid}"
        return Finding("registration", Health.FAIL, f"{hotkey} is not registered on subnet {snapshot.netuid}", fix)
    limit = s.NeuronSettings().vpermit_tao_limit
    role = "validator" if is_validator(me, limit) else "miner"
    serves = f"serving at {me.endpoint.url}" if me.endpoint else "serving nowhere"
    return Finding("registration", Health.OK, f"uid {me.uid}, {role}, stake {me.stake:,.0f}, {serves}")


def port(axon: s.AxonSettings) -> Iterator[Finding]:
    """Whether the axon's port can be had now."""
    try:
        listen(axon.ip, axon.port).close()
    except SettingsError as error:
        found, _, fix = str(error).partition(": ")
        yield Finding("port", Health.FAIL, found, fix)
    else:
        yield Finding("port", Health.OK, f"{axon.port} on {axon.ip} is free")
