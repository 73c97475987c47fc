"""Nodes of a CASE/UCO document: prefixes, ids that are made from what they name, and literals of XML Schema."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

UCO, CASE = "https://ontology.unifiedcyberontology.org/uco/", "https://ontology.caseontology.org/case/"
CONTEXT = {
    "kb": "urn:deepscreen:kb:",
    "deepscreen": "urn:deepscreen:case-uco:",  # terms of our own, for what UCO has no word
    "action": f"{UCO}action/",
    "analysis": f"{UCO}analysis/",
    "configuration": f"{UCO}configuration/",
    "core": f"{UCO}core/",
    "identity": f"{UCO}identity/",
    "investigation": f"{CASE}investigation/",
    "observable": f"{UCO}observable/",
    "tool": f"{UCO}tool/",
    "types": f"{UCO}types/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:deepscreen:kb")
Node = dict[str, Any]


class Nodes:
    """Gathers nodes; one that is added twice is kept once."""

    def __init__(self, case_id: str) -> None:
        """``case_id``: two cases with the same file share no node, since what is said of it may differ."""
        self._case_id = case_id
        self._nodes: dict[str, Node] = {}

    def add(self, kind: str, key: tuple[str, ...], type_: str, body: Mapping[str, Any]) -> str:
        """Adds a node without what is empty, and gives its id, which is made from the case, *kind* and *key*."""
        name = "\n".join((self._case_id, kind, *key))
        id_ = f"kb:{kind}-{uuid.uuid5(NAMESPACE, name)}"
        filled = {field: value for field, value in body.items() if value not in (None, "", [])}
        self._nodes[id_] = {"@id": id_, "@type": type_, **filled}
        return id_

    def all(self) -> list[Node]:
        """All nodes, in the order of their ids."""
        return [self._nodes[id_] for id_ in sorted(self._nodes)]


def ref(id_: str) -> Node:
    """A reference to a node."""
    return {"@id": id_}


def time(at: datetime | None) -> Node | None:
    """A moment as xsd:dateTime in UTC."""
    if at is None:
        return None
    return {"@type": "xsd:dateTime", "@value": at.astimezone(UTC).isoformat(timespec="milliseconds")}


def decimal(value: float | None) -> Node | None:
    """A figure as xsd:decimal, which knows no exponent."""
    if value is None:
        return None
    text = f"{value:.6f}".rstrip("0")
    return {"@type": "xsd:decimal", "@value": f"{text}0" if text.endswith(".") else text}
