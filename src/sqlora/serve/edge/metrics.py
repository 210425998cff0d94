"""What Prometheus reads at ``/metrics``: requests, tokens, times to the first token, the queue, and what is in memory.

Labels have few values by construction: operations are those of the handlers, deployments those that exist or existed
while this server ran. No caller and no text of a request is a label.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sqlora.engines.residency import Residency
from sqlora.platform.admission import FairQueue
from sqlora.serve.answering import Answered
from sqlora.serve.edge.notes import Note

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FIRST_TOKEN_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 60.0)


class Metrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "sqlora_requests", "Requests answered.", ["protocol", "operation", "status"], registry=self.registry
        )
        self._tokens = Counter(
            "sqlora_tokens", "Tokens; the cached ones are part of the input.", ["deployment", "kind"],
            registry=self.registry,
        )  # fmt: skip
        self._first_token = Histogram(
            "sqlora_first_token_seconds", "From a request's arrival to its first token.", ["deployment"],
            buckets=FIRST_TOKEN_BUCKETS, registry=self.registry,
        )  # fmt: skip

    def watch(self, queue: FairQueue, residency: Residency) -> None:
        """Show the queue and the adapters in memory as they are when somebody asks."""
        self.registry.register(_Now(queue, residency))

    def requested(self, note: Note, status: int) -> None:
        """Count a request by what it turned out to be."""
        self._requests.labels(note.protocol or "none", note.operation or "unknown", str(status)).inc()

    def answered(self, answered: Answered) -> None:
        """Count an answer's tokens, whole or abandoned."""
        for kind, tokens in (
            ("input", answered.input_tokens),
            ("output", answered.output_tokens),
            ("cached", answered.cached_tokens),
        ):
            self._tokens.labels(answered.deployment, kind).inc(tokens)
        if answered.first_token_seconds is not None:
            self._first_token.labels(answered.deployment).observe(answered.first_token_seconds)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


class _Now(Collector):
    """What is true at this moment."""

    def __init__(self, queue: FairQueue, residency: Residency) -> None:
        self._queue, self._residency = queue, residency

    def describe(self) -> Iterator[Metric]:
        """Nothing: what is collected says what it is."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Gauges, and the counters that residency keeps."""
        residents = self._residency.table()
        yield GaugeMetricFamily("sqlora_queue_waiting", "Requests that wait.", self._queue.waiting)
        yield GaugeMetricFamily("sqlora_queue_running", "Requests that run.", self._queue.running)
        yield GaugeMetricFamily("sqlora_resident_adapters", "Adapters in memory.", len(residents))
        yield GaugeMetricFamily("sqlora_resident_bytes", "Memory of those adapters.", sum(r.bytes for r in residents))
        yield CounterMetricFamily("sqlora_adapter_loads", "Adapters loaded.", self._residency.loads)
        yield CounterMetricFamily("sqlora_adapter_evictions", "Adapters evicted.", self._residency.evictions)
