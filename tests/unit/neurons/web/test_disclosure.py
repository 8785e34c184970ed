"""When a round may be shown: never before its epoch is over, nor while its item is asked again."""

from __future__ import annotations

from collections.abc import Sequence

from neurons.web.book import Book
from neurons.web.disclosure import MOST, Curtain
from neurons.web.pages import as_json, html
from neurons.web.site import Site
from neurons.web.summary import Summary
from subnet.evidence.entries.entry import Entry
from subnet.evidence.proof.publication import finished_parts, unpack_part
from subnet.evidence.records import ROUND, RoundRecord
from tests.unit.neurons.commands.evidence.rig import Story


def number_of(entry: Entry) -> int:
    return RoundRecord.model_validate_json(entry.body).number


def published(entries: Sequence[Entry]) -> set[int]:
    """Numbers of rounds that `assay publish` would tell of a journal of these entries."""
    parts = list(finished_parts(entries, 0))
    return {number_of(e) for part in parts for e in unpack_part(part.part, part.data) if e.kind == ROUND}


def test_what_is_shown_is_what_may_be_published(story: Story) -> None:
    """At every moment of a journal the rounds on the site are those that publishing would tell, and no other."""
    summary, lengths = Summary(), set()
    for at, entry in enumerate(story.entries, 1):
        summary.take(entry)
        assert set(summary.rounds) == published(story.entries[:at])
        lengths.add(len(summary.rounds))
    assert lengths == {0, 1, 4, 8, 12, 16}  # more behind each commitment, the first with a round without one


def test_nothing_of_a_round_that_waits_is_on_any_page(site: Site, story: Story) -> None:
    """Neither its item nor its variants, in no page and no JSON; its own address tells nothing of it."""
    (waiting,) = [e for e in story.entries if e.kind == ROUND and number_of(e) == 16]
    record = RoundRecord.model_validate_json(waiting.body)
    secrets = [
        record.item,
        str(record.seed),
        *(row.query for row in record.outcomes),
        *(row.signature for row in record.outcomes),
    ]
    assert all(secrets)
    addresses = [*site.addresses(), "1/round/16", "1/rounds/0"]
    for address in addresses:
        page = site.page(address)
        text = as_json(page) + html(page)
        assert [secret for secret in secrets if secret in text] == [], address
    assert site.page("1/round/16").facts == site.page("1/round/999").facts
    assert site.page("1/round/16").status == 404
    assert site.page("1/round/15").status == 200


def test_no_answer_of_a_round_that_waits_is_counted(site: Site, story: Story) -> None:
    """Tallies and answers of miners stop at the last epoch that is over, or they would tell the label by difference."""
    (last,) = [RoundRecord.model_validate_json(e.body) for e in story.entries if e.kind == ROUND and number_of(e) == 16]
    for row in last.outcomes:
        facts = site.page(f"1/miner/{row.hotkey}").facts
        assert sum(tally["asked"] for tally in facts["by"]["label"].values()) == facts["asked"] - 1
        assert all(turn["number"] < 16 for turn in facts["turns"])


def test_an_item_that_is_asked_again_hides_the_older_round(story: Story) -> None:
    """Until the epoch in which it was asked again is over, too."""
    summary = Summary()
    commitments = [e for e in story.entries if e.kind == "commitment"]
    for entry in story.entries:
        if entry.seq <= commitments[2].seq:
            summary.take(entry)
    shown = next(iter(summary.rounds.values()))
    (again,) = [e for e in story.entries if e.kind == ROUND and number_of(e) == 16]
    played = RoundRecord.model_validate_json(again.body).model_copy(update={"item": shown.item})
    assert summary.shown(shown.number)
    summary.curtain.hold(again, played)
    assert summary.shown(shown.number) is None
    summary.curtain.end(commitments[-1])
    assert summary.shown(shown.number)


def test_rounds_that_wait_for_ever_are_bounded(story: Story) -> None:
    """A journal whose epoch does not end takes no more memory; what is dropped is counted, and never shown."""
    entry = next(e for e in story.entries if e.kind == ROUND)
    played, curtain = RoundRecord.model_validate_json(entry.body), Curtain()
    for number in range(MOST + 3):
        curtain.hold(entry, played.model_copy(update={"number": number, "outcomes": ()}))
    assert (curtain.waiting, curtain.dropped) == (MOST, 3)
    (end, *_) = [e for e in story.entries if e.kind == "commitment"]
    assert [told.asked.number for told in curtain.end(end)][:2] == [3, 4]


def test_a_book_asks_the_rule_before_it_reads(site: Site) -> None:
    """A round is looked up by its number only among those that may be shown."""
    book: Book = site.books[0]
    found = book.round(0)
    assert found is not None
    assert found[1].number == 0
    assert book.round(16) is None
