"""Figures for Prometheus: the queue and its workers as the database has them, and what every living worker measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from deepscreen.store.methods import MethodLoad


@dataclass(frozen=True, slots=True)
class Load:
    """The service at this moment."""

    queued: int
    running: int
    methods: list[MethodLoad]
    waiting: int  # requests that upload or wait for their result
    stamps: int  # checkpoints that wait for the time-stamping authority


def page(load: Load, figures: Iterable[str]) -> bytes:
    """All figures in Prometheus' text format, with those that workers gave in it."""
    return generate_latest(_Page(_gauges(load), figures))


class _Page(Collector):
    def __init__(self, own: Collector, figures: Iterable[str]) -> None:
        self._own, self._figures = own, figures

    def collect(self) -> Iterator[Metric]:
        """Our own figures, then those of workers: each name once, with the samples of all."""
        yield from self._own.collect()
        found: dict[str, Metric] = {}
        for text in self._figures:
            for family in text_string_to_metric_families(text):
                found.setdefault(family.name, family)
                if found[family.name] is not family:
                    found[family.name].samples.extend(family.samples)
        yield from found.values()


def _gauges(load: Load) -> CollectorRegistry:
    registry = CollectorRegistry()
    computations = Gauge(
        "deepscreen_computations", "Computations in the database that have not ended", ["state"], registry=registry
    )
    computations.labels("queued").set(load.queued)
    computations.labels("running").set(load.running)
    for name, text, value in (
        ("deepscreen_computations_without_worker", "Queued for a method that no live worker has",
         sum(method.queued for method in load.methods if not method.live_workers)),
        ("deepscreen_workers", "Live workers on this database", sum(method.live_workers for method in load.methods)),
        ("deepscreen_timestamps_pending", "Checkpoints that wait for the time-stamping authority", load.stamps),
        ("deepscreen_requests_waiting", "Requests of this process that upload or wait", load.waiting),
    ):  # fmt: skip
        Gauge(name, text, registry=registry).set(value)
    return registry
