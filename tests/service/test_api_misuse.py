"""The misuse register over HTTP: from a screened file to an entry, a campaign of copies, an export and an import."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from serving import serving
from starlette.testclient import TestClient
from typer.testing import CliRunner

from deepscreen.cli import app
from deepscreen.settings import Settings
from deepscreen.store.keys import Role, create_key

PORTRAIT = Path(__file__).resolve().parents[2] / "sample_media/bona_fide/portrait_hopper.jpg"
OTHER = PORTRAIT.with_name("portrait_collins.png")
STATED = {"tool": "FaceSwapper 3", "tool_kind": "face_swap", "misuse": "fraud", "tlp": "green"}
Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def roles(client: TestClient) -> dict[str, str]:
    """A key of each role."""
    database = client.app.state.service.store.database  # type: ignore[attr-defined]
    return {r: create_key(database, name=r, role=r, lifetime_seconds=None, actor="test")[1] for r in Role}


@pytest.fixture(scope="module")
def ask(client: TestClient, roles: dict[str, str]) -> Ask:
    """Asks with the key of a role, and expects a status."""

    def ask(status: int, role: str, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {roles[role]}"}
        answer = client.request(method, path, headers=headers, **options)
        assert answer.status_code == status, answer.text
        return answer

    return ask


def copies() -> Iterator[tuple[str, bytes]]:
    """Two re-encoded copies of one portrait, and a picture that is another."""
    image = Image.open(PORTRAIT).convert("RGB")
    for name, picture, options in (
        ("first.jpg", image, {"format": "JPEG", "quality": 40}),
        ("second.webp", image.resize((image.width // 2, image.height // 2)), {"format": "WEBP", "quality": 60}),
        ("other.jpg", Image.open(OTHER).convert("RGB"), {"format": "JPEG", "quality": 40}),
    ):
        file = io.BytesIO()
        picture.save(file, **options)
        yield name, file.getvalue()


@pytest.fixture(scope="module")
def entries(ask: Ask) -> list[dict[str, Any]]:
    """Entries about the three files, as they stand after the last one was made."""
    made = []
    for name, content in copies():
        answer = ask(201, "examiner", "POST", "/v1/screenings", files={"file": (name, content)})
        stated = STATED | {"screening_id": answer.json()["id"], "case_reference": "2026-117"}
        made.append(ask(201, "examiner", "POST", "/v1/misuse", json=stated).json()["id"])
    return [ask(200, "auditor", "GET", f"/v1/misuse/{entry_id}").json() for entry_id in made]


def test_reencoded_copies_land_in_one_campaign(ask: Ask, entries: list[dict[str, Any]]) -> None:
    first, second, other = entries
    assert first["media_sha256"] != second["media_sha256"]
    assert (first["campaign"], second["campaign"], other["campaign"]) == (first["id"], first["id"], None)
    found = ask(200, "examiner", "GET", "/v1/misuse", params={"campaign": first["id"]}).json()["entries"]
    assert {entry["id"] for entry in found} == {first["id"], second["id"]}


def test_register_is_searched_with_a_file(ask: Ask, entries: list[dict[str, Any]]) -> None:
    """A third copy, of which there is no entry, and the file that is another."""
    file = io.BytesIO()
    Image.open(PORTRAIT).convert("RGB").save(file, "JPEG", quality=75)
    sent = ask(201, "examiner", "POST", "/v1/screenings", files={"file": ("x.jpg", file.getvalue())}).json()["id"]

    def found(screening_id: str, **further: str) -> set[str]:
        params = {"like": screening_id, **further}
        return {e["id"] for e in ask(200, "examiner", "GET", "/v1/misuse", params=params).json()["entries"]}

    first, second, other = entries
    assert found(sent) == {first["id"], second["id"]}
    assert found(sent, status="dismissed") == set()
    assert found(other["screening_id"]) == {other["id"]}


def test_entry_holds_neither_name_nor_content(entries: list[dict[str, Any]]) -> None:
    for entry, (name, _) in zip(entries, copies(), strict=True):
        assert name not in json.dumps(entry)
        assert len(entry["fingerprint"]) == 44, "256 bits in Base64"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/misuse", {"examiner", "reviewer", "auditor", "admin"}),
        ("POST", "/v1/misuse", {"examiner", "admin"}),
        ("PATCH", "/v1/misuse/x", {"reviewer", "admin"}),
        ("GET", "/v1/misuse/export", {"auditor", "admin"}),
        ("POST", "/v1/misuse/import", {"admin"}),
    ],
)
def test_role_without_permission_gets_403(
    client: TestClient, roles: dict[str, str], method: str, path: str, allowed: set[str]
) -> None:
    for role, key in roles.items():
        status = client.request(method, path, headers={"Authorization": f"Bearer {key}"}).status_code
        assert (status == 403) == (role not in allowed), (role, status)


def test_amendment_keeps_what_stood_before(ask: Ask, entries: list[dict[str, Any]]) -> None:
    path = f"/v1/misuse/{entries[2]['id']}"
    change = {"revision": 1, "reason": "No fraud was meant.", "status": "dismissed", "misuse": "other"}
    amended = ask(200, "reviewer", "PATCH", path, json=change).json()
    assert (amended["revision"], amended["status"], amended["tool"]) == (2, "dismissed", "FaceSwapper 3")
    detail = ask(200, "examiner", "GET", path).json()
    assert [(before["revision"], before["status"]) for before in detail["earlier"]] == [(1, "suspected")]
    assert ask(409, "reviewer", "PATCH", path, json=change).json()["type"].endswith("entry-changed")


@pytest.mark.parametrize(
    "change",
    [
        {"tool": "see ada@example.org"},
        {"modus_operandi": "+49 170 1234567"},
        {"modus_operandi": "x" * 2001},
        {"tlp": ""},
    ],
    ids=str,
)
def test_what_may_not_be_kept_is_refused(ask: Ask, entries: list[dict[str, Any]], change: dict[str, str]) -> None:
    stated = STATED | {"screening_id": entries[0]["screening_id"]} | change
    assert next(iter(change)) in ask(422, "examiner", "POST", "/v1/misuse", json=stated).json()["detail"]
    body = {"revision": 1, "reason": "x"} | change
    ask(422, "reviewer", "PATCH", f"/v1/misuse/{entries[0]['id']}", json=body)


def test_examiner_enters_only_what_it_may_see(client: TestClient, ask: Ask, entries: list[dict[str, Any]]) -> None:
    database = client.app.state.service.store.database  # type: ignore[attr-defined]
    _, other = create_key(database, name="ben", role=Role.EXAMINER, lifetime_seconds=None, actor="test")
    stated = STATED | {"screening_id": entries[0]["screening_id"]}
    answer = client.post("/v1/misuse", json=stated, headers={"Authorization": f"Bearer {other}"})
    assert answer.status_code == 404


def test_pages_follow_one_another(ask: Ask, entries: list[dict[str, Any]]) -> None:
    found, before = [], None
    for _ in range(4):
        page = ask(
            200, "auditor", "GET", "/v1/misuse", params={"limit": 1} | ({"before": before} if before else {})
        ).json()
        found += [entry["id"] for entry in page["entries"]]
        before = page["next"]
        if before is None:
            break
    assert found == [entry["id"] for entry in reversed(entries)]
    assert (
        ask(200, "auditor", "GET", "/v1/misuse", params={"text": "swapper", "status": "confirmed"}).json()["entries"]
        == []
    )


@pytest.mark.parametrize("file_format", ["stix", "misp", "csv"])
def test_what_is_exported_is_imported_elsewhere(
    ask: Ask, entries: list[dict[str, Any]], tmp_path: Path, file_format: str
) -> None:
    """Into another service, whose campaigns are the same."""
    told = {"format": file_format, "tlp": "green"}
    exported = ask(200, "auditor", "GET", "/v1/misuse/export", params=told)
    assert exported.headers["x-left-out"] == "0"
    assert exported.headers["content-disposition"].startswith('attachment; filename="misuse-tlp-green.')
    taken = {"format": file_format, "origin": "north"}
    with serving(Settings(data_dir=tmp_path / "elsewhere", device="cpu")) as elsewhere:
        answer = elsewhere.post("/v1/misuse/import", params=taken, content=exported.content).json()
        assert answer == {"added": 3, "amended": 0, "known": 0, "refused": []}
        arrived = {entry["id"]: entry for entry in elsewhere.get("/v1/misuse").json()["entries"]}
    for entry in entries:
        there = arrived[entry["id"]]
        assert (there["origin"], there["screening_id"], there["campaign"]) == ("north", None, entry["campaign"])
        assert there["fingerprint"] == entry["fingerprint"]


def test_mark_that_is_higher_than_the_export_stays(ask: Ask, entries: list[dict[str, Any]]) -> None:
    told = {"format": "csv", "tlp": "clear"}
    exported = ask(200, "auditor", "GET", "/v1/misuse/export", params=told)
    assert (exported.headers["x-left-out"], len(exported.content.splitlines())) == ("3", 1)
    named = ask(422, "auditor", "GET", "/v1/misuse/export", params=told | {"entry": entries[0]["id"]}).json()
    assert named["type"].endswith("entry-above-tlp")
    ask(422, "auditor", "GET", "/v1/misuse/export", params={"format": "csv"})


def test_what_came_from_elsewhere_is_not_marked_lower(ask: Ask, entries: list[dict[str, Any]], tmp_path: Path) -> None:
    exported = ask(200, "auditor", "GET", "/v1/misuse/export", params={"format": "stix", "tlp": "green"})
    taken = {"format": "stix", "origin": "north"}
    with serving(Settings(data_dir=tmp_path / "elsewhere", device="cpu")) as elsewhere:
        elsewhere.post("/v1/misuse/import", params=taken, content=exported.content)
        path, change = f"/v1/misuse/{entries[0]['id']}", {"revision": 1, "reason": "x"}
        answer = elsewhere.patch(path, json=change | {"tlp": "clear"})
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (422, "entry-above-tlp")
        assert elsewhere.patch(path, json=change | {"tlp": "amber"}).status_code == 200


def test_what_no_database_and_no_answer_takes_is_refused(ask: Ask) -> None:
    before = base64.urlsafe_b64encode(b"1.0 a\0b").decode()
    assert "before" in ask(422, "auditor", "GET", "/v1/misuse", params={"before": before}).json()["detail"]
    event = json.dumps({"uuid": "\ud800", "Object": [{"name": "deepfake-misuse"}]})
    taken = {"format": "misp", "origin": "north"}
    answer = ask(422, "admin", "POST", "/v1/misuse/import", params=taken, content=event.encode())
    assert "'\\ud800'" in answer.json()["detail"]


def test_every_act_is_in_the_audit_log(ask: Ask, entries: list[dict[str, Any]]) -> None:
    exported = ask(200, "auditor", "GET", "/v1/misuse/export", params={"format": "csv", "tlp": "green"})
    digest = hashlib.sha256(exported.content).hexdigest()
    found = ask(200, "auditor", "GET", "/v1/audit", params={"subject": entries[0]["id"]}).json()["entries"]
    assert [entry["act"] for entry in found] == ["misuse-added"]
    whole = ask(200, "auditor", "GET", "/v1/audit", params={"subject": "misuse-register"}).json()["entries"]
    told = {"entries": 3, "left_out": 0, "tlp": "green", "format": "csv", "file_sha256": digest}
    assert whole[-1]["details"] == told
    taken = {"format": "csv", "origin": "north"}
    ask(200, "admin", "POST", "/v1/misuse/import", params=taken, content=exported.content)
    whole = ask(200, "auditor", "GET", "/v1/audit", params={"subject": "misuse-register"}).json()["entries"]
    assert whole[-1]["details"] == {
        "added": 0, "amended": 0, "known": 3, "refused": 0, "origin": "north", "file_sha256": digest,
    }  # fmt: skip


def test_command_line_works_on_the_same_register(own_settings: Settings, png: bytes, tmp_path: Path) -> None:
    with serving(own_settings) as client:
        screening_id = client.post("/v1/screenings", files={"file": ("a.png", png)}).json()["id"]
    assert own_settings.data_dir
    here = ["--data-dir", str(own_settings.data_dir)]

    def run(exit_code: int, *words: str) -> str:
        done = CliRunner().invoke(app, ["register", *words], env={"COLUMNS": "200"})
        assert done.exit_code == exit_code, done.output
        return done.output

    entry_id = run(0, "add", screening_id, "--tool", "VoiceBox", "--tlp", "amber", *here).strip()
    assert "personal data" in run(2, "add", screening_id, "--tool", "a@b.example", "--tlp", "amber", *here)
    assert "no mark" in run(2, "export", str(tmp_path / "x"), "--tlp", "white", "--format", "csv", *here)
    assert "no screening" in run(2, "add", "0" * 32, "--tool", "x", "--tlp", "amber", *here)
    assert run(0, "amend", entry_id, "--reason", "Seen.", "--status", "confirmed", *here).endswith("is revision 2.\n")
    assert "no entry nobody" in run(2, "amend", "nobody", "--reason", "Seen.", *here)
    assert entry_id in (shown := run(0, "list", "--search", "voice", *here))
    assert "confirmed" in shown
    assert entry_id not in run(0, "list", "--search", "nothing", *here)
    assert entry_id in run(0, "list", "--like", screening_id, *here)
    out = tmp_path / "register.stix.json"
    told = run(0, "export", str(out), "--tlp", "green", "--format", "stix", *here)
    assert told == "0 entries written, 1 left out because of their marks.\n"
    run(1, "export", str(out), "--tlp", "green", "--format", "stix", "--entry", entry_id, *here)
    run(0, "export", str(out), "--tlp", "amber", "--format", "stix", *here)
    there = ["--data-dir", str(tmp_path / "elsewhere")]
    taken = ["import", str(out), "--origin", "north", "--format", "stix", *there]
    assert run(0, *taken) == "1 added, 0 amended, 0 known before.\n"
    assert "north" in run(0, "list", *there)
    assert "cannot be read" in run(2, "import", str(tmp_path / "none"), "--origin", "north", "--format", "stix", *there)
