"""What is recorded of every round, and how anyone computes the scores again from it.

Schema 3. Rounds of schemas 1 and 2 have no epoch, item, nonces and signatures, and no records of rules, snapshots,
settings and commitments before them: their scores replay, more cannot be proven of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter

from subnet.codec.versions import codec_versions
from subnet.errors import JournalBroken
from subnet.evidence.entry import Entry
from subnet.game import epochs
from subnet.game.history import History, begin_averages
from subnet.game.sampling import Sampling
from subnet.game.scoring import ALPHA, SMOOTHING, retain, settle
from subnet.game.step import Draw, Round
from subnet.types import Failure, Label, Modality, Outcome, Prediction, Provenance, Reply, Snapshot, Submission
from subnet.wire.synapse import REPLY_VERSION

ROUND, WEIGHTS, DEPARTED = "round", "weights", "departed"
RULES, SNAPSHOT, SETTING, COMMITMENT = "rules", "snapshot", "setting", "commitment"


class Written(BaseModel):
    """A part of a journal body: written by one program and read by another, perhaps years later."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Record(Written):
    """A journal body. `state` is the sha256 of the stored state after it; version 0.1.0 wrote none."""

    state: str = ""


class OutcomeRecord(Written):
    """One hotkey in one round. Exactly one of `p_synthetic` and `failure` is set; `score` is the one after it."""

    hotkey: str
    p_synthetic: float | None
    failure: Failure | None
    latency: float  # seconds
    status: int | None
    reason: str
    detector: str | None
    weights_hash: str | None
    query: str  # sha256 of the body that this hotkey was sent
    score: float
    nonce: int | None = None  # of the request that was answered
    signature: str = ""  # the miner's over `subnet.wire.synapse.reply_text`, 0x and hex; "" beside a failure
    label: Label | None = None  # the truth about what this hotkey was asked, where it is not the round's: twin rounds

    def truth(self, label: Label) -> Label:
        """The truth about what this hotkey was asked in a round of `label`."""
        return label if self.label is None else self.label

    def correct(self, label: Label) -> bool:
        """Whether the answer names the truth in a round of `label`; a failure never does."""
        return self.p_synthetic is not None and Prediction(self.p_synthetic).label is self.truth(label)


class RoundRecord(Record):
    """One round: plan, provenance and outcomes. `void` says why it does not count, "" when it does.

    `block` is the snapshot's. `epoch` names the commitment that the plan's seed follows from, None where nothing was
    committed. `item` is the content hash of the pool's item, "" where none was drawn.
    """

    number: int
    block: int
    modality: Modality
    label: Label
    origin: str
    level: int
    seed: int
    provenance: dict[str, Any] | None
    void: str
    outcomes: tuple[OutcomeRecord, ...]
    epoch: int | None = None
    item: str = ""


class SettingRecord(Record):
    """Weights about to be sent, by hotkey, as they follow from the scores at this entry. `block` is the snapshot's."""

    block: int
    attempt: int  # counts from 0 in each run of the validator
    weights: dict[str, float]


class WeightsRecord(Record):
    """What became of one attempt to set weights, by uid."""

    block: int
    weights: dict[int, float]
    submission: Submission
    code: str | None
    message: str
    attempt: int | None = None  # of the setting before it; None where nothing was sent


class RulesRecord(Record):
    """What a validator plays by, from this entry on."""

    netuid: int
    hotkey: str  # the validator's
    sampling: dict[str, Any]  # the fields of `Sampling`; origins by "image/real"
    vpermit_tao_limit: float
    min_answers: int
    alpha: float = ALPHA
    averaging: int = 0  # as in `Smoothing`; 0 in versions that did not average
    headroom: float = 1.0
    protocols: dict[str, str] = {}
    codecs: dict[str, str] = {}  # versions of what encodes variants: other ones may give other bytes


class NeuronRecord(Written):
    """One row of the metagraph, as far as the game depends on it."""

    uid: int
    hotkey: str
    coldkey: str
    stake: float  # TAO-equivalent
    permit: bool
    serves: bool  # an endpoint is published


class SnapshotRecord(Record):
    """The metagraph that what follows uses: the rows that changed, or all when `whole`; `size` neurons in all."""

    netuid: int
    block: int
    size: int
    whole: bool
    rows: tuple[NeuronRecord, ...]


class CommitmentRecord(Record):
    """A commitment to the secret of `epoch`, and what it says besides; see `subnet.game.epochs`.

    `block` is where it stands, `block_hash` that of the next one, which the epoch's seed follows from; both None where
    it does not stand, `refused` says why.
    """

    epoch: int
    commitment: str
    revealed: str | None  # the secret of the epoch before
    head: str  # hash of entry `seq`
    seq: int
    block: int | None = None
    block_hash: str | None = None
    refused: str = ""


class DepartedRecord(Record):
    """Hotkeys that left the subnet, whose history ends here."""

    block: int
    hotkeys: tuple[str, ...]


def record(played: Round[Draw], epoch: int | None = None, item: str = "") -> RoundRecord:
    """What is written of a round; `epoch` and `item` as in `RoundRecord`."""
    plan = played.plan
    return RoundRecord(
        number=plan.number,
        block=played.block,
        modality=plan.modality,
        label=plan.label,
        origin=plan.origin,
        level=plan.level,
        seed=plan.seed,
        provenance=_provenance(played.sample.provenance) if played.sample else None,
        void=played.void,
        outcomes=tuple(
            _outcome(outcome, reply, query, played.history[outcome.hotkey].score, plan.label)
            for outcome, reply, query in zip(played.outcomes, played.replies, played.queries, strict=True)
        ),
        epoch=epoch,
        item=item,
    )


def _provenance(provenance: Provenance) -> dict[str, Any]:
    return {**vars(provenance), "parameters": dict(provenance.parameters)}


def _outcome(outcome: Outcome, reply: Reply, query: str, score: float, label: Label) -> OutcomeRecord:
    answer = outcome.answer
    return OutcomeRecord(
        hotkey=outcome.hotkey,
        p_synthetic=answer.p_synthetic if isinstance(answer, Prediction) else None,
        failure=answer if isinstance(answer, Failure) else None,
        latency=outcome.latency,
        status=reply.status,
        reason=reply.reason[:200],
        detector=reply.detector,
        weights_hash=reply.weights_hash,
        query=query,
        score=score,
        nonce=reply.nonce,
        signature=reply.signature,
        label=None if outcome.label is label else outcome.label,
    )


def setting_record(snapshot: Snapshot, weights: Mapping[int, float], attempt: int) -> SettingRecord:
    """What is written before `weights` (by uid) are sent."""
    hotkeys = {neuron.uid: neuron.hotkey for neuron in snapshot.neurons}
    named = {hotkeys[uid]: weight for uid, weight in weights.items()}
    return SettingRecord(block=snapshot.block, attempt=attempt, weights=named)


def rules_record(
    netuid: int, hotkey: str, sampling: Sampling, *, vpermit_tao_limit: float, min_answers: int
) -> RulesRecord:
    """What is written of the rules that validator `hotkey` plays by, with the versions of this program's parts."""
    return RulesRecord(
        netuid=netuid,
        hotkey=hotkey,
        sampling=dump_sampling(sampling),
        vpermit_tao_limit=vpermit_tao_limit,
        min_answers=min_answers,
        averaging=SMOOTHING.averaging,
        headroom=SMOOTHING.headroom,
        protocols={"reply": REPLY_VERSION, "epoch": epochs.PROTOCOL},
        codecs=codec_versions(),
    )


_ORIGINS = TypeAdapter(dict[str, dict[str, float]])


def dump_sampling(sampling: Sampling) -> dict[str, Any]:
    """All fields as JSON."""
    plain = {field.name: getattr(sampling, field.name) for field in fields(sampling)}
    origins = {f"{m}/{label.name.lower()}": dict(shares) for (m, label), shares in sampling.origins.items()}
    return {**plain, "level_weights": list(sampling.level_weights), "origins": origins}


def load_sampling(entry: Entry, plain: Mapping[str, Any]) -> Sampling:
    """What `dump_sampling` wrote. Raises JournalBroken for anything else, such as a field of a newer version."""
    try:
        origins = {
            (Modality(modality), Label[label.upper()]): shares
            for kind, shares in _ORIGINS.validate_python(plain["origins"]).items()
            for modality, _, label in [kind.partition("/")]
        }
        return Sampling(**{**plain, "level_weights": tuple(plain["level_weights"]), "origins": origins})
    except (KeyError, TypeError, ValueError) as error:
        raise JournalBroken(f"entry {entry.seq} has rules that this version does not know: {error!r}") from error


RecordT = TypeVar("RecordT", bound=Record)


def read_record(kind: type[RecordT], entry: Entry) -> RecordT:
    """The body of an entry as a record. Raises JournalBroken where it is none."""
    try:
        return kind.model_validate_json(entry.body)
    except ValueError as error:
        raise JournalBroken(f"entry {entry.seq} is no {kind.__name__}: {error}") from error


def outcomes(played: RoundRecord) -> list[Outcome]:
    """The outcomes of a recorded round, as they were judged."""
    return [
        Outcome(
            row.hotkey,
            str(played.number),
            played.modality,
            row.truth(played.label),
            row.failure or Prediction(row.p_synthetic if row.p_synthetic is not None else -1),
            row.latency,
            played.block,
        )
        for row in played.outcomes
    ]


@dataclass(frozen=True)
class Replay:
    """What came of computing everything again."""

    rounds: int
    void: int
    weights: int  # attempts to set them
    history: History
    next_round: int = 0  # behind the last one that was played


def replay(entries: Iterable[Entry]) -> Replay:
    """Play recorded rounds through the rules again. Raises JournalBroken where a score differs by a bit.

    Averages begin with the first rules that have them: what older versions played counts by its scores.
    """
    averages = False
    history, rounds, void, weights, next_round = History(), 0, 0, 0, 0
    for entry in entries:
        if entry.kind == DEPARTED:
            departed = read_record(DepartedRecord, entry)
            history = retain(history, frozenset(history.standings) - set(departed.hotkeys))
        elif entry.kind == RULES and not averages and read_record(RulesRecord, entry).averaging:
            averages, history = True, begin_averages(history)
        elif entry.kind == ROUND:
            played = read_record(RoundRecord, entry)
            rounds, void, next_round = rounds + 1, void + bool(played.void), played.number + 1
            history = settle(history, [] if played.void else _judged(entry, played))
            _compare(entry, played, history)
        weights += entry.kind == WEIGHTS
    return Replay(rounds, void, weights, history, next_round)


def _judged(entry: Entry, played: RoundRecord) -> list[Outcome]:
    try:
        return outcomes(played)
    except ValueError as error:
        raise JournalBroken(f"entry {entry.seq} has an answer that no miner can give: {error}") from error


def _compare(entry: Entry, played: RoundRecord, history: History) -> None:
    for row in played.outcomes:
        computed = history[row.hotkey].score
        if row.score != computed:
            raise JournalBroken(f"entry {entry.seq}: {row.hotkey} has the score {row.score}, the rules give {computed}")
