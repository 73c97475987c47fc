"""Figures for Prometheus: time for each stage, how screenings ended, the queue, and whether scores drift."""

from __future__ import annotations

import sys

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from deepscreen.engine.worker import Ended
from deepscreen.store.methods import MethodLoad

STAGE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0)
LOGIT_BUCKETS = (-8.0, -6.0, -4.0, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)


class Metrics:
    """The queue and its workers as the database has them; the rest is what this process alone has seen."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._stages = Histogram(
            "deepscreen_stage_seconds", "Time of one stage of a screening", ["stage"],
            buckets=STAGE_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._ended = Counter(
            "deepscreen_screenings", "Computations that ended", ["state", "kind", "verdict", "error"],
            registry=self._registry,
        )  # fmt: skip
        self._logits = Histogram(
            "deepscreen_spoof_logit", "Raw readings; a shift of them is drift", ["detector"],
            buckets=LOGIT_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._computations = Gauge(
            "deepscreen_computations", "Computations in the database that have not ended", ["state"],
            registry=self._registry,
        )  # fmt: skip
        self._without_worker = Gauge(
            "deepscreen_computations_without_worker", "Queued for a method that no live worker has",
            registry=self._registry,
        )  # fmt: skip
        self._workers = Gauge("deepscreen_workers", "Live workers on this database", registry=self._registry)
        self._stamps = Gauge(
            "deepscreen_timestamps_pending", "Checkpoints that wait for the time-stamping authority",
            registry=self._registry,
        )  # fmt: skip
        self._requests = Gauge("deepscreen_requests_waiting", "Requests that upload or wait", registry=self._registry)
        self._device_memory = Gauge(
            "deepscreen_device_memory_bytes", "Memory of the device that tensors take", registry=self._registry
        )

    def count(self, ended: Ended) -> None:
        """A computation ended in this process."""
        outcome = ended.outcome
        self._ended.labels(
            outcome.state.value, outcome.kind or "", outcome.verdict or "", outcome.error_type or ""
        ).inc()
        if ended.screened is None:
            return
        for stage, seconds in ended.screened.stage_seconds.items():
            self._stages.labels(stage).observe(seconds)
        for result in ended.screened.screening.modalities.values():
            for reading in result.readings:
                self._logits.labels(reading.detector).observe(reading.spoof_logit)

    def page(self, *, queued: int, running: int, loads: list[MethodLoad], waiting: int, stamps: int) -> bytes:
        """All figures in Prometheus' text format."""
        self._computations.labels("queued").set(queued)
        self._computations.labels("running").set(running)
        self._without_worker.set(sum(load.queued for load in loads if not load.live_workers))
        self._workers.set(sum(load.live_workers for load in loads))
        self._stamps.set(stamps)
        self._requests.set(waiting)
        self._device_memory.set(_device_memory_bytes())
        return generate_latest(self._registry)


def _device_memory_bytes() -> int:
    torch = sys.modules.get("torch")  # where it is not loaded, nothing lies on a device
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return 0
    return int(torch.cuda.memory_allocated())
