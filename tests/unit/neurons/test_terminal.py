"""Tables are whole where no terminal cuts them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from neurons.localnet.report import standings
from neurons.terminal import WIDE, terminal


def test_a_file_is_as_wide_as_a_table_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless COLUMNS says how wide it is."""
    monkeypatch.delenv("COLUMNS", raising=False)
    assert (terminal().width, terminal(stderr=True).width) == (WIDE, WIDE)
    monkeypatch.setenv("COLUMNS", "72")
    assert terminal().width == 72


def test_standings_fit_into_a_usual_terminal() -> None:
    """Every heading and number of a local network's last tables is whole at 80 columns."""
    validator = {
        "name": "validator-2",
        "stake": 100000.0,
        "rounds": 10000,
        "weights_set": 1234,
        "weights_refused": {"TooEarly": 12},
        "chain_epochs": 1234,
        "chain_epochs_without_weights": 100,
        "validator_trust": 0.99998,
        "dividends": 1.0,
    }
    miner = dict.fromkeys(("score", "accuracy", "weight_on_chain", "consensus", "incentive"), 0.12345)
    summary = {
        "validators": [validator],
        "miners": [{"name": "out-of-range", **miner}],
        "first_round_seconds": 9.5,
        "rounds_per_second": 1.5,
    }
    written = io.StringIO()
    Console(width=80, file=written).print(standings(summary))
    words = written.getvalue().split()
    assert "…" not in written.getvalue()
    assert {"validator", "dividends", "validator-2", "100000", "out-of-range", "incentive"} <= set(words)
    assert len(written.getvalue().splitlines()) == 7
