"""Whether each fault of `tests/faults.toml` has tests that notice when its cure is taken out.

    python -m tests.mutations [--quick] [F3 ...]
    python -m tests.mutations --page

The tree is copied to a temporary folder. There the named tests must pass as they are; then each cure is replaced by
what stands for its absence, one at a time, and each test named for it must fail. Prints a line for every cure; status
1 where a test passed without its cure, or did not pass with it. Allow an hour for all of them, or a few minutes with
--quick, which leaves out the real programs of tests/e2e. --page writes the table of docs/operating.md instead.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from tests.places import ROOT

TABLE = ROOT / "tests" / "faults.toml"
PAGE = ROOT / "docs" / "operating.md"
START, END = "<!-- faults: written by python -m tests.mutations --page -->", "<!-- end of faults -->"
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "site", "mutants")
PROGRAMS = "tests/e2e/"
PATIENCE = 900  # seconds for the tests of one cure: a program without it may wait for ever


@dataclass(frozen=True)
class Cure:
    """A piece of code that mends a fault: its exact text in a file, what stands there without it, and who notices."""

    file: str
    text: str
    without: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """What may go wrong, what the programs do then, what they say, and the cures that make them do so."""

    name: str
    what: str
    conduct: str
    says: str
    cures: tuple[Cure, ...]

    @property
    def tests(self) -> tuple[str, ...]:
        """Each once, in order."""
        return tuple(dict.fromkeys(test for cure in self.cures for test in cure.tests))


def read_faults(table: Path = TABLE) -> tuple[Fault, ...]:
    """Raises KeyError and TypeError where the table lacks something, or has what nobody knows."""
    rows = tomllib.loads(table.read_text(encoding="utf-8"))
    return tuple(_fault(name, dict(row)) for name, row in rows.items())


def _fault(name: str, row: dict[str, object]) -> Fault:
    rows = row.pop("cures")
    assert isinstance(rows, list)
    cures = tuple(Cure(**{**cure, "tests": tuple(cure["tests"])}) for cure in rows)
    return Fault(name, cures=cures, **row)  # type: ignore[arg-type]


def passed(tree: Path, tests: Sequence[str]) -> set[str]:
    """Which of `tests` pass in `tree`, all of their parameters included; one that is skipped everywhere does not."""
    report = tree / "report.xml"
    report.unlink(missing_ok=True)
    words = ["-m", "pytest", "-q", "-n", "0", "-m", "not gpu and not network", "-p", "no:cacheprovider", "--timeout=60"]
    words += [f"--junitxml={report}", *tests]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    running = subprocess.Popen(
        [sys.executable, *words],
        cwd=tree,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        running.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return set()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)  # and every program that it started
        running.wait()
    outcomes: dict[str, list[str]] = {test: [] for test in tests}
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        place = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '').partition('[')[0]}"
        worst = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        for test in tests:
            if test.partition("[")[0] == place:
                outcomes[test].append(worst)
    return {test for test, found in outcomes.items() if "passed" in found and not {"failure", "error"} & {*found}}


@contextlib.contextmanager
def taken_out(tree: Path, cure: Cure) -> Iterator[None]:
    """`tree` without `cure`, for a while."""
    path = tree / cure.file
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(cure.text, cure.without), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(whole, encoding="utf-8")


def check(tree: Path, fault: Fault) -> bool:
    """Print what becomes of each cure of one fault; whether all is as it should be."""
    sound = passed(tree, fault.tests)
    for test in sorted({*fault.tests} - sound):
        print(f"{fault.name} BROKEN: {test} does not pass as the code is", flush=True)
    right = len(sound) == len(fault.tests)
    for cure in fault.cures:
        with taken_out(tree, cure):
            blind = passed(tree, cure.tests)
        right = right and not blind
        verdict = "NOT NOTICED by " + ", ".join(sorted(blind)) if blind else f"noticed by {len(cure.tests)}"
        print(f"{fault.name} {cure.file}: {verdict}", flush=True)
    return right


def markdown(faults: Sequence[Fault]) -> str:
    """The table of docs/operating.md, between its marks."""
    rows = (f"| {fault.name} | {fault.what} | {fault.conduct} | {fault.says} |\n" for fault in faults)
    return f"{START}\n| | Fault | What the programs do | What they say |\n|---|---|---|---|\n{''.join(rows)}{END}"


def quick(fault: Fault) -> Fault:
    """`fault` without tests of real programs, and without cures that have no others."""
    cures = (replace(cure, tests=tuple(t for t in cure.tests if not t.startswith(PROGRAMS))) for cure in fault.cures)
    return replace(fault, cures=tuple(cure for cure in cures if cure.tests))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", help="faults, such as F3; by default all of them")
    parser.add_argument("--quick", action="store_true", help="leave out tests/e2e, which starts the real programs")
    parser.add_argument("--page", action="store_true", help="write the table of docs/operating.md, and check nothing")
    given, every = parser.parse_args(), read_faults()
    if given.page:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
        PAGE.write_text(before + markdown(every) + rest.partition(END)[2], encoding="utf-8")
        return 0
    faults = [fault for fault in every if not given.names or fault.name in given.names]
    if given.quick:
        faults = [quick(fault) for fault in faults]
    if unknown := {*given.names} - {fault.name for fault in every}:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        wrong = [fault.name for fault in faults if not check(tree, fault)]
    print(f"not held: {', '.join(wrong)}" if wrong else f"all {len(faults)} faults are held by their tests")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
