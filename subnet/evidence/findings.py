"""What checking evidence comes to: what is false, what cannot be proven, and how much was proven. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from subnet.printing import printable

SHOWN = 40  # lines of one kind before the rest is only counted
LONGEST = 1000  # characters of a line before the rest is left out


class Verdict(StrEnum):
    """How a check ended that did not prove what it should."""

    FALSE = "false"
    UNPROVEN = "unproven"


@dataclass(frozen=True, order=True)
class Finding:
    """Something about entry `seq` of the journal; 0 is the evidence as a whole."""

    seq: int
    text: str
    verdict: Verdict = Verdict.FALSE


@dataclass(frozen=True)
class Verification:
    """`about` says of what; `proven` counts by name; findings in order, none twice."""

    about: tuple[str, ...]
    proven: tuple[tuple[str, int], ...]
    findings: tuple[Finding, ...]

    @property
    def false(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.verdict is Verdict.FALSE)

    @property
    def unproven(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.verdict is Verdict.UNPROVEN)


def verification(about: Iterable[str], proven: Counter[str], findings: Iterable[Finding]) -> Verification:
    """The same for the same evidence, in whatever order it was checked."""
    counts = tuple(sorted((name, count) for name, count in proven.items() if count))
    return Verification(tuple(about), counts, tuple(sorted(set(findings))))


def text_of(result: Verification) -> str:
    """Lines for people: two of them with the same evidence read the same."""
    lines = list(result.about)
    lines += [f"proven: {count:,} {name}" for name, count in result.proven]
    by_text = sorted(result.unproven, key=lambda finding: (finding.text, finding.seq))
    open_ = [(text, [f.seq for f in group]) for text, group in groupby(by_text, key=lambda finding: finding.text)]
    lines += [f"not proven: {text[:LONGEST]}{_places(seqs)}" for text, seqs in open_[:SHOWN]]
    if len(open_) > SHOWN:
        lines.append(f"not proven: and {len(open_) - SHOWN:,} things more")
    lines += [f"FALSE: {_place(finding.seq)}{finding.text}" for finding in result.false[:SHOWN]]
    if len(result.false) > SHOWN:
        lines.append(f"FALSE: and {len(result.false) - SHOWN:,} more")
    if result.false:
        lines.append(f"this evidence is false in {len(result.false):,} places")
    else:
        lines.append("nothing is false")
    return "\n".join(_line(line) for line in lines)


def _line(text: str) -> str:
    """Evidence is a stranger's: what it says stands on a line of its own, and is not longer than anybody reads."""
    return printable(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")


def _place(seq: int) -> str:
    return f"entry {seq}: " if seq else ""


def _places(seqs: list[int]) -> str:
    named = [seq for seq in seqs if seq]
    return f" ({ranges(named)})" if named else ""


def ranges(numbers: Iterable[int], most: int = 12) -> str:
    """ "entries 3, 7-9": rising numbers, runs of them as one."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    words = [f"{first}" if first == last else f"{first}-{last}" for first, last in runs[:most]]
    more = f" and {len(runs) - most} more places" if len(runs) > most else ""
    one = len(runs) == 1 and runs[0][0] == runs[0][1]
    return f"{'entry' if one else 'entries'} {', '.join(words)}{more}"
