"""Records as CASE/UCO: valid by the ontology's own checker, complete, without media, and the same bytes each time."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from report_samples import image_screening, silent_screening, video_screening
from typer.testing import CliRunner

from deepscreen.cli import app
from deepscreen.errors import UndecodableMedia
from deepscreen.record import Screening
from deepscreen.report.as_case_uco import CaseHead, CaseItem, ReviewedAs, case_uco, case_uco_json, case_uco_of_records
from deepscreen.report.as_json import envelope_line
from deepscreen.report.court import CourtCase, court_html
from deepscreen.solve_it import NAMES, techniques_applied, techniques_of

AT = datetime(2026, 11, 3, 14, 5, 9, tzinfo=UTC)
SAMPLES = (image_screening(), video_screening(), silent_screening())
ITEMS = [
    CaseItem(
        key="5f2d8c9a",
        screening=SAMPLES[0],
        file_name="IMG 1\n<b>\u202egpj.exe",
        asked_for_by="4f0d1c6b",
        started_at=AT,
        ended_at=AT,
        review=ReviewedAs("9a8b7c6d", "override", "inconclusive", "A screenshot of a screenshot."),
    ),
    CaseItem("second", SAMPLES[1], "clip.mp4"),
    CaseItem("third", SAMPLES[2]),
    CaseItem("fourth", SAMPLES[0], "the same file again.jpg"),
]
HEAD = CaseHead("c0b5a1f2", "2026-117", AT)


def problems_of(content: bytes, folder: Path) -> str:
    """What ``case_validate`` of case-utils has against the document, warnings included; it needs no network."""
    path = folder / "case.jsonld"
    path.write_bytes(content)
    command = [sys.executable, "-c", "from case_utils.case_validate import main; main()", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def nodes_of(content: bytes, kind: str) -> list[dict[str, Any]]:
    return [node for node in json.loads(content)["@graph"] if node["@type"] == kind]


@pytest.fixture(scope="module")
def case() -> bytes:
    return case_uco_json(HEAD, ITEMS)


def test_case_is_valid(case: bytes, tmp_path: Path) -> None:
    """With a picture, a clip and a sound, scored and not, reviewed and not."""
    assert problems_of(case, tmp_path) == ""


def test_checker_notices_a_wrong_type(tmp_path: Path) -> None:
    wrong = json.loads(case_uco_of_records([(silent_screening(), "")]))
    hashed = next(node for node in wrong["@graph"] if node["@type"] == "types:Hash")
    hashed["types:hashValue"] = 7
    assert "hashValue" in problems_of(json.dumps(wrong).encode(), tmp_path)


def test_case_names_every_file_action_tool_and_result(case: bytes) -> None:
    assert len(nodes_of(case, "investigation:Investigation")) == 1
    names = [facet.get("observable:fileName") for facet in nodes_of(case, "observable:FileFacet")]
    assert names.count("clip.mp4") == 1
    hashes = {node["types:hashValue"]["@value"].lower() for node in nodes_of(case, "types:Hash")}
    assert {s.media.sha256 for s in SAMPLES} | {"aa" * 32, "bb" * 32} == hashes
    assert len(nodes_of(case, "tool:ConfiguredTool")) == 1
    results = nodes_of(case, "analysis:AnalyticResult")
    assert len(results) == len(ITEMS) + sum(len(item.screening.modalities) for item in ITEMS)
    assert [node["core:statement"] for node in nodes_of(case, "core:Annotation") if node["core:tag"] == "review"] == [
        "override: inconclusive"
    ]


def test_every_reference_leads_to_a_node(case: bytes) -> None:
    graph = json.loads(case)["@graph"]
    known = {node["@id"] for node in graph}

    def references(value: Any) -> list[str]:
        if isinstance(value, list):
            return [found for part in value for found in references(part)]
        return [value["@id"]] if isinstance(value, dict) and "@id" in value else []

    named = {found for node in graph for field, value in node.items() if field != "@id" for found in references(value)}
    assert named <= known
    assert known - named == {node["@id"] for node in graph if node["@type"] == "investigation:Investigation"}


def test_confidence_is_of_the_class_and_only_where_one_was_decided() -> None:
    (given,) = nodes_of(case_uco_of_records([(image_screening(), "")]), "analysis:ArtifactClassification")
    score = image_screening().modalities["image"].authenticity_score
    assert score is not None
    assert float(given["analysis:classificationConfidence"]["@value"]) == pytest.approx(1 - score, abs=1e-6)
    assert given["deepscreen:log10LikelihoodRatio"]["@value"] == "2.5"
    kinds = {node["analysis:class"]: node for node in nodes_of(case_uco_json(HEAD, ITEMS), given["@type"])}
    assert "analysis:classificationConfidence" not in kinds["inconclusive"]
    assert "analysis:classificationConfidence" not in kinds["not_screened"]


def test_same_records_give_the_same_bytes_and_other_cases_other_ids(case: bytes) -> None:
    assert case_uco_json(HEAD, ITEMS) == case
    other = case_uco(CaseHead("another"), ITEMS)
    assert not {n["@id"] for n in other["@graph"]} & {n["@id"] for n in json.loads(case)["@graph"]}


def test_no_picture_goes_in() -> None:
    """Heatmaps stand in records as numbers too; neither these nor any other long run of Base64 is in the document."""
    content = case_uco_json(HEAD, ITEMS).decode()
    assert max(map(len, content.replace('"', " ").split())) < 120


@pytest.mark.parametrize(
    ("screening", "expected"),
    [
        (image_screening(), ("DFT-1176", "DFT-1186")),
        (silent_screening(), ("DFT-1186",)),
    ],
    ids=["scored", "silent"],
)
def test_techniques_are_those_that_were_applied(screening: Screening, expected: tuple[str, ...]) -> None:
    assert techniques_of(screening) == techniques_applied(screening.modalities, screening.findings) == expected
    assert set(expected) <= set(NAMES)


def test_techniques_stand_in_the_record_and_lead_into_the_catalogue() -> None:
    screening = image_screening(solve_it_techniques=("DFT-1100", "DFT-1176", "DFT-1186"))
    content = case_uco_of_records([(screening, "a.jpg")])
    references = {node["core:externalIdentifier"]: node for node in nodes_of(content, "core:ExternalReference")}
    assert set(references) == {"DFT-1100", "DFT-1176", "DFT-1186"}
    assert references["DFT-1176"]["core:referenceURL"]["@value"].endswith("/DFT-1176.json")


def test_command_writes_a_record_as_case_uco(tmp_path: Path) -> None:
    record, target = tmp_path / "record.json", tmp_path / "case.jsonld"
    record.write_bytes(envelope_line("a b.jpg", screening=image_screening()))
    assert CliRunner().invoke(app, ["report", str(record)]).exit_code == 2
    done = CliRunner().invoke(app, ["report", str(record), "--case-uco", str(target)])
    assert done.exit_code == 0, done.output
    assert target.read_bytes() == case_uco_of_records([(image_screening(), "a b.jpg")])


def test_command_takes_the_records_of_a_whole_scan(tmp_path: Path) -> None:
    """Lines about files without a record are passed over; a report is on one file."""
    lines, target = tmp_path / "records.jsonl", tmp_path / "case.jsonld"
    content = [envelope_line(f"{n}.x", screening=screening) for n, screening in enumerate(SAMPLES)]
    lines.write_bytes(b"".join([*content, envelope_line("bad.jpg", error=UndecodableMedia("truncated"))]))
    done = CliRunner().invoke(app, ["report", str(lines), "--case-uco", str(target)])
    assert done.exit_code == 0, done.output
    assert len(nodes_of(target.read_bytes(), "tool:ConfiguredTool")) == 1
    names = {facet["observable:fileName"] for facet in nodes_of(target.read_bytes(), "observable:FileFacet")}
    assert {"0.x", "1.x", "2.x"} <= names
    assert "bad.jpg" not in names
    assert "holds 3 records" in CliRunner().invoke(app, ["report", str(lines), "--html", str(tmp_path / "x")]).output


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"7", b"[]", b"{}\n{}\n", b"{\n", b'{"screening": 7}\n{"screening": 8}']
)
def test_command_refuses_what_is_no_record(tmp_path: Path, content: bytes) -> None:
    record = tmp_path / "record.json"
    record.write_bytes(content)
    done = CliRunner().invoke(app, ["report", str(record), "--case-uco", str(tmp_path / "out")])
    assert (done.exit_code, "not a screening record" in done.output) == (2, True), done.output


def test_court_report_names_the_techniques() -> None:
    page = court_html(CourtCase(image_screening(), {}), "de")
    assert "Verfahren (SOLVE-IT)" in page
    assert "DFT-1176 Classify if an image is potentially synthetically generated" in page
