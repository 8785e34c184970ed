"""What is recorded of every round, of the rules, the metagraph, weights and commitments.

Schema 3. Rounds of schemas 1 and 2 have no epoch, item, nonces and signatures, and no records of rules, snapshots,
settings and commitments before them: their scores replay, more cannot be proven of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from subnet.codec.versions import codec_versions
from subnet.errors import JournalBroken
from subnet.evidence.entries.entry import Entry
from subnet.evidence.entries.lines import MAX_SEQ, first_wrong
from subnet.game import epochs
from subnet.game.sampling import Sampling
from subnet.game.scoring import ALPHA, SMOOTHING
from subnet.game.step import Draw, Round
from subnet.printing import printable
from subnet.types import U16, Failure, Label, Modality, Outcome, Prediction, Provenance, Reply, Snapshot, Submission
from subnet.wire.synapse import REPLY_VERSION

ROUND, WEIGHTS, DEPARTED = "round", "weights", "departed"
RULES, SNAPSHOT, SETTING, COMMITMENT = "rules", "snapshot", "setting", "commitment"


MAX_NEURONS: Final = 1024  # of a subnet, 4 times what the chain allows by default

Count = Annotated[int, Field(ge=0, le=MAX_SEQ)]
Block = Annotated[int, Field(ge=0, le=2**32 - 1)]
Uid = Annotated[int, Field(ge=0, le=U16)]
Word = Annotated[str, Field(max_length=200)]
Amount = Annotated[float, Field(ge=0, le=1e15)]  # so that no sum of them is infinite


class Written(BaseModel):
    """A part of a journal body: written by one program and read by another, perhaps years later.

    It may be a stranger's: every number has its bounds and is finite, so that whoever computes with it never fails.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Record(Written):
    """A journal body. `state` is the sha256 of the stored state after it; version 0.1.0 wrote none."""

    state: str = ""


class OutcomeRecord(Written):
    """One hotkey in one round. Exactly one of `p_synthetic` and `failure` is set; `score` is the one after it."""

    hotkey: Word
    p_synthetic: float | None
    failure: Failure | None
    latency: Amount  # seconds
    status: Count | None
    reason: Word
    detector: Word | None
    weights_hash: Word | None
    query: Word  # sha256 of the body that this hotkey was sent
    score: float = Field(ge=-1, le=1)
    nonce: int | None = Field(default=None, ge=0, lt=2**64)  # of the request that was answered
    signature: Word = ""  # the miner's over `subnet.wire.synapse.reply_text`, 0x and hex; "" beside a failure
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

    number: Count
    block: Block
    modality: Modality
    label: Label
    origin: Word
    level: int = Field(ge=0, le=3)
    seed: int = Field(ge=0, lt=2**64)
    provenance: dict[str, Any] | None
    void: str
    outcomes: tuple[OutcomeRecord, ...] = Field(fail_fast=True, max_length=MAX_NEURONS)
    epoch: Count | None = None
    item: Word = ""


class SettingRecord(Record):
    """Weights about to be sent, by hotkey, as they follow from the scores at this entry. `block` is the snapshot's."""

    block: Block
    attempt: Count  # counts from 0 in each run of the validator
    weights: dict[str, Amount] = Field(max_length=MAX_NEURONS)


class WeightsRecord(Record):
    """What became of one attempt to set weights, by uid."""

    block: Block
    weights: dict[Uid, Amount] = Field(max_length=MAX_NEURONS)
    submission: Submission
    code: str | None
    message: str
    attempt: Count | None = None  # of the setting before it; None where nothing was sent


class RulesRecord(Record):
    """What a validator plays by, from this entry on."""

    netuid: Uid
    hotkey: Word  # the validator's
    sampling: dict[str, Any]  # the fields of `Sampling`; origins by "image/real"
    vpermit_tao_limit: float = Field(ge=0)
    min_answers: Count
    alpha: float = ALPHA
    averaging: Count = 0  # as in `Smoothing`; 0 in versions that did not average
    headroom: float = 1.0
    share_places: bool = False  # miners that answer alike share one place: see `subnet.game.places`
    protocols: dict[str, str] = {}
    codecs: dict[str, str] = {}  # versions of what encodes variants: other ones may give other bytes


class NeuronRecord(Written):
    """One row of the metagraph, as far as the game depends on it."""

    uid: Uid
    hotkey: Word
    coldkey: Word
    stake: Amount  # TAO-equivalent
    permit: bool
    serves: bool  # an endpoint is published


class SnapshotRecord(Record):
    """The metagraph that what follows uses: the rows that changed, or all when `whole`; `size` neurons in all."""

    netuid: Uid
    block: Block
    size: int = Field(ge=0, le=MAX_NEURONS)
    whole: bool
    rows: tuple[NeuronRecord, ...] = Field(fail_fast=True, max_length=MAX_NEURONS)


class CommitmentRecord(Record):
    """A commitment to the secret of `epoch`, and what it says besides; see `subnet.game.epochs`.

    `block` is where it stands, `block_hash` that of the next one, which the epoch's seed follows from; both None where
    it does not stand, `refused` says why.
    """

    epoch: Count
    commitment: str
    revealed: str | None  # the secret of the epoch before
    head: str  # hash of entry `seq`
    seq: Count
    block: int | None = Field(default=None, ge=1, le=2**32 - 1)
    block_hash: str | None = Field(default=None, pattern=r"^(0x)?[0-9a-fA-F]{64}$")
    refused: str = ""


class DepartedRecord(Record):
    """Hotkeys that left the subnet, whose history ends here."""

    block: Block
    hotkeys: tuple[Word, ...] = Field(max_length=MAX_NEURONS)


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
        provenance=dump_provenance(played.sample.provenance) if played.sample else None,
        void=played.void,
        outcomes=tuple(
            _outcome(outcome, reply, query, played.history[outcome.hotkey].score, plan.label)
            for outcome, reply, query in zip(played.outcomes, played.replies, played.queries, strict=True)
        ),
        epoch=epoch,
        item=item,
    )


def dump_provenance(provenance: Provenance) -> dict[str, Any]:
    """All fields as JSON."""
    return {**vars(provenance), "parameters": dict(provenance.parameters)}


def _outcome(outcome: Outcome, reply: Reply, query: str, score: float, label: Label) -> OutcomeRecord:
    answer = outcome.answer
    return OutcomeRecord(
        hotkey=outcome.hotkey,
        p_synthetic=answer.p_synthetic if isinstance(answer, Prediction) else None,
        failure=answer if isinstance(answer, Failure) else None,
        latency=outcome.latency,
        status=reply.status,
        reason=printable(reply.reason)[:200],
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
    netuid: int,
    hotkey: str,
    sampling: Sampling,
    *,
    vpermit_tao_limit: float,
    min_answers: int,
    share_places: bool = False,
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
        share_places=share_places,
        protocols={"reply": REPLY_VERSION, "epoch": epochs.PROTOCOL},
        codecs=codec_versions(),
    )


class _SamplingRecord(Written):
    """The fields of `Sampling`, whose own bounds are its own to check; origins by "image/real"."""

    video_share: float = Sampling.video_share
    synthetic_share: float = Sampling.synthetic_share
    level_weights: tuple[Amount, Amount, Amount, Amount] = Sampling.level_weights
    sample_size: Count = Sampling.sample_size
    origins: dict[str, dict[str, Amount]]
    twin_share: float = Sampling.twin_share
    public: tuple[str, ...] = ()


def dump_sampling(sampling: Sampling) -> dict[str, Any]:
    """All fields as JSON."""
    plain = {field.name: getattr(sampling, field.name) for field in fields(sampling)}
    origins = {f"{m}/{label.name.lower()}": dict(shares) for (m, label), shares in sampling.origins.items()}
    return {**plain, "level_weights": list(sampling.level_weights), "origins": origins}


def load_sampling(entry: Entry, plain: Mapping[str, Any]) -> Sampling:
    """What `dump_sampling` wrote. Raises JournalBroken for anything else, such as a field of a newer version."""
    try:
        known = _SamplingRecord.model_validate(plain)
        origins = {
            (Modality(modality), Label[label.upper()]): shares
            for kind, shares in known.origins.items()
            for modality, _, label in [kind.partition("/")]
        }
        if any(shares and sum(shares.values()) <= 0 for shares in origins.values()):
            raise ValueError("the shares of origins of one kind are all 0")
        return Sampling(**{**dict(known), "origins": origins})
    except ValidationError as error:
        why = first_wrong(error)
    except (KeyError, ValueError) as error:
        why = repr(error)
    raise JournalBroken(f"entry {entry.seq} has rules that this version does not know: {why}")


RecordT = TypeVar("RecordT", bound=Record)


def read_record(kind: type[RecordT], entry: Entry) -> RecordT:
    """The body of an entry as a record. Raises JournalBroken where it is none."""
    try:
        return kind.model_validate_json(entry.body, strict=True)
    except ValidationError as error:
        raise JournalBroken(f"entry {entry.seq} is no {kind.__name__}: {first_wrong(error)}") from error


def outcomes(played: RoundRecord) -> list[Outcome]:
    """The outcomes of a recorded round, as they were judged."""
    number = str(played.number)
    return [
        Outcome(
            row.hotkey,
            number,
            played.modality,
            row.truth(played.label),
            row.failure or Prediction(row.p_synthetic if row.p_synthetic is not None else -1),
            row.latency,
            played.block,
        )
        for row in played.outcomes
    ]
