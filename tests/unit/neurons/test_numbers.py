"""Numbers on the command line: what no command can take is refused by all of them, before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.neurons.running import Assay

SEEDED = {
    "train": ("npr",),
    "study": ("aerial",),
    "evaluate": ("npr",),
    "generate": ("ae-nearest",),
    "dataset": ("out",),
    "audit": ("embedded:test",),
    "lab": ("--quick",),
    "localnet": (),
    "producer": ("--once",),
    "validator": ("--netuid", "1"),
}
COUNTS = (
    *(("train", "npr", flag) for flag in ("--workers", "--steps", "--patience", "--crop", "--items", "--twins")),
    *(("study", "aerial", "--steps"), ("evaluate", "npr", "--limit"), ("bench", "npr", "--items")),
    *(("bench", "npr", "--rounds"), ("dataset", "out", "--count"), ("generate", "ae-nearest", "--count")),
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("command", SEEDED)
@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_of_all_commands_are_of_one_kind(command: str, seed: int, assay: Assay, tmp_path: Path) -> None:
    """0 to 2^32 - 1, as the libraries take them; a secret one may be longer, and none is negative."""
    if seed > 0 and command in ("producer", "validator"):
        return
    ran = assay(command, *SEEDED[command], "--seed", seed)
    assert (ran.status, "Traceback" in ran.err) == (2, False)
    assert "--seed must be a whole number from 0" in ran.message
    secret = command in ("producer", "validator")
    assert (f"not {seed}" in ran.message) is not secret
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", COUNTS, ids=lambda words: f"{words[0]} {words[-1]}")
@pytest.mark.parametrize("number", [-1, 10**30])
def test_counts_are_of_one_kind(words: tuple[str, ...], number: int, assay: Assay, tmp_path: Path) -> None:
    """None is negative or beyond what a machine counts to; the flag is named, no 0 is promised, and nothing is made."""
    ran = assay(*words, number)
    assert (ran.status, "Traceback" in ran.err) == (2, False)
    bound = "that is not negative" if number < 0 else "of at most 2147483647"
    assert f"{words[-1]} must be a whole number {bound}, not {number}" in ran.message
    assert not list(tmp_path.iterdir())


def test_workers_are_few(assay: Assay, tmp_path: Path) -> None:
    """Processes are not started by the thousand."""
    assert "--workers must be from 0 to 64, not 1000" in assay("train", "npr", "--workers", 1000).message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("items", "0"), ("rounds", "0")])
def test_a_benchmark_measures_something(words: tuple[str, str], assay: Assay) -> None:
    """Nothing and no round are no measurement."""
    assert f"--{words[0]} must be at least 1, not 0" in assay("bench", "npr", f"--{words[0]}", words[1]).message
