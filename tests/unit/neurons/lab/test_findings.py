"""What machines read of the laboratory's findings, from a very short run of everything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from neurons.lab.experiments import Extent
from neurons.lab.findings import Findings, experiment, to_json
from neurons.lab.measures import Gain
from neurons.lab.report import as_markdown, sections
from neurons.lab.rules import LabRules
from neurons.lab.validators import COPIER
from subnet.game.canaries import Hits, wilson

SHORT = Extent(20, 40, 1, 150, 1, 50, 400, 40, 0, 20, 10, (20,), 1)


@pytest.fixture(scope="module")
def found() -> Findings:
    return experiment(
        LabRules(tempo=20, epoch_length=5, min_answers=4), ("always 0.5", COPIER.name), SHORT, 1, 1, lambda *_: None
    )


def test_validators_stand_apart_beside_an_honest_one(found: Findings) -> None:
    """Their shares are of dividends, miners' of incentive: no list holds both."""
    told: dict[str, Any] = to_json(found)
    assert {line["kind"] for line in told["strategies"]} == {"miner"}
    assert {line["name"] for line in told["validators"]} == {COPIER.name, "honest"}
    assert all(line["share"] > 0 for line in told["validators"] if line["name"] == "honest")


def test_tricks_that_pay_say_how_much_and_why(found: Findings) -> None:
    """Gain, its error and the reason, not the name alone."""
    trick = next(line for line in found.lines if line.gain)
    pays = replace(trick, gain=Gain(2.0, 0.1), open_because="nobody looks")
    (told,) = to_json(replace(found, lines=[pays]))["tricks_that_pay"]
    assert (told["name"], told["beside"]) == (trick.name, trick.beside)
    assert (told["gain"], told["error"], told["open_because"]) == (2.0, 0.1, "nobody looks")


def test_rates_have_intervals(found: Findings) -> None:
    """Wilson's, in the object and on the page."""
    (row,) = to_json(found)["likeness"]["recall"]
    assert row["intervals"]
    low, high = row["false_interval"]
    assert low <= row["false"] <= high
    assert (row["pairs"]["relays"], row["pairs"]["copies by look"]) == (18, 8)
    for name, (low, high) in row["intervals"].items():
        assert low <= row[name] <= high
        assert high - low < 1
    assert wilson(Hits(0, 0)) == (0.0, 1.0)
    assert "0.00 (0.00-" in as_markdown(sections(found), ())
