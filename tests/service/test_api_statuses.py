"""Every status that the OpenAPI document names for a route is reached there, but 500, which nobody may reach."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Served

from deepscreen.api import auth, routes_events, uploads
from deepscreen.api.app import openapi_json
from deepscreen.errors import Overloaded
from deepscreen.register.exchange import MAX_IMPORT_BYTES
from deepscreen.settings import Limits, Settings
from deepscreen.store.keys import Role, create_key

MAX_BYTES = 4_000_000
PATHS: dict[str, dict[str, Any]] = json.loads(openapi_json())["paths"]
DOCUMENTED = {
    (method.upper(), path, int(status))
    for path, methods in PATHS.items()
    for method, operation in methods.items()
    for status in operation["responses"]
    if status not in {"500", "default"}
}
NOBODY = "0" * 32
IDS = dict.fromkeys(("screening_id", "case_id", "key_id", "upload_id", "webhook_id", "entry_id", "name"), NOBODY) | {
    "sha256": 2 * NOBODY,
    "method_digest": 2 * NOBODY,
    "other_digest": 2 * NOBODY,
}
TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = TUS | {"Content-Type": "application/offset+octet-stream"}
STALL_SECONDS = 0.5
ONE, FILES = "/v1/screenings/{screening_id}", "/v1/screenings/{screening_id}/files/{sha256}"
BUNDLE = "/v1/cases/{case_id}/bundle"
MISUSE, MISUSE_ONE = "/v1/misuse", "/v1/misuse/{entry_id}"
AGAINST, TRIAL = "/v1/methods/{method_digest}/against/{other_digest}", "/v1/methods/{method_digest}/trial"
UPLOAD, MEMBER = "/v1/uploads/{upload_id}", "/v1/cases/{case_id}/members/{key_id}"
Ask = Callable[..., httpx.Response]


class Reached:
    """Asks services, and notes which status each route gave."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str, int]] = set()
        self.http = httpx.Client(timeout=120)

    def of(self, served: Served, key: str | None = None) -> Ask:
        """A function that asks this service and expects a status; ids in the path are nobody's unless given."""

        def ask(status: int, method: str, template: str, /, **options: Any) -> httpx.Response:
            ids = {name: options.pop(name, nobody) for name, nobody in IDS.items()}
            headers = {"Authorization": f"Bearer {key or served.key}"} | options.pop("headers", {})
            url = served.url + template.format(**ids)
            answer = self.http.request(method, url, headers=headers, **options)
            assert answer.status_code == status, f"{method} {template}: {answer.text}"
            self.seen.add((method, template, status))
            return answer

        return ask


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    limits = Limits(max_bytes=MAX_BYTES)
    hosts = ("localhost",)
    return Settings(data_dir=tmp_path / "data", device="cpu", limits=limits, webhook_hosts=hosts)


@pytest.fixture
def reached() -> Iterator[Reached]:
    reached = Reached()
    yield reached
    reached.http.close()


def test_every_documented_status_is_reached(
    settings: Settings, reached: Reached, png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Served(settings)) as served:
        key, ask = served.key, reached.of(served)
        anybody_may_get(served, ask)
        screening_id = screenings(ask, png)
        files_of(ask, screening_id)
        cases_and_webhooks(served, ask)
        keys(ask)
        methods(served, ask)
        with monkeypatch.context() as patch:
            patch.setattr(routes_events, "STREAM_SECONDS", STALL_SECONDS)
            ask(200, "GET", "/v1/events")
        reports(served, ask, screening_id)
        misuse_register(served, ask, screening_id)
        uploads_end(ask, png)
        upload_id = uploads_of(served, ask)
        with monkeypatch.context() as patch:
            patch.setattr(uploads, "STALL_TIMEOUT_SECONDS", STALL_SECONDS)
            stalled(served, reached, upload_id)
        reviews(served, reached, screening_id)
        ask(200, "DELETE", ONE, screening_id=ask_for(ask, png + b"gone"))
    with closing(Served(settings.model_copy(update={"min_free_bytes": 2**60}))) as served:
        full(reached.of(served, key), upload_id, png)
    with closing(Served(settings, None)) as served:
        without_a_method(reached.of(served, key), upload_id, screening_id, png)
    monkeypatch.setattr(auth, "LOGINS_PER_MINUTE", 1)
    with closing(Served(settings.model_copy(update={"requests_per_minute": 1}))) as served:
        too_many(reached.of(served, key), upload_id)
    assert DOCUMENTED - reached.seen == set()


def anybody_may_get(served: Served, ask: Ask) -> None:
    """401, 403 and 421, which are documented with every route that can give them."""
    for method, path, status in sorted(DOCUMENTED):
        if status == 401:
            body = {"key": "dsk_nonsense"} if path == "/v1/session" else None
            ask(401, method, path, headers={"Authorization": "Bearer nonsense"}, json=body)
        if status == 403:
            ask(403, method, path, headers={"Origin": "https://evil.example"})
        if status == 421:
            ask(421, method, path, headers={"Host": "evil.example"})


def ask_for(ask: Ask, content: bytes) -> str:
    answer = ask(201, "POST", "/v1/screenings", files={"file": ("a.png", content)})
    return str(answer.json()["id"])


def screenings(ask: Ask, png: bytes) -> str:
    """The id of one that is done."""
    screening_id, sent = ask_for(ask, png), {"file": ("a.png", png)}
    ask(202, "POST", "/v1/screenings", files={"file": ("b.png", png + b"2")}, headers={"Prefer": "respond-async"})
    ask(400, "POST", "/v1/screenings", content=b"--b\r\n", headers={"Content-Type": "multipart/form-data; boundary=b"})
    ask(404, "POST", "/v1/screenings", files=sent, params={"case_id": NOBODY})
    ask(413, "POST", "/v1/screenings", files={"file": ("a.png", bytes(2 * MAX_BYTES))})
    ask(415, "POST", "/v1/screenings", content=b"x", headers={"Content-Type": "text/plain"})
    ask(422, "POST", "/v1/screenings", files={"file": ("a.png", b"")})
    for path in ("/v1/screenings", "/info", "/metrics", "/v1/audit", "/livez", "/readyz", "/v1/session"):
        ask(200, "GET", path)
    ask(200, "GET", ONE, screening_id=screening_id)
    ask(404, "GET", ONE)
    ask(404, "DELETE", ONE)
    for act, status in (("cancel", 200), ("retry", 202)):
        ask(status, "POST", f"{ONE}/{act}", screening_id=screening_id)
        ask(404, "POST", f"{ONE}/{act}")
    assert "done" in ask(200, "GET", f"{ONE}/events", screening_id=screening_id).text.splitlines()[-2]
    ask(404, "GET", f"{ONE}/events")
    ask(200, "GET", f"{ONE}/near-duplicates", screening_id=screening_id)
    ask(404, "GET", f"{ONE}/near-duplicates")
    return screening_id


def files_of(ask: Ask, screening_id: str) -> None:
    envelope = ask(200, "GET", ONE, screening_id=screening_id).json()
    name, sha256 = envelope["evidence"][0]["name"], envelope["evidence"][0]["sha256"]
    for path, ids in ((f"{ONE}/record", {}), (f"{ONE}/evidence/{{name}}", {"name": name}), (FILES, {"sha256": sha256})):
        whole = ask(200, "GET", path, screening_id=screening_id, **ids)
        ask(206, "GET", path, screening_id=screening_id, headers={"Range": "bytes=0-3"}, **ids)
        ask(304, "GET", path, screening_id=screening_id, headers={"If-None-Match": whole.headers["etag"]}, **ids)
        ask(416, "GET", path, screening_id=screening_id, headers={"Range": "bytes=99999999-"}, **ids)
        ask(404, "GET", path)
    ask(422, "GET", FILES, screening_id=screening_id, sha256="nonsense")


def cases_and_webhooks(served: Served, ask: Ask) -> None:
    case_id = ask(201, "POST", "/v1/cases", json={"name": "x"}).json()["id"]
    member = served.key.split("_")[1]
    ask(200, "GET", "/v1/cases")
    for method, path, status in (
        ("GET", "/v1/cases/{case_id}", 200), ("PATCH", "/v1/cases/{case_id}", 200),
        ("PUT", MEMBER, 200), ("DELETE", MEMBER, 204),
    ):  # fmt: skip
        body = {"notes": "y"} if method == "PATCH" else None
        ask(404, method, path, json=body)
        ask(422, method, path, case_id="%00", json=body)
        ask(status, method, path, case_id=case_id, key_id=member, json=body)
    webhook = ask(201, "POST", "/v1/webhooks", json={"url": "https://localhost/told"}).json()
    ask(422, "POST", "/v1/webhooks", json={"url": "https://elsewhere.example/"})
    ask(200, "GET", "/v1/webhooks")
    ask(204, "DELETE", "/v1/webhooks/{webhook_id}", webhook_id=webhook["id"])
    ask(404, "DELETE", "/v1/webhooks/{webhook_id}")
    ask(201, "POST", "/v1/session", json={"key": served.key})
    ask(204, "DELETE", "/v1/session")
    ask(422, "POST", "/v1/session", json={})


def keys(ask: Ask) -> None:
    made = ask(201, "POST", "/v1/keys", json={"name": "ada", "role": "examiner"}).json()
    ask(422, "POST", "/v1/keys", json={"name": ""})
    ask(200, "GET", "/v1/keys")
    ask(204, "DELETE", "/v1/keys/{key_id}", key_id=made["id"])
    ask(404, "DELETE", "/v1/keys/{key_id}")


def methods(served: Served, ask: Ask) -> None:
    """A method that a worker told of and that has none any more cannot be tried."""
    queue = served.app.state.service.queue
    queue.renew("gone", "e" * 64, {})
    queue.leave("gone")
    known = [method["method_digest"] for method in ask(200, "GET", "/v1/methods").json()["methods"]]
    todays = next(digest for digest in known if digest != "e" * 64)
    ask(200, "GET", AGAINST, method_digest=todays, other_digest="e" * 64)
    ask(404, "GET", AGAINST)
    ask(202, "POST", TRIAL, method_digest=todays, json={"of_method": "e" * 64})
    ask(503, "POST", TRIAL, method_digest="e" * 64, json={"of_method": todays})
    ask(404, "POST", TRIAL, json={"of_method": todays})
    ask(422, "POST", TRIAL, method_digest=todays, json={"of_method": "x"})


def reports(served: Served, ask: Ask, screening_id: str) -> None:
    """Reports, bundles and previews, which take a place each; and the small picture."""
    case_id, thumbnail = ask(200, "GET", "/v1/cases").json()["cases"][0]["id"], f"{ONE}/thumbnail"
    made = {f"{ONE}/report": {"params": {"format": "html"}}, f"{ONE}/preview": {}, BUNDLE: {}}
    ids = {"screening_id": screening_id, "case_id": case_id}
    for path, options in made.items():
        ask(200, "GET", path, **ids, **options)
        ask(404, "GET", path, **options)
    with ExitStack() as places:
        with suppress(Overloaded):
            while True:
                places.enter_context(served.app.state.service.admission.place())
        for path, options in made.items():
            ask(429, "GET", path, **ids, **options)
    whole = ask(200, "GET", thumbnail, screening_id=screening_id)
    ask(206, "GET", thumbnail, screening_id=screening_id, headers={"Range": "bytes=0-3"})
    ask(304, "GET", thumbnail, screening_id=screening_id, headers={"If-None-Match": whole.headers["etag"]})
    ask(416, "GET", thumbnail, screening_id=screening_id, headers={"Range": "bytes=99999999-"})
    ask(404, "GET", thumbnail)
    ask(422, "GET", f"{ONE}/preview", screening_id=screening_id, params={"at": -1})


def misuse_register(served: Served, ask: Ask, screening_id: str) -> None:
    stated = {"screening_id": screening_id, "tool": "x", "tlp": "green"}
    ask(404, "POST", MISUSE, json=stated | {"screening_id": NOBODY})
    ask(422, "POST", MISUSE, json=stated | {"tlp": "purple"})
    entry_id = ask(201, "POST", MISUSE, json=stated).json()["id"]
    ask(200, "GET", MISUSE)
    ask(404, "GET", MISUSE, params={"like": NOBODY})
    ask(422, "GET", MISUSE, params={"before": "nonsense"})
    ask(200, "GET", MISUSE_ONE, entry_id=entry_id)
    change = {"revision": 1, "reason": "Seen again."}
    for method, body in (("GET", None), ("PATCH", change)):
        ask(404, method, MISUSE_ONE, json=body)
        ask(422, method, MISUSE_ONE, entry_id="%00", json=body)
    ask(200, "PATCH", MISUSE_ONE, entry_id=entry_id, json=change)
    ask(409, "PATCH", MISUSE_ONE, entry_id=entry_id, json=change)
    told = {"format": "stix", "tlp": "green"}
    given = ask(200, "GET", f"{MISUSE}/export", params=told).content
    ask(404, "GET", f"{MISUSE}/export", params=told | {"entry": "5f2d8c9a-41b0-4e66-98d1-f0a29c7b4e15"})
    ask(422, "GET", f"{MISUSE}/export", params=told | {"tlp": "clear", "entry": entry_id})
    taken = {"format": "stix", "origin": "another force"}
    ask(200, "POST", f"{MISUSE}/import", params=taken, content=given)
    ask(422, "POST", f"{MISUSE}/import", params=taken, content=b"no bundle")
    ask(413, "POST", f"{MISUSE}/import", params=taken, content=bytes(MAX_IMPORT_BYTES + 1))


def begin(ask: Ask, length: int) -> str:
    answer = ask(201, "POST", "/v1/uploads", headers=TUS | {"Upload-Length": str(length)})
    return str(answer.headers["location"].rpartition("/")[2])


def uploads_end(ask: Ask, png: bytes) -> None:
    upload_id = begin(ask, len(png))
    ask(204, "PATCH", UPLOAD, upload_id=upload_id, content=png, headers=CHUNK | {"Upload-Offset": "0"})
    ask(204, "DELETE", UPLOAD, upload_id=upload_id, headers=TUS)


def uploads_of(served: Served, ask: Ask) -> str:
    """The id of an upload without a byte."""
    ask(204, "OPTIONS", "/v1/uploads")
    ask(404, "POST", "/v1/uploads", headers=TUS | {"Upload-Length": "9", "Upload-Metadata": "case_id " + "MDAw"})
    ask(412, "POST", "/v1/uploads", headers={"Upload-Length": "9"})
    ask(413, "POST", "/v1/uploads", headers=TUS | {"Upload-Length": str(MAX_BYTES + 1)})
    ask(422, "POST", "/v1/uploads", headers=TUS | {"Upload-Length": "0"})
    upload_id = begin(ask, MAX_BYTES)
    sent: dict[str, Any] = {"content": b"x", "upload_id": upload_id}
    at_the_beginning = CHUNK | {"Upload-Offset": "0"}
    ask(409, "PATCH", UPLOAD, headers=CHUNK | {"Upload-Offset": "7"}, **sent)
    ask(413, "PATCH", UPLOAD, upload_id=upload_id, content=bytes(MAX_BYTES + 1), headers=at_the_beginning)
    ask(415, "PATCH", UPLOAD, headers=TUS | {"Upload-Offset": "0"}, **sent)
    ask(422, "PATCH", UPLOAD, headers=CHUNK | {"Upload-Offset": "-1"}, **sent)
    resumable = served.app.state.service.resumable
    held = resumable.find(upload_id, served.key.split("_")[1])
    for method in ("HEAD", "PATCH", "DELETE"):
        headers = at_the_beginning if method == "PATCH" else TUS
        ask(404, method, UPLOAD, headers=headers)
        ask(412, method, UPLOAD, upload_id=upload_id, headers=headers | {"Tus-Resumable": "0.2.1"})
        with resumable.hold(held):
            ask(423, method, UPLOAD, upload_id=upload_id, headers=headers)
    ask(200, "HEAD", UPLOAD, upload_id=upload_id, headers=TUS)
    return upload_id


def stalled(served: Served, reached: Reached, upload_id: str) -> None:
    """Bytes are promised and do not come; httpx cannot do that."""
    host, port = served.url.removeprefix("http://").split(":")
    form = "Content-Type: multipart/form-data; boundary=b\r\n"
    chunk = "Content-Type: application/offset+octet-stream\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
    for method, path, headers in (("POST", "/v1/screenings", form), ("PATCH", UPLOAD, chunk)):
        with socket.create_connection((host, int(port)), timeout=60) as line:
            head = f"{method} {path.format(upload_id=upload_id)} HTTP/1.1\r\nHost: localhost\r\n{headers}"
            line.sendall(f"{head}Authorization: Bearer {served.key}\r\nContent-Length: 999\r\n\r\n".encode())
            assert line.recv(100).startswith(b"HTTP/1.1 408 ")
            reached.seen.add((method, path, 408))


def reviews(served: Served, reached: Reached, screening_id: str) -> None:
    database = served.app.state.service.store.database
    _, second = create_key(database, name="rita", role=Role.REVIEWER, lifetime_seconds=None, actor="test")
    ask = reached.of(served, second)
    path, accept = f"{ONE}/review", {"decision": "accept"}
    ask(200, "GET", f"{ONE}/events", screening_id=screening_id)  # ends with the screening, which was tried again
    ask(404, "POST", path, json=accept)
    ask(422, "POST", path, screening_id=screening_id, json={"decision": "override"})
    ask(201, "POST", path, screening_id=screening_id, json=accept)
    ask(409, "POST", path, screening_id=screening_id, json=accept)


def full(ask: Ask, upload_id: str, png: bytes) -> None:
    ask(507, "POST", "/v1/screenings", files={"file": ("a.png", png)})
    ask(507, "POST", "/v1/uploads", headers=TUS | {"Upload-Length": "9"})
    ask(507, "PATCH", UPLOAD, headers=CHUNK | {"Upload-Offset": "0"}, upload_id=upload_id, content=bytes(MAX_BYTES))


def without_a_method(ask: Ask, upload_id: str, screening_id: str, png: bytes) -> None:
    """No worker has signed on to this database, or all have signed off."""
    ask(503, "GET", "/info")
    ask(503, "GET", "/readyz")
    ask(503, "POST", "/v1/screenings", files={"file": ("a.png", png)})
    ask(503, "POST", f"{ONE}/retry", screening_id=screening_id)
    ask(503, "POST", "/v1/uploads", headers=TUS | {"Upload-Length": "9"})
    offset = int(ask(200, "HEAD", UPLOAD, upload_id=upload_id, headers=TUS).headers["upload-offset"])
    last = {"content": bytes(MAX_BYTES - offset), "headers": CHUNK | {"Upload-Offset": str(offset)}}
    ask(503, "PATCH", UPLOAD, upload_id=upload_id, **last)


def too_many(ask: Ask, upload_id: str) -> None:
    ask(200, "GET", "/v1/session")
    ask(429, "POST", "/v1/screenings")
    ask(429, "POST", "/v1/uploads", headers=TUS | {"Upload-Length": "9"})
    ask(429, "PATCH", UPLOAD, headers=CHUNK | {"Upload-Offset": "0"}, upload_id=upload_id)
    wrong = {"key": "dsk_nonsense"}
    ask(401, "POST", "/v1/session", json=wrong)
    ask(429, "POST", "/v1/session", json=wrong)
