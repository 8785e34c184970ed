"""What each page of a journal says, as plain values: the page shows them, and they are its JSON. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any, Final

from neurons.lab.sections import Section, shipped
from neurons.web.addresses import slug
from neurons.web.disclosure import Asked
from neurons.web.summary import Summary, answered_at
from subnet.evidence.records import OutcomeRecord, RoundRecord
from subnet.game.canaries import Hits, wilson
from subnet.game.history import Window
from subnet.game.likeness import LEAST_SHARED, Likeness
from subnet.game.scoring import payment, reward, score
from subnet.types import Modality

Facts = dict[str, Any]
Names = Mapping[str, str]  # by hotkey

HUNDRED: Final = 100  # rounds on a page


def scoreboard(summary: Summary, names: Names) -> Facts:
    """Everybody who has a score, the best first."""
    return {**_head(summary), "miners": list(_rows(summary, names, summary.player.history.standings))}


def _rows(summary: Summary, names: Names, wanted: Container[str]) -> Iterator[Facts]:
    """The scoreboard's rows of those hotkeys that are `wanted`."""
    result = summary.player.result()
    standings = result.history.standings
    paid = {hotkey: payment(standing, result.smoothing) for hotkey, standing in standings.items()}
    total = sum(paid.values()) or 1.0
    uids = {row.hotkey: uid for uid, row in summary.player.neurons.items()}
    setting = result.setting.weights if result.setting else {}
    order = sorted(standings, key=lambda hotkey: (-standings[hotkey].score, hotkey))
    for place, hotkey in enumerate(order, 1):
        if hotkey not in wanted:
            continue
        yield {
            "place": place,
            "uid": uids.get(hotkey),
            "score": standings[hotkey].score,
            "paid": paid[hotkey],
            "share": paid[hotkey] / total,
            "weight": setting.get(hotkey, 0.0) if result.setting else None,
            **_name(hotkey, names),
            **_parts(summary, hotkey),
            "recent": {modality.value: recent(standings[hotkey].window(modality)) for modality in Modality},
            "trend": summary.miners[hotkey].trend.points if hotkey in summary.miners else [],
        }


def _head(summary: Summary) -> Facts:
    rules = summary.player.rules
    return {
        "validator": rules.hotkey if rules else None,
        "netuid": rules.netuid if rules else None,
        "block": summary.block,
        "last_answer": summary.answered_at,
        "rounds": summary.player.rounds,
        "void": summary.player.void,
        "withheld": summary.curtain.waiting,
    }


def _name(hotkey: str, names: Names) -> Facts:
    return {"hotkey": hotkey, "name": names.get(hotkey), "address": slug(hotkey)}


def _parts(summary: Summary, hotkey: str) -> Facts:
    found = score(summary.player.history, hotkey)
    return {
        "asked": found.asked,
        "answered": found.answered,
        "failures": {failure.value: count for failure, count in sorted(found.failures.items())},
        "parts": {modality.value: asdict(found.parts[modality]) for modality in Modality},
    }


def recent(window: Window) -> Facts:
    """Right answers among the last hundred of one modality, with Wilson's 95 % interval of their share."""
    hits = Hits(window.length - window.wrong.bit_count(), window.length)
    low, high = wilson(hits)
    return {"right": hits.right, "asked": hits.asked, "share": hits.share, "low": low, "high": high}


def miner(summary: Summary, likeness: Likeness, address: str, names: Names) -> Facts | None:
    """Why one hotkey earns what it earns, None for one without a score."""
    result = summary.player.result()
    standings = result.history.standings
    hotkey = next((hotkey for hotkey in standings if slug(hotkey) == address), None)
    if hotkey is None:
        return None
    standing = standings[hotkey]
    kept = summary.miners.get(hotkey)
    turns = [turn for turn, item in kept.turns if not summary.curtain.hides(item)] if kept else []
    sharing = next((cluster for cluster in result.clusters if hotkey in cluster), ())
    return {
        **_head(summary),
        **next(_rows(summary, names, {hotkey})),
        "miners": len(standings),
        "reward": reward(standing),
        "alpha": result.smoothing.alpha,
        "average": standing.average,
        "bound": result.smoothing.headroom * standing.score if result.smoothing.averaging else None,
        "weight_block": result.setting.block if result.setting else None,
        "sharing": [_name(other, names) for other in sharing if other != hotkey],
        "by": {
            key: {kind: {**asdict(tally), "share": tally.share} for kind, tally in sorted(kinds.items())}
            for key, kinds in (kept.by if kept else {}).items()
        },
        "turns": [{**asdict(turn), "has_page": turn.number in summary.rounds} for turn in turns],
        "likeness": {
            "rate": likeness.rate,
            "partners": likeness.partners.get(hotkey, 0),
            "least": LEAST_SHARED,
            "links": list(_links(likeness, hotkey, names)),
        },
    }


def _links(likeness: Likeness, hotkey: str, names: Names) -> Iterator[Facts]:
    for link in likeness.links:
        if hotkey in (link.first, link.second):
            other = link.second if link.first == hotkey else link.first
            yield {**asdict(link), **_name(other, names)}


def rounds(summary: Summary, hundred: int | None) -> Facts | None:
    """The rounds of one hundred of numbers, the newest by default; None for a hundred without one that may be shown."""
    newest = next(reversed(summary.rounds), 0)
    at = newest // HUNDRED if hundred is None else hundred
    numbers = range(at * HUNDRED, (at + 1) * HUNDRED)
    shown = [asked for number in reversed(numbers) if (asked := summary.shown(number))]
    if hundred is not None and not shown:
        return None
    oldest = next(iter(summary.rounds), 0)
    return {
        **_head(summary),
        "hundred": at,
        "older": at - 1 if oldest < at * HUNDRED else None,
        "newer": at + 1 if newest >= (at + 1) * HUNDRED else None,
        "never": summary.curtain.dropped,
        "older_without": summary.dropped,
        "list": [_asked(asked) for asked in shown],
    }


def _asked(asked: Asked) -> Facts:
    return {key: value for key, value in asdict(asked).items() if key not in ("hash", "seq")}


def one_round(asked: Asked, played: RoundRecord, scored: frozenset[str], names: Names) -> Facts:
    """What was asked and who said what; `scored` are the hotkeys that have a page."""
    return {
        **_asked(asked),
        "entry": asked.seq,
        "last_answer": answered_at(played),
        "provenance": played.provenance,
        "answers": [
            {**_name(row.hotkey, names), "has_page": row.hotkey in scored, **_answer(row, played)}
            for row in sorted(played.outcomes, key=lambda row: row.hotkey)
        ],
    }


def _answer(row: OutcomeRecord, played: RoundRecord) -> Facts:
    return {
        "truth": row.truth(played.label).name.lower(),
        "p_synthetic": row.p_synthetic,
        "failure": row.failure.value if row.failure else None,
        "reason": row.reason,
        "right": row.correct(played.label),
        "latency": row.latency,
        "detector": row.detector,
        "variant": row.query,
        "score": row.score,
    }


def validator(summary: Summary, names: Names) -> Facts:
    """How the journal's validator does its work, as far as a journal tells."""
    result, commitments, weights = summary.player.result(), summary.player.commitments, summary.weights
    rules = summary.player.rules
    return {
        **_head(summary),
        "name": names.get(rules.hotkey) if rules else None,
        "miners": len(result.history.standings),
        "weights_set": weights.block if weights else None,
        "weights_age": max(0, summary.block - weights.block) if weights else None,
        "weights_refused": summary.refused,
        "commitments": len(commitments),
        "epoch": commitments[-1].record.epoch if commitments else None,
        "committed": commitments[-1].record.block if commitments else None,
        "unproven": summary.unproven,
        "weights": dict(sorted(result.setting.weights.items())) if result.setting else {},
        "alpha": result.smoothing.alpha,
        "averaging": result.smoothing.averaging,
        "headroom": result.smoothing.headroom,
        "share_places": rules.share_places if rules else False,
    }


def agreement(rows: Sequence[Facts]) -> list[float | None]:
    """For each journal's weights the part that it shares with the mean of other validators' of its subnet, 0..1.

    `rows` are as `validator` says, or say nothing of weights. None without others; of a validator's several journals
    the newest counts.
    """
    newest: dict[tuple[int, str], Facts] = {}
    for row in sorted((row for row in rows if row.get("weights")), key=lambda row: row["block"]):
        newest[row["netuid"], row["validator"]] = row["weights"]
    parts: list[float | None] = []
    for row in rows:
        own, me = row.get("weights", {}), (row.get("netuid"), row.get("validator"))
        others = [weights for who, weights in newest.items() if who[0] == me[0] and who != me]
        shared = (min(share, fmean(w.get(h, 0.0) for w in others)) for h, share in own.items() if others)
        parts.append(sum(shared) if own and others else None)
    return parts


def laboratory() -> list[Facts]:
    """The laboratory's report that ships: sentences, tables, and for a table of shares what is drawn beside it."""
    return [
        {
            "heading": section.heading,
            "sentences": section.sentences,
            "columns": section.columns,
            "rows": section.rows,
            "spans": list(_spans(section)),
        }
        for section in shipped()
    ]


def _spans(section: Section) -> Iterator[list[float]]:
    """Share, and from where to where most keys lie, of each row; none for a table without them."""
    if {"share", "from, to"} <= set(section.columns):
        share, span = section.columns.index("share"), section.columns.index("from, to")
        for row in section.rows:
            yield [float(row[share]), *map(float, row[span].split(" to "))]
