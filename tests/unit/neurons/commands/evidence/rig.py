"""A small journal as a validator writes it, on a chain in memory, and ways to falsify it.

Everything is real but for sockets: keys and signatures, the pool and its media, variants, detectors, the validator's
loop, the chain's rules. Only the order of things is the test's, so that it takes a second or two.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from bittensor_core import Keypair

from detectors.baselines import Constant, Random
from neurons.chain_view import ChainView
from neurons.commands.evidence.verify import check
from neurons.settings import NeuronSettings
from neurons.validator.challenge_source import draw_challenge
from neurons.validator.loop import Partners, ValidatorLoop
from neurons.validator.low_water import check_low_water
from neurons.validator.onchain.epochs import Epochs, Seeds, Uncommitted
from neurons.validator.run import retire
from neurons.validator.settings import ValidatorSettings
from neurons.validator.weight_setter import WeightSetter
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.memory import MemoryChain, MemorySubnet
from subnet.codec.image import decode_image
from subnet.evidence.entries.entry import GENESIS, Entry, link
from subnet.evidence.findings import Verification
from subnet.evidence.journal import Journal
from subnet.evidence.proof.depot import Depot, publish
from subnet.evidence.reader import backup
from subnet.evidence.records import (
    ROUND,
    RoundRecord,
    RulesRecord,
    outcomes,
)
from subnet.evidence.state import StateStore
from subnet.game.history import History
from subnet.game.sampling import Sampling
from subnet.game.scoring import settle
from subnet.media.pool.kept import Kept
from subnet.media.pool.ledger import Ledger
from subnet.media.pool.pool import Pool
from subnet.types import Endpoint, Label, Modality, Neuron, Query, Reply, Submission
from subnet.wire.memory import MemoryTransport
from subnet.wire.synapse import Envelope, digest_of, read_answer, write_reply
from tests.unit.neurons.validator.test_loop import Watching
from tests.unit.subnet.media.pool.samples import make_sample

NETUID, EPOCHS, ROUNDS = 34, 4, 4
SAMPLING = Sampling(
    video_share=0.0,
    level_weights=(1, 1, 0, 0),
    sample_size=3,
    origins={(modality, label): {"here": 1.0} for modality in Modality for label in Label},
)
VALIDATOR = Keypair.create_from_uri("//validator")
MINERS = tuple(Keypair.create_from_uri(f"//miner{n}") for n in range(4))
DETECTORS = (Random("random"), Constant("constant", 1.0), Constant("constant", 0.0), Random("random"))
BY_ADDRESS = {key.ss58_address: (key, detector) for key, detector in zip(MINERS, DETECTORS, strict=True)}


@dataclass(frozen=True)
class Story:
    """A stopped validator's journal and kept media, and the chain it played on."""

    entries: tuple[Entry, ...]
    subnet: MemorySubnet
    kept: Kept
    journal: Path

    def chain(self, netuid: int = NETUID) -> MemoryChain:
        return MemoryChain(self.subnet, VALIDATOR.ss58_address)


class _Miners:
    """Answers every query as its miner: looks, judges, signs."""

    def __init__(self, block: int) -> None:
        self.nonce = (1_800_000_000 + block) * 10**9

    def answer(self, neuron: Neuron, query: Query) -> Reply:
        self.nonce += 1
        key, detector = BY_ADDRESS[neuron.hotkey]
        envelope = Envelope(self.nonce, digest_of(query.body), VALIDATOR.ss58_address, neuron.hotkey)
        (prediction,) = detector.predict([decode_image(query.body)])
        said = read_answer(write_reply(key, envelope, prediction.p_synthetic, detector.name, ""), envelope)
        assert said.body is not None
        return Reply(said.answer, 0.1, detector.name, None, 200, nonce=envelope.nonce, signature=said.body.signature)


Between = Callable[[int, MemorySubnet], Awaitable[None]]


async def nothing(epoch: int, subnet: MemorySubnet) -> None:
    """What happens on chain between the weights of an epoch and the next commitment."""


def tell(folder: Path, *, commit: bool = True, sealed: bool = False, between: Between = nothing) -> Story:
    """Play `EPOCHS` epochs of `ROUNDS` rounds, each with weights at its end: `sealed` ones, or in the open."""
    return asyncio.run(_tell(folder, commit, sealed, between))


async def _tell(folder: Path, commit: bool, sealed: bool, between: Between) -> Story:
    neurons = (
        GenesisNeuron(VALIDATOR.ss58_address, "v", 5000.0),
        *(GenesisNeuron(key.ss58_address, "m") for key in MINERS),
    )
    rules = Rules(tempo=11 if sealed else 10, weights_rate_limit=1, commit_reveal=sealed, allow_loopback=True)
    subnet = MemorySubnet(Genesis(NETUID, neurons, rules))
    await subnet.advance(11)
    for number, key in enumerate(MINERS):
        await MemoryChain(subnet, key.ss58_address).serve(Endpoint("127.0.0.1", 8000 + number))
    return await _run(folder, subnet, commit, between)


def went_on(folder: Path) -> Story:
    """A story whose newest journal is lost: a copy from the end of its second epoch went on with --neuron.forward."""

    async def copied(epoch: int, subnet: MemorySubnet) -> None:
        if epoch == 1:
            backup(folder / "lost" / "journal.db", folder / "copy")

    async def played() -> Story:
        lost = await _tell(folder / "lost", True, False, copied)
        return await _run(folder / "copy", lost.subnet, True, nothing)

    return asyncio.run(played())


async def _run(folder: Path, subnet: MemorySubnet, commit: bool, between: Between) -> Story:
    """Play epochs with the state in `folder`, on a chain that may know the validator."""
    journal = Journal(folder / "journal.db")
    store, chain = StateStore(journal), MemoryChain(subnet, VALIDATOR.ss58_address)
    await check_low_water(chain, VALIDATOR.ss58_address, journal, store, structlog.get_logger(), forward=True)
    view = ChainView(chain, structlog.get_logger())
    kept = Kept(folder / "kept", 10**9, 10**9)
    with ThreadPoolExecutor(2) as executor, Ledger(folder / "ledger.db") as ledger:
        pool = Pool(folder / "pool", ledger=ledger, floor=0)
        for n in range(EPOCHS * ROUNDS + 2):
            for label in Label:
                pool.put(make_sample(n + 100 * label, label=label, origin="here"), stream="main", sequence=n)
        draw = partial(draw_challenge, pool, substitute=True)
        partners = Partners(view, MemoryTransport(_Miners(subnet.block).answer), draw, partial(retire, pool, kept), executor)
        neuron = NeuronSettings(timeout=5, epoch_length=1, min_answers=1)
        settings = ValidatorSettings(NETUID, SAMPLING, neuron)
        hotkey, log = VALIDATOR.ss58_address, structlog.get_logger()
        seeds: Seeds = Uncommitted(7)
        if commit:
            seeds = Epochs(chain, view, hotkey, 7, folder / "epochs.json", store, log, netuid=NETUID, drawn=False)
        loop = ValidatorLoop(hotkey, settings, seeds, partners, store, Watching(), log)
        await view.refresh()
        await _play(loop, WeightSetter(chain, view, hotkey, neuron, store, log), subnet, between)
    story = Story(tuple(journal.entries()), subnet, kept, journal.path)
    journal.close()
    return story


async def _play(loop: ValidatorLoop, setter: WeightSetter, subnet: MemorySubnet, between: Between) -> None:
    view = loop.partners.view
    await loop.seeds.turn(0, may_send=False)
    await loop.play()
    for k in range(EPOCHS):
        await _begin_epoch(loop, setter, subnet)
        for _ in range(ROUNDS - (k == 0)):
            await loop.play()
        await subnet.advance(1)
        await view.refresh()
        await setter.when_due()
        assert setter.standing.attempts == {Submission.OK: k + 1}
        await subnet.advance(3)
        await between(k, subnet)
        await view.refresh()
    await _begin_epoch(loop, setter, subnet)
    await loop.play()


async def _begin_epoch(loop: ValidatorLoop, setter: WeightSetter, subnet: MemorySubnet) -> None:
    await loop.seeds.turn(setter.last, may_send=True)
    for _ in range(3):
        await subnet.advance(1)
        await loop.partners.view.refresh()
        await loop.seeds.turn(setter.last, may_send=True)


Body = dict[str, Any]


Change = Callable[[Entry, Body], Body | None]


def rewritten(entries: Sequence[Entry], change: Change) -> list[Entry]:
    """`entries` with bodies as `change` gives them, without those for which it gives None.

    The forger is careful: every score is computed again, and every hash.
    """
    after, previous, history = list[Entry](), GENESIS, History()
    for entry in entries:
        body = change(entry, json.loads(entry.body))
        if body is None:
            continue
        if entry.kind == ROUND:
            history = _rescored(body, history)
        text = entry.body if body == json.loads(entry.body) else json.dumps(body, separators=(",", ":"))
        fresh = Entry(len(after) + 1, entry.kind, text, link(previous, entry.kind, text))
        after.append(fresh)
        previous = fresh.hash
    return after


def _rescored(body: Body, history: History) -> History:
    played = RoundRecord.model_validate(body)
    history = settle(history, [] if played.void else outcomes(played))
    for row in body["outcomes"]:
        row["score"] = history[row["hotkey"]].score
    return history


def published(story: Story, entries: Sequence[Entry], folder: Path, *, media: bool = True) -> Depot:
    """What a validator with this journal publishes."""
    depot = Depot(folder)
    rules = next(RulesRecord.model_validate_json(e.body) for e in entries if e.kind == "rules")
    publish(depot, entries, rules, story.kept.read if media else None)
    return depot


def checked(story: Story, depot: Depot) -> Verification:
    return check(depot, story.chain, ThreadPoolExecutor(1))


def falsified(story: Story, folder: Path, change: Change, *, media: bool = False) -> Verification:
    """What a stranger finds in a journal that was rewritten so."""
    return checked(story, published(story, rewritten(story.entries, change), folder, media=media))
