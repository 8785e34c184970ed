"""`assay`: every command of the project. Commands are imported when they are called, so that `--help` is quick."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import re
import sys
import tomllib
from collections.abc import Sequence
from importlib import import_module, metadata
from inspect import BoundArguments
from math import inf, isfinite
from pathlib import Path
from typing import Annotated, NoReturn, get_args

from cyclopts import (
    UNSET,
    App,
    Argument,
    ArgumentCollection,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    Token,
    UnknownCommandError,
    UnknownOptionError,
)

from neurons.sources import VARIABLES, Source, check_families, check_paths, check_variables, prefer_ours, read_file
from subnet.errors import SettingsError, StateError, SubnetError
from subnet.lifetime import INTERRUPTED, end_with_parent
from subnet.printing import printable, without_credentials

COMMANDS = {
    "localnet": ("neurons.localnet.program:localnet", "Play the whole game on this machine, offline."),
    "miner": ("neurons.miner.program:miner", "Serve detectors to validators."),
    "validator": ("neurons.validator.program:validator", "Challenge miners, score them, and set weights."),
    "producer": ("neurons.producer.program:producer", "Keep the pool of ready media filled."),
    "replicas": ("neurons.replicas.program:replicas", "Have detectors answer on a Ray cluster, for miners and sites."),
    "pool": ("neurons.commands.pool:pool", "Look at the pool of ready media, check it, trim it, export it."),
    "generate": ("neurons.commands.generate:generate", "Make synthetic media with one generator."),
    "train": ("neurons.commands.train:train", "Train a detector on what validators ask."),
    "dataset": ("neurons.datasets.program:dataset", "Write real media with twins to a folder; check published sets."),
    "evaluate": ("neurons.commands.evaluate:evaluate", "Measure a detector, or compare two."),
    "compare": (
        "neurons.commands.compare:compare",
        "Compute reports again from matrices of answers, and compare them.",
    ),
    "claim": ("neurons.commands.claims.claim:claim", "Measure what may be said of a detector's answers: its card."),
    "study": ("neurons.commands.study:study", "Run a whole study: train, measure, tables and pictures."),
    "doctor": ("neurons.doctor.program:doctor", "Check that everything needed is here, and say what would mend it."),
    "status": ("neurons.commands.operating.status:status", "How a validator or miner of this machine stands."),
    "config": ("neurons.commands.operating.config:config", "Which settings a program has, and where each is from."),
    "detect": ("neurons.commands.detect:detect", "Judge files, and say why."),
    "audit": ("neurons.commands.audit:audit", "Does a data set give its labels away?"),
    "bench": ("neurons.commands.bench:bench", "How fast detectors are on this machine."),
    "detectors": ("neurons.commands.tables.listing:detectors", "List the detectors."),
    "fetch": ("neurons.commands.tables.fetch:fetch", "Bring a detector's published weights."),
    "recipes": ("neurons.commands.tables.listing:recipes", "List what the field found to work, for training."),
    "generators": ("neurons.commands.tables.listing:generators", "List the generators, and which can run here."),
    "lab": ("neurons.commands.lab:lab", "Play tricks against the rules, and see who earns what."),
    "explain": ("neurons.commands.explain:explain", "Why a miner earns what it earns, from a journal."),
    "replay": ("neurons.commands.evidence.journal:replay", "Compute all scores again from a journal."),
    "publish": ("neurons.commands.evidence.publish:publish", "Publish finished epochs of a journal for strangers."),
    "verify": ("neurons.commands.evidence.verify:verify", "Check published evidence against itself and the chain."),
    "state": ("neurons.commands.evidence.state:state", "Move a stopped validator's state to another machine."),
    "journal": ("neurons.commands.evidence.journal:journal", "Look at a journal, check its parts, copy it."),
    "web": ("neurons.web.program:web", "Show journals as pages: who earns what, and why."),
    "gateway": ("neurons.gateway.program:gateway", "Answer files of outsiders by what the subnet's miners say."),
}

CHECKS = {  # what flags must be together, by command; looked at before it starts, and by `assay config`
    "miner": "neurons.miner.program:check",
    "validator": "neurons.validator.program:check",
    "producer": "neurons.producer.program:check",
    "replicas": "neurons.replicas.program:check",
}

EXIT_SETTINGS, EXIT_STATE, EXIT_OTHER, EXIT_PIPE = 2, 3, 1, 141
_NAMELESS = dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "standard output, or a file")  # a write names none
CONFIG_HELP = "TOML file with flags: [miner.axon] port = 8091. [env: ASSAY_CONFIG]"
COUNTABLE = 2**31 - 1  # the largest number
MOST = {"seed": 2**32 - 1, "port": 2**16 - 1, "netuid": 2**16 - 1}  # and that of a flag, by its last word
_INTEGER = re.compile(r"[+-]?[0-9]+")


def build() -> App:
    """The command line. Flags win over variables, these over the file of --config, that over defaults."""
    app = App(
        name="assay",
        help="A Bittensor subnet that tells real media from synthetic. Start with: assay localnet",
        default_parameter=Parameter(name_transform=str.lower, negative_iterable=()),  # choices are in small letters
        version=_version,
        version_flags=["--version"],
        help_format="plaintext",  # markdown would cost a third of the time that --help takes
    )
    app.config = sources(app)
    for name, (target, help_text) in COMMANDS.items():
        app.command(target, name=name, help=help_text)
    app.command("neurons.miner.rogue:rogue", name="rogue", show=False)

    @app.meta.default
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        config: Annotated[Path | None, Parameter(help=CONFIG_HELP, show_env_var=False)] = None,
    ) -> object:
        if config is not None:
            app.config = sources(app, config)
        try:
            command, bound, injected = app.parse_args(tokens, exit_on_error=False, print_error=False)
            check_together(app.parse_commands(tokens)[0], bound)
            return command(*bound.args, **bound.kwargs, **({"app": app} if "app" in injected else {}))
        except (MissingArgumentError, UnknownOptionError) as error:
            raise _unknown_option(error) or error from error
        except UnknownCommandError as error:
            if error.app is not app or not error.unused_tokens:
                raise
            raise _unknown_command(error.unused_tokens[0]) from error

    return app


def sources(app: App, file: Path | None = None) -> tuple[Source, ...]:
    """Where settings come from when no flag gives them, the first first. Raises SettingsError for a wrong `file`."""
    files = () if file is None else (read_file(file, app),)
    return (prefer_ours, VARIABLES, check_variables(app), *files, check_families, check_paths, check_numbers)


def check_numbers(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Raises CoercionError and SettingsError for numbers, wherever they are from, that no flag can work with.

    An integer is in plain digits (1.5 is not rounded), any other number is finite. None is below 0, nor too large to
    count or, as a seed or port, for what takes it. A seed without a default is a secret, as long as it likes.
    """
    for argument in arguments:
        kinds = {argument.hint, *get_args(argument.hint)} & {int, float}
        for token in argument.tokens if kinds else ():
            if token.implicit_value is UNSET:
                _check_number(argument, token, whole=float not in kinds)


def _check_number(argument: Argument, token: Token, *, whole: bool) -> None:
    word = re.split("[._-]", argument.name)[-1]
    secret = word == "seed" and argument.hint is not int
    most = inf if secret else MOST.get(word, COUNTABLE)
    try:
        if whole and not _INTEGER.fullmatch(token.value):
            raise ValueError
        number = int(token.value) if whole else float(token.value)
    except ValueError as error:  # an integer of more than 4,300 digits, too
        said = token.evolve(value="***") if secret else token
        raise CoercionError(token=said, argument=argument, target_type=int if whole else float) from error
    if not 0 <= number <= most or number == inf:
        end = "from 0 on" if secret else f"from 0 to {most}" if word in MOST else f"of at most {most}"
        bound = end if word in MOST or number > 0 else "that is not negative"  # 0 is not for every count
        bound = bound if isfinite(number) else "that is finite"
        value = "below it" if secret else token.value
        raise SettingsError(f"{argument.name} must be a {'whole ' if whole else ''}number {bound}, not {value}")


def check_together(commands: Sequence[str], bound: BoundArguments) -> None:
    """Raises SettingsError for flags of a command that do not go together, or lack one another."""
    if rule := CHECKS.get(" ".join(commands)):
        module, _, name = rule.partition(":")
        bound.apply_defaults()
        getattr(import_module(module), name)(**bound.arguments)


def _unknown_option(error: MissingArgumentError | UnknownOptionError) -> SettingsError | None:
    """The first option that nobody knows, which is to be told before one that lacks: it may be the same, misspelt."""
    arguments = error.app.assemble_argument_collection() if error.app is not None else ()
    known = {name for each in arguments if each.parse for name in (*each.names, *each.negatives)}
    unused = error.unused_tokens
    if isinstance(error, UnknownOptionError):
        unused = [error.token.keyword or error.token.value]
    words = (word.split("=")[0] for word in unused or () if word.startswith("--"))
    word = next((word for word in words if word not in known), None)
    if word is None:
        return None
    ending = [name for name in sorted(known) if name.rpartition(".")[2] == word.lstrip("-")]
    near = (ending or difflib.get_close_matches(word, sorted(known), n=1) or [""])[0]
    return SettingsError(f"Unknown option: {word}.{f' Did you mean {near}?' if near else ''}")


def _unknown_command(word: str) -> SettingsError:
    """Told here, since cyclopts would import all commands before it says so."""
    near = difflib.get_close_matches(word, COMMANDS, n=1)
    hint = f'Did you mean "{near[0]}"? ' if near else ""
    return SettingsError(f'Unknown command "{word}". {hint}Available commands: {", ".join(COMMANDS)}')


def _version() -> str:
    """The version of the distribution, or that of the source tree where nothing is installed."""
    try:
        return metadata.version("assay-subnet")
    except metadata.PackageNotFoundError:
        source = Path(__file__).parents[1] / "pyproject.toml"
        return str(tomllib.loads(source.read_text(encoding="utf-8"))["project"]["version"])


def main(words: Sequence[str] | None = None) -> None:
    """Run the command of `words`, by default the process's own; errors are told in one line.

    Exit status 2: a setting; 3: state on disk, or any file; 141: nobody reads what is printed; 1: anything else.
    """
    end_with_parent()
    try:
        try:
            build().meta(sys.argv[1:] if words is None else words, exit_on_error=False, print_error=False)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # while a failure can still be told
    except CycloptsError as error:
        _fail(str(error), EXIT_SETTINGS)
    except SubnetError as error:
        status = EXIT_STATE if isinstance(error, StateError) else EXIT_OTHER
        _fail(str(error), EXIT_SETTINGS if isinstance(error, ValueError) else status)
    except BrokenPipeError:
        _drop_output()
        sys.exit(EXIT_PIPE)
    except OSError as error:
        _drop_output()
        name = error.filename if error.filename is not None else _NAMELESS.get(error.errno or 0, "")
        where = f"{name}: " if name else ""
        status = EXIT_OTHER if isinstance(error, ConnectionError | TimeoutError) else EXIT_STATE
        _fail(f"{where}{error.strerror or error}", status)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _fail(message: str, status: int) -> NoReturn:
    with contextlib.suppress(OSError, ValueError):  # a terminal that is gone
        print(f"assay: {printable(without_credentials(' '.join(message.split())))}", file=sys.stderr)
    sys.exit(status)


def _drop_output() -> None:
    """What could not be printed is not tried again when the interpreter ends."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


if __name__ == "__main__":
    main()
