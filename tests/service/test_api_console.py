"""What the console needs of the API: keys, events of all items, small pictures, previews, reports, bundles."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator

import pytest
from PIL import Image
from serving import serving
from starlette.testclient import TestClient

from deepscreen.api import routes_events
from deepscreen.bundle.verify import verify
from deepscreen.settings import Settings


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    """A service without keys, whose stream of events ends soon."""
    with pytest.MonkeyPatch.context() as patched, serving(settings) as client:
        patched.setattr(routes_events, "STREAM_SECONDS", 1.5)
        yield client


def sent(client: TestClient, content: bytes, name: str = "x.png", case_id: str | None = None) -> str:
    params = {"case_id": case_id} if case_id else {}
    answer = client.post("/v1/screenings", params=params, files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_thumbnail_is_a_small_picture_and_sound_has_none(client: TestClient, png: bytes, wav: bytes) -> None:
    answer = client.get(f"/v1/screenings/{sent(client, png)}/thumbnail")
    assert answer.headers["content-type"] == "image/jpeg"
    assert max(Image.open(io.BytesIO(answer.content)).size) <= 256
    assert client.get(f"/v1/screenings/{sent(client, wav)}/thumbnail").status_code == 404


def test_preview_is_the_whole_picture_upright(client: TestClient, wav: bytes) -> None:
    file, exif = io.BytesIO(), Image.Exif()
    exif[274] = 6
    Image.new("RGB", (80, 30), "red").save(file, "TIFF", exif=exif)
    answer = client.get(f"/v1/screenings/{sent(client, file.getvalue(), 'lying.tif')}/preview")
    assert Image.open(io.BytesIO(answer.content)).size == (30, 80)
    assert client.get(f"/v1/screenings/{sent(client, wav)}/preview").status_code == 404


def test_record_holds_the_map_as_numbers(client: TestClient, png: bytes) -> None:
    record = client.get(f"/v1/screenings/{sent(client, png)}").json()["screening"]
    grids = [entry["grid"] for entry in record["modalities"]["image"]["evidence"]]
    assert [(grid["rows"], grid["columns"]) for grid in grids] == [(14, 14), (2, 2)]
    assert grids[1]["levels"] == "/wAA/w=="  # 255, 0, 0, 255


def test_report_is_rendered_in_either_language(client: TestClient, png: bytes) -> None:
    path = f"/v1/screenings/{sent(client, png)}/report"
    page = client.get(path, params={"format": "html", "language": "de"})
    assert "Prüfbericht" in page.text
    assert page.headers["content-disposition"].startswith("attachment")
    assert client.get(path, params={"format": "docx"}).status_code == 422


def test_bundle_of_a_case_proves_itself(client: TestClient, png: bytes) -> None:
    case_id = client.post("/v1/cases", json={"name": "Mill"}).json()["id"]
    sent(client, png, "in_case.png", case_id)
    answer = client.get(f"/v1/cases/{case_id}/bundle")
    assert any(name.endswith("record.json") for name in zipfile.ZipFile(io.BytesIO(answer.content)).namelist())
    public_key = client.app.state.service.signer.public_key  # type: ignore[attr-defined]
    assert verify(answer.content, public_key) == []
    assert client.get(f"/v1/cases/{'0' * 32}/bundle").status_code == 404


def test_events_tell_the_load_and_end(client: TestClient, png: bytes) -> None:
    sent(client, png)
    told = [json.loads(line[6:]) for line in client.get("/v1/events").text.splitlines() if line.startswith("data: ")]
    assert told[0] == {"queued": 0, "running": 0, "changed": []}


def test_list_is_filtered_by_state_and_review(client: TestClient, png: bytes) -> None:
    sent(client, png)
    client.post("/v1/screenings", files={"file": ("text.txt", b"no picture")})

    def count(query: str) -> int:
        return len(client.get(f"/v1/screenings?limit=200&{query}").json()["items"])

    assert count("state=failed") == 1
    assert count("state=done") == count("reviewed=false") > 0
    assert count("state=queued") == count("state=running") == count("state=cancelled") == count("reviewed=true") == 0


def test_keys_are_made_listed_and_revoked_and_the_first_one_closes_the_door(own_settings: Settings) -> None:
    with serving(own_settings) as client:
        made = client.post("/v1/keys", json={"name": "Ada", "role": "admin"})
        assert made.status_code == 201
        headers = {"Authorization": f"Bearer {made.json()['token']}"}
        assert client.get("/v1/keys").status_code == 401
        other = client.post("/v1/keys", json={"name": "Ben", "role": "examiner", "days": 1}, headers=headers).json()
        assert client.get("/v1/keys", headers={"Authorization": f"Bearer {other['token']}"}).status_code == 403
        listed = client.get("/v1/keys", headers=headers).json()["keys"]
        assert [(key["name"], key["role"], key["state"]) for key in listed] == [
            ("Ada", "admin", "valid"),
            ("Ben", "examiner", "valid"),
        ]
        assert all("token" not in key for key in listed)
        assert client.delete(f"/v1/keys/{other['id']}", headers=headers).status_code == 204
        assert client.delete(f"/v1/keys/{other['id']}", headers=headers).status_code == 404
        assert client.get("/info", headers={"Authorization": f"Bearer {other['token']}"}).status_code == 401
