"""What a stranger proves with public files and the chain alone, and what no validator can get past that."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from neurons.commands.evidence.verify import check
from subnet.chain.memory import MemoryChain
from subnet.evidence.entries.entry import Entry
from subnet.evidence.findings import Verification, text_of
from subnet.evidence.proof.depot import Depot
from subnet.evidence.proof.publication import MANIFEST
from subnet.evidence.records import COMMITMENT, ROUND, SETTING, WEIGHTS
from subnet.game.epochs import commit_of
from subnet.types import Label
from subnet.wire.synapse import Envelope, reply_text
from tests.unit.neurons.commands.evidence.rig import (
    BY_ADDRESS,
    EPOCHS,
    NETUID,
    ROUNDS,
    VALIDATOR,
    Body,
    Change,
    Story,
    checked,
    falsified,
    published,
    tell,
)

ROUND_AT = 6  # the round that is falsified, of epoch 1


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("story"))


def is_round(entry: Entry, body: Body, number: int = ROUND_AT) -> bool:
    return entry.kind == ROUND and body["number"] == number


def texts(result: Verification) -> str:
    return "\n".join(f"{finding.seq}: {finding.text}" for finding in result.false)


def test_honest_evidence_is_proven(story: Story, tmp_path: Path) -> None:
    """Every weight, answer, plan and variant of the epochs that ended; twice the same text."""
    depot = published(story, story.entries, tmp_path)
    result = checked(story, depot)
    assert result.false == ()
    rounds = EPOCHS * ROUNDS
    assert dict(result.proven) == {
        "answers signed by their miners": 3 * rounds,
        "commitments name the journal's head": EPOCHS + 1,
        "commitments stand on chain": EPOCHS + 1,
        "epochs with a committed seed": EPOCHS,
        "metagraphs of snapshots, settings and drawn rounds are the chain's": 2 + 2 * EPOCHS,
        "rounds planned by their epoch's seed": rounds - 1,
        "rounds whose variants follow from the media and the seed": rounds,
        "scores": 3 * (rounds - 1),
        "scores of uncommitted rounds": 3,
        "settings of weights are of the blocks that the journal says": EPOCHS,
        "settings of weights follow from the scores": EPOCHS,
        "settings of weights stand on chain": EPOCHS,
    }
    assert [finding.text for finding in result.unproven] == ["plans: the seed was not committed"]
    assert text_of(checked(story, Depot(str(tmp_path)))) == text_of(result)


def answer_changed(entry: Entry, body: Body) -> Body:
    if is_round(entry, body):
        row = body["outcomes"][0]
        row["p_synthetic"] = 1.0 - row["p_synthetic"]
    return body


def row_dropped(entry: Entry, body: Body) -> Body:
    if is_round(entry, body):
        del body["outcomes"][1]
    return body


def two_rows_swapped(entry: Entry, body: Body) -> Body:
    if is_round(entry, body):
        body["outcomes"][:2] = reversed(body["outcomes"][:2])
    return body


def two_rounds_swapped(entry: Entry, body: Body) -> Body:
    if is_round(entry, body, ROUND_AT) or is_round(entry, body, ROUND_AT + 1):
        body["number"] = 2 * ROUND_AT + 1 - body["number"]
    return body


def two_hotkeys_swapped(entry: Entry, body: Body) -> Body:
    if is_round(entry, body):
        first, second, *_ = body["outcomes"]
        for name in ("p_synthetic", "signature", "nonce", "query"):
            first[name], second[name] = second[name], first[name]
    return body


def favourite_invented(entry: Entry, body: Body) -> Body:
    for row in body.get("outcomes", ()):
        if row["hotkey"] == min(BY_ADDRESS):
            row["p_synthetic"] = float(body["label"])
            envelope = Envelope(row["nonce"], row["query"], VALIDATOR.ss58_address, row["hotkey"])
            text = reply_text(envelope, row["p_synthetic"], row["detector"], "")
            row["signature"] = "0x" + VALIDATOR.sign(text).hex()  # the only key that the validator has
    return body


def favourite_quoted(story: Story) -> Change:
    """The favourite's right answer of one round stands in another round, too."""
    rounds = [json.loads(e.body) for e in story.entries if e.kind == ROUND]
    hotkey = next(
        h for h in BY_ADDRESS if sum(row["hotkey"] == h for body in rounds[1:] for row in body["outcomes"]) >= 2
    )
    rows = [(body["number"], row) for body in rounds[1:] for row in body["outcomes"] if row["hotkey"] == hotkey]
    (_, source), (target, _) = rows[:2]

    def change(entry: Entry, body: Body) -> Body:
        if is_round(entry, body, target):
            body["outcomes"] = [dict(source) if row["hotkey"] == hotkey else row for row in body["outcomes"]]
        return body

    return change


def label_flipped(entry: Entry, body: Body) -> Body:
    if is_round(entry, body):
        body["label"] = 1 - body["label"]
    return body


def marked_void(entry: Entry, body: Body) -> Body:
    if is_round(entry, body):
        body["void"] = "nobody was heard"
    return body


def seed_chosen(entry: Entry, body: Body) -> Body:
    """Epoch 1 gets another secret, and both of its commitments say so."""
    secret = bytes(32)
    if entry.kind == COMMITMENT and body["epoch"] == 1:
        body["commitment"] = commit_of(secret, 1, NETUID, VALIDATOR.ss58_address)
    if entry.kind == COMMITMENT and body["epoch"] == 2:
        body["revealed"] = secret.hex()
    return body


def secret_exchanged(entry: Entry, body: Body) -> Body:
    if entry.kind == COMMITMENT and body["epoch"] == 2:
        body["revealed"] = bytes(32).hex()
    return body


def block_hash_exchanged(entry: Entry, body: Body) -> Body:
    if entry.kind == COMMITMENT and body["epoch"] == 1:
        body["block_hash"] = "0x" + bytes(32).hex()
    return body


def another_variant(entry: Entry, body: Body) -> Body:
    """The miner saw, and signed for, something else than the seed gives."""
    if is_round(entry, body):
        row = body["outcomes"][0]
        row["query"] = hashlib.sha256(b"an easier picture").hexdigest()
        envelope = Envelope(row["nonce"], row["query"], VALIDATOR.ss58_address, row["hotkey"])
        text = reply_text(envelope, row["p_synthetic"], row["detector"], "")
        row["signature"] = "0x" + BY_ADDRESS[row["hotkey"]][0].sign(text).hex()
    return body


def weights_moved(entry: Entry, body: Body) -> Body:
    if entry.kind == SETTING and body["attempt"] == 1:
        first, second, *_ = body["weights"]
        body["weights"][first], body["weights"][second] = body["weights"][second], body["weights"][first]
    return body


def weights_elsewhere(entry: Entry, body: Body) -> Body:
    """Other weights were sent than were set."""
    if entry.kind == WEIGHTS and body["attempt"] == 1:
        body["weights"] = {"3": 1.0}
    return body


def epoch_left_out(story: Story) -> Change:
    """Everything from commitment 1 to before commitment 2, whose number and the rounds' close the gap."""
    numbers = [json.loads(e.body)["epoch"] for e in story.entries if e.kind == COMMITMENT]
    epoch = -1

    def change(entry: Entry, body: Body) -> Body | None:
        nonlocal epoch
        if entry.kind == COMMITMENT:
            epoch = body["epoch"]
        if epoch == numbers[1]:
            return None
        if epoch > 1:
            body["epoch"] = body["epoch"] - 1 if "epoch" in body else body.get("epoch")
            if entry.kind == ROUND:
                body["number"] -= ROUNDS
            elif entry.kind != COMMITMENT:
                body.pop("epoch", None)
        return body

    return change


FORGERIES: dict[str, tuple[Change, str]] = {
    "an answer changed": (answer_changed, "is not signed by it"),
    "a row dropped": (row_dropped, "who had to be asked are missing"),
    "two rows swapped": (two_rows_swapped, "stand in another order than the seed gives"),
    "two rounds swapped": (two_rounds_swapped, "round 6 comes after round 7"),
    "two answers swapped": (two_hotkeys_swapped, "is not signed by it"),
    "a favourite's answers invented": (favourite_invented, f"the answer of {min(BY_ADDRESS)} is not signed by it"),
    "a label flipped": (label_flipped, "is not what its epoch's seed gives: label is"),
    "a bad round marked void": (marked_void, "beside answers that were heard, so it counts"),
    "a seed chosen after the fact": (seed_chosen, "commitment 1 does not stand on chain"),
    "a secret exchanged": (secret_exchanged, "does not open commitment 1"),
    "a block's hash exchanged": (block_hash_exchanged, "the hash of block"),
    "another variant sent": (another_variant, "1 were sent another variant"),
    "weights that do not follow": (weights_moved, "weights of 2 differ"),
    "other weights sent": (weights_elsewhere, "the weights that were sent are not those of the setting"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_named(story: Story, tmp_path: Path, name: str) -> None:
    """However carefully scores and hashes are made new: what is wrong is said, and that the chain holds another head."""
    change, expected = FORGERIES[name]
    result = falsified(story, tmp_path, change, media=name == "another variant sent")
    assert expected in texts(result)
    assert "names another entry" in texts(result)


def test_an_answer_given_once_counts_once(story: Story, tmp_path: Path) -> None:
    """A right answer quoted in a later round is signed, and still found without its media."""
    result = falsified(story, tmp_path, favourite_quoted(story))
    assert "was given to an earlier request" in texts(result)


def test_an_epoch_left_out_is_found_on_chain(story: Story, tmp_path: Path) -> None:
    """The journal closes over the gap; the chain's commitments do not."""
    result = falsified(story, tmp_path, epoch_left_out(story))
    assert "an epoch is left out" in texts(result) or "does not stand on chain" in texts(result)


def test_a_part_left_out_is_named(story: Story, tmp_path: Path) -> None:
    """The manifest without one of its parts: which entries lack."""
    depot = published(story, story.entries, tmp_path)
    manifest = depot.manifest()
    assert manifest is not None
    left_out = manifest.parts[2]
    parts = tuple(part for part in manifest.parts if part != left_out)
    depot.write(MANIFEST, manifest.model_copy(update={"parts": parts}).model_dump_json().encode())
    assert f"entries {left_out.first}-{left_out.last} are missing" in texts(checked(story, depot))


def test_an_answer_changed_without_care_breaks_the_chain_of_hashes(story: Story, tmp_path: Path) -> None:
    """Where hashes are left as they were, the entry is named."""
    entries = list(story.entries)
    place = next(i for i, e in enumerate(entries) if is_round(e, json.loads(e.body)))
    changed = json.dumps(answer_changed(entries[place], json.loads(entries[place].body)))
    entries[place] = Entry(entries[place].seq, ROUND, changed, entries[place].hash)
    result = checked(story, published(story, entries, tmp_path))
    assert f"{place + 1}: it does not follow from the one before: its hash differs" in texts(result)


@pytest.mark.parametrize("listed", [False, True])
def test_media_exchanged_are_found(story: Story, tmp_path: Path, listed: bool) -> None:
    """One item's file under another's name, whether or not the manifest is made to fit."""
    depot = published(story, story.entries, tmp_path)
    manifest = depot.manifest()
    assert manifest is not None
    one, other, *rest = manifest.media
    data = depot.media(other)
    depot.write(one.file, data)
    if listed:
        fitting = one.model_copy(update={"size": len(data), "sha256": hashlib.sha256(data).hexdigest()})
        changed = manifest.model_copy(update={"media": (fitting, other, *rest)})
        depot.write(MANIFEST, changed.model_dump_json().encode())
    expected = "not what its name says" if listed else "is not the file that the manifest lists"
    (finding,) = checked(story, depot).false
    assert expected in finding.text


def test_weights_that_stand_on_chain_are_compared(story: Story, tmp_path: Path) -> None:
    """A journal that is right in itself, and another validator's weights on chain: every setting is false."""
    depot = published(story, story.entries, tmp_path)

    class Elsewhere(MemoryChain):
        async def weights(self, uid: int, *, at: int | None = None) -> dict[int, int]:
            return {1: 65535}

    result = check(depot, lambda _: Elsewhere(story.subnet, VALIDATOR.ss58_address), ThreadPoolExecutor(1))
    assert [f.text.partition(" in block")[0] for f in result.false] == ["other weights stand on chain"] * EPOCHS


def test_labels_are_what_media_were_drawn_for(story: Story) -> None:
    """Both labels were asked, so the forgeries above had something to change."""
    labels = {json.loads(e.body)["label"] for e in story.entries if e.kind == ROUND}
    assert labels == {int(label) for label in Label}
