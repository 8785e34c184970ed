"""`assay config` refuses what the program refuses, in its words; so do both whatever the value is from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.neurons.running import Assay

ADDRESS = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
REFUSED = (
    (("miner", "--netuid", "1"), "--axon.external_ip is needed"),
    (("miner", "--netuid", "70000"), "--netuid must be a whole number from 0 to 65535, not 70000"),
    (("miner", "--netuid", "1", "--axon.external_ip", "10.0.0.7"), "no validator would call"),
    (("validator", "--netuid", "70000"), "--netuid must be a whole number from 0 to 65535, not 70000"),
    (("validator", "--netuid", "7", "--neuron.await_miners", "3"), "it is for --local alone"),
    (("validator", "--netuid", "7", "--neuron.seal_round", "3"), "it is for --local alone"),
    (
        ("validator", "--netuid", "7", "--metrics_port", "70000"),
        "--metrics_port must be a whole number from 0 to 65535",
    ),
    (("validator", "--netuid", "7", "--pool.gigabytes", "nan"), "--pool.gigabytes must be a number"),
    (("validator", "--netuid", "7", "--neuron.keep_gigabytes", "inf"), "--neuron.keep_gigabytes must be a number"),
    (("validator", "--netuid", "7", "--neuron.interval", "-1"), "--neuron.interval must be a number"),
    (("validator", "--netuid", "7", "--neuron.timeout", "nan"), "--neuron.timeout must be a number"),
    (("producer", "--pool.gigabytes", "-1", "--once"), "--pool.gigabytes must be a number"),
    (("producer", "--pool.gigabytes", "0", "--once"), "--pool.gigabytes must be at least 0.001"),
    (("producer", "--ray.card_gigabytes", "8"), "add --ray"),
    (("producer", "--ray", "--prompts.captioner", "blip"), "--prompts.captioner does not go with --ray"),
    (("replicas", "--detector.device", "cuda:0,cuda:1"), "--ray.replicas makes several"),
    (("miner", "--netuid", "1", "--blacklist.rate", "0"), "--blacklist.rate must be at least 0.001"),
    (("miner", "--netuid", "1", "--blacklist.rate", "nan"), "--blacklist.rate must be a number"),
    (("miner", "--netuid", "1", "--blacklist.min_stake", "-1"), "--blacklist.min_stake must be a number"),
    (("miner", "--netuid", "1", "--blacklist.hotkeys", "notahotkey"), "--blacklist.hotkeys"),
    (("miner", "--netuid", "1", "--blacklist.hotkeys", ADDRESS[:-1] + "Z"), "--blacklist.hotkeys"),
    (("miner", "--netuid", "1", "--wallet.name", "../wallets/m1"), "--wallet.name"),
    (("validator", "--netuid", "1", "--wallet.hotkey", "cold/hot"), "--wallet.hotkey"),
    (("validator", "--netuid", "1", "--wallet.name", ".."), "--wallet.name"),
    (("miner", "--netuid", "1", "--wallet.name", "'mine'"), "--wallet.name is a name without quotes"),
    (("validator", "--netuid", "1", "--wallet.hotkey", " hot"), "--wallet.hotkey is a name without quotes"),
    (("validator", "--netuid", "1", "--subtensor.network", "mainnet"), "use finney, test, local, or an address"),
    (("status", "--subtensor.network", '"test"'), "use finney, test, local, or an address"),
    (("doctor", "--pool.gigabytes", "inf"), "--pool.gigabytes must be a number"),
    (("doctor", "--deadline", "0"), "--deadline"),
    (("status", "--deadline", "0"), "--deadline"),
    (("gateway", "--netuid", "70000"), "--netuid must be a whole number from 0 to 65535"),
)


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=[" ".join(words)[:60] for words, _ in REFUSED])
def test_config_refuses_what_the_program_refuses(words: tuple[str, ...], said: str, assay: Assay) -> None:
    """Status 2 and one line, the same of both."""
    program, config = assay(*words), assay("config", *words)
    assert (program.status, config.status) == (2, 2), (program.err, config.err)
    assert said in program.message
    assert program.message == config.message
    assert "Traceback" not in program.err


def test_the_table_stands_above_a_refusal(assay: Assay) -> None:
    """Of flags that do not go together all are shown, with where they are from; nothing is well."""
    ran = assay("config", "miner", "--netuid", "1", "--json")
    assert (ran.status, ran.json["ok"]) == (2, False)
    assert {"name": "--netuid", "value": "1", "source": "flag", "where": "--netuid"} in ran.json["programs"]["miner"]


def test_what_is_right_is_taken(assay: Assay) -> None:
    """An address of a key, a public address, a fast validator of a local network."""
    words = ("--axon.external_ip", "8.8.8.8", "--blacklist.hotkeys", ADDRESS)
    assert assay("config", "miner", "--netuid", "1", *words).status == 0
    words = ("--neuron.interval", "0", "--neuron.await_miners", "3", "--local", "--pool.floor_gigabytes", "0")
    assert assay("config", "validator", "--netuid", "1", *words).status == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("neuron = 3", "validator.neuron should be a table ([validator.neuron]), not an integer"),
        ('pool = "x"', "validator.pool should be a table ([validator.pool]), not a string"),
        ("neuron = true", "validator.neuron should be a table ([validator.neuron]), not a boolean"),
        ("wallet = []", "validator.wallet should be a table ([validator.wallet]), not an array"),
        ("[[validator.wandb]]\noff = true", "validator.wandb should be a table ([validator.wandb]), not an array"),
        ("[validator.netuid]\na = 1", "--netuid should be a value, not a table"),
        ("[validator.neuron]\ntimeout = nan", "--neuron.timeout must be a number"),
        ('[validator.wallet]\nname = "a\\u0000b"', "--wallet.name"),
    ],
)
def test_families_of_the_file_are_tables(text: str, said: str, assay: Assay, tmp_path: Path) -> None:
    """Another type there was passed over without a word: key, type and what is wanted are named."""
    path = tmp_path / "flags.toml"
    path.write_text(f"[validator]\n{text}\n")
    for words in (("validator", "--netuid", "1"), ("config", "validator", "--netuid", "1")):
        ran = assay(*words, "--config", path)
        assert (ran.status, said in ran.message, "Traceback" in ran.err) == (2, True, False), ran.err


def test_a_family_takes_no_value(assay: Assay, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its flag or its variable: it was passed over; JSON of its flags is read."""
    assert assay("config", "validator", "--netuid", "1", "--neuron", '{"timeout": 3}').status == 0
    said = "--neuron is a family of flags and takes no value; give one of its flags, such as --neuron.sample_size"
    for words in (("validator", "--netuid", "1"), ("config", "validator", "--netuid", "1")):
        ran = assay(*words, "--neuron", "3")
        assert (ran.status, said in ran.message) == (2, True), ran.message
    monkeypatch.setenv("ASSAY_VALIDATOR_NEURON", "3")
    assert "ASSAY_VALIDATOR_NEURON is a family of flags" in assay("validator", "--netuid", "1").message
