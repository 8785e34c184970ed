"""Everything that can be proven of published evidence, from its entries, the media and the chain alone.

Nothing here trusts the validator, and nothing here asks anybody: entries come in, and what else is needed, such as
processes to check signatures in, is given.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Final

from subnet.errors import JournalBroken
from subnet.evidence.entries.entry import BEGINNING, Entry, link
from subnet.evidence.findings import Finding, Findings, Verdict, unproven
from subnet.evidence.proof.failures import Failures
from subnet.evidence.proof.items import Items
from subnet.evidence.proof.origins import SUBSTITUTE
from subnet.evidence.proof.signatures import CHUNK, Answer, Signatures, answers, check_signatures
from subnet.evidence.records import ROUND, RULES, RoundRecord, RulesRecord
from subnet.evidence.replay import Replayer
from subnet.printing import excerpt
from subnet.wire.synapse import REPLY_VERSION

IN_FLIGHT: Final = 16  # chunks of rounds that wait for a process
MEDIA: Final = 4  # items of media that do
ENOUGH: Final = 1000  # false places in entries after which no more are read
WRONG: Final = 50  # rounds whose media is false, after which no more is looked at

MediaCheck = Callable[[Entry, RoundRecord], "Future[list[Finding]] | None"]


@dataclass(frozen=True)
class Examined:
    """What the entries alone came to; `player` holds the claims that only the chain can prove."""

    player: Replayer
    last: Entry
    proven: Counter[str]
    findings: Findings
    began: RulesRecord | None = None  # the first rules


class Examination:
    """One pass over entries, whose signatures and media are checked in `executor`, a pool of processes."""

    def __init__(self, executor: Executor, media: MediaCheck | None = None, codecs: dict[str, str] | None = None):
        """`media` starts the check of one round's variants, None where it has not got them; `codecs` are our own."""
        self._executor, self._media, self._codecs = executor, media, codecs
        self.player, self.findings, self.proven = Replayer(), Findings(), Counter[str]()
        self._chunk: list[tuple[int, list[Answer]]] = []
        self._false = self._wrong = 0  # false places in entries, and rounds whose media is
        self._signatures: deque[Future[Signatures]] = deque()
        self._variants: deque[Future[list[Finding]]] = deque()
        self._same_codecs, self._rules, self._failures = False, self.player.rules, Failures()
        self._items, self._began = Items(), self.player.rules

    def run(self, entries: Iterable[Entry]) -> Examined:
        """Check every entry. One that does not follow from the one before is told; where some lack, the rest waits."""
        last = BEGINNING
        try:
            for entry in entries:
                if entry.seq != last.seq + 1:
                    self.findings.append(_gap(last.seq, entry.seq))
                    break
                if entry.hash != link(last.hash, entry.kind, entry.body):
                    self.findings.append(Finding(entry.seq, "it does not follow from the one before: its hash differs"))
                last = entry
                told = dict.fromkeys(self.player.take(entry))
                self.findings += told
                wrong = sum(finding.verdict is Verdict.FALSE for finding in told)
                self._also(entry, wrong > 0)
                self._false += wrong
                if self._false > ENOUGH:
                    raise JournalBroken(f"over {ENOUGH:,} places before it are false, so nothing behind was read")
        except JournalBroken as error:
            self.findings.append(Finding(last.seq + 1, str(error)))
        self._check_chunk()
        self._collect(0, 0)
        self.findings += [*self.player.end(), *self._failures.findings(), *self._items.findings()]
        return Examined(self.player, last, self.player.proven + self.proven, self.findings, self._began)

    def _also(self, entry: Entry, wrong: bool) -> None:
        if entry.kind == RULES and self.player.rules is not None:
            self._check_chunk()
            self._began = self._began or self.player.rules
            self._same_codecs = self.player.rules.codecs == self._codecs
        if entry.kind != ROUND:
            return
        self._chunk.append((entry.seq, answers(self.player.played) if self.player.played else []))
        if len(self._chunk) >= CHUNK:
            self._check_chunk()
        if self.player.played:
            self._failures.add(self.player.played)
            self.findings += self._items.add(entry.seq, self.player.played) if self.player.rules else ()
        self._check_media(entry, wrong)
        self._collect(IN_FLIGHT, MEDIA)

    def _check_chunk(self) -> None:
        if self._chunk:
            why = _uncheckable(self._rules)
            self.findings += [unproven(seq, why) for seq, _ in self._chunk if why]
            if self._rules is not None and not why:
                self._signatures.append(self._executor.submit(check_signatures, self._chunk, self._rules.hotkey))
        self._chunk, self._rules = [], self.player.rules

    def _check_media(self, entry: Entry, wrong: bool) -> None:
        played = self.player.played
        if played is None or not played.outcomes:
            return
        if self._wrong >= WRONG:
            self.findings.append(unproven(entry.seq, f"what was sent: it was not looked at, since {WRONG} are false"))
        elif wrong:
            self.findings.append(unproven(entry.seq, "what was sent: it was not looked at, since the round is false"))
        elif self._media is None or not played.item or (checking := self._media(entry, played)) is None:
            self.findings.append(unproven(entry.seq, "what was sent: the media is not here"))
        elif not self._same_codecs:
            checking.cancel()
            self.findings.append(unproven(entry.seq, "what was sent: encoders of other versions are installed here"))
        else:
            self._variants.append(checking)

    def _collect(self, signatures: int, media: int) -> None:
        while len(self._signatures) > signatures:
            self._take_signatures(self._signatures.popleft().result())
        while len(self._variants) > media:
            wrong = self._variants.popleft().result()
            unfit = [finding for finding in wrong if finding.text != SUBSTITUTE]
            self._wrong += any(finding.verdict is Verdict.FALSE for finding in wrong)
            self.proven["rounds whose variants follow from the media and the seed"] += not unfit
            self.findings += wrong

    def _take_signatures(self, checked: Signatures) -> None:
        self.proven["answers signed by their miners"] += checked.good
        for seq, hotkey in checked.false:
            self.findings.append(Finding(seq, f"the answer of {hotkey} is not signed by it"))
        for seq, hotkey in checked.unsigned:
            self.findings.append(Finding(seq, f"the answer of {hotkey} has no signature, though the rules name one"))


def _uncheckable(rules: RulesRecord | None) -> str:
    """Why signatures under these rules cannot be checked, "" where they can."""
    if rules is None:
        return "answers: schema 1 and 2 kept no signatures"
    version = rules.protocols.get("reply")
    if version != REPLY_VERSION:
        return f"answers: signed as {excerpt(str(version))!r}, this version checks {REPLY_VERSION}"
    return ""


def _gap(last: int, seq: int) -> Finding:
    if seq <= last:
        return Finding(seq, f"it comes after entry {last}")
    lacking = f"entry {last + 1} is" if seq == last + 2 else f"entries {last + 1}-{seq - 1} are"
    return Finding(last + 1, f"{lacking} missing, so nothing behind can be checked")
