"""A screening over HTTP: same record as the library, results that last, evidence that is proven."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest
from serving import build_fake_desk, serving
from starlette.testclient import TestClient

from deepscreen.media.intake import take_in
from deepscreen.record import Screening
from deepscreen.settings import Settings

HOSTILE_NAMES = ["../../../etc/passwd", "/etc/passwd", "..", "a\nb.png", "ünïcode 🖼.png", "x" * 900, ""]


@pytest.fixture
def data_dir(settings: Settings) -> Path:
    assert settings.data_dir
    return settings.data_dir


def post(client: TestClient, content: bytes, filename: str = "suspect.png") -> dict:
    response = client.post("/v1/screenings", files={"file": (filename, content)})
    assert response.status_code == 201, response.text
    return response.json()


def test_record_is_the_librarys_byte_for_byte(
    client: TestClient, settings: Settings, png: bytes, tmp_path: Path
) -> None:
    source = tmp_path / "other name.jpg"
    source.write_bytes(png)
    desk = build_fake_desk(settings)
    try:
        by_library = desk.screen(take_in(source, limits=settings.limits)).screening.canonical_json()
    finally:
        desk.close()

    envelope = post(client, png)

    assert Screening.model_validate(envelope["screening"]).canonical_json() == by_library
    assert client.get(envelope["record_href"]).content == by_library


@pytest.mark.parametrize("kind", ["png", "gif", "wav"])
def test_one_route_takes_all_kinds_and_tells_them_by_content(
    client: TestClient, kind: str, request: pytest.FixtureRequest
) -> None:
    envelope = post(client, request.getfixturevalue(kind), "document.pdf")
    assert envelope["screening"]["media"]["kind"] == {"png": "image", "gif": "video", "wav": "audio"}[kind]
    for link in envelope["evidence"]:
        assert client.get(link["href"]).content.startswith(b"\x89PNG")


def test_broken_picture_is_refused_with_its_reason(client: TestClient, png: bytes) -> None:
    response = client.post("/v1/screenings", files={"file": ("a.png", png[: len(png) // 2])})
    assert response.status_code == 422
    assert response.json()["type"] == "urn:deepscreen:problem:undecodable-media"


def test_envelope_is_the_same_when_read_again(client: TestClient, png: bytes) -> None:
    response = client.post("/v1/screenings", files={"file": ("suspect.png", png)})
    assert response.headers["location"] == f"/v1/screenings/{response.json()['id']}"
    assert client.get(response.headers["location"]).json() == response.json()


def test_record_says_what_was_sent(client: TestClient, png: bytes) -> None:
    envelope = post(client, png)
    assert envelope["screening"]["media"]["sha256"] == hashlib.sha256(png).hexdigest()
    assert envelope["screening"]["media"]["size_bytes"] == len(png)
    assert envelope["filename"] == "suspect.png"
    assert envelope["stage_milliseconds"]


def test_evidence_is_served_as_the_record_states(client: TestClient, png: bytes) -> None:
    envelope = post(client, png)
    assert envelope["evidence"]
    for link in envelope["evidence"]:
        response = client.get(link["href"])
        assert response.status_code == 200
        assert hashlib.sha256(response.content).hexdigest() == link["sha256"]
        assert response.headers["content-type"] == "image/png"
        assert response.headers["etag"] == f'"{link["sha256"]}"'
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        assert response.headers["cache-control"] == "private, no-cache", "a retry puts another under this name"
        by_hash = client.get(f"/v1/screenings/{envelope['id']}/files/{link['sha256']}")
        assert "immutable" in by_hash.headers["cache-control"]


def test_evidence_is_not_sent_again_to_a_client_that_has_it(client: TestClient, png: bytes) -> None:
    link = post(client, png)["evidence"][0]
    response = client.get(link["href"], headers={"If-None-Match": f'"{link["sha256"]}"'})
    assert (response.status_code, response.content) == (304, b"")


def test_results_are_not_kept_by_caches(client: TestClient, png: bytes) -> None:
    assert client.get(f"/v1/screenings/{post(client, png)['id']}").headers["cache-control"] == "no-store"


def test_original_is_kept_once_as_a_blob(client: TestClient, data_dir: Path, png: bytes) -> None:
    post(client, png)
    post(client, png, "again.png")
    assert list((data_dir / "uploads").iterdir()) == []
    same = [path for path in data_dir.rglob("*") if path.is_file() and path.read_bytes() == png]
    assert [path.name for path in same] == [hashlib.sha256(png).hexdigest()]
    assert same[0].stat().st_mode & 0o777 == 0o400


def test_failed_screening_is_kept_with_its_reason(client: TestClient, data_dir: Path) -> None:
    response = client.post("/v1/screenings", files={"file": ("a.png", b"no picture" * 20)})
    assert response.status_code == 415
    assert list((data_dir / "uploads").iterdir()) == []
    kept = client.get(response.headers["location"]).json()
    assert kept["state"] == "failed"
    assert kept["failure"] == {name: response.json()[name] for name in ("type", "title", "status", "detail")}
    assert kept["screening"] is None
    assert client.get(response.headers["location"] + "/record").status_code == 404


def test_results_survive_a_restart_when_data_dir_is_set(own_settings: Settings, png: bytes) -> None:
    with serving(own_settings) as client:
        before = post(client, png)
    with serving(own_settings) as client:
        assert client.get(f"/v1/screenings/{before['id']}").json() == before
        assert client.get(before["evidence"][0]["href"]).status_code == 200


def test_leftovers_of_a_crash_are_removed_at_the_start(own_settings: Settings) -> None:
    assert own_settings.data_dir
    data_dir = own_settings.data_dir
    (data_dir / "uploads").mkdir(parents=True)
    (data_dir / "uploads" / "half").write_bytes(b"evidence")
    with serving(own_settings):
        assert not (data_dir / "uploads" / "half").exists()


def test_folders_are_private(client: TestClient, data_dir: Path, png: bytes) -> None:
    envelope = post(client, png)
    assert envelope["state"] == "done"
    for folder in (data_dir, *(path for path in data_dir.rglob("*") if path.is_dir())):
        assert folder.stat().st_mode & 0o077 == 0, folder


@pytest.mark.parametrize("filename", HOSTILE_NAMES)
def test_senders_name_is_shown_and_never_used(client: TestClient, data_dir: Path, png: bytes, filename: str) -> None:
    disposition = 'form-data; name="file"; filename="{}"'.format(filename.replace("\n", "%0A"))
    body = b"--b\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\n" + png + b"\r\n--b--\r\n"
    response = client.post("/v1/screenings", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert response.status_code == 201, response.text
    assert response.json()["filename"] == filename.replace("\n", "%0A")
    assert [path.name for path in data_dir.parent.iterdir()] == [data_dir.name]
    database = {"deepscreen.db", "deepscreen.db-wal", "deepscreen.db-shm"}
    assert {path.name for path in data_dir.iterdir()} <= {
        "lock",
        "resumable",
        "scratch",
        "uploads",
        "blobs",
        "signing-key.pem",
        *database,
    }


def test_senders_name_that_is_no_utf8_is_shown_with_replacements(client: TestClient, png: bytes) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff\xfe.png"\r\n\r\n'
    response = client.post(
        "/v1/screenings",
        content=head + png + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert response.json()["filename"] == "\N{REPLACEMENT CHARACTER}" * 2 + ".png"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/screenings/" + "0" * 32,
        "/v1/screenings/nonsense",
        "/v1/screenings/..%2f..%2fetc%2fpasswd",
        "/v1/screenings/%2e%2e",
        "/v1/screenings/.new-" + "0" * 32,
        "/v1/screenings/" + "0" * 32 + "/record",
        "/v1/screenings/" + "0" * 32 + "/evidence/a.png",
    ],
)
def test_unknown_id_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("name", ["record.json", "circumstances.json", "..%2f..%2flock", "other.png"])
def test_evidence_that_the_record_does_not_name_is_not_found(client: TestClient, png: bytes, name: str) -> None:
    result_id = post(client, png)["id"]
    assert client.get(f"/v1/screenings/{result_id}/evidence/{name}").status_code == 404


def test_character_that_no_text_may_hold_is_refused_in_a_name(client: TestClient, png: bytes) -> None:
    assert client.get(f"/v1/screenings/{post(client, png)['id']}/evidence/%00").status_code == 422


@pytest.mark.parametrize("damage", ["record", "evidence"])
def test_changed_result_is_not_served(client: TestClient, data_dir: Path, png: bytes, damage: str) -> None:
    envelope = post(client, png)
    link = envelope["evidence"][0]
    record = client.get(envelope["record_href"])
    sha256 = record.headers["etag"].strip('"') if damage == "record" else link["sha256"]
    path = data_dir / "blobs" / sha256[:2] / sha256[2:4] / sha256
    path.chmod(0o600)
    intact = path.read_bytes()
    path.write_bytes(intact + b" ")  # still valid JSON, still a picture

    response = client.get(envelope["record_href"] if damage == "record" else link["href"])

    path.write_bytes(intact)
    assert response.status_code == 500
    assert response.json()["type"] == "urn:deepscreen:problem:result-damaged"


def test_screening_is_logged_in_one_line_without_the_file_name(
    client: TestClient, png: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    other = png + b"trailing"  # another content, for what was screened is not screened again
    with caplog.at_level(logging.INFO, logger="deepscreen"):
        post(client, other, "secret informant.png")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("deepscreen.engine")]
    assert len(lines) == 1
    assert lines[0].startswith(f"screened {hashlib.sha256(other).hexdigest()[:12]} image ")
    assert "ms" in lines[0]
    assert "informant" not in caplog.text
