"""The register goes out and comes in again without a loss; others' checkers accept it; hostile content is refused."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pymisp
import pytest
from pymisp import MISPEvent, MISPObject
from register_samples import ENTRIES, SHARED, entry, kept
from stix2validator import ValidationOptions, validate_string

from deepscreen.errors import ExchangeInvalid
from deepscreen.register import exchange
from deepscreen.register.as_misp import OBJECT_NAME, RELATIONS
from deepscreen.register.entry import Tlp
from deepscreen.register.exchange import ExchangeFormat, read, written
from deepscreen.register.stix_constants import EXTENSION_ID, marking_id

TEMPLATES = Path(__file__).parents[2] / "docs/misp-objects"
STIX, MISP, CSV = ExchangeFormat.STIX, ExchangeFormat.MISP, ExchangeFormat.CSV


def objects_of(content: bytes, kind: str) -> list[dict[str, Any]]:
    return [found for found in json.loads(content)["objects"] if found["type"] == kind]


def events() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(written(SHARED, MISP))["response"]
    return found


@pytest.mark.parametrize("file_format", ExchangeFormat)
def test_what_goes_out_comes_in_again(file_format: ExchangeFormat) -> None:
    assert read(written(SHARED, file_format), file_format) == list(ENTRIES)
    assert read(written((), file_format), file_format) == []


@pytest.mark.parametrize("file_format", ExchangeFormat)
def test_same_entries_give_the_same_bytes(file_format: ExchangeFormat) -> None:
    assert written(SHARED, file_format) == written(SHARED, file_format)


@pytest.mark.parametrize("number", range(len(SHARED)), ids=[str(found.tlp) for found in ENTRIES])
def test_stix_of_every_entry_is_valid(number: int) -> None:
    """Without an error and without a warning, for every mark and kind of media."""
    found = validate_string(written(SHARED[number : number + 1], STIX).decode(), ValidationOptions(version="2.1"))
    assert (found.is_valid, list(found.errors or []), list(found.warnings or [])) == (True, [], [])


def test_stix_of_all_is_valid_and_a_wrong_one_is_not() -> None:
    content = written(SHARED, STIX).decode()
    found = validate_string(content, ValidationOptions(version="2.1"))
    assert (found.is_valid, list(found.errors or []), list(found.warnings or [])) == (True, [], [])
    wrong = content.replace('"relationship_type": "uses"', '"relationship_type": 7')
    assert not validate_string(wrong, ValidationOptions(version="2.1")).is_valid


def test_stix_names_tool_pattern_file_and_campaign() -> None:
    content = written(SHARED, STIX)
    assert {found["name"] for found in objects_of(content, "tool")} == {found.tool for found in ENTRIES}
    (pattern,) = objects_of(content, "attack-pattern")
    assert pattern["external_references"][0]["external_id"] == "AML.T0088"
    files = objects_of(content, "file")
    assert {found["hashes"]["SHA-256"] for found in files} == {found.media_sha256 for found in ENTRIES}
    (campaign,) = objects_of(content, "campaign")
    assert campaign["object_marking_refs"] == [marking_id(Tlp.AMBER_STRICT)], "marked as the highest of its entries"
    assert len(objects_of(content, "sighting")) == len(ENTRIES)
    assert [found.get("revoked", False) for found in objects_of(content, "incident")].count(True) == 1


def test_campaign_of_which_one_entry_goes_out_is_not_told() -> None:
    assert objects_of(written(SHARED[:1], STIX), "campaign") == []


def test_everything_in_stix_is_marked() -> None:
    found = [o for o in json.loads(written(SHARED, STIX))["objects"] if o["type"] not in {"marking-definition", "file"}]
    assert [o["id"] for o in found if len(o["object_marking_refs"]) != 1] == []


@pytest.mark.parametrize("event", events(), ids=lambda event: event["Event"]["Tag"][0]["name"])
def test_misp_survives_pymisp(event: dict[str, Any]) -> None:
    taken = MISPEvent(strict_validation=True)
    taken.from_dict(**event)
    assert [found.name for found in taken.objects] == [OBJECT_NAME]
    assert read(taken.to_json().encode(), MISP) == [found for found in ENTRIES if found.id == taken.uuid]


@pytest.mark.parametrize("event", events(), ids=lambda event: event["Event"]["Tag"][0]["name"])
def test_misp_object_fits_its_template(event: dict[str, Any]) -> None:
    (sent,) = event["Event"]["Object"]
    made = MISPObject(OBJECT_NAME, strict=True, misp_objects_path_custom=TEMPLATES)
    assert (made.template_uuid, str(made.template_version)) == (sent["template_uuid"], sent["template_version"])
    definition = json.loads((TEMPLATES / OBJECT_NAME / "definition.json").read_text(encoding="utf-8"))
    for attribute in sent["Attribute"]:
        row = definition["attributes"][attribute["object_relation"]]
        assert attribute["type"] == row["misp-attribute"]
        assert attribute["value"] in row.get("values_list", [attribute["value"]])
        made.add_attribute(attribute["object_relation"], value=attribute["value"])
    made.to_json(strict=True)


def test_misp_template_is_one_by_the_projects_own_schema() -> None:
    schema = json.loads((Path(pymisp.__file__).parent / "data/misp-objects/schema_objects.json").read_bytes())
    definition = json.loads((TEMPLATES / OBJECT_NAME / "definition.json").read_bytes())
    jsonschema.validate(definition, schema, cls=jsonschema.Draft7Validator)
    assert set(definition["attributes"]) == {relation for relation, _, _ in RELATIONS.values()}


def test_spreadsheet_runs_no_cell() -> None:
    rows = list(csv.reader(io.StringIO(written(SHARED, CSV).decode(), newline="")))
    assert [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t"))] == []
    assert rows[2][5].startswith("'=cmd")


def changed(file_format: ExchangeFormat, **fields: Any) -> bytes:
    """An export of one entry with other contents in it."""
    if file_format is CSV:
        rows = list(csv.reader(io.StringIO(written(SHARED[:1], CSV).decode(), newline="")))
        for name, value in fields.items():
            rows[1][rows[0].index(name)] = str(value)
        buffer = io.StringIO()
        csv.writer(buffer).writerows(rows)
        return buffer.getvalue().encode()
    bundle = json.loads(written(SHARED[:1], STIX))
    (incident,) = [found for found in bundle["objects"] if found["type"] == "incident"]
    incident["extensions"][EXTENSION_ID] |= fields
    return json.dumps(bundle).encode()


@pytest.mark.parametrize("file_format", [STIX, CSV])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tool", "x" * 101),
        ("tool", "write to someone@example.org"),
        ("misuse", "art"),
        ("media_sha256", "00"),
        ("fingerprint", "AAAA"),
        ("fingerprint", "no base 64"),
        ("kind", "text"),
        ("revision", 0),
        ("revision", 100_001),
    ],
)
def test_entry_that_is_none_is_refused_with_all(file_format: ExchangeFormat, field: str, value: object) -> None:
    with pytest.raises(ExchangeInvalid, match="entry 1"):
        read(changed(file_format, **{field: value}), file_format)


HOSTILE = [
    b"",
    b"\xff\xfe",
    b"null",
    b"7",
    b"[]x",
    b"[" * 100_000,
    b'{"type": "bundle", "objects": 7}',
    b'{"type": "bundle", "objects": [{"type": "incident", "extensions": 7}]}',
    b'{"type": "bundle", "objects": [{"type": "incident", "extensions": {"%b": 7}}]}' % EXTENSION_ID.encode(),
    b'{"type": "bundle", "objects": [{"type": "incident", "object_marking_refs": 7, "extensions": {"%b": {}}}]}'
    % EXTENSION_ID.encode(),
    b'{"Event": 7}',
    b'{"response": {"a": 1}}',
    b'[{"Event": {"uuid": [], "Tag": 7, "Object": [{"name": "deepfake-misuse"}]}}]',
    b'[{"Event": {"uuid": "x", "Object": 7}}]',
    b'[{"Event": {"uuid": "x", "Tag": [{"name": "tlp:red"}], '
    b'"Object": [{"name": "deepfake-misuse", "Attribute": [{"object_relation": []}]}]}}]',
    b"a,b\r\n1,2\r\n",
    b'"unclosed',
    written(SHARED[:1], CSV).replace(b"\r\n", b",one too many\r\n"),
    written(SHARED[:1], CSV) + b"x\r\n",
    written(SHARED[:1], CSV) + b"x" * 200_000,
]


@pytest.mark.parametrize("content", HOSTILE, ids=lambda content: repr(content[:40]))
@pytest.mark.parametrize("file_format", ExchangeFormat)
def test_hostile_content_is_refused_or_holds_nothing(file_format: ExchangeFormat, content: bytes) -> None:
    found: list[Any] = []
    with suppress(ExchangeInvalid):
        found = read(content, file_format)
    assert found == []


@pytest.mark.parametrize("marks", [[], [marking_id(Tlp.RED), marking_id(Tlp.CLEAR)]])
def test_stix_without_one_mark_is_refused(marks: list[str]) -> None:
    bundle = json.loads(written(SHARED[:1], STIX))
    for found in bundle["objects"]:
        if found["type"] == "incident":
            found["object_marking_refs"] = marks
    with pytest.raises(ExchangeInvalid, match="want one TLP"):
        read(json.dumps(bundle).encode(), STIX)


@pytest.mark.parametrize("names", [[], ["tlp:red", "tlp:clear"], ["tlp:purple"]])
def test_misp_without_one_tag_that_exists_is_refused(names: list[str]) -> None:
    event = events()[0]
    event["Event"]["Tag"] = [{"name": name} for name in names]
    with pytest.raises(ExchangeInvalid, match=r"(?i)tlp"):
        read(json.dumps(event).encode(), MISP)


def test_misp_knows_deleted_objects_and_the_old_name_of_a_mark() -> None:
    event = events()[2]["Event"]
    event["Tag"] = [{"name": "tlp:white"}, {"name": "type:OSINT"}]
    (made,) = event["Object"]
    made["Attribute"].append({**made["Attribute"][0], "value": "of an earlier time", "deleted": True})
    (found,) = read(json.dumps({"Event": event}).encode(), MISP)
    assert (found.tlp, found.tool) == (Tlp.CLEAR, ENTRIES[2].tool)
    event["Object"] = [{**made, "deleted": "1"}]
    assert read(json.dumps({"Event": event}).encode(), MISP) == []


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_IMPORTED", 2)
    with pytest.raises(ExchangeInvalid, match="at most 2"):
        read(written(SHARED, CSV), CSV)
    monkeypatch.setattr(exchange, "MAX_IMPORT_BYTES", 10)
    with pytest.raises(ExchangeInvalid, match="at most 10"):
        read(written(SHARED, CSV), CSV)


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\r\n" + b"1,2\r\n" * 60_000,
        written((), CSV) + b"," * 3_000_000,
        written((), CSV) + b'"x\n",' * 600_000,
        written((), CSV) + b"x" * 3_000_000,
        b"," * 3_000_000,
        written((), CSV) + b"x\r\n" * 60_000,
    ],
    ids=["columns", "cells", "lines", "cell", "names", "rows"],
)
def test_csv_of_any_shape_takes_little_memory(content: bytes) -> None:
    """Well under what a row of a dictionary, or a cell, each would take."""
    tracemalloc.start()
    with pytest.raises(ExchangeInvalid):
        read(content, CSV)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 12_000_000


@pytest.mark.parametrize("begin", [";", "\n", "x;", "x\n", ";;", "\n\n", "; ", ';"', ';""', "x;'", "';"])
def test_spreadsheet_that_parts_at_semicolons_runs_no_cell(begin: str) -> None:
    shared = (kept(entry(1, modus_operandi=f"a{begin}=1+1;-2;'b\n@c")),)
    content = written(shared, CSV)
    cells = content.decode().replace('"', "").replace("\r", "\n").replace("\n", ";").split(";")
    assert [cell for cell in cells if cell.lstrip(" ").startswith(("=", "+", "-", "@"))] == []
    assert read(content, CSV) == [shared[0].entry]


@pytest.mark.parametrize("strange", ["\ud800", "x" * 1_000_000])
@pytest.mark.parametrize("file_format", [STIX, MISP])
def test_message_quotes_no_more_of_an_id_than_can_be_told(file_format: ExchangeFormat, strange: str) -> None:
    if file_format is STIX:
        found: Any = json.loads(written(SHARED[:1], STIX))
        for made in found["objects"]:
            if made["type"] == "incident":
                made |= {"id": strange, "object_marking_refs": []}
    else:
        found = events()[0]
        found["Event"] |= {"uuid": strange, "Tag": []}
    with pytest.raises(ExchangeInvalid, match="want one TLP") as refused:
        read(json.dumps(found).encode(), file_format)
    assert len(str(refused.value).encode()) < 120


def test_misp_with_a_part_that_is_marked_otherwise_is_refused() -> None:
    for part in ("object", "attribute"):
        event = events()[0]
        (made,) = event["Event"]["Object"]
        marked = made if part == "object" else made["Attribute"][3]
        marked["Tag"] = [{"name": "tlp:green"}]
        assert len(read(json.dumps(event).encode(), MISP)) == 1, "as the event is"
        marked["Tag"] += [{"name": "tlp:red"}]
        with pytest.raises(ExchangeInvalid, match="another TLP tag"):
            read(json.dumps(event).encode(), MISP)


def test_stix_with_marks_of_parts_is_refused() -> None:
    bundle = json.loads(written(SHARED[:1], STIX))
    for found in bundle["objects"]:
        if found["type"] == "incident":
            found["granular_markings"] = [{"marking_ref": marking_id(Tlp.RED), "selectors": ["description"]}]
    with pytest.raises(ExchangeInvalid, match="marks of their own"):
        read(json.dumps(bundle).encode(), STIX)


def test_entry_twice_is_refused() -> None:
    twice = (kept(entry(1)), kept(entry(1, tool="other")))
    with pytest.raises(ExchangeInvalid, match="twice"):
        read(written(twice, CSV), CSV)
