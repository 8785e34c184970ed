"""A miner that looks at all it gets of a question cannot tell it from a challenge."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from neurons.gateway.asking import Asking, question
from neurons.settings import NeuronSettings
from neurons.validator.loop import interval
from subnet.codec.image import decode_image
from subnet.game.sampling import Sampling, derive
from subnet.game.step import vary
from subnet.media import embedded
from subnet.media.embedded.source import EmbeddedSource
from subnet.media.leak.meter import LIMIT, File, LeakVerdict, measure
from subnet.types import Challenge, Label, Media, Modality, Split
from subnet.wire.dendrite import Dendrite
from tests.unit.subnet.wire.rig import VALIDATOR
from tests.unit.subnet.wire.test_dendrite import hostile, reply_to

PICTURE = Media(np.random.default_rng(0).integers(0, 256, (1, 300, 400, 3), dtype=np.uint8))
DRAWN = ("x-bittensor-nonce", "x-bittensor-signature", "x-assay-digest", "content-length")  # other ones each time


def shape(head: str) -> list[str]:
    """The lines of a head without what differs between any two requests."""
    lines = [line.partition(":") for line in head.split("\r\n")]
    return [name if name.lower() in DRAWN else f"{name}:{value}" for name, _, value in lines]


async def test_heads_are_those_of_a_round() -> None:
    """Names, order, letter case and values of the headers, path and query: line by line."""

    async def behave(reader: object, writer: object) -> None:
        writer.write(reply_to(miner.heads[-1]))  # type: ignore[attr-defined]

    async with hostile(behave) as miner:
        async with Dendrite(VALIDATOR, local=True) as dendrite:
            sample = EmbeddedSource(Split.TEST).draw(Modality.IMAGE, Label.REAL, np.random.default_rng(0))
            query, _ = vary(Challenge("", sample, 7, 1), miner.neuron.hotkey)
            await dendrite.ask([(miner.neuron, query)], 5.0)
        with ThreadPoolExecutor(1) as executor:
            async with Dendrite(VALIDATOR, local=True, fresh=True) as dendrite:
                asking = Asking(dendrite, executor, count=1, seconds=5.0, rate=100)
                for _ in range(2):
                    await asking.ask([PICTURE], [miner.neuron], Sampling())
        challenge, *questions = miner.heads
        assert len(questions) == 2
        for each in questions:
            assert shape(each) == shape(challenge)


@pytest.mark.slow
def test_bytes_tell_nothing() -> None:
    """Challenges and questions of the same photographs: the leak meter finds neither in the other's bytes or looks."""
    source, rng, files = EmbeddedSource(Split.TEST), np.random.default_rng(0), []
    for n in range(160):
        sample = source.draw(Modality.IMAGE, Label.REAL, rng)
        query, _ = vary(Challenge("", sample, derive("hiding", n), int(rng.integers(4))), "hotkey")
        files.append(File(query.body, "", 0.0, Label.REAL, sample.provenance.item))
    photos = embedded.items(Modality.IMAGE, Split.TEST)
    for _ in range(160):
        item = photos[int(rng.integers(len(photos)))]
        query = question([decode_image(embedded.path(item).read_bytes())], Sampling(), rng)
        files.append(File(query.body, "", 0.0, Label.SYNTHETIC, item.id))
    report = measure(files)
    assert report.verdict is not LeakVerdict.LEAK, report
    for probe in (*report.container, report.size, report.sharpness, report.colour):
        assert probe.low <= LIMIT, probe


def moments(
    settings: NeuronSettings, rng: np.random.Generator, played: int = 700, asked: int = 350
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """When one miner is asked: by rounds as this validator has them (1), and by a gateway as people come (0)."""
    rounds = np.cumsum([interval(settings) + rng.uniform(0, 0.5) for _ in range(played)])
    people = rng.uniform(0, rounds[-1], asked)
    times, labels = np.concatenate([rounds, people]), np.repeat([1, 0], [len(rounds), len(people)])
    order = np.argsort(times)
    return times[order], labels[order]


def clock_auc(settings: NeuronSettings) -> float:
    """How well a miner with a clock tells them, by the gaps before and the time since the last round (told it)."""
    times, labels = moments(settings, np.random.default_rng(1))
    before = np.stack([np.diff(times, prepend=times[0], n=1), np.roll(np.diff(times, prepend=times[0]), 1)], axis=1)
    last = np.maximum.accumulate(np.where(labels == 1, times, 0.0))
    since = times - np.concatenate([[0.0], last[:-1]])
    features = np.column_stack([before, since])
    model = HistGradientBoostingClassifier(max_iter=40, random_state=0)
    scores = cross_val_predict(model, features, labels, cv=5, method="predict_proba")[:, 1]
    return float(roc_auc_score(labels, scores))


def test_an_irregular_validators_clock_tells_nothing() -> None:
    """Even to a miner that is told which of the earlier ones were rounds; a regular validator's clock tells nearly all."""
    assert clock_auc(NeuronSettings(irregular=True)) <= 0.55
    assert clock_auc(NeuronSettings()) > 0.9
