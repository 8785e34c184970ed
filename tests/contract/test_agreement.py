"""Two validators that ask the same miners different things agree on chain, epoch after epoch, sealed or not."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import structlog

from neurons.chain_view import ChainView
from neurons.localnet.epochs import Paid, read_epochs, weighted
from neurons.settings import NeuronSettings
from neurons.validator.weight_setter import WeightSetter
from subnet.chain.devnode.keys import keypair
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.sealing import PAST_ROUND, PAST_SIGNATURE
from subnet.evidence.journal import Journal
from subnet.evidence.records import WEIGHTS, WeightsRecord
from subnet.evidence.state import State, StateStore
from subnet.game.scoring import settle
from subnet.types import Label, Modality, Outcome, Prediction, Submission
from tests.contract.chain_worlds import NodeWorld, node_world

TEMPO, EPOCHS, ROUNDS = 10, 30, 3  # blocks, epochs, rounds of each validator in a block
SKILL = {"//Best": 0.99, "//Good": 0.95, "//Fair": 0.9, "//Middling": 0.85, "//Weak": 0.8, "//Poor": 0.7}
GUESSERS = {"//Random": 0.5, "//Constant": 0.5}
MINERS = {keypair(uri).ss58_address: share for uri, share in {**SKILL, **GUESSERS}.items()}  # of right answers
VALIDATORS = tuple(keypair(uri).ss58_address for uri in ("//Val0", "//Val1"))
STAKES = dict(
    zip(VALIDATORS, (6000.0, 4000.0), strict=True)
)  # with equal ones both lead, and trust is 1 whatever they say
NEURONS = (*(GenesisNeuron(h, h, stake) for h, stake in STAKES.items()), *(GenesisNeuron(h, h) for h in MINERS))


class Playing:
    """One validator of the chain: its own rounds, journal and weights. Miners answer rightly as often as they can."""

    def __init__(self, world: NodeWorld, number: int, folder: Path, seal_round: int | None) -> None:
        log = structlog.get_logger()
        self.rng, self.number = np.random.default_rng(number), itertools.count()
        chain = world.chain(f"//Val{number}", seal_round=seal_round)
        self.journal = Journal(folder / f"{number}.db")
        self.store, self.view = StateStore(self.journal), ChainView(chain, log)
        settings = NeuronSettings(epoch_length=TEMPO // 2, vpermit_tao_limit=1000.0)
        self.setter = WeightSetter(chain, self.view, VALIDATORS[number], settings, self.store, log)

    def play(self, block: int) -> None:
        number = next(self.number)
        label, modality = Label(int(self.rng.integers(2))), Modality.IMAGE if number % 2 else Modality.VIDEO
        outcomes = []
        for hotkey, share in MINERS.items():
            right = self.rng.random() < share
            probability = 0.9 if right is (label is Label.SYNTHETIC) else 0.1
            outcomes.append(Outcome(hotkey, str(number), modality, label, Prediction(probability), 0.1, block))
        self.store.state = State(number + 1, settle(self.store.state.history, outcomes))

    async def turn(self) -> None:
        snapshot = await self.view.refresh()
        for _ in range(ROUNDS):
            self.play(snapshot.block)
        await self.setter.when_due()

    def attempts(self) -> Counter[Submission]:
        rows = [WeightsRecord.model_validate_json(entry.body) for entry in self.journal.entries(WEIGHTS)]
        return Counter(row.submission for row in rows)


async def agree(folder: Path, epochs: int, *, sealed: bool) -> tuple[list[Paid], list[Counter[Submission]]]:
    """The epochs as the chain tells them, and what became of each validator's attempts."""
    rules = Rules(tempo=TEMPO, weights_rate_limit=TEMPO // 4, commit_reveal=sealed)
    async with node_world(Genesis(34, NEURONS, rules)) as world:
        world.node.chain.beacon.publish(PAST_ROUND, PAST_SIGNATURE)
        playing = [Playing(world, number, folder, PAST_ROUND if sealed else None) for number in (0, 1)]
        await world.advance(1)
        while world.node.chain.head.number < epochs * TEMPO:
            for one in playing:
                await one.turn()
            await world.advance(1)
        paid = await read_epochs(world.chain("//Val0"), world.node.chain.head.number, TEMPO)
        attempts = [one.attempts() for one in playing]
        for one in playing:
            one.journal.close()
    return paid, attempts


def check(paid: list[Paid], attempts: list[Counter[Submission]]) -> None:
    for hotkey, counted in zip(VALIDATORS, attempts, strict=True):
        kept = weighted(paid, hotkey, TEMPO)
        assert len(kept) >= len(paid) - 2
        assert all(kept)  # new weights in every epoch since the first
        assert set(counted) == {Submission.OK}
        assert paid[-1].validator_trust[hotkey] > 0.9


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("sealed", [False, True], ids=["open", "commit-reveal"])
async def test_thirty_epochs_of_two_validators_and_eight_miners(tmp_path: Path, sealed: bool) -> None:
    """Weights in every epoch, none refused, incentives by skill, and trust above 0.9 in the last ten epochs."""
    paid, attempts = await agree(tmp_path, EPOCHS, sealed=sealed)
    assert len(paid) == EPOCHS
    check(paid, attempts)
    trust = [epoch.validator_trust[hotkey] for epoch in paid[-10:] for hotkey in VALIDATORS]
    last = paid[-1].incentive
    order = sorted(MINERS, key=lambda hotkey: -last[hotkey])
    assert min(trust) > 0.9, [round(one, 4) for one in trust]
    assert min(trust) < 1  # their rounds differ, and so do their weights
    ranks = np.corrcoef([MINERS[h] for h in MINERS], [last[h] for h in MINERS])[0, 1]
    assert ranks > 0.9
    assert set(order[-2:]) == {h for h, share in MINERS.items() if share == 0.5}
    assert sum(last.values()) == pytest.approx(1, abs=1e-3)
