"""Evidence that is old, foreign, cut off or not revealed: each has its own message, and nothing is deleted."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from neurons.commands.evidence.verify import check
from subnet.chain.memory import MemoryChain
from subnet.errors import SettingsError, StateError
from subnet.evidence.entries.entry import Entry
from subnet.evidence.findings import Verification
from subnet.evidence.proof.depot import Depot, publish
from subnet.evidence.proof.publication import MANIFEST
from subnet.evidence.reader import SCHEMA
from subnet.evidence.records import COMMITMENT, RULES, SETTING, RulesRecord
from tests.unit.neurons.commands.evidence.rig import (
    NETUID,
    VALIDATOR,
    Body,
    Story,
    checked,
    falsified,
    published,
    rewritten,
    tell,
    went_on,
)
from tests.unit.neurons.running import Assay


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("bad-story"))


def false(result: Verification) -> str:
    return "\n".join(finding.text for finding in result.false)


def unproven(result: Verification) -> str:
    return "\n".join(finding.text for finding in result.unproven)


def test_a_file_that_does_not_match_the_manifest(story: Story, tmp_path: Path) -> None:
    """A byte of a part changed, a part deleted: the file is named, and what is before it is checked."""
    depot = published(story, story.entries, tmp_path, media=False)
    manifest = depot.manifest()
    assert manifest is not None
    path = tmp_path / manifest.parts[1].file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    result = checked(story, depot)
    assert f"{manifest.parts[1].file} is not the file that the manifest lists" in false(result)
    assert dict(result.proven)["scores of uncommitted rounds"] > 0
    path.unlink()
    assert f"{manifest.parts[1].file} is listed in the manifest, and is not there" in false(checked(story, depot))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": "assay-evidence/2"}', "is of the format assay-evidence/2, this version reads assay-evidence/1"),
        ("{}", "netuid: Field required"),
        ("nothing", "is no manifest"),
    ],
)
def test_a_manifest_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    """Of another version, without its fields, or no JSON."""
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(StateError, match=message):
        check(Depot(tmp_path), None)


def test_no_manifest_and_no_such_place(tmp_path: Path) -> None:
    """What to name instead."""
    with pytest.raises(SettingsError, match=r"no manifest\.json there"):
        check(Depot(tmp_path), None)
    with pytest.raises(SettingsError, match="nosuch"):
        Depot("nosuch://bucket/path")


def test_a_chain_without_the_pallet(story: Story, tmp_path: Path) -> None:
    """Nothing that is said to stand there does."""
    depot = published(story, story.entries, tmp_path, media=False)

    class Bare(MemoryChain):
        async def commitment(self, hotkey: str, *, at: int | None = None) -> None:  # type: ignore[override]
            return None

    result = check(depot, lambda _: Bare(story.subnet, VALIDATOR.ss58_address), ThreadPoolExecutor(1))
    assert "commitment 0 does not stand on chain" in false(result)


def test_without_a_chain_it_says_so(story: Story, tmp_path: Path) -> None:
    """What needs no chain is proven all the same."""
    result = check(published(story, story.entries, tmp_path, media=False), None, ThreadPoolExecutor(1))
    assert result.false == ()
    assert "no chain was asked" in unproven(result)
    assert "the media is not here" in unproven(result)


def test_an_uncommitted_journal_is_published_and_marked(tmp_path: Path) -> None:
    """Scores, signatures and weights are proven, plans are not."""
    story = tell(tmp_path / "story", commit=False)
    result = checked(story, published(story, story.entries, tmp_path / "out", media=False))
    assert result.false == ()
    assert "plans: the seed was not committed" in unproven(result)
    assert dict(result.proven)["settings of weights stand on chain"] > 0


def test_an_epoch_that_was_never_revealed(story: Story, tmp_path: Path) -> None:
    """Its plans cannot be proven, and that is all that is said of them."""

    def change(entry: Entry, body: Body) -> Body:
        if entry.kind == COMMITMENT and body["epoch"] == 2:
            body["revealed"] = None
        return body

    assert "plans: epoch 1 was never revealed" in unproven(falsified(story, tmp_path, change))


def test_signatures_of_another_protocol(story: Story, tmp_path: Path) -> None:
    """They are not called false by a version that does not know them."""

    def change(entry: Entry, body: Body) -> Body:
        if entry.kind == RULES:
            body["protocols"]["reply"] = "assay-reply/9"
        return body

    result = falsified(story, tmp_path, change)
    assert "answers: signed as 'assay-reply/9', this version checks assay-reply/1" in unproven(result)
    assert "is not signed" not in false(result)


def test_kinds_and_fields_of_a_newer_version(story: Story, tmp_path: Path) -> None:
    """A field that is not known is not guessed at; a journal of a newer schema is not judged at all."""

    def change(entry: Entry, body: Body) -> Body:
        if entry.kind == SETTING and body["attempt"] == 1:
            body["new"] = 1
        return body

    assert "is no SettingRecord" in false(falsified(story, tmp_path, change))
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, "schema_version": SCHEMA + 1, "witnesses": []}))
    with pytest.raises(StateError, match=f"newer Assay .schema {SCHEMA + 1}, this one knows {SCHEMA}"):
        check(Depot(tmp_path), None)


def test_a_truncated_tail_is_not_published_over(story: Story, tmp_path: Path) -> None:
    """An older copy of the journal, or another one, adds nothing to what is there."""
    depot = published(story, story.entries, tmp_path, media=False)
    manifest = depot.manifest()
    rules = next(RulesRecord.model_validate_json(e.body) for e in story.entries if e.kind == RULES)
    with pytest.raises(StateError, match="it is an older copy"):
        publish(depot, story.entries[:10], rules, None)
    other = rewritten(story.entries, lambda entry, body: {**body, "state": ""})
    with pytest.raises(StateError, match="holds another journal"):
        publish(depot, other, rules, None)
    foreign = rules.model_copy(update={"hotkey": "another"})
    with pytest.raises(StateError, match=f"holds the evidence of subnet {NETUID}"):
        publish(depot, story.entries, foreign, None)
    assert depot.manifest() == manifest


def test_publishing_adds_and_never_rewrites(story: Story, tmp_path: Path) -> None:
    """What a first run wrote is the same after the second; only whole epochs go out."""
    rules = next(RulesRecord.model_validate_json(e.body) for e in story.entries if e.kind == RULES)
    depot = Depot(tmp_path)
    commitments = [e.seq for e in story.entries if e.kind == COMMITMENT]
    first, new = publish(depot, story.entries[: commitments[2] + 2], rules, None)
    assert (first.last, new) == (commitments[2], len(first.parts))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.zst")}
    second, new = publish(depot, story.entries, rules, None)
    assert (second.last, second.parts[: len(first.parts)]) == (commitments[-1], first.parts)
    assert (new, publish(depot, story.entries, rules, None)[1]) == (len(second.parts) - len(first.parts), 0)
    assert {path: path.read_bytes() for path in before} == before


def test_the_commands(assay: Assay, story: Story, tmp_path: Path) -> None:
    """`assay publish` and `assay verify --offline`; the exit status tells what is false."""
    told = assay("publish", story.journal, tmp_path / "out", "--media", "--json").json
    assert (told["media"] > 0, told["new"]) == (True, told["parts"])
    verified = assay("verify", tmp_path / "out", "--offline")
    assert (verified.status, "nothing is false" in verified.out) == (0, True)
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    (tmp_path / "out" / manifest["parts"][0]["file"]).write_bytes(b"")
    again = assay("verify", tmp_path / "out", "--offline", "--json")
    assert (again.status, again.json["ok"]) == (4, False)


def test_a_journal_that_went_on_from_an_older_copy(tmp_path: Path) -> None:
    """After --neuron.forward what the lost journal held is not proven, and nothing is false; scores are computed."""
    story = went_on(tmp_path)
    result = checked(story, published(story, story.entries, tmp_path / "out", media=False))
    assert result.false == ()
    assert "epochs 2-4 are not in the journal: what was played and paid then is not proven" in unproven(result)
    assert "plans: epoch 1 was never revealed" in unproven(result)
    assert dict(result.proven)["commitments stand on chain"] > 4


def test_epochs_cannot_be_left_out_by_their_numbers_alone(story: Story, tmp_path: Path) -> None:
    """A journal that goes on behind a gap as if it had been there: entries that commitments name, and weights, tell."""
    epoch = -1

    def change(entry: Entry, body: Body) -> Body | None:
        nonlocal epoch
        epoch = body["epoch"] if entry.kind == COMMITMENT else epoch
        return None if epoch == 1 else body

    result = falsified(story, tmp_path, change)
    assert "epoch 1 is not in the journal: what was played and paid then is not proven" in unproven(result)
    assert "commitment 2 names entry" in false(result)
    assert "weights of 4 differ" in false(result)
