"""Prometheus reads what happened: ends, times, readings and the queue."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from serving import serving
from starlette.testclient import TestClient

from deepscreen.settings import Settings


def samples(client: TestClient) -> dict[tuple[str, ...], float]:
    text = client.get("/metrics").text
    families = text_string_to_metric_families(text)
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


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
