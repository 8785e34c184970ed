"""The file of rules: what it may change, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from neurons.lab.experiments import FULL, QUICK, check
from neurons.lab.rules import LabRules, as_json, read_rules
from subnet.errors import SettingsError
from subnet.game.scoring import SMOOTHING


def test_without_a_file_the_rules_are_those_of_the_game() -> None:
    """The laboratory plays what validators play."""
    assert read_rules(None).smoothing == SMOOTHING
    assert read_rules(None).sampling.sample_size == 50


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    """Every field may stand in it, integers where numbers are wanted, too."""
    (tmp_path / "rules.toml").write_text("averaging = 0\nalpha = 0.1\ninterval = 12\nmemory = [1e-1, 0.5, 0.5, 0]\n")
    rules = read_rules(tmp_path / "rules.toml")
    assert (rules.averaging, rules.alpha, rules.interval, rules.memory) == (0, 0.1, 12, (0.1, 0.5, 0.5, 0.0))
    assert as_json(rules)["alpha"] == 0.1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("averagin = 3", "no rule is called 'averagin'; did you mean averaging"),
        ("zzz = 3", "there are: alpha, averaging"),
        ("averaging = 1.5", "averaging must be a whole number, not 1.5"),
        ("averaging = true", "averaging must be a whole number, not True"),
        ("averaging = -1", "averaging must be 0 .off. or a number of answers"),
        ("alpha = 'x'", "alpha must be a number, not 'x'"),
        ("alpha = nan", "alpha must be a number, not nan"),
        ("alpha = 0", "alpha must be above 0"),
        ("headroom = 0.5", "headroom must be at least 1"),
        ("memory = [1, 2]", "memory must be a list of four numbers"),
        ("memory = [0.5, 0.5, 0.5, 1.5]", r"memory must be four numbers in \[0, 1\]"),
        ("one_model = [0, 0, 0, 0]", "one_model must be at least items"),
        ("video_share = 2", r"video_share must be in \[0, 1\]"),
        ("miners = 0", "miners must be at least 1"),
        ("interval = 0", "interval must be a number of seconds from 0.1"),
        ("interval = 1e-300", "interval must be a number of seconds from 0.1"),
        ("size_auc = [0, 0.5, 0.5, 0.5]", r"size_auc must be four numbers in \(0, 1\)"),
        ("level_weights = [1e308, 1e308, 0, 0]", "level_weights must be four numbers of a sum up to 1,000,000,000"),
        ("miners = 1000000000", "miners must be at least 1 and at most 4,096"),
        ("sample_size = 1000000000", "sample_size must be at least 1 and at most 4,096"),
        ("validators = 1000", "validators must be at least 1 and at most 64"),
        ("tempo = 70000", "tempo must be at least 1 and at most 65,535"),
        ("epoch_length = 10000000", "epoch_length must be at least 1 and at most 1,000,000"),
        ("[alpha]", "alpha must be a number"),
        ("alpha", "rules.toml"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """The file and the key are named, and the nearest name for one that is not there."""
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises(SettingsError, match=message) as caught:
        read_rules(tmp_path / "rules.toml")
    assert "rules.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """So that the flag can be mended."""
    with pytest.raises(SettingsError, match=r"--rules .*none.toml: No such file"):
        read_rules(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"interval": 0.1}, "interval"), ({"tempo": 60_000}, "tempo"), ({"epoch_length": 10**6}, "epoch_length")],
)
def test_rules_that_leave_nothing_to_measure_are_refused(changes: dict[str, Any], field: str) -> None:
    """Before anything is played, with the name of the rule."""
    with pytest.raises(SettingsError, match=field):
        check(LabRules(**changes), QUICK)


def test_more_answers_than_are_given_are_refused() -> None:
    """No validator would ever set weights."""
    with pytest.raises(SettingsError, match="min_answers must be at most 50,"):
        check(LabRules(min_answers=51), QUICK)
    check(LabRules(), QUICK)
    check(LabRules(), FULL)


def test_fields_check_themselves() -> None:
    """Also without a file."""
    with pytest.raises(SettingsError, match="tempo"):
        LabRules(tempo=0)
