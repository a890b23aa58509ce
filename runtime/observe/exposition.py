"""GET /metrics: the counters and the last snapshot as Prometheus text. Own registry, no global state.

Importing prometheus-client takes 70 ms: only a running agent imports this.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from runtime.observe.metric_kinds import METRICS
from runtime.observe.metrics import Build, Counters, Histogram, Snapshot
from runtime.observe.samples import Sample, build_samples, counter_samples, snapshot_samples

_HISTOGRAM = "entrepot_commit_seconds"


class _Reader(Collector):
    """Turns the table and the samples into families at each scrape; nothing is kept between scrapes."""

    def __init__(self, counters: Counters, build: Build) -> None:
        self._counters = counters
        self._build = build
        self.snapshot: Snapshot | None = None

    def collect(self) -> Iterator[Metric]:
        by_name: dict[str, list[Sample]] = {}
        for sample in self._samples():
            by_name.setdefault(sample[0], []).append(sample)
        for name, kind in METRICS.items():
            if name == _HISTOGRAM:
                yield _histogram(name, kind.text, self._counters.commit_seconds)
                continue
            family = Metric(name.removesuffix("_total"), kind.text, kind.type)
            for _, labels, value in by_name.get(name, ()):
                family.add_sample(name, dict(zip(kind.labels, labels, strict=True)), float(value))
            yield family

    def _samples(self) -> Iterator[Sample]:
        yield from build_samples(self._build)
        yield from counter_samples(self._counters)
        if self.snapshot is not None:
            yield from snapshot_samples(self.snapshot)


def _histogram(name: str, text: str, values: Histogram) -> Metric:
    buckets = [(str(bound) if bound < float("inf") else "+Inf", float(count)) for bound, count in values.cumulative()]
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=values.total)


class Exposition:
    """Renders the metrics of one agent, with `process_*` (memory, CPU, open files) beside them."""

    def __init__(self, counters: Counters, build: Build) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._reader = _Reader(counters, build)
        self._registry.register(self._reader)
        ProcessCollector(registry=self._registry)

    def render(self, snapshot: Snapshot | None) -> bytes:
        """The text of one scrape. Without a snapshot (the journal does not answer) only the counters are shown."""
        self._reader.snapshot = snapshot
        return generate_latest(self._registry)
