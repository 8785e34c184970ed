"""`assay status`: how a validator or a miner of this machine stands, for people and for monitors."""

from __future__ import annotations

import asyncio
import json as jsonlib
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from neurons import settings as s
from neurons.doctor import machine
from neurons.doctor.machine import Health
from neurons.terminal import terminal
from subnet.errors import SettingsError


class Role(StrEnum):
    """The programs that `assay status` knows."""

    VALIDATOR = "validator"
    MINER = "miner"


def status(
    role: Role | None = None,
    *,
    state: Path | None = None,
    ask_chain: bool = False,
    subtensor: s.SubtensorSettings = s.SubtensorSettings(),
    axon: s.AxonSettings = s.AxonSettings(),
    pool: s.PoolSettings = s.PoolSettings(),
    max_age: float = 600.0,
    max_block_age: float = 300.0,
    max_weights_age: int = 1080,
    deadline: s.Deadline = 10.0,
    json: s.Json = False,
) -> None:
    """Show how a validator or miner of this machine stands; exit status 1 when something fails. Changes nothing.

    Parameters
    ----------
    role
        validator or miner; by default the one whose state is here.
    state
        Its state folder; by default the only one below $ASSAY_HOME.
    ask_chain
        Ask the chain, too: the weights' age now and vtrust of a validator, incentive and published address of a miner.
        Otherwise nothing leaves this machine.
    max_age
        Seconds that the last round of a validator may be old.
    max_block_age
        Seconds that the newest block of a validator's rounds, or a miner's last look at the chain, may be old.
    max_weights_age
        Blocks that its weights may be old.
    deadline
        Seconds that the chain has to answer.
    """
    role, folder = _place(role, state)
    from neurons.doctor import folders, standing

    checks = list(machine.versions())
    checks += machine.disk(folder)
    if role is Role.VALIDATOR:
        checks += standing.validator(folder, max_age, max_block_age, max_weights_age)
        checks += standing.ready_media(pool)
    else:
        checks += standing.miner(axon, folder, max_block_age)
    checks += folders.stored(folder)
    if ask_chain:
        checks += asyncio.run(standing.on_chain(subtensor, folder, deadline, max_weights_age, role.value))
    ok = all(check.verdict is not Health.FAIL for check in checks)
    if json:
        print(jsonlib.dumps({"role": role.value, "ok": ok, "checks": [check.facts() for check in checks]}))
    else:
        console = terminal()
        console.print(f"{role.value}: {folder}", markup=False, highlight=False, soft_wrap=True)
        for check in checks:
            console.print(machine.line(check), highlight=False, soft_wrap=True)
    sys.exit(0 if ok else 1)


def _place(role: Role | None, state: Path | None) -> tuple[Role, Path]:
    """Which program is meant, and its folder. Raises SettingsError where there is none, or more than one."""
    if state is not None:
        if not state.is_dir():
            raise SettingsError(f"--state {state}: there is no such folder; name the state folder of the program")
        return role or _role_of(state), state
    places = [(one, folder) for one in Role if role in (None, one) for folder in _folders(one)]
    if not places:
        wanted = role.value if role else "validator or miner"
        raise SettingsError(f"--state: no {wanted} has its state below {s.home()}; name the folder")
    if len(places) > 1:
        names = ", ".join(str(folder) for _, folder in places)
        raise SettingsError(f"--state: there are several, name one of {names}")
    return places[0]


def _role_of(state: Path) -> Role:
    """Whose state it is, by its name or what lies there. Raises SettingsError for a folder that is nobody's."""
    marks = {Role.VALIDATOR: ("journal.db", "journal.lock"), Role.MINER: ("nonces.db", s.MINERS_LOCK)}
    for role, names in marks.items():
        if state.name.startswith(f"{role.value}-") or any(any(state.glob(name)) for name in names):
            return role
    raise SettingsError(f"--state {state}: neither a validator nor a miner has run there; name the folder of one")


def _folders(role: Role) -> Iterator[Path]:
    return (folder for folder in sorted(s.home().glob(f"{role.value}-*-*")) if folder.is_dir())
