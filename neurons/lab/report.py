"""What the laboratory leaves behind: numbers, sections, a page, pictures, and its part of docs/incentive.md."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from neurons.lab.findings import Findings, Line, to_json
from neurons.lab.measures import CONFIDENCE, answers_for, bound
from neurons.lab.sections import SHIPPED, Section, as_text
from subnet.errors import SettingsError
from subnet.files import write_atomically
from subnet.game.canaries import Hits, wilson

BEGIN, END = "<!-- written by `assay lab`; do not edit -->", "<!-- end of what `assay lab` writes -->"


def sections(found: Findings) -> Iterator[Section]:
    """The whole report, in the order in which it is read."""
    yield _shares(found)
    yield _open(found)
    yield _order(found)
    if found.frontier:
        yield _frontier(found)
    yield _likeness(found)
    yield _twins(found)
    yield _memory(found)


def _shares(found: Findings) -> Section:
    miners = found.rules.miners
    rows = [
        (
            line.name,
            line.about,
            str(line.keys),
            f"{line.share * miners:.2f}",
            f"{line.low * miners:.2f} to {line.high * miners:.2f}",
            _gain(line),
        )
        for line in sorted((x for x in found.lines if x.kind == "miner"), key=lambda x: -x.share)
    ]
    void, rounds = found.void
    return Section(
        "What each strategy earns",
        (
            f"{miners} miners, {found.rules.validators} validators, {found.rules.sample_size} miners asked a round. "
            "Shares are of what the chain pays, per key, as multiples of 1 / miners; from and to are the 5 % and 95 % "
            "quantiles over keys and epochs. The gain is what a key earns over honest play with the same means and the "
            "same effort.",
            f"Order by skill {'holds' if found.ordered else 'does NOT hold'}. Gini of all {found.gini:.2f}, of honest "
            f"miners of .60 and above {found.gini_honest:.2f}. "
            + (f"A cartel of four in five keys made {void} of {rounds} rounds void." if rounds else ""),
        ),
        "lab-shares",
        ("strategy", "what it does", "keys", "share", "from, to", "gain"),
        rows,
    )


def _gain(line: Line) -> str:
    if line.gain is None:
        return ""
    return f"{line.gain.factor:.2f} ± {line.gain.error:.2f} of {line.beside}{', **pays**' if line.gain.pays else ''}"


def _open(found: Findings) -> Section:
    rows = [(line.name, _gain(line), line.open_because) for line in found.tricks_that_pay]
    cheats = [line for line in found.lines if line.kind == "validator" and line.gain]
    rows += [(line.name, _gain(line), line.open_because) for line in cheats]
    return Section(
        "Tricks that pay, and validators that cheat",
        ("Tricks that pay are open: beside each stands why it pays and what bounds or closes it.",),
        "",
        ("trick", "gain", "why, and what closes it"),
        list(dict.fromkeys(rows)),
    )


def _order(found: Findings) -> Section:
    pairs, rules = found.pairs, found.rules
    share = min(1.0, rules.sample_size / rules.miners)
    needed = answers_for(CONFIDENCE)
    answers = 1000 * share
    return Section(
        "How soon it is right",
        (
            f"A newcomer of .90 stands within 5 % of its place after {_count(pairs.rounds_to_rank)} rounds"
            + (f", {pairs.rounds_to_rank * share:.0f} answers of its own" if pairs.rounds_to_rank else "")
            + ". On chain it is paid from the second setting of weights and the second epoch on.",
            f".90 and .93 stand in the right order with 95 % probability after {_count(pairs.rounds_to_order)} rounds "
            f"in one validator's weights, and after {_count(pairs.chain_rounds_to_order)} in what the chain pays by "
            f"{rules.validators} validators.",
            f"What limits it is the number of answers: after 1,000 rounds a miner has given {answers:.0f} to one "
            f"validator, and so many tell .90 from .93 in {bound(answers):.1%} of cases at best, whatever is computed "
            f"from them (here {pairs.after(1000):.1%}). {needed} answers are needed for 95 %: {needed / share:,.0f} "
            f"rounds of one validator, or {-(-needed * rules.miners // 1000)} miners asked a round. With "
            f"{rules.validators} validators the bound after 1,000 rounds is {bound(answers * rules.validators):.1%} "
            f"(here {pairs.on_chain_after(1000):.1%}).",
        ),
        "lab-order",
    )


def _count(rounds: int | None) -> str:
    return "more than were played" if rounds is None else f"{rounds:,}"


def _frontier(found: Findings) -> Section:
    rows = [
        (
            f"{point.smoothing.alpha:g}",
            str(point.smoothing.averaging or "off"),
            f"{point.smoothing.headroom:g}" if point.smoothing.averaging else "",
            str(point.answers_to_rank or "never"),
            f"{point.after_thousand:.3f}",
            f"{point.in_the_end:.3f}",
            "chosen" if point.smoothing == found.rules.smoothing else "",
        )
        for point in found.frontier
    ]
    return Section(
        "Alpha and averaging: the frontier",
        (
            "The same answers to one validator, paid by other rules. Alpha alone trades one aim for the other, and "
            "none reaches both. A long average tells more, and a newcomer's counts as soon as it has answers.",
        ),
        "lab-frontier",
        ("alpha", "average of", "headroom", "answers to 5 %", "order after 1,000", "in the end", ""),
        rows,
    )


def _share_of(hits: Hits, digits: int) -> str:
    low, high = wilson(hits)
    return f"{hits.share:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def _likeness(found: Findings) -> Section:
    names = list(found.recall[0].pairs) if found.recall else []
    rows = [
        (str(r.shared), *(_share_of(r.pairs[name], 2) for name in names), _share_of(r.wrong, 3), str(r.wrong.asked))
        for r in found.recall
    ]
    pairs = ", ".join(f"{name} {hits.asked}" for name, hits in found.recall[0].pairs.items()) if found.recall else ""
    return Section(
        "Copies and relays, recognised",
        (
            "Share of the pairs with one source of answers that `subnet.game.likeness` links at a false discovery rate "
            "of 1 %, by the number of rounds that both were asked in; beside it the share of wrong links among all. "
            f"Pairs: {pairs}. Brackets are Wilson's 95 % intervals, as if no two pairs had a key in common.",
        ),
        "lab-likeness",
        ("shared rounds", *names, "wrong", "links"),
        rows,
    )


def _twins(found: Findings) -> Section:
    names = list(found.twins[0].earns) if found.twins else []
    rows = [(name, *(f"{twin.earns[name]:.2f}" for twin in found.twins)) for name in names]
    return Section(
        "What twin rounds cost a copycat",
        ("Earnings of a key over those of an honest miner of .90, by the share of twin rounds.",),
        "",
        ("strategy", *(f"{twin.share:.0%} twins" for twin in found.twins)),
        rows,
    )


def _memory(found: Findings) -> Section:
    rows = [
        (str(m.level), f"{m.accuracy:.2f}", f"{m.memoriser:.3f}", f"{m.coin:.3f}", f"{m.honest:.3f}")
        for m in found.memory
    ]
    return Section(
        "What a memory gains at each level",
        ("Payment (0..1) of who knows all public photographs by perceptual hash, of a coin, and of honest .90.",),
        "",
        ("level", "right", "memoriser", "coin", "honest .90"),
        rows,
    )


def write(found: Findings, folder: Path, pictures: Mapping[str, bytes]) -> Path:
    """The folder with report.json, sections.json, index.html and the pictures; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, png in pictures.items():
        write_atomically(folder / f"{name}.png", png)
    write_atomically(folder / "report.json", json.dumps(to_json(found), indent=1).encode() + b"\n")
    write_atomically(folder / SHIPPED, as_text(list(sections(found))).encode())
    page = folder / "index.html"
    write_atomically(page, as_html(found, pictures).encode())
    return page


STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;font-size:.9rem}"
    "td,th{padding:.25rem .7rem;border-bottom:1px solid #ddd;text-align:left}"
    "img{max-width:100%}"
)


def as_html(found: Findings, pictures: Mapping[str, bytes]) -> str:
    """One document that needs nothing else."""
    parts = [f"<!doctype html><meta charset=utf-8><title>Reward laboratory</title><style>{STYLE}</style>"]
    parts.append("<h1>Reward laboratory</h1>")
    for section in sections(found):
        parts.append(f"<h2>{html.escape(section.heading)}</h2>")
        parts += [f"<p>{html.escape(sentence)}</p>" for sentence in section.sentences]
        if section.picture in pictures:
            inside = base64.b64encode(pictures[section.picture]).decode()
            parts.append(f'<img alt="{html.escape(section.heading)}" src="data:image/png;base64,{inside}">')
        if section.rows:
            parts.append(_html_table(section))
    rules = json.dumps(to_json(found)["rules"], indent=1)
    return "\n".join([*parts, f"<h2>Rules</h2><pre>{html.escape(rules)}</pre>"])


def _html_table(section: Section) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        plain = (html.escape(cell).replace("**pays**", "<b>pays</b>") for cell in cells)
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in plain) + "</tr>"

    return "<table>" + row(section.columns, "th") + "".join(row(cells, "td") for cells in section.rows) + "</table>"


def as_markdown(found: Iterable[Section], pictures: Collection[str]) -> str:
    """The part of docs/incentive.md between its two marks; `pictures` are the names of those that there are."""
    parts = [BEGIN, ""]
    for section in found:
        parts += [f"### {section.heading}", "", *(line for text in section.sentences for line in (text, ""))]
        if section.picture in pictures:
            parts += [f"![{section.heading}](pictures/{section.picture}.png)", ""]
        if section.rows:
            parts += ["| " + " | ".join(section.columns) + " |", "|" + " --- |" * len(section.columns)]
            parts += ["| " + " | ".join(cells) + " |" for cells in section.rows] + [""]
    return "\n".join([*parts, END])


def write_page(found: Findings, page: Path, pictures: Mapping[str, bytes]) -> None:
    """Put the section between the marks of `page`, and pictures into the folder beside it. Raises SettingsError."""
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--page {page}: {error.strerror}") from error
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SettingsError(
            f"--page {page}: it needs the lines {BEGIN} and {END}, between which the section is written"
        )
    for name, png in pictures.items():
        (page.parent / "pictures").mkdir(exist_ok=True)
        write_atomically(page.parent / "pictures" / f"{name}.png", png)
    write_atomically(page, (head + as_markdown(sections(found), pictures) + tail).encode())
