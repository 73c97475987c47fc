"""schemathesis asks every documented operation for what its schema allows and what it forbids: no 5xx, no breach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.case import Case
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import Served

from deepscreen.api.app import openapi_json
from deepscreen.settings import Limits, Settings

EXAMPLES = 6  # for each operation; seeds are fixed, so a run is the same as the one before
PATIENCE_SECONDS = 120.0  # with one request, on a machine that is busy with other things
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SCHEMA = schemathesis.openapi.from_dict(json.loads(openapi_json()), config=SchemathesisConfig.from_dict({}))
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
# One never ends by itself while a screening runs, and fuzzed ids are of none; the other lasts 15 seconds.
FUZZED = SCHEMA.exclude(path=["/v1/screenings/{screening_id}/events", "/v1/events"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("fuzzed") / "data"
    served = Served(Settings(data_dir=folder, device="cpu", limits=Limits(max_bytes=200_000)))
    yield served
    served.close()


@FUZZED.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_operation_keeps_its_word(case: Case, served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.key}"}
    response = case.call(base_url=served.url, headers=headers, timeout=PATIENCE_SECONDS)
    case.validate_response(response, checks=CHECKS)
