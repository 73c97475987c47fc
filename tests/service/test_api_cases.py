"""Cases keep their items to their members; a second person makes a result final; events tell of the states."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from serving import serving
from starlette.testclient import TestClient

from deepscreen.settings import Settings
from deepscreen.store.keys import Role, create_key
from deepscreen.store.verify import verify


class People:
    """A service with a key for each of some people."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.ids: dict[str, str] = {}
        self._tokens: dict[str, str] = {}
        roles = {
            "ada": Role.EXAMINER,
            "ben": Role.EXAMINER,
            "rita": Role.REVIEWER,
            "otto": Role.AUDITOR,
            "amy": Role.ADMIN,
        }
        database = client.app.state.service.store.database  # type: ignore[attr-defined]
        for name, role in roles.items():
            key, self._tokens[name] = create_key(database, name=name, role=role, lifetime_seconds=None, actor="test")
            self.ids[name] = key.id

    def ask(self, who: str, method: str, path: str, **options: Any) -> Any:
        return self.client.request(method, path, headers={"Authorization": f"Bearer {self._tokens[who]}"}, **options)

    def send(self, who: str, content: bytes, case_id: str | None = None) -> Any:
        path = "/v1/screenings" + (f"?case_id={case_id}" if case_id else "")
        return self.ask(who, "POST", path, files={"file": ("a.png", content)})


@pytest.fixture
def people(own_settings: Settings) -> Iterator[People]:
    with serving(own_settings) as client:
        yield People(client)


def test_items_of_a_case_are_its_members_alone(people: People, png: bytes) -> None:
    case = people.ask("ada", "POST", "/v1/cases", json={"name": "Case 7"}).json()
    path = f"/v1/cases/{case['id']}"
    item = people.send("ada", png, case["id"]).json()
    assert item["case_id"] == case["id"]
    hidden = f"/v1/screenings/{item['id']}"
    assert people.ask("ben", "GET", path).status_code == 404
    assert people.ask("ben", "GET", hidden).status_code == 404
    assert people.send("ben", png, case["id"]).status_code == 404
    assert people.ask("ben", "PUT", f"{path}/members/{people.ids['ben']}").status_code == 404
    assert people.ask("ben", "GET", "/v1/cases").json() == {"cases": []}
    members = people.ask("ada", "PUT", f"{path}/members/{people.ids['ben']}").json()["members"]
    assert set(members) == {people.ids["ada"], people.ids["ben"]}
    assert people.ask("ben", "GET", hidden).status_code == 200
    listed = people.ask("ben", "GET", f"/v1/screenings?case_id={case['id']}").json()["items"]
    assert [entry["id"] for entry in listed] == [item["id"]]
    assert people.ask("ada", "DELETE", f"{path}/members/{people.ids['ben']}").status_code == 204
    assert people.ask("ben", "GET", hidden).status_code == 404
    assert people.ask("otto", "GET", hidden).status_code == 200


def test_case_is_changed_closed_and_opened_again(people: People, png: bytes) -> None:
    case = people.ask("ada", "POST", "/v1/cases", json={"name": "A", "notes": "seized laptop"}).json()
    path = f"/v1/cases/{case['id']}"
    assert people.ask("ada", "PATCH", path, json={"name": "B", "closed": True}).json()["closed_at"] is not None
    assert people.send("ada", png, case["id"]).status_code == 404
    opened = people.ask("ada", "PATCH", path, json={"closed": False}).json()
    assert (opened["name"], opened["notes"], opened["closed_at"]) == ("B", "seized laptop", None)
    assert people.send("ada", png, case["id"]).status_code == 201
    assert people.ask("ada", "PUT", f"{path}/members/nobody").status_code == 404
    assert people.ask("ada", "DELETE", f"{path}/members/nobody").status_code == 404
    assert people.ask("ada", "POST", "/v1/cases", json={"name": ""}).status_code == 422
    entries = people.ask("otto", "GET", f"/v1/audit?subject={case['id']}").json()["entries"]
    assert [entry["act"] for entry in entries] == ["case-created", "case-changed", "case-changed"]


def test_second_person_makes_a_result_final(people: People, png: bytes) -> None:
    item = people.send("ada", png).json()
    path = f"/v1/screenings/{item['id']}/review"
    assert item["review"] is None
    assert people.ask("ada", "POST", path, json={"decision": "accept"}).status_code == 403
    wrong = [
        {"decision": "override"},
        {"decision": "override", "verdict": "inconclusive"},
        {"decision": "override", "verdict": "inconclusive", "reason": " "},
        {"decision": "accept", "verdict": "inconclusive"},
        {"decision": "maybe"},
    ]
    for body in wrong:
        assert people.ask("rita", "POST", path, json=body).status_code == 422
    body = {"decision": "override", "verdict": "spoof_supported", "reason": "the hands"}
    reviewed = people.ask("rita", "POST", path, json=body).json()
    assert reviewed["review"]["reviewer"] == people.ids["rita"]
    assert reviewed["review"]["verdict"] == "spoof_supported"
    assert reviewed["screening"] == item["screening"], "the record itself never changes"
    again = people.ask("amy", "POST", path, json={"decision": "accept"})
    assert (again.status_code, again.json()["type"]) == (409, "urn:deepscreen:problem:result-final")
    assert list(verify(people.client.app.state.service.store)) == []  # type: ignore[attr-defined]


def test_nobody_reviews_what_he_sent(people: People, png: bytes) -> None:
    path = f"/v1/screenings/{people.send('amy', png).json()['id']}/review"
    response = people.ask("amy", "POST", path, json={"decision": "accept"})
    assert response.status_code == 403
    assert "second person" in response.json()["detail"]


def test_retried_result_waits_for_a_review_of_its_own(people: People, png: bytes) -> None:
    item = people.send("ada", png).json()
    path = f"/v1/screenings/{item['id']}"
    accepted = people.ask("rita", "POST", f"{path}/review", json={"decision": "accept"}).json()
    assert accepted["review"]["verdict"] == item["screening"]["overall"]["verdict"]
    people.ask("ada", "POST", f"{path}/retry")
    events = people.ask("ada", "GET", f"{path}/events").text
    assert events.rstrip().endswith('"state": "done"}')
    assert people.ask("ada", "GET", path).json()["review"] is None
    assert people.ask("rita", "POST", f"{path}/review", json={"decision": "accept"}).status_code == 201


def test_events_of_what_has_ended_are_its_end(people: People, png: bytes) -> None:
    item = people.send("ada", png).json()
    response = people.ask("ada", "GET", f"/v1/screenings/{item['id']}/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text == f'event: state\ndata: {{"id": "{item["id"]}", "state": "done"}}\n\n'
    assert people.ask("ben", "GET", f"/v1/screenings/{item['id']}/events").status_code == 404
