"""Sessions: a cookie of no use to scripts and other sites, an end by logout, time or key; headers on every answer."""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import Morsel, SimpleCookie
from typing import Any

import pytest
from fastapi.routing import APIRoute
from serving import serving
from starlette.testclient import TestClient
from test_api_access import ROUTES, path_of

from deepscreen.api.auth import LOGINS_PER_MINUTE, SESSION_COOKIE
from deepscreen.settings import Settings
from deepscreen.store.keys import Role, create_key, revoke_key


class Visitor:
    """A browser at a service that has one key."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.database = client.app.state.service.store.database  # type: ignore[attr-defined]
        self.key, self.token = create_key(
            self.database, name="Ada", role=Role.ADMIN, lifetime_seconds=None, actor="test"
        )

    def login(self) -> Any:
        return self.client.post("/v1/session", json={"key": self.token})

    def open_case(self, **headers: str) -> int:
        return self.client.post("/v1/cases", json={"name": "x"}, headers=headers).status_code


@pytest.fixture
def visitor(own_settings: Settings) -> Iterator[Visitor]:
    with serving(own_settings) as client:
        yield Visitor(client)


def cookie_of(response: Any) -> Morsel[str]:
    return SimpleCookie(response.headers["set-cookie"])[SESSION_COOKIE]


def test_session_is_begun_used_and_ended(visitor: Visitor) -> None:
    client = visitor.client
    assert client.get("/info").status_code == 401
    login = visitor.login()
    assert login.status_code == 201
    assert (login.json()["id"], login.json()["name"], login.json()["role"]) == (visitor.key.id, "Ada", "admin")
    cookie = cookie_of(login)
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "strict"
    assert not cookie["secure"]
    assert 0 < int(cookie["max-age"]) <= 8 * 3600
    again = client.get("/v1/session").json()
    assert again["csrf_token"] == login.json()["csrf_token"]
    assert visitor.open_case(**{"X-CSRF-Token": again["csrf_token"]}) == 201
    assert client.delete("/v1/session", headers={"X-CSRF-Token": again["csrf_token"]}).status_code == 204
    client.cookies.set(SESSION_COOKIE, cookie.value)  # a copy of the cookie opens nothing any more
    assert client.get("/info").status_code == 401
    acts = [
        e["act"]
        for e in client.get("/v1/audit", headers={"Authorization": f"Bearer {visitor.token}"}).json()["entries"]
    ]
    assert acts == ["key-created", "session-begun", "case-created", "session-ended"]


@pytest.mark.parametrize("shown", ["", "nonsense", "0" * 64, "\u00e4"])
def test_cookie_alone_changes_nothing(visitor: Visitor, shown: str) -> None:
    visitor.login()
    headers = {"X-CSRF-Token": shown.encode()} if shown else {}
    response = visitor.client.post("/v1/cases", json={"name": "x"}, headers=headers)  # type: ignore[arg-type]
    assert response.status_code == 403
    assert response.json()["type"] == "urn:deepscreen:problem:csrf-rejected"
    assert visitor.client.get("/v1/cases").json() == {"cases": []}
    assert visitor.client.delete("/v1/session").status_code == 403


def test_key_in_the_header_needs_no_csrf_token(visitor: Visitor) -> None:
    visitor.login()
    assert visitor.open_case(Authorization=f"Bearer {visitor.token}") == 201


def test_session_ends_with_its_key(visitor: Visitor) -> None:
    visitor.login()
    assert visitor.client.get("/info").status_code == 200
    revoke_key(visitor.database, visitor.key.id, actor="test")
    assert visitor.client.get("/info").status_code == 401


def test_session_ends_by_time(own_settings: Settings) -> None:
    with serving(own_settings.model_copy(update={"session_hours": 1e-9})) as client:
        visitor = Visitor(client)
        client.cookies.set(SESSION_COOKIE, cookie_of(visitor.login()).value)
        assert client.get("/info").status_code == 401


def test_database_does_not_hold_the_cookie(visitor: Visitor, own_settings: Settings) -> None:
    value = cookie_of(visitor.login()).value
    assert own_settings.data_dir
    content = b"".join(path.read_bytes() for path in own_settings.data_dir.rglob("*") if path.is_file())
    assert value.encode() not in content


def test_wrong_key_begins_no_session_and_is_not_tried_for_ever(visitor: Visitor) -> None:
    wrong = visitor.client.post("/v1/session", json={"key": "dsk_nonsense"})
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    statuses = (visitor.login().status_code for _ in range(10 * LOGINS_PER_MINUTE))  # more than grows back meanwhile
    assert 429 in statuses


def test_behind_tls_the_cookie_and_the_browser_insist_on_it(own_settings: Settings) -> None:
    with serving(own_settings.model_copy(update={"behind_tls": True})) as client:
        response = Visitor(client).login()
        assert cookie_of(response)["secure"] is True
        assert "max-age" in response.headers["strict-transport-security"]


def test_caller_without_keys_or_session_is_told_who_it_is(own_settings: Settings) -> None:
    with serving(own_settings) as client:
        found = client.get("/v1/session").json()
    assert found == {"id": "local", "name": None, "role": "admin", "expires_at": None, "csrf_token": None}


@pytest.mark.parametrize(("method", "route"), ROUTES, ids=lambda value: getattr(value, "path", value))
def test_every_answer_bears_the_security_headers(client: TestClient, method: str, route: APIRoute) -> None:
    path = path_of(route)
    if path.endswith("/events"):
        path += "-of-none"  # a path that does not exist has them too
    for origin in ({}, {"Origin": "https://example.org"}):
        headers = client.request(method, path, headers=origin).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] in {"no-store", "private, no-cache"} or "immutable" in headers["cache-control"]
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
