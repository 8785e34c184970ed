"""What every program of `python -m` promises that is no command of `assay`."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import pytest

from tests.places import ROOT

PACKAGES = ("detectors", "generators", "neurons", "subnet")
PROGRAMS = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in PACKAGES
    for path in sorted(Path(ROOT, package).rglob("*.py"))
    if "argparse.ArgumentParser(" in (text := path.read_text(encoding="utf-8")) and "def main(" in text
]


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_flag_says_what_it_is(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each argument has a help text, what has a default tells it, and --help prints all of it."""
    kept: list[argparse.ArgumentParser] = []
    read = argparse.ArgumentParser.parse_args

    def parse_args(parser: argparse.ArgumentParser, *given: object) -> argparse.Namespace:
        kept.append(parser)
        return read(parser, ["--help"])

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main()
    assert ended.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    for action in kept[0]._actions:
        assert action.help, f"{name}: {action.option_strings or action.dest} has no help"
        assert not isinstance(action.default, int | float) or action.default is False or f"{action.default:g}" in told
    assert PROGRAMS


def test_programs_are_looked_for_where_they_are() -> None:
    """The trainings of generators are among them."""
    assert {f"generators.training.{name}" for name in ("autoencoder", "diffusion", "quality", "stylegan")} <= {
        *PROGRAMS
    }
