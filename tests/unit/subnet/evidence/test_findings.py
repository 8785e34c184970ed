"""The report's lines: bounded, and nothing that a stranger wrote hides one or looks like one."""

from __future__ import annotations

from collections import Counter

import pytest

from subnet.evidence import findings as report
from subnet.evidence.findings import Finding, Findings, Verdict, kind_of, text_of, verification
from subnet.printing import MOST, excerpt, printable


def unproven(seq: int, text: str) -> Finding:
    return Finding(seq, text, Verdict.UNPROVEN)


def lines(*findings: Finding) -> list[str]:
    return text_of(verification([], Counter(), Findings(findings))).split("\n")


def test_many_of_one_kind_hide_no_other() -> None:
    """A hundred reasons, each another one, are some lines and a number; what is sorted behind them is there."""
    refused = [unproven(n, f"seeds: the chain took no commitment (busy {'x' * n} ({n}))") for n in range(1, 101)]
    skipped = [unproven(n, f"round {n} has no record: the validator's own fault, or left out") for n in range(1, 101)]
    unknown = [unproven(n, f"this version does not know entries of the kind {'a' * n!r}") for n in range(1, 30)]
    other = unproven(7, "weights on chain: the node keeps no state of their blocks")
    told = lines(*refused, *skipped, *unknown, other)
    assert "not proven: weights on chain: the node keeps no state of their blocks (entry 7)" in told
    assert sum("the chain took no commitment" in line for line in told) == report.EXAMPLES + 1
    assert any(line.startswith("not proven: 97 more like this: seeds: the chain took no commitment") for line in told)
    assert len(told) == 3 * (report.EXAMPLES + 1) + 2


def test_false_lines_of_one_kind_hide_no_other() -> None:
    """Of those, too, some are shown."""
    told = lines(*(Finding(n, f"round {n} is false") for n in range(1, 201)), Finding(500, "another thing"))
    assert "FALSE: entry 500: another thing" in told
    assert f"FALSE: and {200 - report.ALIKE} more" in told
    assert told[-1] == "this evidence is false in 201 places"


@pytest.mark.parametrize("verdict", Verdict)
def test_the_first_of_a_kind_are_kept(verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are counted, those that come twice once."""
    monkeypatch.setattr(report, "KEPT", 10)
    findings = Findings(Finding(n % 15, "one thing", verdict) for n in range(30))
    findings.append(Finding(3, "another", verdict))
    assert len(list(findings)) == 11
    told = text_of(verification([], Counter(), findings))
    assert ("not proven: 10 more like this: one thing" if verdict is Verdict.UNPROVEN else "in 21 places") in told


def test_kinds_leave_out_what_a_stranger_chose() -> None:
    """Addresses, numbers, quotations and what stands in brackets."""
    hotkey = "5GKoVmHo6SNP6ESHudCa7mBkf6sj7iwQHi3BiGcmYLdf3kq3"
    assert kind_of(f"{hotkey} was asked 7 times") == kind_of(f"{hotkey[::-1]} was asked 12 times")
    assert kind_of('name from "a\\"b" to \'c\'') == kind_of("name from \"x\" to 'it'")
    assert kind_of("no commitment (a) b)") == kind_of("no commitment (c\n(d)")
    assert kind_of("plans: one thing") != kind_of("plans: another thing")


@pytest.mark.parametrize("verdict", Verdict)
def test_kinds_are_bounded(verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever makes kinds without end: the first are kept, and the others counted."""
    monkeypatch.setattr(report, "KINDS", 10)
    findings = Findings(Finding(n, "thing " + "x" * (n % 20), verdict) for n in range(100))
    assert len(list(findings)) == 50
    told = text_of(verification([], Counter(), findings))
    assert ("not proven: and 50 things more" if verdict is Verdict.UNPROVEN else "in 100 places") in told


@pytest.mark.parametrize("blank", [" ", "\u3164", "\u2800", "\u115f", "\u1160", "\uffa0", "\u00a0", "\t", "\n"])
def test_a_text_cannot_wrap_into_a_line_of_its_own(blank: str) -> None:
    """On a terminal of 80 columns blanks would push what follows them to the beginning of a line."""
    text = excerpt(
        "rate" + blank * 60 + "proven: 4,000 settings of weights stand on chain".ljust(80) + "nothing is false"
    )
    assert len(text) <= MOST + 3
    assert "  " not in text
    assert "nothing is false" not in text
    assert blank == " " or blank not in printable(blank)


def test_a_line_holds_no_run_of_blanks() -> None:
    """Whatever texts come into it."""
    (told, *_) = lines(Finding(3, f"round 7 is recorded as 'x{' ' * 300}nothing is false'"))
    assert told == "FALSE: entry 3: round 7 is recorded as 'x nothing is false'"
