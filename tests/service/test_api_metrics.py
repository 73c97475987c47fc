"""Prometheus reads what happened: ends, times, readings and the queue."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families
from serving import serving
from starlette.testclient import TestClient

from deepscreen.engine.figures import FIRST_READINGS, Drift, Figures
from deepscreen.settings import Settings
from deepscreen.store.computations import Outcome, Queue, State


def samples(client: TestClient) -> dict[tuple[str, ...], float]:
    text = client.get("/metrics").text
    families = text_string_to_metric_families(text)
    return {
        (s.name, *sorted(value for name, value in s.labels.items() if name != "worker")): s.value
        for family in families
        for s in family.samples
    }


def test_what_was_screened_is_counted(own_settings: Settings, png: bytes) -> None:
    with serving(own_settings) as client:
        assert samples(client)["deepscreen_computations", "queued"] == 0
        verdict = client.post("/v1/screenings", files={"file": ("a.png", png)}).json()["screening"]["overall"][
            "verdict"
        ]
        client.post("/v1/screenings", files={"file": ("a.png", b"no picture" * 9)})
        found = samples(client)
    done = tuple(sorted(("", "done", "image", verdict)))
    assert found["deepscreen_screenings_total", *done] == 1
    assert found["deepscreen_screenings_total", "", "", "UnsupportedMedia", "failed"] == 1
    assert found["deepscreen_stage_seconds_count", "decode"] == 1
    assert found["deepscreen_spoof_logit_count", "fake_image"] == 1
    assert found["deepscreen_requests_waiting",] == 0


def test_what_workers_elsewhere_measured_is_told_too(own_settings: Settings, png: bytes) -> None:
    elsewhere = Figures("elsewhere-1")
    elsewhere.count(Outcome(State.FAILED, error_type="UndecodableMedia"), None)
    with serving(own_settings) as client:
        queue: Queue = client.app.state.service.queue  # type: ignore[attr-defined]
        queue.renew("elsewhere-1", "0" * 64, {}, figures=elsewhere.text())
        client.post("/v1/screenings", files={"file": ("a.png", png)})
        text = client.get("/metrics").text
    assert len(re.findall("^# TYPE deepscreen_screenings_total", text, re.MULTILINE)) == 1
    workers = {
        sample.labels["worker"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "deepscreen_screenings_total"
    }
    assert "elsewhere-1" in workers
    assert len(workers) == 2


def test_drift_is_told_in_deviations_of_the_first_readings() -> None:
    drift = Drift()
    for number in range(FIRST_READINGS):
        drift.add(1.0 if number % 2 else -1.0)  # mean 0, deviation 1
    assert drift.deviations == 0
    for _ in range(1000):
        drift.add(3.0)
    assert 2.9 < drift.deviations <= 3
