"""Nobody gets in without a key, and nobody does more than a role allows. New routes cannot slip by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from serving import serving
from starlette.testclient import TestClient

from deepscreen.api import routes_events
from deepscreen.api.app import create_app
from deepscreen.api.auth import Guard, RateMeter
from deepscreen.errors import Overloaded
from deepscreen.settings import Settings
from deepscreen.store import keys as keys_module
from deepscreen.store.keys import KeyRing, Role, create_key, list_keys, revoke_key
from deepscreen.store.store import Store
from deepscreen.web.pages import install

# What load balancers ask before they know anybody. Nothing is told but a status.
# The page to log in on and its style are the same in every installation.
LOGIN_PAGE = {("GET", "/login"), ("GET", "/static/{folder}/{name}")}
OPEN_TO_ALL = {("GET", "/livez"), ("GET", "/readyz"), ("POST", "/v1/session")} | LOGIN_PAGE
# What these answer to somebody without a key who names nothing that there is.
ANSWERS = {"/v1/session": 422, "/static/{folder}/{name}": 404}
NOBODY = "0" * 32


def routes_of(routes: list[Any]) -> Iterator[APIRoute]:
    """All routes of an app, those of included routers too."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            yield from routes_of(route.original_router.routes)


ROUTES = [
    (method, route)
    for route in routes_of(create_app(Settings(), pages=install).routes)
    for method in sorted(route.methods)
]


def guard_of(route: APIRoute) -> Guard | None:
    return next((d.call for d in route.dependant.dependencies if isinstance(d.call, Guard)), None)


def path_of(route: APIRoute) -> str:
    path = route.path
    for parameter in route.dependant.path_params:
        path = path.replace("{" + parameter.name + "}", NOBODY)
    return path


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    """A service with its pages, whose stream of events ends at once."""
    with pytest.MonkeyPatch.context() as patched, serving(settings, pages=install) as client:
        patched.setattr(routes_events, "STREAM_SECONDS", 0.0)
        yield client


@pytest.fixture(scope="module")
def tokens(client: TestClient) -> dict[str, str]:
    """A key of each role, made while the service runs."""
    database = client.app.state.service.store.database  # type: ignore[attr-defined]
    made = {role: create_key(database, name=role, role=role, lifetime_seconds=3600, actor="test") for role in Role}
    return {role.value: token for role, (_, token) in made.items()}


def ask(client: TestClient, method: str, path: str, token: str | None) -> Any:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return client.request(method, path, headers=headers)


def test_every_route_has_a_guard_but_those_that_are_open_to_all() -> None:
    assert len(ROUTES) >= 8
    assert {(method, route.path) for method, route in ROUTES if guard_of(route) is None} == OPEN_TO_ALL


@pytest.mark.parametrize(("method", "route"), ROUTES, ids=lambda value: getattr(value, "path", value))
def test_route_asks_for_a_key_and_a_role(
    client: TestClient, tokens: dict[str, str], method: str, route: APIRoute
) -> None:
    guard = guard_of(route)
    if guard is None:
        assert ask(client, method, path_of(route), None).status_code == ANSWERS.get(route.path, 200)
        return
    for wrong in (None, "nonsense", "dsk_" + "0" * 16 + "_" + "A" * 43, tokens["admin"][:-1] + "~"):
        response = ask(client, method, path_of(route), wrong)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert method == "HEAD" or response.json()["type"] == "urn:deepscreen:problem:unauthenticated"
    for role, token in tokens.items():
        response = ask(client, method, path_of(route), token)
        if role in guard.roles:
            assert response.status_code not in {401, 403}, response.text
        else:
            assert response.status_code == 403
            assert method == "HEAD" or response.json()["type"] == "urn:deepscreen:problem:role-forbidden"


@pytest.mark.parametrize(("method", "route"), ROUTES, ids=lambda value: getattr(value, "path", value))
def test_what_is_not_there_is_not_found_by_any_role(
    client: TestClient, tokens: dict[str, str], method: str, route: APIRoute
) -> None:
    guard = guard_of(route)
    if guard is None or not route.dependant.path_params:
        return
    for role in guard.roles:
        assert ask(client, method, path_of(route), tokens[role]).status_code in {404, 422}


def test_service_without_keys_serves_its_own_machine(own_settings: Settings) -> None:
    with serving(own_settings) as client:
        assert client.get("/info").status_code == 200


def test_key_that_was_revoked_or_has_expired_opens_nothing(own_settings: Settings) -> None:
    with serving(own_settings) as client:
        database = client.app.state.service.store.database  # type: ignore[attr-defined]
        key, token = create_key(database, name="x", role=Role.AUDITOR, lifetime_seconds=None, actor="test")
        _, expired = create_key(database, name="y", role=Role.AUDITOR, lifetime_seconds=0, actor="test")
        assert ask(client, "GET", "/info", token).status_code == 200
        assert ask(client, "GET", "/info", expired).status_code == 401
        revoke_key(database, key.id, actor="test")
        assert ask(client, "GET", "/info", token).status_code == 401
        assert ask(client, "GET", "/info", None).status_code == 401, "a service that had keys never opens again"


def test_database_does_not_hold_what_opens_the_door(own_settings: Settings) -> None:
    assert own_settings.data_dir
    store = Store.open(own_settings, own_settings.data_dir)
    _, token = create_key(store.database, name="x", role=Role.ADMIN, lifetime_seconds=None, actor="test")
    store.close()
    content = b"".join(path.read_bytes() for path in own_settings.data_dir.rglob("*") if path.is_file())
    assert b"$argon2id$" in content
    assert token.split("_", 2)[2].encode() not in content


def test_proven_key_is_not_hashed_again(own_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_settings.data_dir
    store = Store.open(own_settings, own_settings.data_dir)
    _, token = create_key(store.database, name="x", role=Role.ADMIN, lifetime_seconds=None, actor="test")
    ring = KeyRing(store.database)
    assert ring.find(token)
    assert [state for _, state in list_keys(store.database)] == ["valid"]
    monkeypatch.setattr(keys_module, "HASHER", None)
    assert ring.find(token)
    store.close()


def test_rate_is_metered_for_each_key() -> None:
    meter = RateMeter(60)
    for _ in range(60):
        meter.count("busy")
    with pytest.raises(Overloaded) as caught:
        meter.count("busy")
    assert 1 <= caught.value.retry_after_seconds <= 2
    meter.count("other")


def test_request_beyond_the_rate_is_told_when_to_come_back(own_settings: Settings) -> None:
    settings = own_settings.model_copy(update={"requests_per_minute": 2})
    with serving(settings) as client:
        database = client.app.state.service.store.database  # type: ignore[attr-defined]
        _, token = create_key(database, name="x", role=Role.AUDITOR, lifetime_seconds=None, actor="test")
        responses = [ask(client, "GET", "/info", token) for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 429]
    assert int(responses[-1].headers["retry-after"]) >= 1
