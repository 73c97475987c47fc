"""What an upload may look like, and how early a wrong one is refused."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import MAX_BYTES
from starlette.requests import Request
from starlette.testclient import TestClient

from deepscreen.api import uploads
from deepscreen.api.http_errors import UploadStalled
from deepscreen.api.resumable import ResumableUploads
from deepscreen.api.room import Room
from deepscreen.api.uploads import FORM_OVERHEAD_BYTES
from deepscreen.errors import StorageFull
from deepscreen.settings import Limits, Settings
from deepscreen.store.store import Store

FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def part(name: str, content: bytes, filename: str | None = "a.png") -> bytes:
    given = "" if filename is None else f'; filename="{filename}"'
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{given}\r\n\r\n'.encode() + content + b"\r\n"


def send(client: TestClient, body: bytes | Iterator[bytes], headers: dict[str, str] = FORM) -> tuple[int, str]:
    response = client.post("/v1/screenings", content=body, headers=headers)
    assert response.headers["content-type"] in {"application/json", "application/problem+json"}
    return response.status_code, response.json().get("type", "").removeprefix("urn:deepscreen:problem:")


def test_part_without_file_name_is_taken(client: TestClient, png: bytes) -> None:
    assert send(client, part("file", png, filename=None) + b"--b--\r\n")[0] == 201


def test_body_in_pieces_of_one_byte_is_taken(client: TestClient, png: bytes) -> None:
    body = part("file", png) + b"--b--\r\n"
    assert send(client, (body[i : i + 1] for i in range(len(body))))[0] == 201


def test_content_that_looks_like_a_boundary_arrives_whole(client: TestClient, png: bytes) -> None:
    content = png + b"\r\n--\r\n--c\r\n\r\n-"
    response = client.post("/v1/screenings", content=part("file", content) + b"--b--\r\n", headers=FORM)
    assert response.json()["screening"]["media"]["size_bytes"] == len(content)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"--b--\r\n", (422, "wrong-fields")),
        (part("picture", b"x") + b"--b--\r\n", (422, "wrong-fields")),
        (part("file", b"x") + part("file", b"y") + b"--b--\r\n", (422, "wrong-fields")),
        (part("file", b"x") + part("note", b"y", None) + b"--b--\r\n", (422, "wrong-fields")),
        (part("note", b"y", None) + part("file", b"x") + b"--b--\r\n", (422, "wrong-fields")),
        (b"--b\r\n\r\nx\r\n--b--\r\n", (422, "wrong-fields")),
        (part("file", b"") + b"--b--\r\n", (422, "empty-media")),
        (part("file", b"just text, no picture") + b"--b--\r\n", (415, "unsupported-media")),
        (b"", (400, "malformed-upload")),
        (b"nonsense", (400, "malformed-upload")),
        (part("file", b"x" * 100)[:-2], (400, "malformed-upload")),
        (part("file", b"x" * 100), (400, "malformed-upload")),
        (b"--b\r\nContent-Disposition: form-data; name=" + b"x" * 100_000, (400, "malformed-upload")),
        (b"--b\r\nbad header\r\n\r\nx\r\n--b--\r\n", (400, "malformed-upload")),
    ],
)
def test_wrong_form_is_refused(client: TestClient, body: bytes, expected: tuple[int, str]) -> None:
    assert send(client, body) == expected


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("image/png", (415, "wrong-content-type")),
        ("application/x-www-form-urlencoded", (415, "wrong-content-type")),
        ("multipart/form-data", (400, "malformed-upload")),
        ("multipart/form-data; boundary=" + "x" * 1000, (400, "malformed-upload")),
    ],
)
def test_wrong_content_type_is_refused(client: TestClient, content_type: str, expected: tuple[int, str]) -> None:
    assert send(client, b"x", {"Content-Type": content_type}) == expected


def test_missing_content_type_is_refused(client: TestClient) -> None:
    assert send(client, b"x", {}) == (415, "wrong-content-type")


def test_announced_excess_is_refused_before_the_body_is_read(client: TestClient) -> None:
    taken = []

    def body() -> Iterator[bytes]:
        taken.append(1)
        yield part("file", b"x")

    length = str(MAX_BYTES + FORM_OVERHEAD_BYTES + 1)
    assert send(client, body(), {**FORM, "Content-Length": length}) == (413, "media-too-large")
    assert not taken


def test_file_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(client: TestClient, png: bytes) -> None:
    exact = png + b"\0" * (MAX_BYTES - len(png))
    assert send(client, part("file", exact) + b"--b--\r\n")[0] == 201
    assert send(client, part("file", exact + b"\0") + b"--b--\r\n") == (413, "media-too-large")


def test_excess_of_line_ends_before_the_file_is_refused(client: TestClient) -> None:
    assert send(client, iter([b"\r\n" * MAX_BYTES])) == (413, "media-too-large")


def test_upload_that_stands_still_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "STALL_TIMEOUT_SECONDS", 0.05)
    messages = [{"type": "http.request", "body": part("file", b"x" * 100)[:-2], "more_body": True}]

    async def receive() -> dict:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", FORM["Content-Type"].encode())]}
    store = Store.open(Settings(), tmp_path)
    room = Room(store, ResumableUploads(tmp_path, lifetime_seconds=60))
    request = Request(scope, receive)
    with room.promise(100) as promise, pytest.raises(UploadStalled):
        asyncio.run(uploads.receive_upload(request, tmp_path / "upload", limits=Limits(), promise=promise))
    store.close()


def test_space_is_promised_once(tmp_path: Path) -> None:
    """By parts of what is free: other processes write to this disk too."""
    store = Store.open(Settings(min_free_bytes=0), tmp_path)
    resumable = ResumableUploads(tmp_path, lifetime_seconds=60)
    room, free_bytes = Room(store, resumable), shutil.disk_usage(tmp_path).free
    room.check(free_bytes // 2)
    with room.promise(free_bytes * 3 // 4) as promise:
        with pytest.raises(StorageFull, match="make room"):
            room.check(free_bytes // 2)
        promise.arrived(free_bytes // 2)  # it lies on the disk now, and is counted there
        room.check(free_bytes // 2)
    resumable.begin("key", length_bytes=free_bytes * 3 // 4, filename=None, case_id=None)
    with pytest.raises(StorageFull, match="make room"):
        room.check(free_bytes // 2)
    # One whose sender says no length takes what is there, but not what must stay free.
    full = Room(dataclasses.replace(store, min_free_bytes=2**60), resumable)
    with full.promise(0) as promise, pytest.raises(StorageFull, match="make room"):
        promise.arrived(1)
    store.close()
