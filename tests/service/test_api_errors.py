"""Every failure is a problem body of one shape, and tells nothing of the inside."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

import deepscreen.api.server  # noqa: F401  (all error classes are defined once this is imported)
from deepscreen.api.app import create_app
from deepscreen.api.http_errors import STATUS_BY_ERROR, problem_of, problem_type, title_of
from deepscreen.errors import DeepscreenError, Overloaded
from deepscreen.settings import Settings

SECRET = "/srv/evidence/secret.bin"


def all_errors(kind: type[DeepscreenError] = DeepscreenError) -> list[type[DeepscreenError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in all_errors(child))]


def make(kind: type[DeepscreenError]) -> DeepscreenError:
    return Overloaded(SECRET, retry_after_seconds=7) if kind is Overloaded else kind(SECRET)


def check_problem(response, status: int, name: str) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "instance"}
    assert body["status"] == status
    assert body["type"] == f"urn:deepscreen:problem:{name}"
    assert body["instance"] == f"urn:deepscreen:request:{response.headers['x-request-id']}"


def test_every_error_class_has_a_status() -> None:
    assert {kind for kind in all_errors() if kind.__module__.startswith("deepscreen")} == set(STATUS_BY_ERROR)


@pytest.mark.parametrize("kind", STATUS_BY_ERROR, ids=lambda kind: kind.__name__)
def test_inside_of_the_service_is_not_told(kind: type[DeepscreenError]) -> None:
    problem = problem_of(make(kind), "0")
    if problem.status >= 500 and kind.__name__ != "NotReady":
        assert SECRET not in problem.model_dump_json()
    else:
        assert problem.detail == SECRET


def test_problem_types_are_distinct() -> None:
    assert len({problem_type(kind.__name__) for kind in STATUS_BY_ERROR}) == len(STATUS_BY_ERROR)


@pytest.mark.parametrize("kind", STATUS_BY_ERROR, ids=lambda kind: kind.__name__)
def test_titles_read_as_one_clause(kind: type[DeepscreenError]) -> None:
    title = title_of(kind)
    assert title
    assert title[0].isupper()
    assert not title.endswith(".")
    assert "`" not in title


def test_unknown_path_is_a_problem(client: TestClient) -> None:
    check_problem(client.get("/v2/nothing"), 404, "not-found")


def test_wrong_method_is_a_problem_that_names_the_right_one(client: TestClient) -> None:
    response = client.delete("/v1/screenings")
    check_problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8321", "localhost.evil.example", "", "[::2]", "0.0.0.0"]
)
def test_foreign_host_is_refused(client: TestClient, host: str) -> None:
    check_problem(client.get("/info", headers={"Host": host}), 421, "host-not-allowed")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8321", "127.0.0.1:1", "[::1]:8321", "[::1]"])
def test_own_host_is_served(client: TestClient, host: str) -> None:
    assert client.get("/info", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
def test_page_of_another_origin_is_refused(client: TestClient, png: bytes, origin: str) -> None:
    response = client.post("/v1/screenings", files={"file": ("a.png", png)}, headers={"Origin": origin})
    check_problem(response, 403, "foreign-origin")


def test_page_of_the_own_origin_is_served(client: TestClient, png: bytes) -> None:
    headers = {"Origin": "http://localhost:8321"}
    assert client.post("/v1/screenings", files={"file": ("a.png", png)}, headers=headers).status_code == 201


def test_no_cross_origin_permission_is_given(client: TestClient) -> None:
    response = client.options(
        "/v1/screenings", headers={"Origin": "http://localhost:1", "Access-Control-Request-Method": "POST"}
    )
    assert response.status_code == 405
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_request_ids_are_fresh(client: TestClient) -> None:
    given = {client.get("/livez", headers={"X-Request-Id": "mine"}).headers["x-request-id"] for _ in range(3)}
    assert len(given) == 3
    assert "mine" not in given


def test_security_headers_are_on_errors_too(client: TestClient) -> None:
    for response in (client.get("/nothing"), client.get("/livez"), client.get("/livez", headers={"Host": "evil"})):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        assert "server" not in response.headers


def test_unforeseen_error_is_a_problem_without_internals(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(settings)

    @app.get("/breaks")
    def breaks() -> None:
        raise RuntimeError(SECRET)

    # Not entered: the app's lifespan would load the real detectors, which this test does not need.
    response = TestClient(app, base_url="http://localhost").get("/breaks")

    check_problem(response, 500, "internal-error")
    assert SECRET not in response.text
    assert SECRET in caplog.text
    assert response.headers["x-request-id"] in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "json"),
    [
        ("GET", "/v1/screenings/a%00b", None),
        ("GET", "/v1/screenings?filename=a%00b", None),
        ("GET", "/v1/audit?subject=%00", None),
        ("PUT", "/v1/cases/a%00b/members/x", {}),
        ("DELETE", "/v1/webhooks/%00", None),
        ("POST", "/v1/cases", {"name": "a\0b"}),
        ("POST", "/v1/cases", {"name": "a", "notes": "\0"}),
        ("PATCH", "/v1/cases/" + "0" * 32, {"notes": "\0"}),
        ("POST", "/v1/screenings/" + "0" * 32 + "/review", {"decision": "accept", "reason": "\0"}),
        ("POST", "/v1/webhooks", {"url": "https://a.example/\0"}),
    ],
)
def test_character_0_is_refused_wherever_postgres_would_choke_on_it(
    client: TestClient, method: str, path: str, json: object
) -> None:
    assert client.request(method, path, json=json).status_code == 422
