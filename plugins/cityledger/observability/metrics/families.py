"""Figures in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from cityledger.observability.metrics.catalogue import Kind, Metric

#: What ``generate_latest`` writes.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Distribution:
    """How often what took how long.

    Attributes:
        counts: By upper bound in seconds, the last one without a bound; not added up.
        total: Seconds of all together.
    """

    counts: Sequence[int]
    total: float


@dataclass
class Figures:
    """Values of metrics, by metric and labels."""

    values: dict[Metric, dict[tuple[str, ...], Any]] = field(default_factory=dict)

    def set(self, metric: Metric, value: float | Distribution, *labels: str) -> None:
        """Give a metric its value.

        Raises:
            ValueError: other labels than the metric's.
        """
        if len(labels) != len(metric.labels):
            raise ValueError(f"{metric.name} has labels {metric.labels}, given {labels}")
        self.values.setdefault(metric, {})[labels] = value

    def set_time(self, metric: Metric, moment: datetime | None, *labels: str) -> None:
        """Give a metric a moment; without one it has no value."""
        if moment is not None:
            self.set(metric, moment.timestamp(), *labels)

    def update(self, other: Figures) -> None:
        """Take over what others have found."""
        self.values.update(other.values)


def text_of(figures: Figures, bounds: Sequence[float]) -> bytes:
    """The figures as Prometheus reads them.

    Args:
        figures: Values.
        bounds: Upper bounds of distributions, in seconds.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(list(_families(figures.values, bounds))))
    return generate_latest(registry)


class _Once(Collector):
    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _families(
    values: Mapping[Metric, Mapping[tuple[str, ...], Any]], bounds: Sequence[float]
) -> Iterator[Family]:
    for metric, by_labels in values.items():
        family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
        for labels, value in by_labels.items():
            if isinstance(value, Distribution):
                buckets = list(_buckets(value.counts, bounds))
                cast(HistogramMetricFamily, family).add_metric(labels, buckets, value.total)
            else:
                family.add_metric(labels, value)
        yield family


_FAMILIES: Mapping[Kind, Any] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}


def _buckets(counts: Sequence[int], bounds: Sequence[float]) -> Iterator[tuple[str, float]]:
    added = 0
    for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        added += count
        yield bound, float(added)
