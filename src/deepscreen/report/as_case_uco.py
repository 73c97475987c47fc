"""Records as CASE/UCO (JSON-LD): what tools of digital investigation exchange. Rendered from the records alone.

*Source:* CASE 1.5 and UCO 1.5 (ontology.caseontology.org, ontology.unifiedcyberontology.org). No media goes in: files
and evidence pictures are named by their hashes. The same records give the same bytes, for ids are made from them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deepscreen.record import Evidence, Media, ModalityName, Screening
from deepscreen.report.case_uco_nodes import CONTEXT, Node, Nodes, ref, time
from deepscreen.report.case_uco_results import classification, result_sentence
from deepscreen.report.wording import in_order
from deepscreen.solve_it import CATALOGUE_URL, CLASSIFY, EXIF_CODES, HASH_FILE, NAMES, READ_EXIF, techniques_of

UNNAMED = "Files screened outside of a case"


@dataclass(frozen=True, slots=True)
class ReviewedAs:
    """What a second person decided about a result."""

    reviewer: str
    decision: str
    verdict: str
    reason: str


@dataclass(frozen=True, slots=True)
class CaseItem:
    """A record with what its envelope knows. ``key``: what tells it from others of the case."""

    key: str
    screening: Screening
    file_name: str = ""
    asked_for_by: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    review: ReviewedAs | None = None


@dataclass(frozen=True, slots=True)
class CaseHead:
    """What is known of the case itself."""

    id: str
    name: str = UNNAMED
    opened_at: datetime | None = None


def case_uco_json(head: CaseHead, items: Sequence[CaseItem]) -> bytes:
    """The document as UTF-8 JSON with a line feed."""
    return json.dumps(case_uco(head, items), ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def case_uco_of_records(records: Sequence[tuple[Screening, str]]) -> bytes:
    """The document of records that belong to no case, each with the name of its file; "" where it has none."""
    items = [CaseItem(f"{screening.media.sha256} {name}", screening, name) for screening, name in records]
    together = "\n".join(f"{item.screening.digest()} {item.file_name}" for item in items)
    return case_uco_json(CaseHead(hashlib.sha256(together.encode()).hexdigest()), items)


def case_uco(head: CaseHead, items: Sequence[CaseItem]) -> dict[str, Any]:
    """The JSON-LD document: the investigation, its files, what was done to each by which tool, and what came of it."""
    nodes = Nodes(head.id)
    parts = [id_ for item in items for id_ in _item(nodes, item)]
    nodes.add(
        "investigation",
        (),
        "investigation:Investigation",
        {
            "core:name": head.name,
            "core:objectCreatedTime": time(head.opened_at),
            "investigation:focus": "Screening of media for synthetic or manipulated content",
            "core:object": [ref(part) for part in sorted(set(parts))],
        },
    )
    return {"@context": CONTEXT, "@graph": nodes.all()}


def _item(nodes: Nodes, item: CaseItem) -> Iterator[str]:
    """Adds the nodes of one item; gives the ids of those that the investigation names."""
    media, key = item.screening.media, (item.key,)
    file = _file(nodes, key, _media_facets(nodes, key, media, item.file_name))
    instrument = _tool(nodes, item.screening)
    actions, results = _actions(nodes, item, file, instrument)
    results += [_overall(nodes, item), *_reviews(nodes, item, file)]
    given = _provenance(nodes, key, "received", f"File as it was received, sha256 {media.sha256}", [file])
    made = _provenance(nodes, key, "made", "What the screening gave", results)
    action: Node = {
        "core:name": "Screened for synthetic or manipulated content",
        "action:instrument": ref(instrument),
        "action:object": [ref(file), ref(given)],
        "action:result": [ref(made), *(ref(result) for result in results)],
        "action:subaction": [ref(part) for part in actions],
        "action:performer": _performer(nodes, item.asked_for_by),
        "action:startTime": time(item.started_at),
        "action:endTime": time(item.ended_at),
    }
    yield from (file, instrument, given, made, *actions, *results)
    yield nodes.add("screening", key, "investigation:InvestigativeAction", action)


def _actions(nodes: Nodes, item: CaseItem, file: str, instrument: str) -> tuple[list[str], list[str]]:
    """One action for each technique that was applied; all that came of the screening, findings included."""
    screening, found = item.screening, _findings(nodes, item, file)
    made: dict[str, list[str]] = {HASH_FILE: [], READ_EXIF: [found[n] for n in found if n in EXIF_CODES]}
    results = list(found.values())
    for name, _ in in_order(screening):
        given = [_result(nodes, item, name), *_pictures(nodes, item, screening.modalities[name].evidence)]
        made[CLASSIFY[name]] = given
        results += given
    actions = []
    for technique in techniques_of(screening):
        action: Node = {
            "core:name": NAMES.get(technique, technique),
            "core:externalReference": ref(_reference(nodes, technique)),
            "action:instrument": ref(instrument),
            "action:object": ref(file),
            "action:result": [ref(result) for result in made.get(technique, [])],
        }
        actions.append(nodes.add("action", (item.key, technique), "investigation:InvestigativeAction", action))
    return actions, results


def _reference(nodes: Nodes, technique: str) -> str:
    body: Node = {
        "core:definingContext": "SOLVE-IT",
        "core:externalIdentifier": technique,
        "core:referenceURL": {"@type": "xsd:anyURI", "@value": CATALOGUE_URL.format(technique)},
    }
    return nodes.add("reference", (technique,), "core:ExternalReference", body)


def _result(nodes: Nodes, item: CaseItem, name: ModalityName) -> str:
    result, key = item.screening.modalities[name], (item.key, name)
    taken_as = nodes.add("classification", key, "analysis:ArtifactClassification", classification(result))
    facet = nodes.add(
        "classification-facet",
        key,
        "analysis:ArtifactClassificationResultFacet",
        {"analysis:classification": ref(taken_as)},
    )
    body: Node = {
        "core:name": f"Result for {name}",
        "core:statement": result_sentence(name, result),
        "core:description": [caveat.message for caveat in result.caveats],
        "core:hasFacet": ref(facet),
    }
    return nodes.add("result", key, "analysis:AnalyticResult", body)


def _overall(nodes: Nodes, item: CaseItem) -> str:
    screening = item.screening
    body: Node = {
        "core:name": f"Result over all: {screening.overall.verdict}",
        "core:statement": screening.overall.explanation,
        "core:description": f"Rendered from the record with sha256 {screening.digest()}. A lead, no proof.",
    }
    return nodes.add("result", (item.key, "overall"), "analysis:AnalyticResult", body)


def _reviews(nodes: Nodes, item: CaseItem, file: str) -> Iterator[str]:
    if item.review is None:
        return
    review = item.review
    body: Node = {
        "core:name": "Review by a second person",
        "core:statement": f"{review.decision}: {review.verdict}",
        "core:description": [review.reason] if review.reason else [],
        "core:createdBy": _performer(nodes, review.reviewer),
        "core:object": ref(file),
        "core:tag": "review",
    }
    yield nodes.add("review", (item.key,), "core:Annotation", body)


def _findings(nodes: Nodes, item: CaseItem, file: str) -> dict[str, str]:
    """Ids of the nodes of findings, by their codes and, where one code has several, numbers."""
    found: dict[str, str] = {}
    for number, finding in enumerate(item.screening.findings):
        body: Node = {
            "core:name": finding.code,
            "core:statement": finding.message,
            "core:tag": ["finding", finding.severity],
            "core:description": f"Read from: {finding.source}. A fact, no part of a score.",
            "core:object": ref(file),
        }
        label = finding.code if finding.code not in found else f"{finding.code} {number}"
        found[label] = nodes.add("finding", (item.key, str(number)), "core:Annotation", body)
    return found


def _pictures(nodes: Nodes, item: CaseItem, evidence: Sequence[Evidence]) -> list[str]:
    made = []
    for entry in evidence:
        key = (item.key, entry.name)
        hashed = _content_facet(nodes, key, entry.sha256, {"observable:mimeType": "image/png"})
        named = nodes.add("file-facet", key, "observable:FileFacet", {"observable:fileName": entry.name})
        made.append(_file(nodes, key, [hashed, named], description=f"Evidence: {entry.kind} of {entry.detector}"))
    return made


def _file(nodes: Nodes, key: tuple[str, ...], facets: list[str], description: str = "Examined file") -> str:
    body: Node = {"core:description": description, "core:hasFacet": [ref(facet) for facet in facets]}
    return nodes.add("file", key, "observable:File", body)


def _media_facets(nodes: Nodes, key: tuple[str, ...], media: Media, file_name: str) -> list[str]:
    size: Node = {"observable:sizeInBytes": media.size_bytes}
    facets = [_content_facet(nodes, key, media.sha256, {"observable:mimeType": media.mime, **size})]
    facets.append(nodes.add("file-facet", key, "observable:FileFacet", {"observable:fileName": file_name, **size}))
    for stream in media.streams:
        if stream.kind == "image" and stream.width_px and stream.height_px:
            sides: Node = {"observable:pictureWidth": stream.width_px, "observable:pictureHeight": stream.height_px}
            facets.append(nodes.add("picture-facet", key, "observable:RasterPictureFacet", sides))
    return facets


def _content_facet(nodes: Nodes, key: tuple[str, ...], sha256: str, body: Node) -> str:
    value = {"@type": "xsd:hexBinary", "@value": sha256.upper()}
    hashed = nodes.add("hash", (*key, sha256), "types:Hash", {"types:hashMethod": "SHA256", "types:hashValue": value})
    return nodes.add("content-facet", key, "observable:ContentDataFacet", {**body, "observable:hash": ref(hashed)})


def _tool(nodes: Nodes, screening: Screening) -> str:
    """The tool as it was configured; files that were screened by one method name one tool."""
    by = screening.provenance
    name, _, version = by.software.partition(" ")
    plain = nodes.add("tool", (by.software,), "tool:AnalyticTool", {"core:name": name, "tool:version": version})
    facts = {
        "method_digest": by.method_digest,
        "settings_digest": by.settings_digest,
        "device_class": by.device_class,
        "precision": by.precision,
        "profile": by.profile,
        **{f"weights sha256: {weights}": sha256 for weights, sha256 in by.weights_sha256.items()},
    }
    if by.lab_calibration is not None:
        facts["lab_calibration sha256"] = by.lab_calibration.sha256
    entries = [
        nodes.add(
            "setting",
            (by.method_digest, item),
            "configuration:ConfigurationEntry",
            {"configuration:itemName": item, "configuration:itemValue": value},
        )
        for item, value in sorted(facts.items())
    ]
    settings = nodes.add(
        "configuration",
        (by.method_digest,),
        "configuration:Configuration",
        {"configuration:configurationEntry": [ref(entry) for entry in entries]},
    )
    body: Node = {
        "core:name": f"{by.software}, method {by.method_digest[:12]}",
        "configuration:isConfigurationOf": ref(plain),
        "configuration:usesConfiguration": ref(settings),
    }
    return nodes.add("configured-tool", (by.method_digest,), "tool:ConfiguredTool", body)


def _provenance(nodes: Nodes, key: tuple[str, ...], what: str, text: str, objects: Sequence[str]) -> str:
    body: Node = {"core:description": text, "core:object": [ref(part) for part in objects]}
    return nodes.add("provenance", (*key, what), "investigation:ProvenanceRecord", body)


def _performer(nodes: Nodes, key_id: str) -> Node | None:
    """Who did it, by the id of an API key: who that is, is known to the laboratory alone."""
    if not key_id:
        return None
    return ref(nodes.add("identity", (key_id,), "identity:Identity", {"core:name": f"key {key_id}"}))
