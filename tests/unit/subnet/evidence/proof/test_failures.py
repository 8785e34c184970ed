"""Failures are counted beside everybody's."""

from __future__ import annotations

from subnet.evidence.findings import Verdict
from subnet.evidence.proof.failures import NAMED, Failures
from subnet.evidence.records import OutcomeRecord, RoundRecord
from subnet.types import Failure, Label, Modality


def played(number: int, failed: set[str], hotkeys: list[str], void: str = "") -> RoundRecord:
    outcomes = tuple(
        OutcomeRecord(
            hotkey=hotkey,
            p_synthetic=None if hotkey in failed else 0.5,
            failure=Failure.TIMEOUT if hotkey in failed else None,
            latency=0.1,
            status=None,
            reason="",
            detector=None,
            weights_hash=None,
            query="",
            score=0.0,
        )
        for hotkey in hotkeys
    )
    return RoundRecord(
        number=number,
        block=1,
        modality=Modality.IMAGE,
        label=Label.REAL,
        origin="here",
        level=0,
        seed=0,
        provenance=None,
        void=void,
        outcomes=outcomes,
    )


def test_the_one_that_fails_most_comes_first() -> None:
    """Rounds, rows, the share over all, and each hotkey's own; void rounds are nobody's."""
    failures = Failures()
    for number in range(10):
        failed = {"rival"} if number < 8 else {"other"} if number == 8 else set[str]()
        failures.add(played(number, failed, ["rival", "other", "third"]))
    failures.add(played(10, {"rival", "other", "third"}, ["rival", "other", "third"], void="nobody was heard"))
    (finding,) = failures.findings()
    assert (finding.seq, finding.verdict) == (0, Verdict.UNPROVEN)
    assert finding.text == (
        "failures: nobody signs that a miner gave no answer; 9 of 30 rows (30.0%), in 9 of 10 rounds; "
        "most by rival 8 of 10, other 1 of 10"
    )


def test_ten_are_named_at_most_and_none_where_nobody_failed() -> None:
    """A line that people read."""
    hotkeys = [f"hotkey-{number}" for number in range(30)]
    failures = Failures()
    failures.add(played(0, set(), hotkeys))
    assert list(failures.findings()) == []
    failures.add(played(1, set(hotkeys), hotkeys))
    (finding,) = failures.findings()
    assert finding.text.count("hotkey-") == NAMED
