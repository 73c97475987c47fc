"""The register as STIX 2.1: one incident an entry, with the tool, the file by its hash, and ATLAS' attack pattern.

*Source:* STIX 2.1 (OASIS, 2021), its TLP 2.0 markings (extension-definition--60a3c5c5, OASIS, 2022), and MITRE ATLAS
AML.T0088. What STIX has no property for stands in an extension of our own, from which entries are read again.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from deepscreen.errors import ExchangeInvalid
from deepscreen.register.entry import Entry, Status, Tlp
from deepscreen.register.foreign import quoted
from deepscreen.register.rows import Kept
from deepscreen.register.stix_constants import (
    ATTACK_PATTERN,
    EXTENSION,
    EXTENSION_ID,
    MADE_AT,
    MAKER,
    MAKER_ID,
    marking,
    marking_id,
)

SCO_NAMESPACE = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")  # for ids of observables, by the standard
STATED = ("tool", "tool_kind", "misuse", "status", "revision", "kind", "media_sha256", "fingerprint")
Object = dict[str, Any]


def write_stix(shared: Sequence[Kept]) -> bytes:
    """A bundle, the same for the same entries."""
    objects = {found["id"]: found for found in _objects(shared)}
    ids = "\n".join(sorted(objects))
    bundle = {"type": "bundle", "id": _id("bundle", ids), "objects": list(objects.values())}
    return json.dumps(bundle, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def read_stix(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of the entries in a bundle, still unchecked; objects of others are passed over.

    Raises ExchangeInvalid for what is no bundle.
    """
    if content.get("type") != "bundle" or not isinstance(content.get("objects"), list):
        raise ExchangeInvalid("no STIX bundle: want {type: bundle, objects: [...]}")
    return [_fields(found) for found in content["objects"] if _is_entry(found)]


def _is_entry(found: Any) -> bool:
    is_incident = isinstance(found, dict) and found.get("type") == "incident"
    return is_incident and EXTENSION_ID in (found.get("extensions") or {})


def _fields(incident: Object) -> dict[str, Any]:
    stated = incident["extensions"][EXTENSION_ID]
    if not isinstance(stated, dict):
        raise ExchangeInvalid(f"{quoted(incident.get('id'))}: its extension is no object")
    if incident.get("granular_markings"):  # entries bear one mark as a whole
        raise ExchangeInvalid(f"{quoted(incident.get('id'))}: parts of it bear marks of their own")
    references = incident.get("external_references") or [{}]
    marks = {marking_id(tlp): tlp for tlp in Tlp}
    tlp = [marks[mark] for mark in incident.get("object_marking_refs") or [] if mark in marks]
    if len(tlp) != 1:  # unmarked is not clear
        raise ExchangeInvalid(f"{quoted(incident.get('id'))}: want one TLP 2.0 marking, found {len(tlp)}")
    return {
        **{name: stated[name] for name in STATED if name in stated},
        "id": str(incident.get("id", "")).removeprefix("incident--"),
        "created_at": incident.get("created"),
        "revised_at": incident.get("modified"),
        "modus_operandi": incident.get("description", ""),
        "case_reference": references[0].get("external_id", ""),
        "tlp": tlp[0],
    }


def _objects(shared: Sequence[Kept]) -> Iterator[Object]:
    yield from (MAKER, EXTENSION, ATTACK_PATTERN, marking(Tlp.CLEAR))
    for kept in shared:
        yield from _of_entry(kept.entry)
    yield from _campaigns(shared)


def _of_entry(entry: Entry) -> Iterator[Object]:
    tool = _named("tool", f"{entry.tool}\n{entry.tool_kind}\n{entry.tlp}", entry.tlp, name=entry.tool)
    file = _file(entry)
    incident = _incident(entry)
    seen = _dated("observed-data", entry, first_observed=stamp(entry.created_at), last_observed=stamp(entry.created_at))
    sighting = _dated("sighting", entry, sighting_of_ref=tool["id"], observed_data_refs=[seen["id"]], count=1)
    yield from (marking(entry.tlp), tool, file, incident)
    yield {**seen, "number_observed": 1, "object_refs": [file["id"]]}
    yield sighting
    yield _named(
        "relationship",
        f"{ATTACK_PATTERN['id']}\n{tool['id']}",
        entry.tlp,
        relationship_type="uses",
        source_ref=ATTACK_PATTERN["id"],
        target_ref=tool["id"],
    )
    for number, other in enumerate((tool["id"], seen["id"])):
        yield _dated(
            "relationship",
            entry,
            part=str(number),
            relationship_type="related-to",
            source_ref=incident["id"],
            target_ref=other,
        )


def _incident(entry: Entry) -> Object:
    stated = {name: getattr(entry, name) for name in STATED if getattr(entry, name) is not None}
    found: Object = {
        **_common("incident", f"incident--{entry.id}", entry.tlp),
        "created": stamp(entry.created_at),
        "modified": stamp(entry.revised_at),
        "name": f"Suspected misuse of {entry.tool}",
        "extensions": {EXTENSION_ID: {"extension_type": "property-extension", **stated}},
    }
    if entry.modus_operandi:
        found["description"] = entry.modus_operandi
    if entry.case_reference:
        found["external_references"] = [{"source_name": "case reference", "external_id": entry.case_reference}]
    return found | ({"revoked": True} if entry.status is Status.DISMISSED else {})


def _file(entry: Entry) -> Object:
    hashes = {"SHA-256": entry.media_sha256}
    made_of = json.dumps({"hashes": hashes}, separators=(",", ":"))
    return {
        "type": "file",
        "spec_version": "2.1",
        "id": f"file--{uuid.uuid5(SCO_NAMESPACE, made_of)}",
        "hashes": hashes,
    }


def _campaigns(shared: Sequence[Kept]) -> Iterator[Object]:
    """Those of which at least two entries go out, marked as the highest of them is."""
    members: dict[str, list[Entry]] = {}
    for kept in shared:
        if kept.campaign is not None:
            members.setdefault(kept.campaign, []).append(kept.entry)
    for campaign, entries in members.items():
        if len(entries) < 2:
            continue
        tlp = max((entry.tlp for entry in entries), key=list(Tlp).index)
        name = f"Copies of one file, {len(entries)} entries"
        made = _named("campaign", campaign, tlp, name=name)
        first, last = min(entry.created_at for entry in entries), max(entry.revised_at for entry in entries)
        yield {**made, "created": stamp(first), "modified": stamp(last)}
        for entry in entries:
            ends = {"source_ref": f"incident--{entry.id}", "target_ref": made["id"]}
            yield _named("relationship", f"{entry.id}\n{campaign}", tlp, relationship_type="related-to", **ends)


def _named(kind: str, name: str, tlp: Tlp, /, **properties: Any) -> Object:
    """An object that stands for a name, not for an observation: it bears one date, so each export gives it alike."""
    made = {**_common(kind, _id(kind, name), tlp), **properties}
    return {**made, "created": MADE_AT, "modified": MADE_AT}


def _dated(kind: str, entry: Entry, /, part: str = "", **properties: Any) -> Object:
    made = _common(kind, _id(kind, f"{entry.id} {part}"), entry.tlp)
    return {**made, "created": stamp(entry.created_at), "modified": stamp(entry.revised_at), **properties}


def _id(kind: str, name: str) -> str:
    """An id that is the same for the same name, in the form of a random UUID, which STIX wants of such objects."""
    digest = hashlib.sha256(f"urn:deepscreen:misuse-register\n{kind}\n{name}".encode()).digest()
    return f"{kind}--{uuid.UUID(bytes=digest[:16], version=4)}"


def _common(kind: str, object_id: str, tlp: Tlp) -> Object:
    return {
        "type": kind,
        "spec_version": "2.1",
        "id": object_id,
        "created_by_ref": MAKER_ID,
        "object_marking_refs": [marking_id(tlp)],
    }


def stamp(at: datetime) -> str:
    """A time as STIX writes it: UTC, milliseconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
