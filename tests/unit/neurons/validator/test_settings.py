"""What a validator's flags say together."""

from __future__ import annotations

import pytest

from neurons.settings import NeuronSettings
from neurons.validator.program import check
from subnet.errors import SettingsError


def test_weights_are_sealed_to_a_past_round_on_local_networks_alone() -> None:
    """Everybody can open them at once, so nobody may do that by mistake where weights are worth something."""
    neuron = NeuronSettings(seal_round=1000)
    with pytest.raises(SettingsError, match=r"--neuron.seal_round hides weights from nobody.*leave it out"):
        check(neuron=neuron, local=False, seed=None, seed_file=None)
    check(neuron=neuron, local=True, seed=None, seed_file=None)


@pytest.mark.parametrize("name", ["keep_media", "keep_gigabytes", "min_answers", "vpermit_tao_limit"])
def test_what_is_counted_is_not_negative(name: str) -> None:
    """The flag is named; nothing that evidence calls false is ever written."""
    with pytest.raises(SettingsError, match=rf"--neuron\.{name} must not be negative, not -1"):
        NeuronSettings(**{name: -1})
