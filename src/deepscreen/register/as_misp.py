"""The register as MISP events: one event an entry, with one object ``deepfake-misuse`` and a TLP tag.

*Source:* the MISP core format. MISP has no object for misuse of generators; the template of ours lies in
``docs/misp-objects/deepfake-misuse/definition.json``, to be put beside those of an instance. Events are for the own
organisation only: how far one goes is for its receiver to set, within its tag.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from deepscreen.errors import ExchangeInvalid
from deepscreen.register.entry import Entry, Status, Tlp
from deepscreen.register.foreign import quoted
from deepscreen.register.rows import Kept

OBJECT_NAME, META_CATEGORY = "deepfake-misuse", "misc"
TEMPLATE_UUID, TEMPLATE_VERSION = "b9b6d0e2-4f7e-4b2a-9a3b-6a1f0b7c2d5e", "1"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:deepscreen:misp")
ATLAS_URL = "https://atlas.mitre.org/techniques/AML.T0088"
# By field of an entry: relation, type and category of its attribute.
RELATIONS: Mapping[str, tuple[str, str, str]] = {
    "tool": ("tool", "text", "Other"),
    "tool_kind": ("tool-kind", "text", "Other"),
    "misuse": ("misuse", "text", "Other"),
    "modus_operandi": ("modus-operandi", "text", "Other"),
    "case_reference": ("case-reference", "text", "Other"),
    "status": ("status", "text", "Other"),
    "revision": ("revision", "counter", "Other"),
    "created_at": ("created-at", "datetime", "Other"),
    "revised_at": ("revised-at", "datetime", "Other"),
    "kind": ("media-kind", "text", "Other"),
    "media_sha256": ("sha256", "sha256", "Payload delivery"),
    "fingerprint": ("fingerprint", "text", "Other"),
}
OLD_MARKS = {"white": Tlp.CLEAR.value}  # the name of TLP 1.0
ORGANISATION_ONLY, UNDEFINED_THREAT, ONGOING, COMPLETED = "0", "4", "1", "2"


def write_misp(shared: Sequence[Kept]) -> bytes:
    """A list of events as a MISP instance takes and gives it."""
    events = {"response": [{"Event": _event(kept.entry)} for kept in shared]}
    return json.dumps(events, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def read_misp(content: Mapping[str, Any] | list[Any]) -> list[dict[str, Any]]:
    """The fields of the entries in one or many events, still unchecked; other objects are passed over.

    Raises ExchangeInvalid for what is no event.
    """
    listed = content.get("response", [content]) if isinstance(content, Mapping) else content
    if not isinstance(listed, list):
        raise ExchangeInvalid("no MISP events: want {Event: ...}, {response: [...]} or a list of events")
    return [fields for found in listed for fields in _entries(found)]


def _entries(found: Any) -> Iterator[dict[str, Any]]:
    event = found.get("Event", found) if isinstance(found, Mapping) else None
    if not isinstance(event, Mapping) or "uuid" not in event:
        raise ExchangeInvalid("no MISP event: it has no uuid")
    for made in event.get("Object") or []:
        if isinstance(made, Mapping) and made.get("name") == OBJECT_NAME and _is_there(made):
            tlp, attributes = _tlp(event), _attributes(made)
            if any(mark != tlp for part in (made, *attributes) for mark in _marks(part)):
                raise ExchangeInvalid(f"event {quoted(event['uuid'])}: a part bears another TLP tag than the event")
            yield {"id": event["uuid"], "tlp": tlp, **_fields(attributes)}


def _attributes(made: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [found for found in made.get("Attribute") or [] if isinstance(found, Mapping) and _is_there(found)]


def _fields(attributes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = {relation: name for name, (relation, _, _) in RELATIONS.items()}
    return {names[a["object_relation"]]: a.get("value") for a in attributes if a.get("object_relation") in names}


def _is_there(found: Mapping[str, Any]) -> bool:
    """MISP keeps what was deleted, and marks it."""
    return found.get("deleted") in (None, False, 0, "0")


def _tlp(event: Mapping[str, Any]) -> str:
    marks = _marks(event)
    if len(marks) != 1:  # unmarked is not clear
        raise ExchangeInvalid(f"event {quoted(event['uuid'])}: want one TLP tag, found {len(marks)}")
    return marks[0]


def _marks(found: Mapping[str, Any]) -> list[str]:
    """The TLP tags of an event, an object or an attribute."""
    tags = [str(tag.get("name")) for tag in found.get("Tag") or [] if isinstance(tag, Mapping)]
    marks = [name.removeprefix("tlp:") for name in tags if name.startswith("tlp:")]
    return [OLD_MARKS.get(mark, mark) for mark in marks]


def _event(entry: Entry) -> dict[str, Any]:
    return {
        "uuid": entry.id,
        "info": f"Suspected misuse of {entry.tool}",
        "date": entry.created_at.strftime("%Y-%m-%d"),
        "timestamp": _seconds(entry.revised_at),
        "threat_level_id": UNDEFINED_THREAT,
        "analysis": ONGOING if entry.status is Status.SUSPECTED else COMPLETED,
        "distribution": ORGANISATION_ONLY,
        "published": False,
        "Tag": [{"name": f"tlp:{Tlp(entry.tlp).value}"}],
        "Attribute": [_attribute(entry, "atlas", ("link", "External analysis"), ATLAS_URL)],
        "Object": [_object(entry)],
    }


def _object(entry: Entry) -> dict[str, Any]:
    fields = entry.model_dump(mode="json")
    attributes = []
    for name, (relation, type_, category) in RELATIONS.items():
        if fields[name] not in (None, ""):
            made = _attribute(entry, relation, (type_, category), str(fields[name]))
            attributes.append({**made, "object_relation": relation})
    return {
        "uuid": str(uuid.uuid5(NAMESPACE, f"{entry.id} object")),
        "name": OBJECT_NAME,
        "meta-category": META_CATEGORY,
        "description": "A generator or editor suspected of misuse, told by one file's fingerprint.",
        "template_uuid": TEMPLATE_UUID,
        "template_version": TEMPLATE_VERSION,
        "timestamp": _seconds(entry.revised_at),
        "Attribute": attributes,
    }


def _attribute(entry: Entry, relation: str, type_and_category: tuple[str, str], value: str) -> dict[str, Any]:
    type_, category = type_and_category
    return {
        "uuid": str(uuid.uuid5(NAMESPACE, f"{entry.id} {relation}")),
        "type": type_,
        "category": category,
        "value": value,
        "to_ids": False,  # a lead, and nothing to block by
        "timestamp": _seconds(entry.revised_at),
    }


def _seconds(at: datetime) -> str:
    return str(int(at.timestamp()))
