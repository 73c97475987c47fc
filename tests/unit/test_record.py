"""The record: canonical, closed, without anything that names the case, and described by its schema."""

from __future__ import annotations

import hashlib
import json
import re

import jsonschema
import pytest
from pydantic import ValidationError
from report_samples import image_screening, silent_screening, video_screening

from deepscreen.absence import Absence
from deepscreen.record import SCHEMA_VERSION, Media, ModalityResult, Screening, Verdict, json_schema

SAMPLES = [image_screening(), video_screening(), silent_screening()]
# What belongs to the envelope around a record, never into it.
OF_THE_CASE = re.compile(r"(^|_)(path|file_?name|time_?stamp|created|date|user|host|case|id)$")


@pytest.mark.parametrize("screening", SAMPLES, ids=lambda s: s.media.kind)
def test_canonical_json_is_sorted_dense_utf8(screening: Screening) -> None:
    content = screening.canonical_json()
    data = json.loads(content)
    assert list(data) == sorted(data)
    assert b"\n" not in content
    assert b'": ' not in content
    assert data["schema_version"] == SCHEMA_VERSION


@pytest.mark.parametrize("screening", SAMPLES, ids=lambda s: s.media.kind)
def test_record_survives_its_own_json(screening: Screening) -> None:
    again = Screening.model_validate_json(screening.canonical_json())
    assert again == screening
    assert again.canonical_json() == screening.canonical_json()


def test_order_of_modalities_does_not_change_the_bytes() -> None:
    screening = video_screening()
    turned = screening.model_copy(update={"modalities": dict(reversed(screening.modalities.items()))})
    assert list(turned.modalities) != list(screening.modalities)
    assert turned.canonical_json() == screening.canonical_json()


def test_digest_is_the_sha256_of_the_canonical_json() -> None:
    screening = image_screening()
    assert screening.digest() == hashlib.sha256(screening.canonical_json()).hexdigest()
    assert screening.digest() != image_screening(message="another caveat").digest()


@pytest.mark.parametrize("screening", SAMPLES, ids=lambda s: s.media.kind)
def test_schema_accepts_the_record(screening: Screening) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert [error.message for error in validator.iter_errors(json.loads(screening.canonical_json()))] == []


def test_schema_is_valid_and_closed() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    objects = [schema, *(d for d in schema["$defs"].values() if d.get("type") == "object")]
    assert len(objects) > 10
    assert [d["title"] for d in objects if d.get("additionalProperties") is not False] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("media", "sha256"), "short"),
        (("modalities", "image", "authenticity_score"), 1.5),
        (("modalities", "image", "verdict"), "fake"),
        (("overall", "path"), "/case/17"),
    ],
)
def test_schema_and_model_refuse_the_same(path: tuple[str, ...], value: object) -> None:
    data = json.loads(image_screening().canonical_json())
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(data)
    with pytest.raises(ValidationError):
        Screening.model_validate(data)


def test_record_has_no_place_for_what_belongs_to_the_case() -> None:
    schema = json_schema()
    names = {name for d in [schema, *schema["$defs"].values()] for name in d.get("properties", {})}
    assert len(names) > 40
    assert {name for name in names if OF_THE_CASE.search(name)} == {"track_id"}


def test_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        image_screening().overall.verdict = Verdict.INCONCLUSIVE  # type: ignore[misc]


def test_every_absence_can_be_recorded() -> None:
    text = json.dumps(json_schema()["$defs"]["Absence"]["enum"])
    assert [a.value for a in Absence if a.value not in text] == []


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_number_that_is_none_never_becomes_json(number: float) -> None:
    result = silent_screening().modalities["audio"].model_copy(update={"log10_lr": number})
    broken = silent_screening().model_copy(update={"modalities": {"audio": result}})
    with pytest.raises(Exception, match=r"(?i)nan|inf|float"):
        broken.canonical_json()


def test_score_outside_of_a_probability_is_refused() -> None:
    fields = silent_screening().modalities["audio"].model_dump() | {"authenticity_score": -0.1}
    with pytest.raises(ValidationError, match="authenticity_score"):
        ModalityResult.model_validate(fields)


def test_media_are_known_by_a_whole_sha256() -> None:
    with pytest.raises(ValidationError, match="sha256"):
        Media(sha256="AB" * 32, size_bytes=1, kind="image", container="PNG", mime="image/png", streams=())
