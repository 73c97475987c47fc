"""Webhooks: signed, told once of each end, tried again, and never led to where they must not go."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from serving import serving
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError
from starlette.testclient import TestClient

from deepscreen.api.webhook_sender import NotAllowed, WebhookSender
from deepscreen.api.wire import outgoing_statement
from deepscreen.settings import Settings
from deepscreen.store import webhooks as webhooks_module
from deepscreen.store.webhooks import DELAYS_SECONDS, Webhooks


class Receiver:
    """An HTTP server that keeps what it is told, and answers as it is told to."""

    def __init__(self) -> None:
        self.messages: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.messages.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self._server.server_port}/told?x=1"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 30
        while len(self.messages) < count:
            assert time.monotonic() < deadline, self.messages
            time.sleep(0.05)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def allowing(own_settings: Settings) -> Settings:
    """Settings that let messages go to this machine."""
    networks = ("127.0.0.0/8", "::1/128")
    return own_settings.model_copy(update={"webhook_hosts": ("localhost",), "webhook_networks": networks})


def create(client: TestClient, url: str) -> dict[str, Any]:
    response = client.post("/v1/webhooks", json={"url": url})
    assert response.status_code == 201, response.text
    webhook: dict[str, Any] = response.json()
    return webhook


def test_end_is_told_once_with_a_signature_and_without_the_result(
    allowing: Settings, receiver: Receiver, png: bytes
) -> None:
    with serving(allowing) as client:
        webhook = create(client, receiver.url)
        sent = [
            client.post("/v1/screenings", files={"file": ("secret.png", png + bytes([n]))}).json() for n in range(2)
        ]
        receiver.wait_for(2)
        time.sleep(1.5)  # long enough for a second telling
        listed = client.get("/v1/webhooks").json()["webhooks"]
    assert len(receiver.messages) == 2
    told = set()
    for headers, body in receiver.messages:
        message = Verifier(webhook["secret"]).verify(body, headers)
        assert message["type"] == "screening.ended"
        assert message["data"]["state"] == "done"
        assert set(message["data"]) == {"screening_id", "case_id", "state", "href"}
        assert b"secret.png" not in body
        told.add(message["data"]["screening_id"])
        with pytest.raises(WebhookVerificationError):
            Verifier(webhook["secret"]).verify(body.replace(b"done", b"fine"), headers)
    assert told == {envelope["id"] for envelope in sent}
    assert [(entry["id"], entry["waiting"], entry["last_error"]) for entry in listed] == [(webhook["id"], 0, None)]
    assert "secret" not in listed[0]


def test_message_that_is_not_taken_is_tried_again_also_after_a_restart(
    allowing: Settings, receiver: Receiver, png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks_module, "DELAYS_SECONDS", (0.1, 3.0, 0.1))
    receiver.answers = [500, 302]
    with serving(allowing) as client:
        create(client, receiver.url)
        client.post("/v1/screenings", files={"file": ("a.png", png)})
        receiver.wait_for(2)
        deadline = time.monotonic() + 10
        while client.get("/v1/webhooks").json()["webhooks"][0]["last_error"] != "answered 302":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert client.get("/v1/webhooks").json()["webhooks"][0]["waiting"] == 1
    with serving(allowing) as client:
        receiver.wait_for(3)
    ids = {headers["webhook-id"] for headers, _ in receiver.messages}
    assert len(ids) == 1, "a receiver can tell a second try from a second message"


def test_message_is_given_up_in_the_end(
    allowing: Settings, receiver: Receiver, png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks_module, "DELAYS_SECONDS", (0.0, 0.0))
    receiver.answers = [500] * 10
    with serving(allowing) as client:
        create(client, receiver.url)
        client.post("/v1/screenings", files={"file": ("a.png", png)})
        receiver.wait_for(3)
        time.sleep(1.5)
    assert len(receiver.messages) == 3


def test_secret_is_sealed_where_blobs_are(allowing: Settings, receiver: Receiver, png: bytes, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("ab" * 32)
    key.chmod(0o400)
    assert allowing.data_dir
    with serving(allowing.model_copy(update={"blob_key_file": key})) as client:
        secret = create(client, receiver.url)["secret"]
        client.post("/v1/screenings", files={"file": ("a.png", png)})
        receiver.wait_for(1)
        headers, body = receiver.messages[0]
        assert Verifier(secret).verify(body, headers)
        on_disk = b"".join(path.read_bytes() for path in allowing.data_dir.glob("deepscreen.db*"))
        assert secret.encode() not in on_disk
        assert secret.removeprefix("whsec_").encode() not in on_disk
    with serving(allowing) as client:  # the key is gone: nothing is sent, and the reason is told
        client.post("/v1/screenings", files={"file": ("b.png", png + b"another")})
        deadline = time.monotonic() + 20
        while not (told := client.get("/v1/webhooks").json()["webhooks"][0]["last_error"]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert "blob_key_file" in told
    assert len(receiver.messages) == 1


def test_messages_that_were_told_are_removed_in_the_end(
    allowing: Settings, receiver: Receiver, png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(allowing) as client:
        create(client, receiver.url)
        client.post("/v1/screenings", files={"file": ("a.png", png)})
        receiver.wait_for(1)
        kept: Webhooks = client.app.state.service.webhooks  # type: ignore[attr-defined]
        assert kept.prune() == 0
        monkeypatch.setattr(webhooks_module, "KEPT_SECONDS", -3600.0)
        deadline = time.monotonic() + 20
        while not kept.prune():  # the answer is noted a moment after the message
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_webhook_that_was_deleted_is_told_nothing(allowing: Settings, receiver: Receiver, png: bytes) -> None:
    with serving(allowing) as client:
        path = f"/v1/webhooks/{create(client, receiver.url)['id']}"
        assert client.delete(path).status_code == 204
        assert client.delete(path).status_code == 404
        client.post("/v1/screenings", files={"file": ("a.png", png)})
        time.sleep(1.5)
        assert client.get("/v1/webhooks").json() == {"webhooks": []}
    assert receiver.messages == []


def test_webhooks_are_off_unless_hosts_are_named(client: TestClient) -> None:
    response = client.post("/v1/webhooks", json={"url": "https://example.org/"})
    assert response.status_code == 422
    assert "webhook_hosts" in response.json()["detail"]
    assert "Nothing leaves this machine" in client.get("/info").json()["outgoing_connections"]


def test_info_says_that_evidence_goes_to_stores_elsewhere(tmp_path: Path) -> None:
    away = {"database_url": "postgresql://u:secret@db/x", "blob_url": "s3://bucket/x"}
    told = outgoing_statement(Settings(data_dir=tmp_path, **away))
    assert "database server" in told
    assert "object store (s3)" in told
    assert "secret" not in told


def test_info_says_whom_messages_go_to(allowing: Settings) -> None:
    with serving(allowing) as client:
        assert "localhost" in client.get("/info").json()["outgoing_connections"]


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/",
        "https://hooks.example@elsewhere.example/",
        "https://user:word@hooks.example/",
        "https://hooks.example/#fragment",
        "https://hooks.example:99999/",
        "https://hooks.example.elsewhere.example/",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "//hooks.example/",
        "https://[::1",
        "https://",
    ],
)
def test_url_of_another_place_is_refused(url: str) -> None:
    with pytest.raises(NotAllowed):
        WebhookSender(Settings(webhook_hosts=("hooks.example",))).check(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.5",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
    ],
)
def test_address_of_this_network_is_refused_unless_it_is_named(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(NotAllowed, match="not a public one"):
        WebhookSender(Settings(webhook_hosts=(address,))).resolve(f"https://{host}/")


def test_address_that_is_named_is_reached_and_only_public_ones_need_tls() -> None:
    named = Settings(webhook_hosts=("10.0.0.5", "1.1.1.1"), webhook_networks=("10.0.0.0/24",))
    assert str(WebhookSender(named).resolve("http://10.0.0.5/").address) == "10.0.0.5"
    assert str(WebhookSender(named).resolve("https://1.1.1.1/").address) == "1.1.1.1"
    with pytest.raises(NotAllowed, match="use https"):
        WebhookSender(named).resolve("http://1.1.1.1/")


def test_connection_goes_to_the_address_that_was_checked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name means another address from the second look on; nobody looks twice."""
    looks = []

    def once(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        assert host != "rebinding.example" or not looks, "the name was resolved again"
        if host == "rebinding.example":
            looks.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("socket.getaddrinfo", once)
    sender = WebhookSender(Settings(webhook_hosts=("rebinding.example",), webhook_networks=("127.0.0.0/8",)))
    url = receiver.url.replace("localhost", "rebinding.example")
    assert sender.send(url, "whsec_" + "QUJD" * 8, "id", json.dumps({"a": 1})) is None
    assert looks == ["rebinding.example"]
    assert receiver.messages[0][0]["host"].startswith("rebinding.example:")


def test_url_that_cannot_be_asked_is_an_error_of_its_message_alone() -> None:
    sender = WebhookSender(Settings(webhook_hosts=("127.0.0.1",), webhook_networks=("127.0.0.0/8",)))
    error = sender.send("http://127.0.0.1:9/\x01", "whsec_" + "QUJD" * 8, "id", "{}")
    assert error is not None
    assert error.startswith("InvalidURL")


def test_tries_last_longer_than_a_day() -> None:
    assert sum(DELAYS_SECONDS) > 24 * 3600
    assert list(DELAYS_SECONDS) == sorted(DELAYS_SECONDS)


@pytest.mark.parametrize("networks", [("10.0.0.1/8",), ("nonsense",)])
def test_network_that_is_none_is_a_wrong_setting(networks: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="webhook_networks"):
        Settings(webhook_networks=networks)
