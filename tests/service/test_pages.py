"""The console's pages without a browser: who gets in, in which language, under which policy, and what lists hold."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving import build_fake_desk, serving
from sqlalchemy import event
from starlette.testclient import TestClient

from deepscreen.api.app import create_app
from deepscreen.api.service import Service
from deepscreen.engine.about import method_info
from deepscreen.engine.worker import Worker
from deepscreen.settings import Settings, VerdictPolicy
from deepscreen.store.database import Database
from deepscreen.store.keys import Role, create_key
from deepscreen.web import assets
from deepscreen.web.pages import install

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def pages(settings: Settings, png: bytes, wav: bytes) -> Iterator[TestClient]:
    """A service without keys that has a picture and a recording."""
    with serving(settings, pages=install) as client:
        for name, content in (("a.png", png), ("b.wav", wav)):
            assert client.post("/v1/screenings", files={"file": (name, content)}).status_code == 201
        yield client


@pytest.fixture(scope="module")
def photograph() -> bytes:
    """Blotches, which have features to be told by."""
    coarse = np.random.default_rng(3).integers(0, 255, (9, 12, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((400, 300), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def names(page: str) -> list[str]:
    return re.findall(r'class="name">([^<]*)<', page)


def test_own_machine_needs_no_login(pages: TestClient) -> None:
    answer = pages.get("/", headers=BROWSER)
    assert answer.status_code == 200
    assert names(answer.text) == ["b.wav", "a.png"]


@pytest.mark.parametrize("path", ["/", "/login", "/review", "/cases", "/register", "/service", "/nowhere"])
def test_policy_allows_nothing_but_our_own_files(pages: TestClient, path: str) -> None:
    headers = pages.get(path, headers=BROWSER).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
    assert policy["require-trusted-types-for"] == "'script'"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


def test_page_holds_no_script_and_no_style_of_its_own(pages: TestClient) -> None:
    item = re.search(r"/items/[0-9a-f]{32}", pages.get("/", headers=BROWSER).text)
    assert item
    for path in ("/", item[0], "/register", "/service", "/service/keys"):
        text = pages.get(path, headers=BROWSER).text
        assert not re.search(r'<script(?! type="(?:module|application/json)")|<style|\sstyle=|\son\w+=', text), path


def test_language_is_the_chosen_one_or_the_browsers(pages: TestClient) -> None:
    def language(**headers: str) -> str:
        found = re.search(r'<html lang="(\w+)"', pages.get("/", headers=BROWSER | headers).text)
        return found[1] if found else ""

    assert language() == "en"
    assert language(**{"Accept-Language": "de-AT,de;q=0.9,en;q=0.8"}) == "de"
    assert language(**{"Accept-Language": "fr-FR,fr;q=0.9"}) == "en"
    assert language(**{"Accept-Language": "de", "Cookie": "deepscreen_language=en"}) == "en"
    assert language(**{"Cookie": "deepscreen_language=../../etc/passwd"}) == "en"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("kind=audio", ["b.wav"]),
        ("text=A.P", ["a.png"]),
        ("state=failed", []),
        ("state=done", ["b.wav", "a.png"]),
        ("review=wanted", ["b.wav", "a.png"]),
        ("review=final", []),
        ("verdict=&kind=&state=&case=&review=&text=", ["b.wav", "a.png"]),
    ],
)
def test_rows_are_those_of_the_filters(pages: TestClient, query: str, expected: list[str]) -> None:
    assert names(pages.get(f"/inbox/rows?{query}").text) == expected


def test_whole_hash_finds_a_file_by_its_content(pages: TestClient) -> None:
    listed = pages.get("/v1/screenings?kind=image").json()["items"][0]
    assert names(pages.get(f"/inbox/rows?text={listed['media_sha256'].upper()}").text) == ["a.png"]
    assert names(pages.get(f"/inbox/again?id={listed['id']},{'0' * 32},x").text) == ["a.png"]


def test_error_is_a_page_for_people_and_a_problem_for_programs(pages: TestClient) -> None:
    path = f"/items/{'0' * 32}"
    page, problem = pages.get(path, headers=BROWSER), pages.get(path)
    assert (page.status_code, problem.status_code) == (404, 404)
    assert "<h1>" in page.text
    assert problem.json()["type"] == "urn:deepscreen:problem:no-such-result"
    assert pages.get("/inbox/rows?before=nonsense").status_code == 422


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [
        (f"/items/{'0' * 32}", 404, "Eine solche Prüfung oder ein solches Beweismittel gibt es hier nicht"),
        ("/nowhere", 404, "Nicht gefunden"),
        ("/?kind=nonsense", 422, "Ein Parameter der Anfrage ist falsch"),
    ],
)
def test_error_page_speaks_the_readers_language(pages: TestClient, path: str, status: int, title: str) -> None:
    answer = pages.get(path, headers=BROWSER | {"Accept-Language": "de"})
    assert answer.status_code == status
    assert f"<h1>{title}</h1>" in answer.text
    assert f"<title>{title} · Deepscreen</title>" in answer.text
    assert '<p lang="en">' in answer.text, "what went wrong in detail is told in English, and marked so"


def test_error_page_tells_when_to_come_back(own_settings: Settings) -> None:
    with TestClient(create_app(own_settings, None, pages=install), base_url="http://localhost") as client:
        answer = client.get("/service/detectors/image_clip", headers=BROWSER)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "The detectors are still being loaded" in answer.text


def test_error_of_the_service_is_logged_and_its_page_tells_nothing_of_its_inside(
    pages: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service: Service = pages.app.state.service  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setattr(service.store.database, "_engine", Database("sqlite:////nowhere/at/all.db")._engine)
        answer = pages.get("/review", headers=BROWSER)
    assert answer.status_code == 503
    assert "/nowhere" not in answer.text
    assert "StoreUnavailable" in caplog.text


def test_page_without_a_key_leads_to_the_login(own_settings: Settings) -> None:
    with serving(own_settings, pages=install) as client:
        database = client.app.state.service.store.database  # type: ignore[attr-defined]
        _, token = create_key(database, name="x", role=Role.AUDITOR, lifetime_seconds=None, actor="test")
        answer = client.get("/cases?x=1", headers=BROWSER, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fcases%3Fx%3D1")
        assert client.get("/v1/screenings", headers={"Accept": "application/json"}).status_code == 401
        client.post("/v1/session", json={"key": token})
        text = client.get("/cases", headers=BROWSER).text
        assert re.search(r'name="csrf-token" content="[0-9a-f]{64}"', text)
        assert 'id="new-case"' not in text, "an auditor opens no case"
        assert client.get("/service/keys", headers=BROWSER).status_code == 403


def test_static_files_stay_for_good_under_an_address_of_their_content(pages: TestClient) -> None:
    for name in assets.contents():
        answer = pages.get(assets.asset(name))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert pages.get("/static/0000000000000000/api.js").status_code == 404
    assert pages.get(f"/static/{assets.digest()}/..%2Fpage.py").status_code == 404


def test_looking_at_an_item_is_an_entry_of_the_audit_log(pages: TestClient) -> None:
    item = pages.get("/v1/screenings?kind=audio").json()["items"][0]["id"]
    acts = [entry["act"] for entry in pages.get(f"/v1/audit?subject={item}").json()["entries"]]
    pages.get(f"/items/{item}", headers=BROWSER)
    after = [entry["act"] for entry in pages.get(f"/v1/audit?subject={item}").json()["entries"]]
    assert after == [*acts, "screening-viewed"]


def test_near_duplicates_stand_beside_an_item_and_are_compared(pages: TestClient, photograph: bytes) -> None:
    small = Image.open(io.BytesIO(photograph)).resize((200, 150))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=60)
    case_id = pages.post("/v1/cases", json={"name": "Mill"}).json()["id"]
    ids = [
        pages.post("/v1/screenings", params={"case_id": case_id}, files={"file": (name, content)}).json()["id"]
        for name, content in (("whole.png", photograph), ("small.jpg", file.getvalue()))
    ]
    found = pages.get(f"/v1/screenings/{ids[0]}/near-duplicates").json()
    assert [(one["screening"]["filename"], one["kinds"]) for one in found["items"]] == [("small.jpg", ["image"])]
    part = pages.get(f"/items/{ids[0]}/near", headers=BROWSER).text
    assert names(part) == ["small.jpg"]
    assert f"/items/{ids[0]}/compare/{ids[1]}" in part
    compared = pages.get(f"/items/{ids[0]}/compare/{ids[1]}", headers=BROWSER | {"Accept-Language": "de"}).text
    assert "Beinahe-Kopien: das Bild gleicht sich" in compared
    assert pages.get(f"/items/{'0' * 32}/near").status_code == 404


def test_two_methods_are_compared_and_another_tried(own_settings: Settings, png: bytes) -> None:
    """A worker with other thresholds beside the service is the candidate; the service's own is at work."""
    stricter = own_settings.model_copy(update={"policy": VerdictPolicy(spoof_min_log10_lr=1.5)})
    with serving(own_settings, pages=install) as client, closing(build_fake_desk(stricter)) as desk:
        assert "There is one method here" in client.get("/service/methods", headers=BROWSER).text
        client.post("/v1/screenings", files={"file": ("a.png", png)})
        service: Service = client.app.state.service  # type: ignore[attr-defined]
        about = method_info(desk).model_dump(mode="json")
        todays, candidate = service.method().method_digest, desk.provenance.method_digest
        worker = Worker(service.store, desk, service.queue, about=about)
        worker.start()
        try:
            text = client.get("/service/methods", headers=BROWSER).text
            assert f'data-of="{todays}" data-by="{candidate}"' in text
            assert re.search(r"spoof_min_log10_lr</th><td>1.0</td><td>1.5</td>", text)
            answer = client.post(f"/v1/methods/{candidate}/trial", json={"of_method": todays})
            assert (answer.status_code, answer.json()) == (202, {"queued": 1})
            wait_for(lambda: client.get(f"/v1/methods/{todays}/against/{candidate}").json()["both"] == 1)
        finally:
            worker.stop()
        compared = client.get(f"/v1/methods/{todays}/against/{candidate}").json()
        assert compared["verdicts"] == [{"one": "inconclusive", "other": "inconclusive", "count": 1}]
        assert [pair["filename"] for pair in compared["pairs"]] == ["a.png"]
        assert names(client.get("/", headers=BROWSER).text) == ["a.png"]
        page = client.get(f"/service/methods?one={candidate}&other={todays}", headers=BROWSER).text
        assert "Screened by both: 1. Of these with another verdict: 0." in page
        assert client.get(f"/service/methods?one={'0' * 64}&other={todays}", headers=BROWSER).status_code == 404


def test_lists_ask_the_database_as_often_for_one_item_as_for_many(own_settings: Settings, png: bytes) -> None:
    """Nor does the number of cases matter, or of their entries in the audit log."""
    with serving(own_settings, pages=install) as client:
        service: Service = client.app.state.service  # type: ignore[attr-defined]
        asked: list[str] = []

        def note(*call: Any) -> None:
            if "AnyIO" in threading.current_thread().name:  # routes run there; the worker and the housekeeping do not
                asked.append(call[2])

        event.listen(service.store.database._engine, "before_cursor_execute", note)
        case_id = client.post("/v1/cases", json={"name": "Mill"}).json()["id"]

        def send(count: int) -> None:
            for number in range(count):
                client.post("/v1/cases", json={"name": f"{number}"})
                files = {"file": ("a.png", png + bytes([number]))}
                client.post("/v1/screenings", params={"case_id": case_id}, files=files)

        def queries(path: str) -> int:
            asked.clear()
            assert client.get(path, headers=BROWSER).status_code == 200
            return sum(query.startswith("SELECT") for query in asked)

        paths = ("/", f"/cases/{case_id}", "/cases", "/review", "/inbox/rows")
        send(1)
        before = [queries(path) for path in paths]
        assert min(before) > 0
        send(4)
        assert [queries(path) for path in paths] == before
        page = client.get(f"/cases/{case_id}", headers=BROWSER).text
        assert page.count("screening-created") == 5
