"""tus 1.0: uploads in pieces, what is refused, whose they are, and that they end in exactly one screening."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import MAX_BYTES, serving
from starlette.testclient import TestClient

from deepscreen.api.http_errors import NoSuchResult, UploadBusy
from deepscreen.api.resumable import MOST_FOR_ONE_KEY, ResumableUploads
from deepscreen.errors import Overloaded
from deepscreen.settings import Settings
from deepscreen.store.keys import Role, create_key

TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = {**TUS, "Content-Type": "application/offset+octet-stream"}


def begin(client: TestClient, length: int, *, filename: str = "a b.png", **headers: str) -> Any:
    metadata = "filename " + base64.b64encode(filename.encode()).decode()
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata, **headers}
    return client.post("/v1/uploads", headers=headers)


def send(client: TestClient, path: str, offset: int, content: bytes | Iterator[bytes], **headers: str) -> Any:
    return client.patch(path, content=content, headers={**CHUNK, "Upload-Offset": str(offset), **headers})


def offset_of(client: TestClient, path: str) -> int:
    response = client.head(path, headers=TUS)
    assert response.status_code == 200
    return int(response.headers["upload-offset"])


def problem(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["type"].removeprefix("urn:deepscreen:problem:")


def ended(client: TestClient, path: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while (body := client.get(path).json())["state"] in {"queued", "running"}:
        assert time.monotonic() < deadline, body
        time.sleep(0.02)
    return body


def test_file_in_pieces_becomes_one_screening(client: TestClient, png: bytes) -> None:
    created = begin(client, len(png))
    assert created.status_code == 201
    assert created.headers["tus-resumable"] == "1.0.0"
    assert "upload-expires" in created.headers
    path, offset = created.headers["location"], 0
    for size in (1, 100, 0, len(png)):
        piece = png[offset : offset + size]
        response = send(client, path, offset, iter([piece[:3], piece[3:]]))
        assert response.status_code == 204, response.text
        offset += len(piece)
        assert int(response.headers["upload-offset"]) == offset
        assert offset_of(client, path) == offset
    screening = response.headers["location"]
    envelope = ended(client, screening)
    assert envelope["state"] == "done"
    assert envelope["filename"] == "a b.png"
    assert envelope["screening"]["media"]["sha256"] == hashlib.sha256(png).hexdigest()
    again = client.head(path, headers=TUS)
    assert (again.headers["upload-offset"], again.headers["location"]) == (str(len(png)), screening)
    assert send(client, path, len(png), b"").headers["location"] == screening
    assert client.delete(path, headers=TUS).status_code == 204
    assert client.get(screening).status_code == 200


def test_upload_that_a_crash_left_whole_is_handed_over_when_it_is_asked_for(own_settings: Settings, png: bytes) -> None:
    with serving(own_settings) as client:
        path = begin(client, len(png)).headers["location"]
        send(client, path, 0, png[:100])
    assert own_settings.data_dir
    part = own_settings.data_dir / "resumable" / (path.split("/")[-1] + ".part")
    with part.open("ab") as file:  # bytes of a request that never saw its end
        file.write(png[100:])
    with serving(own_settings) as client:
        response = client.head(path, headers=TUS)
        envelope = ended(client, response.headers["location"])
        assert envelope["screening"]["media"]["sha256"] == hashlib.sha256(png).hexdigest()
        assert len(client.get("/v1/screenings").json()["items"]) == 1
        assert not part.exists()


def test_wrong_offset_is_refused_and_changes_nothing(client: TestClient, png: bytes) -> None:
    path = begin(client, len(png)).headers["location"]
    send(client, path, 0, png[:50])
    for offset in (0, 49, 51):
        assert problem(send(client, path, offset, png)) == (409, "offset-mismatch")
    assert offset_of(client, path) == 50


@pytest.mark.parametrize("announced", [True, False])
def test_more_bytes_than_promised_are_refused(client: TestClient, announced: bool) -> None:
    path = begin(client, 100).headers["location"]
    body = b"x" * 101
    assert problem(send(client, path, 0, body if announced else iter([body]))) == (413, "media-too-large")
    assert offset_of(client, path) == 0


def test_what_is_no_tus_is_refused(client: TestClient) -> None:
    response = client.post("/v1/uploads", headers={"Upload-Length": "5"})
    assert problem(response) == (412, "no-tus-version")
    assert response.headers["tus-version"] == "1.0.0"
    assert response.headers["tus-resumable"] == "1.0.0"
    path = begin(client, 5).headers["location"]
    assert problem(send(client, path, 0, b"12345", **{"Content-Type": "image/png"})) == (415, "wrong-content-type")
    assert client.head(path).status_code == 412


@pytest.mark.parametrize(
    ("length", "metadata", "expected"),
    [
        (MAX_BYTES + 1, "", (413, "media-too-large")),
        (0, "", (422, "empty-media")),
        (5, "nonsense eA==", (422, "wrong-parameter")),
        (5, "filename !!", (422, "wrong-parameter")),
        (5, "case_id " + base64.b64encode(b"0" * 32).decode(), (404, "no-such-result")),
    ],
)
def test_upload_that_would_be_refused_at_its_end_is_not_begun(
    client: TestClient, length: int, metadata: str, expected: tuple[int, str]
) -> None:
    assert problem(begin(client, length, **{"Upload-Metadata": metadata})) == expected


def test_space_that_is_promised_counts_what_is_still_to_come(tmp_path: Path) -> None:
    uploads = ResumableUploads(tmp_path, lifetime_seconds=60)
    first = uploads.begin("key", length_bytes=10, filename=None, case_id=None)
    uploads.begin("key", length_bytes=100, filename=None, case_id=None)
    uploads.append(first, [b"abc"])
    assert uploads.promised_bytes() == 107
    uploads.hand_over(first, "0" * 32)
    assert uploads.promised_bytes() == 100


def test_capabilities_are_told(client: TestClient) -> None:
    response = client.options("/v1/uploads")
    assert response.status_code == 204
    assert response.headers["tus-version"] == "1.0.0"
    assert response.headers["tus-extension"] == "creation,expiration,termination"
    assert response.headers["tus-max-size"] == str(MAX_BYTES)


def test_upload_is_its_beginners_alone(own_settings: Settings) -> None:
    with serving(own_settings) as client:
        database = client.app.state.service.store.database  # type: ignore[attr-defined]
        mine, other = (
            create_key(database, name="x", role=role, lifetime_seconds=None, actor="test")[1]
            for role in (Role.EXAMINER, Role.ADMIN)
        )
        path = begin(client, 10, Authorization=f"Bearer {mine}").headers["location"]
        foreign = {"Authorization": f"Bearer {other}"}
        assert client.head(path, headers=TUS | foreign).status_code == 404
        assert send(client, path, 0, b"x", **foreign).status_code == 404
        assert client.delete(path, headers=TUS | foreign).status_code == 404
        assert send(client, path, 0, b"x").status_code == 401
        assert client.head(path, headers={**TUS, "Authorization": f"Bearer {mine}"}).headers["upload-offset"] == "0"


def test_abandoned_uploads_and_what_crashes_left_are_removed(tmp_path: Path) -> None:
    uploads = ResumableUploads(tmp_path, lifetime_seconds=0.2)
    upload = uploads.begin("key", length_bytes=10, filename=None, case_id=None)
    uploads.append(upload, [b"abc"])
    left = tmp_path / "resumable" / ("f" * 32 + ".part")
    left.write_bytes(b"of a crash")
    uploads.remove_expired()
    assert uploads.offset(uploads.find(upload.id, "key")) == 3
    time.sleep(0.25)
    with pytest.raises(NoSuchResult):
        uploads.find(upload.id, "key")
    uploads.remove_expired()
    assert list((tmp_path / "resumable").iterdir()) == []


def test_upload_in_hand_is_not_taken_by_another(tmp_path: Path) -> None:
    uploads = ResumableUploads(tmp_path, lifetime_seconds=60)
    upload = uploads.begin("key", length_bytes=10, filename=None, case_id=None)
    with uploads.hold(upload):
        with pytest.raises(UploadBusy), uploads.hold(upload):
            pytest.fail("held twice")
        with pytest.raises(UploadBusy):
            uploads.remove(upload)
    uploads.remove(upload)


def test_whole_upload_that_is_a_blob_already_takes_an_empty_piece(tmp_path: Path) -> None:
    uploads = ResumableUploads(tmp_path, lifetime_seconds=60)
    upload = uploads.begin("key", length_bytes=1, filename=None, case_id=None)
    uploads.append(upload, [b"a"])
    uploads.path_of(upload).chmod(0o400)
    before = uploads.path_of(upload).stat().st_mtime_ns
    uploads.append(upload, [])
    assert uploads.path_of(upload).stat().st_mtime_ns == before


def test_hash_is_read_again_where_bytes_came_without_it(tmp_path: Path) -> None:
    uploads = ResumableUploads(tmp_path, lifetime_seconds=60)
    upload = uploads.begin("key", length_bytes=6, filename=None, case_id=None)
    uploads.append(upload, [b"ab", b"c"])
    with uploads.path_of(upload).open("ab") as file:
        file.write(b"d")
    uploads.append(upload, [b"e"])
    assert uploads.sha256(upload) == hashlib.sha256(b"abcde").hexdigest()
    assert ResumableUploads(tmp_path, lifetime_seconds=60).sha256(upload) == hashlib.sha256(b"abcde").hexdigest()


def test_one_key_cannot_begin_without_end(tmp_path: Path) -> None:
    uploads = ResumableUploads(tmp_path, lifetime_seconds=60)
    for _ in range(MOST_FOR_ONE_KEY):
        uploads.begin("key", length_bytes=10, filename=None, case_id=None)
    with pytest.raises(Overloaded):
        uploads.begin("key", length_bytes=10, filename=None, case_id=None)
    uploads.begin("other", length_bytes=10, filename=None, case_id=None)
