"""One subnet played through: the rules of the game, the ledger of the development chain, and whoever plays.

Nothing is copied here: challenges come of `sampling.plan`, scores of `scoring.settle`, weights of `scoring.weights`,
and incentive and dividends of the chain's own epoch. What is modelled is the miners alone: how often a detector is
right, and what two of them have in common.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from neurons.lab.rules import LabRules
from neurons.lab.strategies import MIDDLE, STEPS, Key, Question, Strategy, honest_name
from neurons.lab.validators import Policy
from neurons.settings import VALIDATOR_STAKE
from subnet.chain.devnode.ledger import epoch as chain
from subnet.chain.devnode.ledger.genesis import Genesis, GenesisNeuron, Rules
from subnet.chain.devnode.ledger.rules import set_weights
from subnet.chain.devnode.ledger.state import Row, SubnetState, initial
from subnet.chain.weights import normalise_u16
from subnet.errors import SettingsError
from subnet.game import sampling, scoring
from subnet.game.history import History
from subnet.types import Endpoint, Hyperparameters, Label, Neuron, Outcome, Snapshot

NETUID = 1
STAKE = 10 * 1000.0  # TAO of each validator
AXON = Endpoint("192.0.2.1", 8091)  # of every miner: all of them serve


@dataclass
class Validator:
    """One validator between rounds."""

    number: int
    uid: int
    hotkey: str
    policy: Policy
    seed: int
    history: History = field(default_factory=History)
    labels: list[Label] = field(default_factory=list)
    void: int = 0  # rounds
    last: Mapping[int, float] = field(default_factory=dict)  # weights as it last set them
    ready: bool = False  # enough answers stand behind the scores


class Arena:
    """A subnet with its players. `play` moves it on by rounds; every validator plays each of them."""

    def __init__(self, rules: LabRules, cast: Sequence[Strategy], policies: Sequence[Policy], seed: int) -> None:
        """`cast` brings its keys in the order of the uids; what lacks to `rules.miners` is the caller's to fill."""
        self.rules, self.round = rules, 0
        self.rng, self._random = np.random.default_rng([seed, 1]), random.Random(seed)
        self.record: list[list[Outcome]] | None = None  # every round's outcomes, where somebody wants them
        self._settings, self._smoothing = rules.sampling, rules.smoothing
        self._apart = [2**0.5 * NormalDist().inv_cdf(auc) for auc in rules.size_auc]  # the labels' sizes, at each level
        names = [f"validator {n}" for n in range(len(policies))]
        self.keys = [
            Key(strategy, f"{strategy.name} {n}", 0, random.Random(f"{seed} {strategy.name} {n}"))
            for strategy in cast
            for n in range(strategy.keys)
        ]
        for uid, key in enumerate(self.keys, start=len(names)):
            key.uid = uid
        self._models = self._arrange()
        self.state = _beginning(rules, names, [key.hotkey for key in self.keys])
        self.validators = [
            Validator(n, n, name, policy, sampling.derive(seed, name))
            for n, (name, policy) in enumerate(zip(names, policies, strict=True))
        ]
        self._registered()

    def _arrange(self) -> NDArray[np.int64]:
        """Which model each key asks, and whose answers it may copy. Hangs on nothing but the cast."""
        first: dict[str, int] = {}
        models = []
        for n, key in enumerate(self.keys):
            models.append(first.setdefault(key.strategy.name, n) if key.strategy.one_model else n)
        able = [key for key in self.keys if key.strategy.name == honest_name(0.9)]
        for key in self.keys:
            if key.strategy.sources:
                key.sources = tuple(self._random.sample(able, min(len(able), key.strategy.sources)))
        return np.array(models)

    def _registered(self) -> None:
        """What follows from who is registered."""
        neurons = tuple(
            Neuron(uid, row.hotkey, row.coldkey, row.stake / 1e9, row.permit, AXON, row.last_update, row.registered_at)
            for uid, row in enumerate(self.state.rows)
        )
        limits = Hyperparameters(self.rules.tempo, self.rules.epoch_length)
        self.snapshot = Snapshot(NETUID, self.block, neurons, limits)
        self._place = {key.hotkey: n for n, key in enumerate(self.keys)}
        normal = NormalDist()
        self._levels = np.array([normal.inv_cdf(key.strategy.skill or 0.5) for key in self.keys])
        # Whom a validator may ask changes with the snapshot alone, since every miner serves.
        self._miners = {
            v.hotkey: sorted(
                sampling.eligible(self.snapshot, v.history, v.hotkey, VALIDATOR_STAKE), key=lambda n: n.hotkey
            )
            for v in self.validators
        }

    @property
    def block(self) -> int:
        return 1 + int(self.round * self.rules.blocks_a_round)

    def play(self, rounds: int) -> None:
        """So many rounds of every validator, with the chain's blocks, epochs and settings of weights in between."""
        for _ in range(rounds):
            before = self.block
            self._renew()
            for validator in self.validators:
                if validator.policy.asks:
                    self._ask(validator)
            self.round += 1
            if self.block // self.rules.epoch_length > before // self.rules.epoch_length:
                for validator in self.validators:
                    self._set(validator)
            if self.block >= self.state.next_epoch():
                self.state = chain.run_epoch(self.state, self.block)

    def _ask(self, validator: Validator) -> None:
        number = len(validator.labels)
        plan = sampling.plan(validator.seed, number, self._settings, self._miners[validator.hotkey])
        places = [self._place[hotkey] for hotkey in plan.hotkeys]
        keys = [self.keys[place] for place in places]
        labels = [plan.label] * len(keys)
        if plan.real:  # twin rounds have both
            labels = [Label.REAL if key.hotkey in plan.real else plan.label for key in keys]
        evidence = self._evidence(places, labels, plan.level)
        verdicts, past = dict(zip(plan.hotkeys, evidence, strict=True)), validator.labels
        questions = [
            Question(validator.number, number, plan.modality, plan.level, label, verdicts, past, size, self.rules)
            for label in Label
            for size in [self._size(label, plan.level)]
        ]
        name, block, outcomes = f"{number:08d}", self.block, []
        modality = plan.modality
        for key, label, own in zip(keys, labels, evidence, strict=True):
            answer = key.strategy.play(questions[label], key, own)
            outcomes.append(Outcome(key.hotkey, name, modality, label, answer, 0.0, block))
        validator.labels.append(plan.label)
        if self.record is not None:
            self.record.append(outcomes)
        validator.void += scoring.is_void(outcomes)
        validator.history = scoring.settle(validator.history, outcomes, self._smoothing)

    def _evidence(self, asked: Sequence[int], labels: Sequence[Label], level: int) -> list[int]:
        """What the detector of each key says to its variant, in steps; `asked` are places in `keys`.

        Normal, with the item's own hardness, the model's view of the item, and what the variant adds to it.
        """
        places, rng = np.array(asked), self.rng
        ways = 2.0 * np.array(labels) - 1  # the label that the evidence speaks for
        common, one = self.rules.items[level], self.rules.one_model[level]
        models = rng.standard_normal(len(self.keys))[self._models[places]]
        noise = rng.standard_normal(len(places))
        drawn = common**0.5 * rng.standard_normal() + (one - common) ** 0.5 * models + (1 - one) ** 0.5 * noise
        steps = np.floor(ways * (self._levels[places] + drawn) * STEPS).astype(np.int64) + MIDDLE
        clipped: list[int] = steps.clip(0, 2 * MIDDLE - 1).tolist()
        return clipped

    def _size(self, label: Label, level: int) -> float:
        return (label - 0.5) * self._apart[level] + self._random.gauss(0, 1)

    def _set(self, validator: Validator) -> None:
        neurons = self.snapshot.neurons
        if not validator.ready:
            answers = scoring.evidence(validator.history, neurons, VALIDATOR_STAKE)
            validator.ready = answers >= self.rules.min_answers or not validator.policy.asks
        if not validator.ready:
            return
        wanted = validator.policy.weights(self.state, validator.history, neurons, self._smoothing, self._random)
        if wanted:
            validator.last = wanted
            sent = normalise_u16(wanted)
            uids, values = list(sent), list(sent.values())
            self.state = set_weights(self.state, validator.hotkey, self.block, uids=uids, values=values, version_key=0)

    def _renew(self) -> None:
        """New hotkeys for those whose time has come: their uid starts anew, as after `burned_register`."""
        due = [key for key in self.keys if key.strategy.renew and self.round - key.since >= key.strategy.renew]
        for key in due:
            self.replace(key, key.strategy)
        if due:
            self._registered()

    def replace(self, key: Key, strategy: Strategy) -> None:
        """The uid of `key` goes to a new hotkey that plays `strategy`. Its model stays where it is."""
        rows = list(self.state.rows)
        for validator in self.validators:  # nobody else has bonds
            bonds = tuple(bond for bond in rows[validator.uid].bonds if bond[0] != key.uid)
            rows[validator.uid] = replace(rows[validator.uid], bonds=bonds)
        gone, place = key.hotkey, self._place[key.hotkey]
        hotkey = f"{key.strategy.name} {place} since {self.round}"
        rows[key.uid] = Row(hotkey, rows[key.uid].coldkey, registered_at=self.block)
        self.state = replace(self.state, rows=tuple(rows))
        self.keys[place] = Key(strategy, hotkey, key.uid, key.rng, self.round)
        for validator in self.validators:
            kept = frozenset(validator.history.standings) - {gone}
            validator.history = scoring.retain(validator.history, kept)

    def admit(self, keys: Sequence[Key], strategy: Strategy) -> None:
        """The uids of `keys` go to newcomers that play `strategy`."""
        for key in keys:
            self.replace(key, strategy)
        self._registered()

    def incentive(self) -> dict[str, float]:
        """Share of what the chain's last epoch paid to miners, by hotkey."""
        total = sum(row.incentive for row in self.state.rows)
        return {key.hotkey: self.state.rows[key.uid].incentive / total if total else 0.0 for key in self.keys}


def _beginning(rules: LabRules, validators: Sequence[str], miners: Sequence[str]) -> SubnetState:
    staked = [GenesisNeuron(name, f"cold {name}", STAKE) for name in validators]
    poor = [GenesisNeuron(name, f"cold {name}") for name in miners]
    limits = Rules(tempo=rules.tempo, weights_rate_limit=1, max_uids=len(staked) + len(poor))
    return initial(Genesis(NETUID, (*staked, *poor), limits))


def field_of(rules: LabRules, cast: Sequence[Strategy]) -> list[Strategy]:
    """`cast`, the room that `rules.miners` leaves shared out among its honest rows. Raises SettingsError if none."""
    room = rules.miners - sum(strategy.keys for strategy in cast)
    if room < 0:
        raise SettingsError(f"miners: {rules.miners} are too few for {rules.miners - room} keys of these strategies")
    upright = [strategy for strategy in cast if not strategy.means and strategy.skill is not None]
    more = {s.name: room // len(upright) + (n < room % len(upright)) for n, s in enumerate(upright)}
    return [replace(strategy, keys=strategy.keys + more.get(strategy.name, 0)) for strategy in cast]
