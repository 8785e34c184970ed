"""Twin rounds: a part of the miners is asked a photograph, the others what a generator made of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import generators
from neurons.validator.challenge_source import draw_challenge
from subnet.errors import SettingsError
from subnet.evidence.entries.entry import Entry
from subnet.evidence.findings import Verdict
from subnet.evidence.planning import halves
from subnet.evidence.proof.variants import check_variants
from subnet.evidence.records import (
    ROUND,
    RULES,
    RoundRecord,
    dump_sampling,
    load_sampling,
    outcomes,
    record,
    rules_record,
)
from subnet.evidence.replay import replay
from subnet.game.history import History
from subnet.game.sampling import RoundPlan, Sampling, plan
from subnet.game.step import Round, step
from subnet.game.variant import variant
from subnet.media import embedded
from subnet.media.embedded.source import EmbeddedSource, original_of
from subnet.media.pool.pool import Drawn, Pool
from subnet.types import (
    Challenge,
    Hyperparameters,
    Label,
    Media,
    Modality,
    Neuron,
    Prediction,
    Provenance,
    Query,
    Sample,
    Snapshot,
    Split,
)
from subnet.wire.memory import MemoryTransport

ORIGINS = {(modality, label): {f"{modality}-{label.name}": 1.0} for modality in Modality for label in Label}
PLAIN = Sampling(origins=ORIGINS)
TWINS = replace(PLAIN, twin_share=0.3)
NEURONS = tuple(Neuron(uid, f"hotkey-{uid:02d}", "cold", 0.0, False) for uid in range(40))
ENTRY = Entry(1, "rules", "{}", "")


@given(st.integers(0, 2**64), st.integers(0, 10_000), st.floats(0, 1))
def test_other_rounds_stay_as_they_are(seed: int, number: int, share: float) -> None:
    """Twin rounds change label and origin of some rounds, and who is asked what; never level, seed or hotkeys."""
    plain, twins = plan(seed, number, PLAIN, NEURONS), plan(seed, number, replace(PLAIN, twin_share=share), NEURONS)
    if twins.real:
        assert (twins.label, twins.origin) == (Label.SYNTHETIC, f"{twins.modality}-SYNTHETIC")
        assert twins.real < set(twins.hotkeys) or len(twins.real) == len(twins.hotkeys)
    assert replace(twins, label=plain.label, origin=plain.origin, real=frozenset()) == plain
    assert share or twins == plain


def test_the_shares_are_kept() -> None:
    """About three of ten rounds are twin rounds, and half of all that are asked in them get the photograph."""
    plans = [plan(7, number, TWINS, NEURONS) for number in range(2000)]
    twins = [p for p in plans if p.real]
    assert 0.25 < len(twins) / len(plans) < 0.35
    assert 0.48 < sum(len(p.real) for p in twins) / sum(len(p.hotkeys) for p in twins) < 0.52
    per_miner = Counter(hotkey for p in twins for hotkey in p.real)
    assert min(per_miner[n.hotkey] for n in NEURONS) > 0.4 * len(twins)


@given(st.integers(0, 2**64), st.integers(0, 1000), st.sets(st.sampled_from(NEURONS), min_size=1))
def test_nobodys_half_depends_on_others(seed: int, number: int, present: set[Neuron]) -> None:
    """Whoever else is registered, a hotkey is asked the same of both."""
    settings = replace(TWINS, twin_share=1.0)
    everybody, few = plan(seed, number, settings, NEURONS), plan(seed, number, settings, sorted(present, key=str))
    both = set(everybody.hotkeys) & set(few.hotkeys)
    assert everybody.real & both == few.real & both


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    """The message names the field."""
    with pytest.raises(SettingsError, match="twin_share"):
        Sampling(twin_share=share)


def test_rules_remember_twins_and_public_origins() -> None:
    """What the journal says of the sampling gives the same plans, also where it was written before there were twins."""
    settings = replace(TWINS, public=("image/real/celebs",))
    assert load_sampling(ENTRY, dump_sampling(settings)) == settings
    old = {key: value for key, value in dump_sampling(PLAIN).items() if key not in ("twin_share", "public")}
    assert load_sampling(ENTRY, old) == PLAIN


class Watched(EmbeddedSource):
    """The embedded set, which notes what a generator took."""

    def draw(self, modality: Modality, label: Label, rng: np.random.Generator) -> Sample:
        self.last = super().draw(modality, label, rng)
        return self.last


@pytest.mark.parametrize("name", ["ae-nearest", pytest.param("video-jitter", marks=pytest.mark.slow)])
def test_the_photograph_behind_a_twin_is_what_the_generator_saw(tmp_path: Path, name: str) -> None:
    """Pixel by pixel and with its provenance, from what the pool's item says alone."""
    source, pool = Watched(Split.TRAIN), Pool(tmp_path)
    generator = generators.load_generator(name, device="cpu", reals=source)
    stored = pool.put(generator.generate([""], np.random.default_rng(3))[0], stream="main", sequence=0)
    assert stored.item is not None
    twin = pool.read(stored.item)
    assert twin is not None
    original = original_of(twin)
    assert original is not None
    np.testing.assert_array_equal(original.media.frames, source.last.media.frames)
    assert (original.label, original.media.fps) == (Label.REAL, source.last.media.fps)
    assert original.provenance == source.last.provenance


def test_what_has_no_photograph_at_hand_has_no_twin() -> None:
    """Fakes of other sources, of a prompt alone, real media, and items that are not embedded."""
    media = Media(np.zeros((1, 8, 8, 3), np.uint8))
    crop = {"crop": [0, 0, 8, 8]}
    known = embedded.items(Modality.IMAGE)[0].id
    for label, about in [
        (Label.SYNTHETIC, Provenance("holiday", known, parameters=crop)),
        (Label.SYNTHETIC, Provenance("embedded", "", model="diffusion-tiny")),
        (Label.SYNTHETIC, Provenance("embedded", "no-such-item", parameters=crop)),
        (Label.SYNTHETIC, Provenance("embedded", known)),
        (Label.REAL, Provenance("embedded", known, parameters=crop)),
    ]:
        assert original_of(Sample(media, label, about)) is None


async def play(planned: RoundPlan, pool: Pool, sent: dict[str, Query]) -> Round[Drawn]:
    """One round against miners that always say synthetic, from a real pool."""

    def answer(neuron: Neuron, query: Query) -> Prediction:
        sent[neuron.hotkey] = query
        return Prediction(0.9)

    def draw(what: RoundPlan) -> Drawn:
        return draw_challenge(pool, what, substitute=False)

    snapshot = Snapshot(2, 5, NEURONS, Hyperparameters(tempo=360, weights_rate_limit=100))
    with ThreadPoolExecutor(2) as executor:
        return await step(planned, snapshot, History(), draw, MemoryTransport(answer), 5.0, executor)


async def test_each_half_is_asked_and_judged_by_its_own(tmp_path: Path) -> None:
    """A twin round from a real pool: bodies, outcomes, record and replay each follow the hotkey's own truth."""
    pool = Pool(tmp_path)
    generator = generators.load_generator("ae-nearest", device="cpu", reals=EmbeddedSource(Split.TRAIN))
    twin = generator.generate([""], np.random.default_rng(5))[0]
    pool.put(twin, stream="main", sequence=0)
    original = original_of(twin)
    assert original is not None
    origins = {**ORIGINS, (Modality.IMAGE, Label.SYNTHETIC): {"ae-nearest": 1.0}}
    settings = Sampling(origins=origins, video_share=0, twin_share=1.0, sample_size=12)
    planned, sent = plan(11, 0, settings, NEURONS), dict[str, Query]()
    played = await play(planned, pool, sent)
    assert 0 < len(planned.real) < 12
    for outcome, digest in zip(played.outcomes, played.queries, strict=True):
        real = outcome.hotkey in planned.real
        assert outcome.label is (Label.REAL if real else Label.SYNTHETIC)
        assert outcome.correct is not real
        challenge = Challenge("", original if real else twin, planned.seed, planned.level)
        assert sent[outcome.hotkey] == variant(challenge, outcome.hotkey)
        assert digest == hashlib.sha256(sent[outcome.hotkey].body).hexdigest()
    body = record(played)
    assert {row.hotkey for row in body.outcomes if row.label is Label.REAL} == planned.real
    assert [outcome.label for outcome in outcomes(body)] == [outcome.label for outcome in played.outcomes]
    rules = rules_record(2, "validator", settings, vpermit_tao_limit=1000.0, min_answers=1).model_dump_json()
    assert replay([Entry(1, RULES, rules, ""), Entry(2, ROUND, body.model_dump_json(), "")]).history == played.history
    assert list(check_variants(2, body, twin, original)) == []
    check_forgeries(body, settings, twin, original)


def check_forgeries(body: RoundRecord, settings: Sampling, twin: Sample, original: Sample) -> None:
    """Every way to turn a label of a twin round is found, and so is what was sent of the other half."""
    assert halves(body, settings) == ""
    first = body.outcomes[0]
    turned = first.model_copy(update={"label": Label.REAL if first.label is None else None})
    forged = body.model_copy(update={"outcomes": (turned, *body.outcomes[1:])})
    assert f"label of the other half, first {first.hotkey}" in halves(forged, settings)
    assert [finding.verdict for finding in check_variants(2, forged, twin, original)] == [Verdict.FALSE]
    assert "is no twin round" in halves(body, replace(settings, twin_share=0.0))
    assert "is no twin round" in halves(body, None)
    real = body.model_copy(update={"label": Label.REAL})
    row = first.model_copy(update={"label": Label.SYNTHETIC})
    assert "is no twin round" in halves(real.model_copy(update={"outcomes": (row,)}), settings)
    assert [finding.verdict for finding in check_variants(2, body, twin)] == [Verdict.UNPROVEN]


async def test_without_the_photograph_all_are_asked_the_same(tmp_path: Path) -> None:
    """A synthetic item of another source in a twin round is a plain round: one label, and it counts."""
    pool = Pool(tmp_path)
    media = Media(np.random.default_rng(2).integers(0, 256, (1, 32, 32, 3), np.uint8))
    sample = Sample(media, Label.SYNTHETIC, Provenance("photos", "x", model="sdxl"))
    pool.put(sample, stream="main", sequence=0)
    origins = {**ORIGINS, (Modality.IMAGE, Label.SYNTHETIC): {"sdxl": 1.0}}
    planned = plan(11, 0, Sampling(origins=origins, video_share=0, twin_share=1.0), NEURONS)
    played = await play(planned, pool, {})
    assert planned.real
    assert played.void == ""
    assert {outcome.label for outcome in played.outcomes} == {Label.SYNTHETIC}
    assert {row.label for row in record(played).outcomes} == {None}
