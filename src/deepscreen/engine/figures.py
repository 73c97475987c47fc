"""What a worker measures: times of stages, ends, readings and the memory of its device, in Prometheus' text format.

A worker has no port to be asked at. It leaves its figures with its signs of life in the database, and ``/metrics`` of
any service tells those of all living workers.
"""

from __future__ import annotations

import sys
import threading

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from deepscreen.screened import Screened
from deepscreen.store.computations import Outcome

STAGE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0)
LOGIT_BUCKETS = (-8.0, -6.0, -4.0, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
FIRST_READINGS = 500  # of a detector: what later ones are compared with
NEWEST_WEIGHT = 0.02  # of one reading in the running mean: some hundred of the newest make it


class Figures:
    """The figures of one worker since it started."""

    def __init__(self, worker_id: str) -> None:
        self._worker = worker_id
        self._registry = CollectorRegistry()
        self._drifts: dict[str, Drift] = {}
        self._lock = threading.Lock()
        self._stages = Histogram(
            "deepscreen_stage_seconds", "Time of one stage of a screening", ["worker", "stage"],
            buckets=STAGE_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._ended = Counter(
            "deepscreen_screenings", "Computations that ended", ["worker", "state", "kind", "verdict", "error"],
            registry=self._registry,
        )  # fmt: skip
        self._logits = Histogram(
            "deepscreen_spoof_logit", "Raw readings of a detector", ["worker", "detector"],
            buckets=LOGIT_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._drift = Gauge(
            "deepscreen_score_drift",
            f"How far the newest readings are from the worker's first {FIRST_READINGS}, in their standard deviations",
            ["worker", "detector"], registry=self._registry,
        )  # fmt: skip
        self._device_memory = Gauge(
            "deepscreen_device_memory_bytes", "Memory of the device that tensors take", ["worker"],
            registry=self._registry,
        )  # fmt: skip

    def count(self, outcome: Outcome, screened: Screened | None) -> None:
        """A computation ended."""
        kinds = (outcome.kind or "", outcome.verdict or "", outcome.error_type or "")
        self._ended.labels(self._worker, outcome.state.value, *kinds).inc()
        if screened is None:
            return
        for stage, seconds in screened.stage_seconds.items():
            self._stages.labels(self._worker, stage).observe(seconds)
        for result in screened.screening.modalities.values():
            for reading in result.readings:
                self._read(reading.detector, reading.spoof_logit)

    def text(self) -> str:
        """All figures in Prometheus' text format."""
        self._device_memory.labels(self._worker).set(_device_memory_bytes())
        return generate_latest(self._registry).decode()

    def _read(self, detector: str, spoof_logit: float) -> None:
        self._logits.labels(self._worker, detector).observe(spoof_logit)
        with self._lock:
            drift = self._drifts.setdefault(detector, Drift())
            drift.add(spoof_logit)
        self._drift.labels(self._worker, detector).set(drift.deviations)


class Drift:
    """How far the newest values of a series have moved from its first ones."""

    def __init__(self) -> None:
        self._count, self._mean, self._squares = 0, 0.0, 0.0  # of the first ones, by Welford's method
        self._newest = 0.0

    def add(self, value: float) -> None:
        """The next value."""
        if self._count < FIRST_READINGS:
            self._count += 1
            before = value - self._mean
            self._mean += before / self._count
            self._squares += before * (value - self._mean)
            self._newest = self._mean
        else:
            self._newest += NEWEST_WEIGHT * (value - self._newest)

    @property
    def deviations(self) -> float:
        """The move in standard deviations of the first values; 0 until there are enough of them, or where all were
        the same."""
        if self._count < FIRST_READINGS or self._squares == 0:
            return 0.0
        return float((self._newest - self._mean) / (self._squares / self._count) ** 0.5)


def _device_memory_bytes() -> int:
    torch = sys.modules.get("torch")  # where it is not loaded, nothing lies on a device
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return 0
    return int(torch.cuda.memory_allocated())
