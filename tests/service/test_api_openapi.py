"""The published OpenAPI document is the code's; the written page names every route and problem."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from starlette.testclient import TestClient

from deepscreen.api.app import openapi_json
from deepscreen.api.examples import example_envelope
from deepscreen.api.http_errors import PROBLEM_MEDIA_TYPE, STATUS_BY_ERROR, problem_type
from deepscreen.api.wire import Problem, ScreeningEnvelope

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = json.loads(openapi_json())
OPERATIONS = [(path, method, what) for path, methods in DOCUMENT["paths"].items() for method, what in methods.items()]


def test_published_document_is_current() -> None:
    assert (DOCS / "openapi.json").read_text(encoding="utf-8") == openapi_json()


def test_service_publishes_it_too(client: TestClient) -> None:
    assert client.get("/openapi.json").json() == DOCUMENT


def test_pages_that_load_scripts_from_elsewhere_are_off(client: TestClient) -> None:
    assert [client.get(path).status_code for path in ("/docs", "/redoc")] == [404, 404]


def test_every_route_is_documented() -> None:
    assert {(method, path) for path, method, _ in OPERATIONS} == {
        ("post", "/v1/screenings"),
        ("get", "/v1/screenings/{screening_id}"),
        ("get", "/v1/screenings/{screening_id}/record"),
        ("get", "/v1/screenings/{screening_id}/evidence/{name}"),
        ("get", "/v1/screenings/{screening_id}/files/{sha256}"),
        ("get", "/v1/screenings"),
        ("delete", "/v1/screenings/{screening_id}"),
        ("post", "/v1/screenings/{screening_id}/cancel"),
        ("post", "/v1/screenings/{screening_id}/retry"),
        ("get", "/v1/screenings/{screening_id}/events"),
        ("post", "/v1/screenings/{screening_id}/review"),
        ("options", "/v1/uploads"),
        ("post", "/v1/uploads"),
        ("head", "/v1/uploads/{upload_id}"),
        ("patch", "/v1/uploads/{upload_id}"),
        ("delete", "/v1/uploads/{upload_id}"),
        ("post", "/v1/cases"),
        ("get", "/v1/cases"),
        ("get", "/v1/cases/{case_id}"),
        ("patch", "/v1/cases/{case_id}"),
        ("put", "/v1/cases/{case_id}/members/{key_id}"),
        ("delete", "/v1/cases/{case_id}/members/{key_id}"),
        ("post", "/v1/misuse"),
        ("get", "/v1/misuse"),
        ("get", "/v1/misuse/export"),
        ("post", "/v1/misuse/import"),
        ("get", "/v1/misuse/{entry_id}"),
        ("patch", "/v1/misuse/{entry_id}"),
        ("post", "/v1/session"),
        ("get", "/v1/session"),
        ("delete", "/v1/session"),
        ("post", "/v1/webhooks"),
        ("get", "/v1/webhooks"),
        ("delete", "/v1/webhooks/{webhook_id}"),
        ("get", "/v1/screenings/{screening_id}/thumbnail"),
        ("get", "/v1/screenings/{screening_id}/preview"),
        ("get", "/v1/screenings/{screening_id}/near-duplicates"),
        ("get", "/v1/screenings/{screening_id}/report"),
        ("get", "/v1/cases/{case_id}/bundle"),
        ("get", "/v1/events"),
        ("get", "/v1/keys"),
        ("post", "/v1/keys"),
        ("delete", "/v1/keys/{key_id}"),
        ("get", "/v1/methods"),
        ("get", "/v1/methods/{method_digest}/against/{other_digest}"),
        ("post", "/v1/methods/{method_digest}/trial"),
        ("get", "/v1/audit"),
        ("get", "/metrics"),
        ("get", "/info"),
        ("get", "/livez"),
        ("get", "/readyz"),
    }


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=lambda value: str(value)[:40])
def test_every_error_is_documented_as_a_problem_with_an_example(path: str, method: str, operation: dict) -> None:
    errors = {status: entry for status, entry in operation["responses"].items() if status >= "400"}
    asks_for_a_key = operation.get("security") != []
    assert {"403", "421", "500"} | ({"401"} if asks_for_a_key else set()) <= set(errors)
    for status, entry in errors.items():
        if status == "default":
            continue
        example = Problem.model_validate(entry["content"][PROBLEM_MEDIA_TYPE]["example"])
        assert str(example.status) == status


def has_example(content: dict) -> bool:
    """Whether JSON that is taken or given is shown by an example, with it or with its schema."""
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return "example" in content or "examples" in DOCUMENT["components"]["schemas"].get(name, {})


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=lambda value: str(value)[:40])
def test_everything_that_is_taken_or_given_as_json_has_an_example(path: str, method: str, operation: dict) -> None:
    told = [operation.get("requestBody", {}), *operation["responses"].values()]
    json_contents = [
        what["content"]["application/json"] for what in told if "application/json" in what.get("content", {})
    ]
    assert [content for content in json_contents if not has_example(content)] == []


def test_examples_are_what_their_schemas_say() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for example in schema.get("examples", []):
            whole = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
            jsonschema.validate(example, whole, cls=jsonschema.Draft202012Validator)


def test_every_status_that_an_error_has_is_documented_somewhere() -> None:
    documented = {status for _, _, operation in OPERATIONS for status in operation["responses"]}
    assert {str(int(status)) for status in STATUS_BY_ERROR.values()} <= documented


def test_every_reference_leads_somewhere() -> None:
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(DOCUMENT)))
    assert names - {"HTTPValidationError", "ValidationError"} == set(DOCUMENT["components"]["schemas"])


def test_example_is_a_valid_envelope() -> None:
    example = DOCUMENT["paths"]["/v1/screenings"]["post"]["responses"]["201"]["content"]["application/json"]["example"]
    assert ScreeningEnvelope.model_validate(example) == example_envelope()


def test_written_page_names_every_route_problem_and_status() -> None:
    page = (DOCS / "http-api.md").read_text(encoding="utf-8")
    for path, method, _ in OPERATIONS:
        assert f"`{method.upper()} {path.replace('screening_id', 'id')}`" in page, path
    bases = {"DeepscreenError", "MediaError", "WeightsError", "DetectorError", "RequestError", "ServiceError"}
    for kind, status in STATUS_BY_ERROR.items():
        if kind.__name__ not in bases:
            name = problem_type(kind.__name__).removeprefix("urn:deepscreen:problem:")
            assert re.search(rf"^\| {int(status)} \| `{name}` \|", page, re.MULTILINE), (name, int(status))
