"""What a gateway counts: requests, how long they took, what became of miners' questions, and how it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from subnet.errors import StateError
from subnet.types import Failure, Reply

_SECONDS: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counts, in a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        names = ["path", "status"]
        self._requests = Counter("assay_gateway_requests", "Requests by outcome", names, registry=registry)
        self._seconds = Histogram(
            "assay_gateway_seconds", "Time to the answer", ["path"], registry=registry, buckets=_SECONDS
        )
        self._answers = Counter("assay_gateway_answers", "What miners gave, by kind", ["kind"], registry=registry)

    def request(self, path: str, status: int, seconds: float) -> None:
        """One request was answered; `path` is that of OpenAPI, "" for none of them."""
        self._requests.labels(path, status).inc()
        if status < 300:
            self._seconds.labels(path).observe(seconds)

    def reply(self, reply: Reply) -> None:
        """A miner was asked."""
        answer = reply.answer
        self._answers.labels(answer.value if isinstance(answer, Failure) else "prediction").inc()

    def watch(self, faults: Callable[[], list[str]], waiting: Callable[[], int]) -> None:
        """From now on whether files can be judged, and how many jobs wait, is told as it is when it is read."""
        self.registry.register(_Standing(faults, waiting))


class _Standing(Collector):
    """Read at every scrape, in the metrics server's thread."""

    def __init__(self, faults: Callable[[], list[str]], waiting: Callable[[], int]) -> None:
        self._faults, self._waiting = faults, waiting

    def collect(self) -> Iterator[GaugeMetricFamily]:
        jobs = GaugeMetricFamily("assay_gateway_jobs", "Clips that wait or are in work")
        with suppress(StateError):
            jobs.add_metric([], self._waiting())
        yield jobs
        ready = not self._faults()
        yield GaugeMetricFamily("assay_gateway_ready", "1 when /health says that files are judged", value=float(ready))
