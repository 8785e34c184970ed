"""What checking evidence comes to: what is false, what cannot be proven, and how much was proven. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from subnet.printing import printable

SHOWN = 40  # kinds of what is not proven, and false lines, before the rest is only counted
EXAMPLES = 3  # texts of one kind that are shown, of what is not proven
ALIKE = 10  # false lines of one kind that are shown
KEPT = 5000  # findings of one kind that are kept
KINDS = 500  # kinds of which any are kept
LONGEST = 1000  # characters of a line before the rest is left out
_FOREIGN = re.compile(r"""\(.*\)|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\w{30,}|\d+""", re.DOTALL)


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


def unproven(seq: int, text: str) -> Finding:
    """Something that nothing public proves."""
    return Finding(seq, text, Verdict.UNPROVEN)


@dataclass(frozen=True)
class Verification:
    """`about` says of what; `proven` counts by name; findings in order, none twice."""

    about: tuple[str, ...]
    proven: tuple[tuple[str, int], ...]
    findings: tuple[Finding, ...]
    more: Mapping[tuple[Verdict, str], int] = field(default_factory=dict)  # those beyond `KEPT`, by kind

    @property
    def false(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.verdict is Verdict.FALSE)

    @property
    def unproven(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.verdict is Verdict.UNPROVEN)


def kind_of(text: str) -> str:
    """What findings of one kind have in common: numbers, addresses, and what a stranger wrote, are left out.

    What a stranger wrote stands in quotation marks, or in brackets where it may have lost one of them.
    """
    return _FOREIGN.sub("", text[:LONGEST])


class Findings:
    """The first `KEPT` of each of `KINDS` kinds, each once; how many came behind them is counted."""

    def __init__(self, findings: Iterable[Finding] = ()) -> None:
        self._kept: dict[tuple[Verdict, str], dict[Finding, None]] = {}
        self.more = Counter[tuple[Verdict, str]]()
        self += findings

    def append(self, finding: Finding) -> None:
        key = finding.verdict, kind_of(finding.text)
        if key not in self._kept and len(self._kept) >= KINDS:
            self.more[finding.verdict, ""] += 1
            return
        kept = self._kept.setdefault(key, {})
        if len(kept) < KEPT:
            kept[finding] = None
        elif finding not in kept:
            self.more[key] += 1

    def __iadd__(self, findings: Iterable[Finding]) -> Findings:
        for finding in findings:
            self.append(finding)
        return self

    def __iter__(self) -> Iterator[Finding]:
        return (finding for kept in self._kept.values() for finding in kept)


def verification(about: Iterable[str], proven: Counter[str], findings: Findings) -> Verification:
    """The same for the same evidence, in whatever order it was checked."""
    counts = tuple(sorted((name, count) for name, count in proven.items() if count))
    return Verification(tuple(about), counts, tuple(sorted(findings)), dict(findings.more))


def text_of(result: Verification) -> str:
    """Lines for people: two of them with the same evidence read the same."""
    lines = list(result.about)
    lines += [f"proven: {count:,} {name}" for name, count in result.proven]
    lines += _unproven_lines(result)
    lines += _false_lines(result)
    if result.false:
        lines.append(f"this evidence is false in {_false_places(result):,} places")
    else:
        lines.append("nothing is false")
    return "\n".join(_line(line) for line in lines)


def _unproven_lines(result: Verification) -> Iterator[str]:
    """By kind, some texts of each: many of one kind do not hide another."""
    kinds: dict[str, dict[str, list[int]]] = {}
    for finding in result.unproven:
        kinds.setdefault(kind_of(finding.text), {}).setdefault(finding.text, []).append(finding.seq)
    for kind, texts in sorted(kinds.items())[:SHOWN]:
        ordered = sorted(texts.items())
        for text, seqs in ordered[:EXAMPLES]:
            yield f"not proven: {text[:LONGEST]}{_places(seqs)}"
        beyond = result.more.get((Verdict.UNPROVEN, kind), 0)
        rest = [seq for _, seqs in ordered[EXAMPLES:] for seq in seqs]
        if rest or beyond:
            count = len(rest) + beyond
            yield f"not proven: {count:,} more like this: {ordered[0][0][:80]}...{_places(rest)}"
    if more := max(0, len(kinds) - SHOWN) + result.more.get((Verdict.UNPROVEN, ""), 0):
        yield f"not proven: and {more:,} things more"


def _false_lines(result: Verification) -> Iterator[str]:
    """In the order of entries, some of each kind."""
    alike, shown = Counter[str](), 0
    for finding in result.false:
        kind = kind_of(finding.text)
        alike[kind] += 1
        if alike[kind] <= ALIKE and shown < 2 * SHOWN:
            shown += 1
            yield f"FALSE: {_place(finding.seq)}{finding.text}"
    if _false_places(result) > shown:
        yield f"FALSE: and {_false_places(result) - shown:,} more"


def _false_places(result: Verification) -> int:
    return len(result.false) + sum(n for (verdict, _), n in result.more.items() if verdict is Verdict.FALSE)


def _line(text: str) -> str:
    """Evidence is a stranger's: what it says stands on a line of its own, and is not longer than anybody reads."""
    return re.sub(" {2,}", " ", printable(text if len(text) <= LONGEST else f"{text[:LONGEST]}..."))


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
