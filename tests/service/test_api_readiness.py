"""Loading happens behind /livez; nothing is screened before /readyz; /info says by what."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from serving import build_fake_desk, serving, wait_until_ready
from starlette.testclient import TestClient

from deepscreen.api.app import create_app
from deepscreen.errors import WeightsMismatch
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings


@pytest.fixture
def may_load() -> threading.Event:
    return threading.Event()


@pytest.fixture
def loading_client(own_settings: Settings, may_load: threading.Event) -> Iterator[TestClient]:
    """A client of a service whose desk is loaded when *may_load* is set."""

    def build(settings: Settings) -> ScreeningDesk:
        may_load.wait(30)
        return build_fake_desk(settings)

    with TestClient(create_app(own_settings, build), base_url="http://localhost") as client:
        try:
            yield client
        finally:
            may_load.set()


def test_liveness_is_answered_while_detectors_load(loading_client: TestClient) -> None:
    assert loading_client.get("/livez").json() == {"status": "alive"}


@pytest.mark.parametrize("path", ["/readyz", "/info"])
def test_readiness_is_denied_while_detectors_load(loading_client: TestClient, path: str) -> None:
    response = loading_client.get(path)
    assert response.status_code == 503
    assert response.json()["type"] == "urn:deepscreen:problem:not-ready"
    assert int(response.headers["retry-after"]) > 0


def test_upload_is_not_read_while_detectors_load(loading_client: TestClient) -> None:
    taken = []

    def body() -> Iterator[bytes]:
        taken.append(1)
        yield b""

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert loading_client.post("/v1/screenings", content=body(), headers=headers).status_code == 503
    assert not taken


def test_service_is_ready_once_detectors_are_loaded(loading_client: TestClient, may_load: threading.Event) -> None:
    may_load.set()
    wait_until_ready(loading_client)
    assert loading_client.get("/readyz").json() == {"status": "ready"}


def test_results_of_before_are_served_while_detectors_load(
    own_settings: Settings, may_load: threading.Event, png: bytes
) -> None:
    with serving(own_settings) as client:
        path = client.post("/v1/screenings", files={"file": ("a.png", png)}).headers["location"]

    def build(settings: Settings) -> ScreeningDesk:
        may_load.wait(30)
        return build_fake_desk(settings)

    with TestClient(create_app(own_settings, build), base_url="http://localhost") as client:
        try:
            assert client.get(path).status_code == 200
        finally:
            may_load.set()


def test_failed_load_is_told_by_name_only(own_settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    def build(settings: Settings) -> ScreeningDesk:
        raise WeightsMismatch("clip.safetensors: expected 12ab, found 34cd; pull again")

    with TestClient(create_app(own_settings, build), base_url="http://localhost") as client:
        deadline = time.monotonic() + 5
        while (response := client.get("/readyz")).json()["type"].endswith("not-ready"):
            assert time.monotonic() < deadline
    assert response.status_code == 503
    assert response.json()["type"] == "urn:deepscreen:problem:weights-mismatch"
    assert "clip" not in response.text
    assert "expected 12ab, found 34cd" in caplog.text


def test_info_says_by_what_and_under_which_limits(client: TestClient, settings: Settings) -> None:
    info = client.get("/info").json()
    desk = build_fake_desk(settings)
    try:
        assert info["method_digest"] == desk.provenance.method_digest
        assert info["precision"] == desk.provenance.precision
        assert {w["name"]: w["sha256"] for w in info["weights"]} == desk.provenance.weights_sha256
        assert [d["name"] for d in info["detectors"]] == [card.name for card in desk.cards]
    finally:
        desk.close()
    assert info["limits"] == settings.limits.model_dump()
    assert info["policy"] == settings.policy.model_dump()
    assert info["places"] == {
        "running": 0,
        "queued": 0,
        "waiting": 0,
        "without_worker": 0,
        "max_concurrent": 2,
        "max_waiting": 16,
    }
    assert "Nothing leaves this machine" in info["outgoing_connections"]


def test_info_tells_no_paths(client: TestClient, settings: Settings) -> None:
    assert str(settings.data_dir) not in client.get("/info").text
