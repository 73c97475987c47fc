"""What the console needs of the API: keys, events of all items, small pictures, previews, reports, bundles."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving import serving
from starlette.testclient import TestClient

from deepscreen.api import previews, routes_events
from deepscreen.api.auth import LOCAL_CALLER
from deepscreen.api.envelopes import record_of
from deepscreen.api.previews import Previews
from deepscreen.bundle.verify import verify
from deepscreen.settings import Settings
from media_factory import level_of, save_clip


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


def grey_of(jpeg: bytes) -> float:
    return float(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L")).mean())


def test_preview_of_a_clip_is_the_frame_of_that_time(client: TestClient, tmp_path: Path) -> None:
    """At 25 frames a second, in what browsers do not play; frame k is grey level_of(k)."""
    clip = save_clip(tmp_path / "old.avi", "avi", seconds=2.0, codec="mpeg4").read_bytes()
    item = sent(client, clip, "old.avi")
    for at, frame in ((0.0, 0), (0.1, 2), (1.0, 25), (0.44, 11), (1.999, 49), (77.0, 49)):
        answer = client.get(f"/v1/screenings/{item}/preview", params={"at": at})
        start, end = (float(answer.headers[f"frame-{which}-seconds"]) for which in ("start", "end"))
        assert start == pytest.approx(frame * 0.04, abs=1e-4)
        assert end == pytest.approx(start + 0.04, abs=1e-4) or frame == 49
        assert grey_of(answer.content) == pytest.approx(level_of(frame), abs=4)
    entries = client.get(f"/v1/audit?subject={item}").json()["entries"]
    assert [entry["act"] for entry in entries].count("original-downloaded") == 1
    assert client.get(f"/v1/screenings/{item}/preview?at=-1").status_code == 422


def test_frames_that_follow_are_there_without_another_reading(
    client: TestClient, gif: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "DECODE_SECONDS", 30.0)
    service = client.app.state.service  # type: ignore[attr-defined]
    item = sent(client, gif, "moving.gif")
    media = record_of(service.screenings.get(item, LOCAL_CALLER), service.store.blobs)[1].media
    assert service.previews.kept_frame(media, 0.3) is None
    client.get(f"/v1/screenings/{item}/preview?at=0.3")
    assert service.previews.kept_frame(media, 0.3).start_seconds == pytest.approx(0.2)
    assert service.previews.kept_frame(media, 0.5).start_seconds == pytest.approx(0.4)
    assert service.previews.kept_frame(media, 0.1) is None


def test_kept_frames_take_no_more_room_than_they_may_and_an_idle_decoder_ends(
    client: TestClient, gif: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = client.app.state.service  # type: ignore[attr-defined]
    item = sent(client, gif, "moving.gif")
    media = record_of(service.screenings.get(item, LOCAL_CALLER), service.store.blobs)[1].media
    with closing(Previews(service.store.blobs, service.settings.limits, scratch=service.scratch)) as shown:
        monkeypatch.setattr(previews, "KEPT_BYTES", 2 * len(shown.frame(media, 0.0).jpeg))
        shown.frame(media, 1.0)
        assert 1 <= len(shown._kept) <= 2
        shown.rest()
        assert shown._decoder is not None
        monkeypatch.setattr(previews, "IDLE_SECONDS", -1.0)
        shown.rest()
        assert shown._decoder is None
        assert shown.frame(media, 1.0).start_seconds == pytest.approx(1.0)
