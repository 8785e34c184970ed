"""`assay config`: what a program would run with, and where each value is from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from neurons.cli import COMMANDS
from tests.unit.neurons.running import Assay


def rows(facts: dict[str, Any], program: str) -> dict[str, tuple[str | None, str, str]]:
    """Value, source and place by setting."""
    return {row["name"]: (row["value"], row["source"], row["where"]) for row in facts["programs"][program]}


@pytest.fixture
def flags(tmp_path: Path) -> Path:
    path = tmp_path / "flags.toml"
    path.write_text(
        "[validator]\nnetuid = 34\n[validator.neuron]\ntimeout = 4\nsample_size = 6\n"
        "[validator.subtensor]\nnetwork = 'local'\n[miner]\nnetuid = 35\n"
    )
    return path


def test_each_value_and_where_it_is_from(assay: Assay, flags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag wins over its variable, a variable over the file, that over the default."""
    monkeypatch.setenv("ASSAY_HOME", "/somewhere")
    monkeypatch.setenv("BT_SUBTENSOR_NETWORK", "test")
    monkeypatch.setenv("ASSAY_VALIDATOR_NEURON_SAMPLE_SIZE", "7")
    monkeypatch.setenv("ASSAY_VALIDATOR_ROUNDS", "8")
    words = ("--neuron.sample_size", 9, "--logging.debug", "--config", flags)
    ran = assay("config", "validator", *words, "--json")
    found = rows(ran.json, "validator")
    assert (ran.status, ran.json["ok"]) == (0, True)
    assert found["--neuron.sample_size"] == ("9", "flag", "--neuron.sample_size")
    assert found["--logging.debug"] == ("true", "flag", "--logging.debug")
    assert found["--rounds"] == ("8", "variable", "ASSAY_VALIDATOR_ROUNDS")
    assert found["--subtensor.network"] == ("test", "variable", "BT_SUBTENSOR_NETWORK")
    assert found["--neuron.timeout"] == ("4.0", "file", f"{flags} [neuron][timeout]")
    assert found["--netuid"] == ("34", "file", f"{flags} [netuid]")
    assert found["--neuron.interval"] == ("30.0", "default", "")
    assert found["--state"] == (None, "default", "")
    assert found["ASSAY_HOME"] == ("/somewhere", "variable", "ASSAY_HOME")


def test_the_file_may_stand_anywhere(assay: Assay, flags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the command, behind it, behind the program, or in ASSAY_CONFIG."""
    for words in (
        ("--config", flags, "config", "miner"),
        ("config", "--config", flags, "miner"),
        ("config", "miner", "--config", flags),
    ):
        assert rows(assay(*words, "--json").json, "miner")["--netuid"] == ("35", "file", f"{flags} [netuid]")
    monkeypatch.setenv("ASSAY_CONFIG", str(flags))
    assert rows(assay("config", "miner", "--json").json, "miner")["--netuid"][0] == "35"


def test_what_must_be_given_and_is_not(assay: Assay) -> None:
    """It is shown as missing, with status 1; without a program all that run unattended are shown."""
    ran = assay("config", "--json")
    assert (ran.status, ran.json["ok"]) == (1, False)
    assert set(ran.json["programs"]) == {"miner", "validator", "producer", "replicas"}
    assert rows(ran.json, "miner")["--netuid"] == (None, "missing", "")
    assert "not given" in assay("config", "miner").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("miner", "--axon.prt", "1"), "Did you mean --axon.port"),
        (("validator", "--neuron.timeout", "0"), "--neuron.timeout must be above 0"),
        (("validator", "--netuid", "1.5"), "--netuid"),
        (("minr",), 'Did you mean "miner"'),
        (("pool",), "name one command"),
        (("miner", "--config", "/nowhere.toml"), "/nowhere.toml"),
    ],
)
def test_what_the_program_would_refuse(words: tuple[str, ...], said: str, assay: Assay) -> None:
    """Refused in the same words, also where another setting is missing."""
    ran = assay("config", *words)
    assert (ran.status, said in ran.message) == (2, True), ran.message


def test_secrets_are_masked(assay: Assay, flags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secret seeds, and what opens a node: user, password, key. A seed that is public is shown."""
    monkeypatch.setenv("ASSAY_VALIDATOR_SEED", "918273645")
    monkeypatch.setenv("BT_CHAIN_ENDPOINT", "wss://joe:hush@one/,wss://two/v1/0123456789abcdef01,wss://three?key=hush")
    ran = assay("config", "validator", "--config", flags, "--json")
    found = rows(ran.json, "validator")
    assert found["--seed"][0] == "***"
    assert found["--subtensor.chain_endpoint"][0] == "wss://***@one/,wss://two/***,wss://three/***"
    assert found["--seed_file"][0] is None
    assert rows(assay("config", "localnet", "--seed", "5", "--json").json, "localnet")["--seed"][0] == "5"
    for secret in ("918273645", "hush", "0123456789abcdef01"):
        assert secret not in ran.out
        assert secret not in assay("config", "validator", "--config", flags).out


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"pool", "state", "journal", "web"}))
def test_every_command_has_settings(name: str, assay: Assay) -> None:
    """Each can be shown, whatever it needs, and every value is a text that says where it is from."""
    ran = assay("config", name, "--json")
    assert ran.status in (0, 1)
    found = rows(ran.json, name)
    assert {source for _, source, _ in found.values()} <= {"default", "missing", "variable"}
    assert ran.json["ok"] == all(source != "missing" for _, source, _ in found.values())
