"""An empty path is no path: taken for the current folder it would put state where nobody looks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.neurons.running import Assay

VALIDATOR, MINER = ("validator", "--netuid", "1"), ("miner", "--netuid", "1", "--axon.external_ip", "8.8.8.8")
EMPTY = (
    (VALIDATOR, "ASSAY_HOME"),
    (MINER, "ASSAY_HOME"),
    (("producer", "--once"), "ASSAY_HOME"),
    (VALIDATOR, "ASSAY_VALIDATOR_STATE"),
    (VALIDATOR, "ASSAY_VALIDATOR_SEGMENTS"),
    (VALIDATOR, "ASSAY_VALIDATOR_SEED_FILE"),
    (VALIDATOR, "ASSAY_VALIDATOR_PLAN"),
    (VALIDATOR, "ASSAY_VALIDATOR_POOL_PATH"),
    (VALIDATOR, "ASSAY_VALIDATOR_LOGGING_FILE"),
    (VALIDATOR, "BT_WALLET_PATH"),
    (VALIDATOR, "ASSAY_CONFIG"),
    (MINER, "ASSAY_MINER_STATE"),
    (("producer", "--once"), "ASSAY_PRODUCER_PLAN"),
    (("status",), "ASSAY_HOME"),
    (("doctor",), "ASSAY_HOME"),
)


@pytest.mark.parametrize(("words", "name"), EMPTY, ids=lambda each: each if isinstance(each, str) else each[0])
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_variable(
    words: tuple[str, ...], name: str, value: str, assay: Assay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Refused by the program and by `assay config` in the same words, with the variable's name, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    ran = assay(*words)
    assert (ran.status, f"{name} is empty: name a " in ran.message, "Traceback" in ran.err) == (2, True, False), ran.err
    config = assay("config", *words)
    assert (config.status, config.message) == (2, ran.message)
    assert not list(tmp_path.iterdir())


def test_an_empty_flag_and_key(assay: Assay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same from the command line and from the file of --config."""
    monkeypatch.chdir(tmp_path)
    assert "--state is empty: name a path, or leave it out" in assay(*VALIDATOR, "--state", "").message
    assert "--folder" in assay("producer", "--once", "--folder.here", "").message
    (tmp_path / "flags.toml").write_text('[validator]\nstate = ""\n')
    ran = assay(*VALIDATOR, "--config", tmp_path / "flags.toml")
    assert (ran.status, "is empty: name a path" in ran.message) == (2, True), ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["flags.toml"]
