"""What a validator says while it runs: a log line and metrics per round, and JSON lines for a program that watches."""

from __future__ import annotations

import asyncio
import json as jsonlib
from collections import Counter as Counts
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from neurons.chain_view import ChainView
from neurons.log import Log, Notes
from neurons.settings import WandbSettings
from neurons.validator.monitors.aside import Aside, Fact, Sink
from neurons.validator.monitors.collector import HostCollector
from neurons.validator.monitors.serving import serve_metrics
from neurons.validator.monitors.wandb_sink import WandbSink, check_installed
from neurons.validator.thumbnails import Gallery
from neurons.validator.weight_setter import WeightsStanding
from subnet.errors import StateError
from subnet.evidence.state import State
from subnet.game.answer_table import RecentAnswers
from subnet.game.places import WINDOW
from subnet.game.step import Draw, Round
from subnet.media.pool.pool import Pool
from subnet.types import JSON, Failure

LAST_WORDS = 0.8  # seconds that a monitor has to take what waits, when the program ends
COMPARED_EVERY = 100  # rounds that count, between two looks for miners that answer alike


class Telemetry:
    """Counts and tells. With `json` every round is one line on standard output."""

    def __init__(
        self,
        json: bool,
        port: int | None,
        gallery: Path | None,
        log: Log,
        wandb: WandbSettings = WandbSettings(),
    ) -> None:
        """Raises SettingsError for a port that cannot be had, and where wandb is wanted and missing."""
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._json, self._log, self._notes = json, log, Notes(log)
        self._gallery = Gallery(gallery) if gallery else None
        self._failed = Counter("assay_failed_rounds", "Rounds that raised", registry=registry)
        self._rounds = Counter("assay_rounds", "Rounds played", ["modality", "label", "void"], registry=registry)
        self._answers = Counter("assay_answers", "Answers by kind", ["kind"], registry=registry)
        self._block = Gauge("assay_block", "Newest block seen", registry=registry)
        self._score = Gauge("assay_score", "Score by hotkey", ["hotkey"], registry=registry)
        self._attempts = Gauge("assay_weights_attempts", "Attempts to set weights", ["result"], registry=registry)
        self._weights_block = Gauge("assay_weights_block", "Block of the last weights", registry=registry)
        self._permit = Gauge("assay_permit", "1 with a validator permit", registry=registry)
        self._median_answers = Gauge("assay_median_answers", "Answers of the median miner", registry=registry)
        self._clusters = Gauge("assay_alike_clusters", "Groups of miners that answer alike", registry=registry)
        self._alike = Gauge("assay_alike_miners", "Miners in such groups", registry=registry)
        self._recent, self._counted = RecentAnswers(WINDOW), 0
        self._scored: set[str] = set()  # hotkeys whose score is told
        self._unrevealed = Gauge("assay_unrevealed_commits", "Sealed weights that never opened", registry=registry)
        self._wandb = wandb
        self.aside: Aside | None = None
        if wandb.on:
            check_installed()
        self._lost = Gauge("assay_monitor_lost", "Facts that a monitor elsewhere did not take", registry=registry)
        if port is not None:
            serve_metrics(port, registry)

    def watch(self, view: ChainView, pool: Pool, folder: Path) -> None:
        """From now on chain, pool and disks are told as they are when metrics are read; `folder` holds the state."""
        self._block.set_function(lambda: view.block)
        self.registry.register(HostCollector(lambda: view.age, pool.levels, {"state": folder, "pool": pool.root}))
        if self._wandb.on:
            self.tell_aside(partial(WandbSink, self._wandb, folder / "wandb", {"validator": folder.name}))

    def tell_aside(self, open_sink: Callable[[], Sink]) -> None:
        """From now on numbers of rounds go to a sink as well, which never holds up a round."""
        aside = self.aside = Aside(open_sink, self._log)
        self._lost.set_function(lambda: aside.lost)

    async def played(self, played: Round[Draw], block: int) -> None:
        """One round has been played and written down."""
        plan = played.plan
        void, label = "yes" if played.void else "no", "twins" if plan.real else plan.label.name.lower()
        self._rounds.labels(plan.modality.value, label, void).inc()
        kinds = Counts(o.answer.value if isinstance(o.answer, Failure) else "prediction" for o in played.outcomes)
        for kind, count in kinds.items():
            self._answers.labels(kind).inc(count)
        self._tell_scores(played)
        if played.void:
            self._notes.tell("void round", played.void, number=plan.number, why=played.void)
        else:
            self._notes.mend("void round")
        self._log.debug("round", number=plan.number, modality=plan.modality.value, label=plan.label.name, **kinds)
        if self._json:
            print(jsonlib.dumps(_line(played, block)), flush=True)
        if self.aside:
            self.aside.put(_numbers(played, block))
        if self._gallery:
            await asyncio.to_thread(self._keep, self._gallery, played)
        if not played.void:
            self._recent.add(played.outcomes)
            self._counted += 1
            if self._counted % COMPARED_EVERY == 0:
                await asyncio.to_thread(self._compare)

    def _tell_scores(self, played: Round[Draw]) -> None:
        """Of those who were asked; hotkeys that left the subnet are told no more."""
        for outcome in played.outcomes:
            self._score.labels(outcome.hotkey).set(played.history[outcome.hotkey].score)
            self._scored.add(outcome.hotkey)
        for hotkey in self._scored - played.history.standings.keys():
            self._score.remove(hotkey)
            self._scored.discard(hotkey)

    def _keep(self, gallery: Gallery, played: Round[Draw]) -> None:
        try:
            gallery.keep(played)
        except StateError as error:
            self._notes.tell("no thumbnail", str(error), number=played.plan.number, why=str(error))
        else:
            self._notes.mend("no thumbnail")

    def _compare(self) -> None:
        """Look for miners that answer alike, in the last `WINDOW` rounds since this process began."""
        from subnet.game.likeness import likeness

        clusters = likeness(self._recent.table()).clusters
        self._clusters.set(len(clusters))
        self._alike.set(sum(map(len, clusters)))

    def weights(self, standing: WeightsStanding) -> None:
        """How weights stand now."""
        self._permit.set(standing.permit)
        self._median_answers.set(standing.answers)
        self._unrevealed.set(standing.unrevealed)
        self._weights_block.set(standing.block)
        for submission, count in standing.attempts.items():
            self._attempts.labels(submission.value).set(count)

    def failed(self) -> None:
        """A round raised, and does not count."""
        self._failed.inc()

    async def finished(self, state: State) -> None:
        """The last round has been played."""
        self._log.info("finished", rounds=state.next_round)
        if self.aside:
            await asyncio.to_thread(self.aside.close, LAST_WORDS)


def _numbers(played: Round[Draw], block: int) -> Fact:
    """What may be told while others could learn from it: nothing of the label, and no hotkey's score."""
    answers = [outcome for outcome in played.outcomes if not isinstance(outcome.answer, Failure)]
    latency = [outcome.latency for outcome in answers]
    return {
        "round": played.plan.number,
        "block": block,
        "void": float(bool(played.void)),
        "asked": len(played.outcomes),
        "answers": len(answers),
        **({"latency_median": median(latency), "latency_max": max(latency)} if latency else {}),
    }


def _line(played: Round[Draw], block: int) -> dict[str, JSON]:
    plan = played.plan
    real: list[JSON] = [o.hotkey for o in played.outcomes if o.label is not plan.label]
    return {
        "round": plan.number,
        "block": block,
        "modality": plan.modality.value,
        "label": plan.label.name.lower(),
        "origin": plan.origin,
        "level": plan.level,
        "void": played.void,
        "answers": {
            o.hotkey: o.answer.value if isinstance(o.answer, Failure) else round(o.answer.p_synthetic, 4)
            for o in played.outcomes
        },
        "scores": {o.hotkey: played.history[o.hotkey].score for o in played.outcomes},
        "latency": {o.hotkey: round(o.latency, 4) for o in played.outcomes},
        **({"real": real} if real else {}),
    }
