"""What rounds, rows, items and labels say of themselves, by a validator that computed all the rest again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from subnet.evidence.entries.entry import BEGINNING, Entry
from subnet.evidence.findings import Verification, kind_of
from subnet.evidence.proof.origins import SUBSTITUTE, check_origin
from subnet.evidence.records import (
    COMMITMENT,
    DEPARTED,
    ROUND,
    RULES,
    SETTING,
    SNAPSHOT,
    WEIGHTS,
    RoundRecord,
    dump_provenance,
    rules_record,
)
from subnet.evidence.rules import differences
from subnet.game.sampling import asked_real
from subnet.media.pool.kept import Kept
from subnet.types import Label, Modality, Provenance
from tests.unit.neurons.commands.evidence import rig
from tests.unit.neurons.commands.evidence.rig import (
    EPOCHS,
    MINERS,
    ROUNDS,
    SAMPLING,
    VALIDATOR,
    Body,
    Change,
    Story,
    checked,
    published,
    tell,
)
from tests.unit.neurons.commands.evidence.test_forgers import RIVAL, false, found, last, planned, rows, unproven


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("rounds-story"))


def seq_of(story: Story, number: int) -> int:
    return next(e.seq for e in story.entries if e.kind == ROUND and json.loads(e.body)["number"] == number)


def rounds(*numbers: int, **changed: object) -> Change:
    """Changes these rounds alone."""

    def change(entry: Entry, body: Body) -> Body:
        return body | changed if entry.kind == ROUND and body["number"] in numbers else body

    return change


@pytest.mark.parametrize("word", ["nothing could be drawn", "nobody was heard", "nobody to ask", "x" * 500])
def test_no_word_voids_answers_that_were_heard(story: Story, tmp_path: Path, word: str) -> None:
    """A bad round is not void by any name."""
    result = false(found(story, planned(story.entries, rounds(5, 6, void=word)), tmp_path))
    for number in (5, 6):
        told = f"round {number} is void ({word[:80]!r}) beside answers that were heard, so it counts"
        assert f"{seq_of(story, number)}: {told}" in result


def test_rounds_in_which_nobody_was_heard_are_listed(story: Story, tmp_path: Path) -> None:
    """Nobody signs it; a round in which some were heard is not among them."""

    def unheard(entry: Entry, body: Body) -> Body:
        if entry.kind == ROUND and body["number"] in (5, 6):
            body["void"] = "nobody was heard"
            for row in body["outcomes"]:
                row |= {"p_synthetic": None, "failure": "timeout", "nonce": None, "signature": ""}
        return body

    result = found(story, planned(story.entries, unheard), tmp_path)
    assert false(result) == ""
    told = [finding.seq for finding in result.unproven if "in which nobody is said to have been heard" in finding.text]
    assert told == [seq_of(story, 5), seq_of(story, 6)]
    assert "nobody is said to have been heard" not in unproven(found(story, planned(story.entries), tmp_path / "none"))


@pytest.mark.parametrize("snapshots", [True, False])
def test_a_block_before_any_snapshot_escapes_no_plan(story: Story, tmp_path: Path, snapshots: bool) -> None:
    """The plan's fields follow from the epoch's seed, whatever metagraph is said to have stood, or none."""

    def early(entry: Entry, body: Body) -> Body | None:
        if not snapshots and entry.kind in (SNAPSHOT, SETTING, WEIGHTS):
            return None
        if entry.kind == ROUND and body["number"] >= 5:
            body |= {"block": 0, "label": 1 - body["label"], "seed": 5}
        return body

    entries = planned(story.entries, early)
    result = found(story, entries, tmp_path)
    at = next(e.seq for e in entries if e.kind == ROUND and json.loads(e.body)["number"] == 6)
    assert (f"{at}: it is said to be of block 0, before the first snapshot's" in false(result)) == snapshots
    assert (f"{at}: who was asked: no rules or no snapshot" in unproven(result)) != snapshots
    assert f"{at}: round 6 is not what its epoch's seed gives: label is" in false(result)


def test_an_epoch_that_never_stood_needs_no_snapshot_to_be_false(story: Story, tmp_path: Path) -> None:
    """Nor does a round of another epoch than the one that stands."""
    result = found(story, planned(story.entries, rounds(6, block=0, epoch=7)), tmp_path)
    assert f"{seq_of(story, 6)}: round 6 is said to be of epoch 7, but commitment 1 stands" in false(result)


def asked_again(rows: list[Body]) -> list[Body]:
    return [*rows[:2], dict(rows[0])]


def asked_itself(rows: list[Body]) -> list[Body]:
    return [*rows[:2], rows[2] | {"hotkey": VALIDATOR.ss58_address}]


def asked_too_many(rows: list[Body]) -> list[Body]:
    known = {row["hotkey"] for row in rows}
    return rows + [rows[0] | {"hotkey": key.ss58_address} for key in MINERS if key.ss58_address not in known]


def asked_too_few(rows: list[Body]) -> list[Body]:
    return rows[:2]


@pytest.mark.parametrize(
    ("forge", "told"),
    [
        (asked_again, "1 are asked twice, first "),
        (asked_itself, f"1 were asked who are no miners then, first {VALIDATOR.ss58_address}"),
        (asked_too_many, "4 were asked, the rules ask 3"),
        (asked_too_few, "2 were asked, the rules ask 3"),
    ],
)
def test_nobody_is_asked_but_as_the_rules_ask(
    story: Story, tmp_path: Path, forge: Callable[[list[Body]], list[Body]], told: str
) -> None:
    """Which needs no seed: in the round before the first commitment, too."""

    def change(entry: Entry, body: Body) -> Body:
        if entry.kind == ROUND and body["epoch"] is None:
            body["outcomes"] = forge(body["outcomes"])
        return body

    result = false(found(story, planned(story.entries, change), tmp_path))
    assert f"{seq_of(story, 0)}: round 0: {told}" in result


@pytest.mark.parametrize(("name", "value"), [("origin", "elsewhere"), ("level", 3)])
def test_no_round_asks_what_the_rules_do_not_mix(story: Story, tmp_path: Path, name: str, value: object) -> None:
    """An origin or a level that has no share cannot be drawn by any seed."""
    result = false(found(story, planned(story.entries, rounds(0, **{name: value})), tmp_path))
    assert f"{seq_of(story, 0)}: round 0: the rules have no " in result


def test_scores_of_uncommitted_rounds_are_counted_apart(story: Story, tmp_path: Path) -> None:
    """They follow from the answers, but nobody knows whether the questions were chosen."""
    proven = dict(found(story, planned(story.entries), tmp_path).proven)
    assert proven["scores of uncommitted rounds"] == 3
    assert proven["scores"] == 3 * (EPOCHS * ROUNDS - 1)


def test_twin_rounds_that_were_asked_as_synthetic_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed gives some the photograph: that nobody was asked it may be honest, and is told without any media."""
    monkeypatch.setattr(rig, "SAMPLING", replace(SAMPLING, twin_share=1.0))
    twins = tell(tmp_path / "story")
    told = "twin rounds that were asked as synthetic only"
    sampling = replace(SAMPLING, twin_share=1.0)
    end = max(entry.seq for entry in twins.entries if entry.kind == COMMITMENT)  # what is published
    due = [
        entry.seq
        for entry in twins.entries
        if entry.kind == ROUND and entry.seq < end
        for played in [RoundRecord.model_validate_json(entry.body)]
        if asked_real(played.seed, [row.hotkey for row in played.outcomes], sampling)
    ]
    assert len(due) > EPOCHS
    result = found(twins, planned(twins.entries), tmp_path / "twins")
    assert false(result) == ""
    assert [finding.seq for finding in result.unproven if told in finding.text] == due


def test_an_item_is_asked_once_of_a_hotkey(story: Story, tmp_path: Path) -> None:
    """One item of each label for ever: every entry, and whom it was asked again, how often."""
    bodies = rows(story.entries, ROUND)
    items = {body["label"]: body["item"] for body in bodies}

    def same(entry: Entry, body: Body) -> Body:
        return body | {"item": items[body["label"]]} if entry.kind == ROUND else body

    result = found(story, planned(story.entries, same), tmp_path)
    assert false(result) == ""
    told = [f for f in result.unproven if "that items were new" in f.text]
    assert len([f for f in told if f.seq]) > EPOCHS * ROUNDS / 2
    asked = sum(row["hotkey"] == RIVAL for body in bodies[:-1] for row in body["outcomes"])
    assert f"{RIVAL} {asked - 2} of {asked}" in told[0].text
    assert "that items were new" not in unproven(found(story, planned(story.entries), tmp_path / "honest"))


def test_an_item_has_one_label(story: Story, tmp_path: Path) -> None:
    """Whatever it shows, one of the two is wrong."""
    item = rows(story.entries, ROUND)[0]["item"]
    result = false(found(story, planned(story.entries, rounds(*range(99), item=item)), tmp_path))
    first, second = ("real", "synthetic") if rows(story.entries, ROUND)[0]["label"] == 0 else ("synthetic", "real")
    assert f"item {item} is a {first} image in entry {seq_of(story, 0)}, a {second} image in entry" in result


@pytest.mark.parametrize("item", ["", "an item", "../../etc/passwd", "AB" * 16])
def test_what_was_asked_is_named(story: Story, tmp_path: Path, item: str) -> None:
    """An item without a name of its own could be any."""
    result = false(found(story, planned(story.entries, rounds(5, item=item)), tmp_path))
    assert f"{seq_of(story, 5)}: round 5 asked something, but names no item" in result


@pytest.mark.parametrize("provenance", [None, {}, {"anything": "at all"}])
def test_a_round_says_where_its_media_is_from(story: Story, tmp_path: Path, provenance: Body | None) -> None:
    """Without the media, too."""
    result = false(found(story, planned(story.entries, rounds(5, provenance=provenance)), tmp_path))
    assert f"{seq_of(story, 5)}: round 5 asked something, but does not say where it is from" in result


def relabelled(data: bytes, about: Mapping[str, object], origin: str = "here") -> bytes:
    """The file of an item whose header says something else, its checksum made anew."""
    line, _, media = data.partition(b"\n")[2].partition(b"\n")
    header = json.loads(line)
    header["id"] = header["id"].replace("/here/", f"/{origin}/")
    header["provenance"] |= about
    rest = json.dumps(header).encode() + b"\n" + media
    return b"assay-item 1 " + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


def with_media(story: Story, folder: Path, change: Callable[[bytes], bytes]) -> Verification:
    """What is found where the media of the story was changed before it was published."""
    kept = Kept(folder / "kept", 10**9, 10**9)
    kept.root.mkdir(parents=True)
    for path in story.kept.root.iterdir():
        (kept.root / path.name).write_bytes(change(path.read_bytes()))
    changed = replace(story, kept=kept)
    return checked(changed, published(changed, story.entries, folder / "evidence"))


@pytest.mark.parametrize(
    "about",
    [
        {"source": "my own disk"},
        {"parameters": {}},
        {"seed": 10**400},
        {"item": "\ud800"},
        {"prompt": float("nan"), "source": ["a", {"list": 1}]},
    ],
)
def test_media_is_from_where_the_record_says(story: Story, tmp_path: Path, about: Body) -> None:
    """Record and header were written by one validator, from one sample."""
    result = with_media(story, tmp_path, lambda data: relabelled(data, about))
    assert f"{seq_of(story, 5)}: round 5: " in false(result)
    assert "provenance" in false(result)


def test_a_substitute_for_an_empty_origin_is_listed(story: Story, tmp_path: Path) -> None:
    """Honest where the pool has nothing of the planned origin, and so not false; its variants are proven."""
    result = with_media(story, tmp_path, lambda data: relabelled(data, {}, "elsewhere"))
    assert false(result) == ""
    listed = [finding.seq for finding in result.unproven if finding.text == SUBSTITUTE]
    assert len(listed) == EPOCHS * ROUNDS
    assert dict(result.proven)["rounds whose variants follow from the media and the seed"] == len(listed)


def test_odd_parameters_survive_the_record(tmp_path: Path) -> None:
    """What JSON writes otherwise than Python has it is the same in the record and in the header."""
    odd = {"a": 0.1, "b": 1e300, "c": [1, 2.0, None], "d": {"x": "\u00e4\u2028"}, "e": float("inf"), "f": 2**70}
    about = Provenance("here", "x", parameters=odd)
    header = json.loads(json.dumps(dump_provenance(about)))
    played = RoundRecord.model_validate_json(
        RoundRecord(
            number=1,
            block=1,
            modality=Modality.IMAGE,
            label=Label.REAL,
            origin="here",
            level=0,
            seed=0,
            provenance=dump_provenance(about),
            void="",
            outcomes=(),
        ).model_dump_json()
    )
    assert list(check_origin(1, played, "here", Provenance(**header))) == []


def test_weights_on_fewer_answers_than_the_rules_ask(story: Story, tmp_path: Path) -> None:
    """A run that ends sets its last weights whatever stands behind them, so it is listed, and not false."""

    def strict(entry: Entry, body: Body) -> Body:
        return body | {"min_answers": 8} if entry.kind == RULES else body

    result = found(story, planned(story.entries, strict), tmp_path)
    settings = [entry.seq for entry in story.entries if entry.kind == SETTING]
    told = [finding.seq for finding in result.unproven if "fewer answers than min_answers" in finding.text]
    assert false(result) == ""
    assert told == settings[: len(told)]
    assert 0 < len(told) < len(settings)


@pytest.mark.parametrize("named", ["the last", "before", "itself", "another head"])
def test_a_refused_commitment_excuses_no_earlier_round(story: Story, tmp_path: Path, named: str) -> None:
    """It was sent behind the entry that it names: rounds before had the committed seed, whatever it says."""
    entries = list(story.entries)
    place = next(i for i, e in enumerate(entries) if e.kind == COMMITMENT and json.loads(e.body)["epoch"] == 2)
    fields = {"block": None, "block_hash": None, "refused": "SpaceLimitExceeded"}
    entries.insert(place, Entry(0, COMMITMENT, json.dumps(json.loads(entries[place].body) | fields), ""))
    number = max(json.loads(e.body)["number"] for e in entries[:place] if e.kind == ROUND)

    def head(written: Sequence[Entry]) -> tuple[int, str]:
        if len(written) != place or named == "the last":
            return last(written)
        odd = {"before": (0, BEGINNING.hash), "itself": (place + 1, "ab" * 32)}
        return odd.get(named, (place, "ab" * 32))

    result = found(story, planned(entries, rounds(number, epoch=None, seed=5), head), tmp_path)
    assert f"{seq_of(story, number)}: its seed is no committed one, though commitment 1 stood" in false(result)
    assert (f"{place + 1}: commitment 2 names " in false(result)) == (named != "the last")
    restarted = [*entries[:place], story.entries[0], *entries[place:]]
    place += 1
    again = found(story, planned(restarted, head=head), tmp_path / "restarted")
    assert false(again) == ""
    assert (f"{place + 1}: commitment 2 names " in unproven(again)) == (named != "the last")


def test_a_rule_that_changes_far_behind_is_shown_where_it_changes() -> None:
    """Long values are cut around the difference, short ones are whole."""
    before = rules_record(34, "v", replace(SAMPLING, origins=many_origins(1.0)), vpermit_tao_limit=1.0, min_answers=1)
    after = rules_record(34, "v", replace(SAMPLING, origins=many_origins(2.0)), vpermit_tao_limit=2.0, min_answers=1)
    limits, origins = sorted(differences(before, after), key=lambda text: "origins" in text)
    assert limits == "why the rules changed: vpermit_tao_limit (from 1.0 to 2.0)"
    said, now = origins.removesuffix(")").split("(from ")[1].split(" to ")
    assert said != now
    assert '"origin-99": 1.0' in said
    assert '"origin-99": 2.0' in now
    assert max(len(said), len(now)) <= 203


@pytest.mark.parametrize("odd", ["{n} word ", '"{n}', "'{n}(", ") {n} \\\\", "(({n}"])
def test_changes_of_one_rule_are_of_one_kind(odd: str) -> None:
    """Whatever its values hold, and wherever they are cut: many changes of one rule hide no other's."""
    words = [odd.replace("{n}", "abcdefghij"[n] * (n + 1)) * 60 for n in range(10)]
    changed = [
        rules_record(34, "v", replace(SAMPLING, public=("a" * (n * 40), word)), vpermit_tao_limit=n, min_answers=1)
        for n, word in enumerate(words)
    ]
    told = [text for pair in pairwise(changed) for text in differences(*pair)]
    assert len(told) == 18
    assert len({kind_of(text) for text in told}) == 2


def test_signatures_of_odd_protocols_are_of_one_kind(story: Story, tmp_path: Path) -> None:
    """The name of one is the validator's to choose."""
    result = []
    for name in ("one thing", 'another "', "'"):
        entries = planned(story.entries, lambda e, b, n=name: b | {"protocols": {"reply": n}} if e.kind == RULES else b)
        result += found(story, entries, tmp_path / str(len(result))).unproven
    assert len({kind_of(finding.text) for finding in result if finding.text.startswith("answers: signed as")}) == 1


def many_origins(share: float) -> Mapping[tuple[Modality, Label], Mapping[str, float]]:
    return {(Modality.IMAGE, Label.REAL): {f"origin-{n:02}": share if n == 99 else 1.0 for n in range(100)}}


@pytest.mark.parametrize("kinds", [(ROUND,), (ROUND, SETTING)])
def test_a_metagraph_that_stands_still_is_asked_about(story: Story, tmp_path: Path, kinds: Sequence[str]) -> None:
    """All rounds of an epoch of one block, and its weights 100 blocks later: the snapshot is older than it may be."""
    told = "blocks: over 64 passed without a record, or what was recorded before is of later ones than it says"
    entries = planned(story.entries)
    setting = next(e.seq for e in entries if e.kind == SETTING)
    last = {ROUND: setting, SETTING: setting + 1}[kinds[-1]]

    def later(entry: Entry, body: Body) -> Body:
        if (entry.kind == COMMITMENT and body["epoch"] > 0) or (entry.seq >= last and "block" in body):
            body["block"] += 100
        return body

    result = found(story, planned(story.entries, later), tmp_path / "later")
    assert [finding.seq for finding in result.unproven if finding.text == told] == [last]
    assert told not in unproven(found(story, entries, tmp_path / "true"))


def test_a_metagraph_of_another_subnet(story: Story, tmp_path: Path) -> None:
    """Snapshots are of the subnet that the rules name, whichever come first."""

    def other(entry: Entry, body: Body) -> Body:
        return body | {"netuid": 999} if entry.kind == SNAPSHOT else body

    told = f"the metagraph is of subnet 999, the rules are of {rig.NETUID}"
    result = found(story, planned(story.entries, other), tmp_path / "behind")
    assert f"{next(e.seq for e in story.entries if e.kind == SNAPSHOT)}: {told}" in false(result)
    before = [story.entries[1], story.entries[0], *story.entries[2:]]
    assert (story.entries[0].kind, story.entries[1].kind) == (RULES, SNAPSHOT)
    assert f"2: {told}" in false(found(story, planned(before, other), tmp_path / "before"))


def test_who_never_was_does_not_leave(story: Story, tmp_path: Path) -> None:
    """A departure ends a score; who has none is named in no honest one."""
    entries = list(story.entries)
    place = next(i for i, entry in enumerate(entries) if entry.kind == SETTING)
    block = json.loads(entries[place].body)["block"]
    entries.insert(place, Entry(0, DEPARTED, json.dumps({"block": block, "hotkeys": ["5NeverWasHere"]}), ""))
    result = false(found(story, planned(entries), tmp_path))
    assert f"{place + 1}: 1 are said to have left who had no score, first 5NeverWasHere" in result
