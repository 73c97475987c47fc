"""Files by content hash: whole or in ranges, proven before they are sent, and an entry in the log each time."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from serving import serving
from starlette.testclient import TestClient

from deepscreen.settings import Settings
from deepscreen.store.blobs import BlobStore


@pytest.fixture(scope="module")
def done(client: TestClient, png: bytes) -> dict[str, Any]:
    """A finished screening."""
    envelope: dict[str, Any] = client.post("/v1/screenings", files={"file": ("a b/../ä.png", png)}).json()
    return envelope


def path_of(envelope: dict[str, Any], sha256: str) -> str:
    return f"/v1/screenings/{envelope['id']}/files/{sha256}"


def test_original_comes_back_as_it_was_sent_to_be_saved(client: TestClient, done: dict[str, Any], png: bytes) -> None:
    sha256 = hashlib.sha256(png).hexdigest()
    response = client.get(path_of(done, sha256))
    assert response.content == png
    assert response.headers["content-type"] == "image/png"
    assert response.headers["etag"] == f'"{sha256}"'
    assert response.headers["content-disposition"].startswith("attachment; filename")
    assert "/" not in response.headers["content-disposition"].replace("utf-8''", "")
    assert "last-modified" not in response.headers
    entries = client.get("/v1/audit", params={"subject": done["id"]}).json()["entries"]
    assert entries[-1]["act"] == "original-downloaded"


def test_record_and_pictures_are_found_by_hash_too(client: TestClient, done: dict[str, Any]) -> None:
    record = client.get(done["record_href"])
    sha256 = hashlib.sha256(record.content).hexdigest()
    assert record.headers["etag"] == f'"{sha256}"'
    assert client.get(path_of(done, sha256)).content == record.content
    for link in done["evidence"]:
        assert client.get(path_of(done, link["sha256"])).content == client.get(link["href"]).content


@pytest.mark.parametrize(
    ("given", "first", "last"),
    [("bytes=0-9", 0, 10), ("bytes=5-", 5, None), ("bytes=-7", -7, None), ("bytes=100-99999", 100, None)],
)
def test_range_is_a_part(
    client: TestClient, done: dict[str, Any], png: bytes, given: str, first: int, last: int
) -> None:
    path = path_of(done, hashlib.sha256(png).hexdigest())
    response = client.get(path, headers={"Range": given})
    assert response.status_code == 206
    assert response.content == png[first:last]
    assert response.headers["content-range"].endswith(f"/{len(png)}")
    record = client.get(done["record_href"], headers={"Range": given})
    assert record.status_code == 206
    assert record.content == client.get(done["record_href"]).content[first:last]


@pytest.mark.parametrize(
    "given", ["bytes=0-1,4-5", "bytes=9-3", "lines=0-5", "bytes=x-", "bytes=", "bytes=" + "9" * 30 + "-"]
)
def test_range_that_is_none_gives_the_whole(client: TestClient, done: dict[str, Any], png: bytes, given: str) -> None:
    response = client.get(path_of(done, hashlib.sha256(png).hexdigest()), headers={"Range": given})
    assert (response.status_code, response.content) == (200, png)


def test_range_behind_the_end_is_refused(client: TestClient, done: dict[str, Any], png: bytes) -> None:
    response = client.get(path_of(done, hashlib.sha256(png).hexdigest()), headers={"Range": f"bytes={len(png)}-"})
    assert response.status_code == 416
    assert response.json()["type"] == "urn:deepscreen:problem:range-outside"
    assert response.headers["content-range"] == f"bytes */{len(png)}"


def test_range_of_another_content_gives_the_whole(client: TestClient, done: dict[str, Any], png: bytes) -> None:
    path = path_of(done, hashlib.sha256(png).hexdigest())
    etag = client.get(path).headers["etag"]
    for condition, status in ((etag, 206), ('"other"', 200)):
        assert client.get(path, headers={"Range": "bytes=0-1", "If-Range": condition}).status_code == status
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_hash_that_is_none_of_this_screening_is_not_found(client: TestClient, done: dict[str, Any], png: bytes) -> None:
    other = client.post("/v1/screenings", files={"file": ("b.png", png + b"other")}).json()
    assert client.get(path_of(done, hashlib.sha256(png + b"other").hexdigest())).status_code == 404
    assert client.get(path_of(other, "0" * 64)).status_code == 404
    assert client.get(path_of(other, "nonsense")).status_code == 422


def test_changed_original_is_not_sent_not_even_in_part(own_settings: Settings, png: bytes) -> None:
    with serving(own_settings) as client:
        envelope = client.post("/v1/screenings", files={"file": ("a.png", png)}).json()
        sha256 = hashlib.sha256(png).hexdigest()
        assert own_settings.data_dir
        blob = next((own_settings.data_dir / "blobs").rglob(sha256))
        blob.chmod(0o600)
        blob.write_bytes(png[:-1] + b"!")
        for headers in ({}, {"Range": "bytes=0-3"}):
            response = client.get(path_of(envelope, sha256), headers=headers)
            assert response.status_code == 500
            assert response.json()["type"] == "urn:deepscreen:problem:result-damaged"


def test_result_that_is_deleted_while_it_is_read_is_not_there(
    client: TestClient, png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = BlobStore.read
    for k, path in enumerate(("", "/record", "/report")):
        envelope = client.post("/v1/screenings", files={"file": ("a.png", png + bytes([k]))}).json()
        address = f"/v1/screenings/{envelope['id']}"

        def read_late(store: BlobStore, sha256: str, address: str = address) -> bytes:
            monkeypatch.setattr(BlobStore, "read", read)
            assert client.delete(address).status_code == 200
            return read(store, sha256)

        monkeypatch.setattr(BlobStore, "read", read_late)
        if path == "/record":  # it is sent from its file
            monkeypatch.setattr(BlobStore, "as_file", lambda store, sha256, _, late=read_late: late(store, sha256))
        response = client.get(address + path)
        monkeypatch.undo()
        assert response.status_code == 404, path
        assert response.json()["type"] == "urn:deepscreen:problem:no-such-result"
