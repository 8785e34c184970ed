"""Variables and the file of --config: what looks like a setting and is none is told, with the nearest name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from neurons.cli import COMMANDS
from neurons.settings import SubtensorSettings, WalletSettings
from neurons.sources import INNER, bittensor_variables
from subnet.errors import SettingsError
from tests.places import ROOT
from tests.unit.neurons.running import Assay

LISTING = ("detectors", "--json")  # a command that needs nothing


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [
        ("ASSAY_NETUID", ("miner",), "did you mean ASSAY_MINER_NETUID?"),
        ("ASSAY_SEED", ("validator",), "did you mean ASSAY_VALIDATOR_SEED?"),
        ("ASSAY_MINR_NETUID", ("miner",), "did you mean ASSAY_MINER_NETUID?"),
        ("ASSAY_MINER_AXON_PRT", ("miner",), "did you mean ASSAY_MINER_AXON_PORT?"),
        ("ASSAY_MINER_PORT", ("miner",), "did you mean ASSAY_MINER_AXON_PORT?"),
        ("ASSAY_VALIDATOR_NEURON_TIMOUT", ("validator",), "did you mean ASSAY_VALIDATOR_NEURON_TIMEOUT?"),
        ("ASSAY_HOEM", LISTING, "did you mean ASSAY_HOME?"),
        ("ASSAY_POOL_STATUS_PLANN", ("pool", "status"), "did you mean ASSAY_POOL_STATUS_PLAN?"),
        ("ASSAY_DATASET_SEEED", ("dataset", "x"), "did you mean ASSAY_DATASET_SEED?"),
    ],
)
def test_a_variable_of_ours_that_nobody_reads(
    name: str, words: tuple[str, ...], hint: str, assay: Assay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused with the nearest one: the program would run with the default instead."""
    monkeypatch.setenv(name, "7")
    ran = assay(*words)
    assert ran.status == 2
    assert name in ran.message
    assert hint in ran.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ASSAY_PRODUCER_SEEED", "7"),
        ("ASSAY_POOL_VERIFY_DECODE", "yes"),
        ("ASSAY_PRODUCER_FOLDER_HOLIDAY", "photos"),
        ("ASSAY_MINER_PORT", "tcp://10.0.0.7:8091"),
        ("ASSAY_MINER_PORT_8091_TCP_ADDR", "10.0.0.7"),
        ("ASSAY_SERVICE_HOST", "10.0.0.7"),
        ("ASSAY_SIGNERS", "/etc/assay/signers"),
        ("ASSAY_PARENT", "1"),
        ("ASSAYER", "7"),
    ],
)
def test_variables_of_others(name: str, value: str, assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of another command, of Kubernetes for a service's neighbours, and of the updater are not this command's."""
    monkeypatch.setenv(name, value)
    assert assay(*LISTING).status == 0


def test_the_updaters_variables_are_known() -> None:
    """Exactly those of docker/update.sh, which are in the environment of the `assay doctor` that it runs."""
    script = (ROOT / "docker" / "update.sh").read_text(encoding="utf-8")
    assert set(re.findall(r"\bASSAY_[A-Z]+", script)) == INNER - {"ASSAY_PARENT"}


def test_near_misses_of_bittensors_variables(assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is told and nothing is refused; those of the client, of other tools, and right ones are silent."""
    for name in ("BT_NETWROK", "BT_WALLET_PASSWORD_FILE", "BT_PYLON_TOKEN", "BT_AXON_PORT"):
        monkeypatch.setenv(name, "8091")
    ran = assay("pool", "status")
    assert "BT_" not in ran.err  # a command without a chain
    ran = assay("status")
    assert "assay: warning: BT_NETWROK is read by nothing here; did you mean BT_NETWORK?" in ran.err
    assert ran.err.count("warning") == 1


def test_old_and_new_spellings(assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either sets the flag; where both are set and differ it is told which one is taken."""
    pairs = {
        "BT_NETWORK": "BT_SUBTENSOR_NETWORK",
        "BT_CHAIN_ENDPOINT": "BT_SUBTENSOR_CHAIN_ENDPOINT",
        "BT_WALLET_NAME": "BT_WALLET",
    }
    assert {*pairs, *pairs.values()} <= bittensor_variables()
    for first, second in pairs.items():
        for name in (first, second):
            with monkeypatch.context() as one:
                value = "cold" if "WALLET" in name else "ws://10.0.0.7"
                one.setenv(name, value)
                rows = assay("config", "doctor", "--json").json["programs"]["doctor"]
                assert [row["value"] for row in rows if row["where"] == name] == [value]
        monkeypatch.setenv(first, value)
        monkeypatch.setenv(second, f"{value}2")
        assert f"{first} and {second} differ: {first} is taken" in assay("miner", "--netuid", 3).err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[minr]\nnetuid = 3",
            "minr is no command, and flags stand below the name of one, such as [miner]; did you mean",
        ),
        ("netuid = 3", "netuid is no command"),
        ("miner = 3", "miner should be a table: [miner]"),
        ("[miner]\nnetuidd = 3", "[miner] knows no netuidd; did you mean netuid?"),
        ("[miner.axon]\nprt = 3", "[miner] knows no axon.prt; did you mean axon.port?"),
        ("[miner]\nnetuid = 3\n[miner.axno]\nport = 3", "[miner] knows no axno.port; did you mean axon.port?"),
        ("[pool.stats]\nplan = 'x'", "pool.stats is no command"),
        ("[miner]\nnetuid = ", "Invalid value"),
    ],
)
def test_keys_of_the_file_that_nobody_knows(text: str, said: str, assay: Assay, tmp_path: Path) -> None:
    """They are refused with the nearest name, and so is a table of no command, whatever runs."""
    path = tmp_path / "flags.toml"
    path.write_text(text)
    for words in [("miner",)] if "pool" not in text else [("pool", "status")]:
        ran = assay(*words, "--config", path)
        assert (ran.status, said in ran.message, str(path) in ran.message) == (2, True, True), ran.message


def test_empty_variables(monkeypatch: pytest.MonkeyPatch, assay: Assay) -> None:
    """A text that must be there is named where its variable is empty; an empty address to publish is none."""
    for family, flag in ((SubtensorSettings, "network"), (WalletSettings, "name"), (WalletSettings, "hotkey")):
        with pytest.raises(SettingsError, match=rf"\.{flag} is empty"):
            family(**{flag: ""})  # type: ignore[arg-type]
    monkeypatch.setenv("BT_AXON_EXTERNAL_IP", "")
    assert "--axon.external_ip is needed" in assay("miner", "--netuid", "3").message


def test_every_command_is_checked(assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the two that report what they find."""
    monkeypatch.setenv("ASSAY_NOBODY", "7")
    for name in set(COMMANDS) - {"config", "doctor", "pool", "state", "journal", "web"}:
        ran = assay(name)
        assert (ran.status, "ASSAY_NOBODY" in ran.message) == (2, True), name


def test_our_variable_wins_over_bittensors(assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of one program, BT_* of all; where they differ a line says which is taken, and of equal ones none does."""
    monkeypatch.setenv("ASSAY_MINER_SUBTENSOR_NETWORK", "local")
    monkeypatch.setenv("BT_NETWORK", "test")
    rows = assay("config", "miner", "--json").json["programs"]["miner"]
    assert [row["value"] for row in rows if row["where"] == "ASSAY_MINER_SUBTENSOR_NETWORK"] == ["local"]
    said = "ASSAY_MINER_SUBTENSOR_NETWORK and BT_NETWORK differ: ASSAY_MINER_SUBTENSOR_NETWORK is taken"
    assert said in assay("miner", "--netuid", "1").err
    assert said in assay("config", "miner").err
    monkeypatch.setenv("BT_NETWORK", "local")
    assert "differ" not in assay("miner", "--netuid", "1").err


def test_the_file_has_one_variable(assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    """ASSAY_CONFIG, for all commands: --help says so, and whoever sets one of a command is led to it."""
    shown = " ".join(assay("validator", "--help").out.split())
    assert "ASSAY_CONFIG" in shown
    assert "ASSAY_VALIDATOR_CONFIG" not in shown
    monkeypatch.setenv("ASSAY_VALIDATOR_CONFIG", "flags.toml")
    assert "did you mean ASSAY_CONFIG?" in assay("validator", "--netuid", "1").message


def test_a_variable_of_bittensor_for_a_flag_that_has_none(assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own variable of the flag is named."""
    monkeypatch.setenv("BT_NETUID", "3")
    ran = assay("miner")
    assert "assay: warning: BT_NETUID is read by nothing here; did you mean ASSAY_MINER_NETUID?" in ran.err
    assert (ran.status, "--netuid" in ran.message) == (2, True)


@pytest.mark.parametrize(
    ("words", "said", "never"),
    [
        (("--netuid", "1", "--seed", "-5secret"), "--seed", "Unknown option: --netuid"),
        (("--netuid", "1", "--no-commit"), "Did you mean --neuron.no-commit?", "--neuron.commit?"),
        (("--netuid", "1", "--commit"), "Did you mean --neuron.commit?", "no-commit"),
        (("--netuid", "1", "--roundz", "2"), "Unknown option: --roundz. Did you mean --rounds?", "--netuid"),
    ],
)
def test_what_is_wrong_is_named(words: tuple[str, ...], said: str, never: str, assay: Assay) -> None:
    """Not the flag before it, and the nearest spelling of it."""
    ran = assay("validator", *words)
    assert (ran.status, said in ran.message, never in ran.message) == (2, True, False), ran.message
