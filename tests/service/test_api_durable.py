"""Screenings outlive requests and processes: 202, idempotency, lists, cancelling, retries, deletion, whose they are."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from serving import GatedDesk, build_fake_desk, serving
from starlette.testclient import TestClient

from deepscreen.screened import OnProgress
from deepscreen.settings import Settings
from deepscreen.store.keys import Role, create_key
from deepscreen.store.verify import verify

Gated = tuple[TestClient, threading.Event]


@pytest.fixture
def gated(own_settings: Settings) -> Iterator[Gated]:
    """A service that screens nothing until the gate opens."""
    gate = threading.Event()

    def build(settings: Settings) -> Any:
        return GatedDesk(build_fake_desk(settings), gate)

    with serving(own_settings, build) as client:
        try:
            yield client, gate
        finally:
            gate.set()


def post(client: TestClient, content: bytes, *, token: str | None = None, **headers: str) -> Any:
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return client.post("/v1/screenings", files={"file": ("a.png", content)}, headers=headers)


def ended(client: TestClient, path: str, **options: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while (body := client.get(path, **options).json())["state"] in {"queued", "running"}:
        assert time.monotonic() < deadline, body
        time.sleep(0.02)
    return body


def flaws(client: TestClient) -> list[Any]:
    return list(verify(client.app.state.service.store))  # type: ignore[attr-defined]


def test_request_that_waits_in_vain_is_told_where_to_look(gated: Gated, png: bytes) -> None:
    client, gate = gated
    for prefer in ("respond-async", "wait=0", "respond-async, wait=0"):
        response = post(client, png + prefer.encode(), Prefer=prefer)
        assert response.status_code == 202
        assert response.json()["state"] in {"queued", "running"}
        assert response.json()["screening"] is None
    assert client.get(response.headers["location"] + "/record").status_code == 404
    gate.set()
    body = ended(client, response.headers["location"])
    assert body["state"] == "done"
    assert body["screening"]["media"]["sha256"] == hashlib.sha256(png + b"respond-async, wait=0").hexdigest()


def test_same_upload_twice_is_computed_once(gated: Gated, png: bytes) -> None:
    client, gate = gated
    paths = [post(client, png, Prefer="respond-async").headers["location"] for _ in range(3)]
    places = client.get("/info").json()["places"]
    assert places["queued"] + places["running"] == 1
    gate.set()
    records = [client.get(ended(client, path)["record_href"]).content for path in paths]
    assert len(set(paths)) == 3
    assert len(set(records)) == 1
    assert flaws(client) == []


def test_idempotency_key_gives_the_same_screening(client: TestClient, png: bytes) -> None:
    first = post(client, png, **{"Idempotency-Key": "one"})
    again = post(client, png, **{"Idempotency-Key": "one"})
    assert first.json() == again.json()
    other = post(client, png + b"!", **{"Idempotency-Key": "one"})
    assert other.status_code == 422
    assert other.json()["type"] == "urn:deepscreen:problem:idempotency-key-reused"


def test_queue_that_was_left_behind_is_worked_off_by_the_next_process(own_settings: Settings, png: bytes) -> None:
    gate = threading.Event()
    with serving(own_settings, lambda s: GatedDesk(build_fake_desk(s), gate)) as client:  # type: ignore[arg-type, return-value]
        paths = [
            post(client, png + bytes([n]), Prefer="respond-async").headers["location"] for n in range(4)
        ]  # two run, two wait
        threading.Timer(0.3, gate.set).start()
    with serving(own_settings) as client:
        assert [ended(client, path)["state"] for path in paths] == ["done"] * 4
        assert flaws(client) == []


def test_cancelled_screening_is_not_begun(gated: Gated, png: bytes) -> None:
    client, gate = gated
    paths = [post(client, png + bytes([n]), Prefer="respond-async").headers["location"] for n in range(5)]
    assert client.post(paths[-1] + "/cancel").json()["state"] == "cancelled"
    gate.set()
    assert [ended(client, path)["state"] for path in paths] == ["done"] * 4 + ["cancelled"]
    assert client.get("/info").json()["places"]["queued"] == 0
    again = client.post(paths[-1] + "/retry")
    assert again.status_code == 202
    assert ended(client, paths[-1])["state"] == "done"


def test_retry_is_a_new_attempt_with_the_same_result(client: TestClient, png: bytes) -> None:
    before = post(client, png + b"retried").json()
    path = f"/v1/screenings/{before['id']}"
    assert client.post(path + "/retry").status_code == 202
    after = ended(client, path)
    assert after["screening"] == before["screening"]
    acts = [entry["act"] for entry in client.get("/v1/audit", params={"subject": before["id"]}).json()["entries"]]
    assert acts[:2] == ["screening-created", "screening-retried"]


def test_list_is_filtered_and_paged(client: TestClient, png: bytes, wav: bytes) -> None:
    sent = [post(client, content).json()["id"] for content in (png + b"x", wav + b"y", png + b"z")]
    first = client.get("/v1/screenings", params={"limit": 2}).json()
    assert [item["id"] for item in first["items"]] == sent[:0:-1]
    second = client.get("/v1/screenings", params={"limit": 2, "before": first["next"]}).json()
    assert second["items"][0]["id"] == sent[0]
    sounds = client.get("/v1/screenings", params={"kind": "audio"}).json()["items"]
    assert sent[1] in {item["id"] for item in sounds}
    assert {item["kind"] for item in sounds} == {"audio"}
    by_hash = client.get("/v1/screenings", params={"media_sha256": hashlib.sha256(png + b"z").hexdigest()}).json()
    assert [item["id"] for item in by_hash["items"]] == [sent[2]]
    assert client.get("/v1/screenings", params={"filename": "A.P"}).json()["items"]
    assert client.get("/v1/screenings", params={"filename": "%"}).json()["items"] == []
    assert client.get("/v1/screenings", params={"before": "nonsense"}).status_code == 422


def test_deletion_removes_the_original_with_its_last_reference(own_settings: Settings, png: bytes) -> None:
    with serving(own_settings) as client:
        blobs = client.app.state.service.store.blobs  # type: ignore[attr-defined]
        sha256 = hashlib.sha256(png).hexdigest()
        first, second = (post(client, png).json() for _ in range(2))
        pictures = [link["sha256"] for link in first["evidence"]]
        certificate = client.delete(f"/v1/screenings/{first['id']}", params={"reason": "court order 7"}).json()
        assert certificate["audit_entry"]["act"] == "screening-deleted"
        assert certificate["audit_entry"]["details"]["reason"] == "court order 7"
        assert certificate["audit_entry"]["details"]["was_last"] is False
        assert certificate["original_removed"] is False
        assert client.get(f"/v1/screenings/{first['id']}").status_code == 404
        assert blobs.has(sha256)
        last = client.delete(f"/v1/screenings/{second['id']}").json()
        assert last["audit_entry"]["details"]["was_last"] is True
        assert last["original_removed"] is True
        assert not any(blobs.has(name) for name in (sha256, *pictures))
        assert client.delete(f"/v1/screenings/{second['id']}").status_code == 404
        assert flaws(client) == []
        assert post(client, png).status_code == 201, "it may come back"
        assert flaws(client) == []


def test_views_and_downloads_are_entries(client: TestClient, png: bytes) -> None:
    envelope = post(client, png + b"seen").json()
    for href in (f"/v1/screenings/{envelope['id']}", envelope["record_href"], envelope["evidence"][0]["href"]):
        client.get(href)
    entries = client.get("/v1/audit", params={"subject": envelope["id"]}).json()["entries"]
    assert [(entry["act"], entry["actor"]) for entry in entries] == [
        ("screening-created", "local"),
        ("screening-viewed", "local"),
        ("record-downloaded", "local"),
        ("evidence-downloaded", "local"),
    ]


def test_examiner_sees_its_own_items_only(own_settings: Settings, png: bytes) -> None:
    with serving(own_settings) as client:
        database = client.app.state.service.store.database  # type: ignore[attr-defined]
        tokens = [
            create_key(database, name="x", role=role, lifetime_seconds=None, actor="test")[1]
            for role in (Role.EXAMINER, Role.EXAMINER, Role.REVIEWER)
        ]
        mine, other, reviewer = ({"Authorization": f"Bearer {token}"} for token in tokens)
        envelope = post(client, png, token=tokens[0]).json()
        path = f"/v1/screenings/{envelope['id']}"
        for href in (path, envelope["record_href"], envelope["evidence"][0]["href"]):
            assert client.get(href, headers=mine).status_code == 200
            assert client.get(href, headers=other).status_code == 404
            assert client.get(href, headers=reviewer).status_code == 200
        for act in ("cancel", "retry"):
            assert client.post(f"{path}/{act}", headers=other).status_code == 404
        assert client.get("/v1/screenings", headers=other).json()["items"] == []
        assert len(client.get("/v1/screenings", headers=reviewer).json()["items"]) == 1


def test_quick_answer_does_not_tell_that_somebody_else_had_the_file(own_settings: Settings, png: bytes) -> None:
    def build(settings: Settings) -> Any:
        return SlowDesk(build_fake_desk(settings), threading.Event())

    with serving(own_settings, build) as client:
        database = client.app.state.service.store.database  # type: ignore[attr-defined]
        one, two = (
            create_key(database, name="x", role=Role.EXAMINER, lifetime_seconds=None, actor="test")[1] for _ in "12"
        )
        post(client, png, token=one)
        start = time.monotonic()
        again = post(client, png, token=one)
        own_seconds = time.monotonic() - start
        start = time.monotonic()
        foreign = post(client, png, token=two)
        foreign_seconds = time.monotonic() - start
    assert own_seconds < SlowDesk.SECONDS < foreign_seconds
    assert foreign.json()["stage_milliseconds"] == again.json()["stage_milliseconds"]


class SlowDesk(GatedDesk):
    """A desk that takes its time."""

    SECONDS = 1.0

    def screen(self, intake: Any, *, on_progress: OnProgress) -> Any:
        time.sleep(self.SECONDS)
        return self._desk.screen(intake, on_progress=on_progress)
