"""Settings that come from variables and from the file of --config; what there looks like one and is none is told.

A name that no program knows is a mistake that shows nowhere: the default is taken instead. So unknown keys of the file
are refused, and unknown variables of our own (ASSAY_*), with the nearest name. Variables of bittensor (BT_*) are for
other tools of the machine, too: a near miss is told, and nothing refused.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from cyclopts import App, ArgumentCollection, Parameter, UnknownOptionError
from cyclopts.config import Dict, Env

from neurons import settings
from subnet.errors import SettingsError
from subnet.printing import printable

Source = Callable[[App, tuple[str, ...], ArgumentCollection], None]  # as cyclopts calls it: command, its names, flags

OURS, BITTENSORS = "ASSAY_", "BT_"
VARIABLES = Env(OURS)  # ASSAY_VALIDATOR_SEED: of one command each, since a seed or a folder fits one alone
UNATTENDED = ("miner", "validator", "producer", "replicas")  # the programs that run for weeks
REPORTERS = ("config", "doctor")  # commands that look at other programs' variables, and report what they find
EVERYWHERE = {"ASSAY_HOME", "ASSAY_CONFIG"}
INNER = {  # the local network's, and those of docker/update.sh, which runs `assay doctor`
    "ASSAY_PARENT",
    *("ASSAY_ROOT", "ASSAY_SIGNERS", "ASSAY_UNITS", "ASSAY_HEALTH", "ASSAY_PATIENCE"),
    *("ASSAY_BACKUP", "ASSAY_PIN", "ASSAY_SETUP", "ASSAY_RESTART", "ASSAY_PAUSE"),
}
CLIENTS = {  # bittensor's own: those that version 11 reads, and those of 10 that were near ours
    *("BT_ARCHIVE_ENDPOINTS", "BT_FALLBACK_ENDPOINTS", "BT_EVM_ENDPOINT", "BT_RETRY_FOREVER", "BT_SIGNER_ADDRESS"),
    *("BT_WALLET_PASSWORD", "BT_WALLET_PASSWORD_FILE", "BT_NO_PARSE_CLI_ARGS", "BT_AXON_MAX_WORKERS"),
    *("BT_LOGGING_INFO", "BT_LOGGING_RECORD_LOG", "BT_LOGGING_LOGGING_DIR", "BT_SUBTENSOR__MOCK"),
}
TYPES = {int: "an integer", float: "a number", str: "a string", bool: "a boolean", list: "an array", dict: "a table"}
NEAR = 0.8  # similarity from which on a variable of bittensor looks like a misspelt one
_SERVICE = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)")


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """The end of a message: "; did you mean NAME?", or nothing where no name is near."""
    near = difflib.get_close_matches(name, sorted(names), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else ""


def check_variables(root: App) -> Source:
    """Raises SettingsError for variables ASSAY_* that no command of `root` reads; tells of BT_* that are odd."""

    def check(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        if not commands or commands[0] in REPORTERS:
            return
        for said in unknown_variables(root, {commands: arguments}):
            raise SettingsError(said)
        for said in odd_variables(commands, arguments):
            print(f"assay: warning: {printable(said)}", file=sys.stderr)

    return check


def prefer_ours(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Forget what a flag has from a variable BT_*, which is of all programs, where our own is set: it is of one."""
    for argument in arguments:
        given = {token.keyword for token in argument.tokens if token.source == "env"}
        if given & set(argument.parameter.env_var or ()) and variable(commands, argument.name) in os.environ:
            argument.tokens.clear()


def check_families(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Raises SettingsError for a value of a whole family of flags, which would be passed over: --axon 8091."""
    for argument in arguments:
        for token in argument.tokens if argument.children and argument.parse else ():
            flags = [child.name for child in argument.children]
            said = f"{token.keyword or argument.name} is a family of flags and takes no value"
            raise SettingsError(f"{said}; give one of its flags, such as {flags[0]}")


def check_paths(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Raises SettingsError for an empty path, also $ASSAY_HOME, wherever it is from: it would be the current folder."""
    settings.home()
    for argument in arguments:
        for token in argument.tokens if Path in {argument.hint, *get_args(argument.hint)} else ():
            if not token.value.strip():
                raise SettingsError(f"{token.keyword or argument.name} is empty: name a path, or leave it out")


def variable(commands: tuple[str, ...], flag: str) -> str:
    """The variable of a command's flag."""
    return f"{OURS}{'_'.join(commands).upper()}_{_ending(flag)}"


def _ending(flag: str) -> str:
    """A flag as the end of a variable: --axon.external_ip is AXON_EXTERNAL_IP."""
    return flag.upper().replace("-", "_").replace(".", "_").lstrip("_")


def _subcommands(app: App) -> list[str]:
    return [name for name in app if not name.startswith("-")]


def unknown_variables(root: App, programs: Mapping[tuple[str, ...], ArgumentCollection]) -> Iterator[str]:
    """Variables ASSAY_* that neither `programs` read nor, by their names, another command of `root`."""
    known = {variable(chain, each.name) for chain, arguments in programs.items() for each in arguments if each.parse}
    others = _of_others(root, programs)
    for name in sorted(name for name in os.environ if name.startswith(OURS)):
        if name in EVERYWHERE | INNER or name.startswith(others) or _of_a_service(name) or _reads(programs, name):
            continue
        longer = [variable(chain, name.removeprefix(OURS)) for chain in programs]
        file = name in {variable(chain, "config") for chain in programs}
        hint = "; did you mean ASSAY_CONFIG?" if file else nearest(name, known | EVERYWHERE)
        hint = next((f"; did you mean {one}?" for one in longer if one in known), hint)
        yield f"the variable {name} is no setting of assay {' or '.join(map(' '.join, programs))}{hint}"


def _of_others(root: App, programs: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """What variables of all commands but `programs` begin with: those are theirs to check."""
    own = {commands[0] for commands in programs}
    chains: set[tuple[str, ...]] = {(name,) for name in _subcommands(root) if name not in own}
    for commands in programs:
        chains |= {(commands[0], name) for name in _subcommands(root[commands[0]]) if name not in commands[1:]}
    return tuple(variable(chain, "") for chain in chains)


def _reads(programs: Mapping[tuple[str, ...], ArgumentCollection], name: str) -> bool:
    for commands, arguments in programs.items():
        if name.startswith(own := variable(commands, "")):
            try:
                arguments.match(name.removeprefix(own), transform=_ending, delimiter="_")
            except ValueError:
                continue
            return True
    return False


def _of_a_service(name: str) -> bool:
    """Whether Kubernetes made the variable for a pod's neighbour: ASSAY_MINER_PORT=tcp://10.0.0.7:8091."""
    match = _SERVICE.search(name)
    return match is not None and match.end() == len(name) and (match[0] != "_PORT" or "://" in os.environ[name])


def odd_variables(commands: tuple[str, ...], arguments: ArgumentCollection) -> Iterator[str]:
    """Variables of bittensor that nearly are one of ours, and spellings that contradict each other, the first taken."""
    families = [
        (variable(commands, argument.name), *argument.parameter.env_var)
        for argument in arguments
        if argument.parameter.env_var
    ]
    ours = {BITTENSORS + _ending(argument.name): variable(commands, argument.name) for argument in arguments}
    others = sorted(name for name in os.environ if name.startswith(BITTENSORS) and name not in CLIENTS)
    known = bittensor_variables() if families and others else frozenset()
    for name in others:
        hint = nearest(name, known, NEAR) or (f"; did you mean {ours[name]}?" if name in ours else "")
        if name not in known and hint:
            yield f"{name} is read by nothing here{hint}"
    for names in families:
        given = [name for name in names if name in os.environ]
        if len({os.environ[name] for name in given}) > 1:
            yield f"{' and '.join(given)} differ: {given[0]} is taken"


def bittensor_variables() -> frozenset[str]:
    """Every variable BT_* that a family of flags is read from."""
    families = [family for family in vars(settings).values() if isinstance(family, type) and is_dataclass(family)]
    hints = [hint for family in families for hint in get_type_hints(family, include_extras=True).values()]
    notes = [note for hint in hints for note in getattr(hint, "__metadata__", ()) if isinstance(note, Parameter)]
    return frozenset(name for note in notes for name in note.env_var or ())


def read_file(path: Path, root: App) -> Source:
    """The file of --config. Raises SettingsError where it is not there, is no TOML, or has a key that nobody knows."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"--config {path}: {reason}") from error
    fill = Dict(tables, source=str(path.absolute()))

    def read(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        _check_families(path, _check_tables(path, tables, root, commands), commands, arguments)
        try:
            fill(app, commands, arguments)
        except UnknownOptionError as error:
            key = ".".join(re.findall(r"\[([^]]*)\]", error.token.keyword or ""))
            known = (name.lstrip("-") for argument in arguments if argument.parse for name in argument.names)
            raise SettingsError(
                f"--config {path}: [{'.'.join(commands)}] knows no {printable(key)}{nearest(key, known)}"
            ) from error

    return read


def _check_families(
    path: Path, table: dict[str, Any], commands: tuple[str, ...], arguments: ArgumentCollection
) -> None:
    """Raises SettingsError for a family of flags that is no table, a flag that is one, and text that is none."""
    leaves = {argument.name.lstrip("-"): argument for argument in arguments if argument.parse and not argument.children}
    families = {name.partition(".")[0] for name in leaves if "." in name}
    for name, value in table.items():
        key, found = ".".join((*commands, name)), TYPES.get(type(value), "a date or time")
        if name in families and not isinstance(value, dict):
            raise SettingsError(f"--config {path}: {key} should be a table ([{key}]), not {found}")
        inner = value if name in families else {"": value}
        for flag, one in inner.items():
            argument = leaves.get(f"{name}.{flag}".rstrip("."))
            if argument is None:
                continue  # told by its name
            if isinstance(one, dict) and get_origin(argument.hint) is not dict:
                raise SettingsError(f"--config {path}: {argument.name} should be a value, not {TYPES[dict]}")
            if "\0" in str(one):
                raise SettingsError(f"--config {path}: {argument.name} has a NUL character in it: take it out")


def _check_tables(path: Path, tables: dict[str, Any], root: App, commands: tuple[str, ...]) -> dict[str, Any]:
    """The table of `commands`. Raises SettingsError for one that is no command's, on the way to it."""
    node, place = root, ""
    for command in commands:
        if node.default_command is None:
            for name, table in tables.items():
                if name not in _subcommands(node):
                    hint = nearest(place + name, [place + known for known in _subcommands(node)])
                    why = "is no command, and flags stand below the name of one, such as [miner]"
                    raise SettingsError(f"--config {path}: {printable(place + name)} {why}{hint}")
                if not isinstance(table, dict):
                    raise SettingsError(f"--config {path}: {place}{name} should be a table: [{place}{name}]")
        node, place = node[command], f"{place}{command}."
        tables = tables.get(command, {})
        if not isinstance(tables, dict):
            raise SettingsError(f"--config {path}: {place.rstrip('.')} should be a table: [{place.rstrip('.')}]")
    return tables
