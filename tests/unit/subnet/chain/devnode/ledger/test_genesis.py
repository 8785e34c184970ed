"""The genesis file: what goes in comes out, and what is wrong in it is named."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnet.chain.devnode.keys import seeded
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.errors import SettingsError

rules = st.builds(Rules, tempo=st.integers(1, 999), commit_reveal=st.booleans(), stake_threshold=st.floats(0, 1e6))
neurons = st.lists(
    st.builds(GenesisNeuron, hotkey=st.text(min_size=1), coldkey=st.text(), stake=st.floats(0, 1e9)),
    unique_by=lambda row: row.hotkey,
    max_size=5,
)


@given(st.builds(Genesis, netuid=st.integers(1, 4095), neurons=neurons.map(tuple), rules=rules))
def test_json_round_trip(genesis: Genesis) -> None:
    """from_json(to_json(g)) is g."""
    assert Genesis.from_json(genesis.to_json()) == genesis


def test_seed_keys_are_distinct_and_stable() -> None:
    """The same names give the same keys, and every neuron its own."""
    genesis = seeded(validators=2, miners=6)
    assert genesis == seeded(validators=2, miners=6)
    addresses = [address for row in genesis.neurons for address in (row.hotkey, row.coldkey)]
    assert len(set(addresses)) == 16
    assert [row.stake for row in genesis.neurons] == [1000.0] * 2 + [0.0] * 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "genesis must be an object"),
        ('{"netuid": 0}', "netuid must be in 1..4095"),
        ('{"netuid": true}', "netuid must be int"),
        ('{"netuids": 1}', "unknown field 'netuids'; there are: netuid, neurons, rules"),
        ('{"rules": {"tempo": "20"}}', "rules: tempo must be int, not '20'"),
        ('{"rules": {"tempo": 0}}', "tempo must be at least 1"),
        ('{"rules": {"commit_reveal": 1}}', "commit_reveal must be bool"),
        ('{"neurons": {}}', "neurons must be a list"),
        ('{"neurons": [{"hotkey": "a"}]}', r"neurons\[0\]: coldkey is missing"),
        ('{"neurons": [{"hotkey": "a", "coldkey": "b", "stake": -1}]}', "stake of a must be a number >= 0"),
        ('{"neurons": [{"hotkey": "a", "coldkey": "b", "stake": NaN}]}', "stake of a must be a number >= 0"),
        (json.dumps({"neurons": [{"hotkey": "a", "coldkey": "b"}] * 2}), "hotkey a stands twice"),
        ('{"rules": {"max_uids": 0}, "neurons": [{"hotkey": "a", "coldkey": "b"}]}', "1 neurons, but rules.max_uids"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    """Each wrong file is a SettingsError that says which field and why."""
    with pytest.raises(SettingsError, match=message):
        Genesis.from_json(text)
