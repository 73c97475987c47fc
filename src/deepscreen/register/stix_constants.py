"""Objects that every bundle of the register holds alike: its maker, the extension, ATLAS' pattern, the TLP marks."""

from __future__ import annotations

from typing import Any

from deepscreen.register.entry import Tlp

Object = dict[str, Any]
MADE_AT = "2026-11-30T00:00:00.000Z"
MAKER_ID = "identity--6f8e3f0c-2f0b-4f0e-9a53-7c1f6f3c9d21"
EXTENSION_ID = "extension-definition--3d1a2b7e-5c7a-4b7f-8a55-0f9c1d6f8e42"
TLP_EXTENSION_ID = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
_TLP_IDS = {
    Tlp.CLEAR: "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    Tlp.GREEN: "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    Tlp.AMBER: "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    Tlp.AMBER_STRICT: "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    Tlp.RED: "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}


def marking_id(tlp: Tlp) -> str:
    """The id that OASIS gave to this mark."""
    return _TLP_IDS[tlp]


def marking(tlp: Tlp) -> Object:
    """The mark itself, as OASIS publishes it."""
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": marking_id(tlp),
        "created": "2022-10-01T00:00:00.000Z",
        "name": f"TLP:{tlp.value.upper()}",
        "extensions": {TLP_EXTENSION_ID: {"extension_type": "property-extension", "tlp_2_0": tlp.value}},
    }


def _made(kind: str, object_id: str, **properties: Any) -> Object:
    return {
        "type": kind,
        "spec_version": "2.1",
        "id": object_id,
        "created": MADE_AT,
        "modified": MADE_AT,
        "object_marking_refs": [marking_id(Tlp.CLEAR)],
        **properties,
    }


MAKER = _made("identity", MAKER_ID, name="Deepscreen misuse register", identity_class="system")
EXTENSION = _made(
    "extension-definition",
    EXTENSION_ID,
    created_by_ref=MAKER_ID,
    name="Deepscreen misuse register entry",
    description="What an entry of the misuse register states of an incident; see docs/misuse-register.md.",
    schema="https://json-schema.org/draft/2020-12/schema",
    version="1.0.0",
    extension_types=["property-extension"],
)
ATTACK_PATTERN = _made(
    "attack-pattern",
    "attack-pattern--9c3b4d52-1e6f-4a88-b0b7-5d2f4e6a7c10",
    created_by_ref=MAKER_ID,
    name="Generate Deepfakes",
    external_references=[{"source_name": "mitre-atlas", "external_id": "AML.T0088"}],
)
