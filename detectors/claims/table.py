"""A card as Markdown: the chapter of a model card that is written from what was measured."""

from __future__ import annotations

from collections.abc import Iterator

from detectors.claims.card import Card, Exam, Reach, Share

TITLE = "## Claims"


def chapter(card: Card) -> str:
    """From its title to its last line."""
    lines = [TITLE, f"Trained on fakes by {', '.join(card.trained_on) or 'generators that its file does not name'}."]
    if card.reach is not None:
        lines.append(_reach(card.reach))
    if card.exams:
        lines += ["", "| exam | of | false alarms | misses |", "|---|---|---|---|"]
        lines += [row for exam in card.exams for row in _rows(exam)]
    return "\n".join(lines) + "\n"


def with_chapter(page: str, card: Card) -> str:
    """A model card with this chapter at its end, in the place of an earlier one."""
    return f"{page.partition(TITLE)[0].rstrip()}\n\n{chapter(card)}"


def _reach(reach: Reach) -> str:
    text = (
        f"Called synthetic from {reach.synthetic_from:.4f} on, which {100 * reach.false_alarms:.1f} % of the "
        f"{reach.real} real items of {reach.data} reach"
    )
    if reach.farthest is not None:
        text += f"; not judged beyond a distance of {reach.farthest:.2f}, as {100 * reach.beyond:.1f} % of all are"
    if reach.coarsest is not None:
        text += (
            f"; not judged with detail less fine than {reach.coarsest:.2f}, as "
            f"{100 * reach.coarser:.1f} % of {reach.stored} are that are stored"
        )
    return f"{text}."


def _rows(exam: Exam) -> Iterator[str]:
    current = ", current generators" if exam.current else ""
    name = f"{exam.name} ({exam.shown}{current})"
    yield f"| {name} | all; {exam.far} beyond reach | {_cell(exam.false_alarms)} | {_cell(exam.misses)} |"
    for kind, share in exam.false_alarms_by.items():
        yield f"| | {kind} | {share} | |"
    for generator, share in exam.misses_by.items():
        yield f"| | {generator} | | {share} |"


def _cell(share: Share | None) -> str:
    return "" if share is None else str(share)
