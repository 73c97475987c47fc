"""C2PA content credentials: are there any, do they hold, and is their signer on the pinned list? Nothing is fetched.

States: ``none``; ``malformed`` (cannot be read); ``tampered`` (readable, but file or manifest were changed since);
``not_valid`` (fails another check, such as a certificate that has expired); ``valid_untrusted`` (holds; the signer is
not on the list); ``trusted`` (holds, on the list, revocation settled); ``revoked`` (the manifest carries the answer of
a responder that the certificate was revoked); ``revoked_unknown`` (on the list, but the certificate names a responder
and the manifest carries no answer of it: asking would tell others which file is examined). Absence is no evidence: most
platforms strip manifests.
*Source:* C2PA 2.2, sections 14 and 15; c2pa-rs through ``c2pa-python``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Literal

from deepscreen.findings.finding import Finding, Severity, finding
from deepscreen.findings.generators import SOURCE_TYPE, declared_source
from deepscreen.findings.programs import programs_in
from deepscreen.findings.specimen import Specimen

State = Literal[
    "none", "malformed", "tampered", "not_valid", "valid_untrusted", "trusted", "revoked", "revoked_unknown"
]
STATES: dict[State, tuple[Severity, str]] = {
    "none": ("info", "The file holds no content credentials (C2PA); that says nothing, most platforms remove them."),
    "malformed": ("warning", "The file holds content credentials (C2PA) that cannot be read."),
    "tampered": ("warning", "The content credentials (C2PA) do not hold: file or manifest were changed after signing."),
    "not_valid": (
        "warning",
        "The content credentials (C2PA) do not hold: they fail a check, but not that for changes of file or manifest.",
    ),
    "valid_untrusted": (
        "notice",
        "The content credentials (C2PA) hold, but their signer is not on the pinned trust list: anyone can sign so.",
    ),
    "trusted": ("notice", "The content credentials (C2PA) hold, and their signer is on the pinned trust list."),
    "revoked": (
        "warning",
        "The content credentials (C2PA) do not hold: they say that a certificate of theirs was revoked.",
    ),
    "revoked_unknown": (
        "notice",
        "The content credentials (C2PA) hold and their signer is on the pinned trust list, but whether the certificate "
        "was revoked is not settled.",
    ),
}
CODE = "content_credentials"
UNTRUSTED_CODES = frozenset({"signingCredential.untrusted"})
CHANGE_CODES = frozenset({"assertion.missing", "assertion.undeclared"})  # and all that end with ".mismatch"
REVOKED_CODE, NOT_REVOKED_CODE = "signingCredential.ocsp.revoked", "signingCredential.ocsp.notRevoked"
OCSP_RESPONDER = bytes.fromhex("06082b06010505073001")  # id-ad-ocsp in a certificate (RFC 6960)
# Formats whose manifest our own readers of blocks do not find.
ELSEWHERE = frozenset({"TIFF", "GIF", "mp3", "flac"})
SEARCHED_BYTES = 16 * 1024 * 1024
PROVENANCE = re.compile(r"provenance\s*+(?:=\s*+)?[\"'>]\s*(https?://[^\"'<\s]{1,200})")


def content_credentials(specimen: Specimen) -> Iterator[Finding]:
    """The state, and what the manifest says of how the file was made."""
    if (remote := PROVENANCE.search(specimen.metadata.xmp)) is not None:
        yield finding(
            "content_credentials_elsewhere",
            "The file points to content credentials on a server; they were not fetched.",
            source="XMP",
            severity="notice",
            facts={"address": remote.group(1)},
        )
    if not _holds_manifest(specimen):
        yield _state("none", {})
        return
    try:
        report = read_manifest(specimen)
    except ManifestMissing as error:  # "c2pa" stands in the file by chance, or in a text
        yield _state("malformed", {"reason": str(error)}) if specimen.metadata.manifest else _state("none", {})
        return
    except ManifestUnreadable as error:
        yield _state("malformed", {"reason": str(error)})
        return
    yield from _of_report(report, specimen)


class ManifestUnreadable(Exception):
    """The library cannot read the manifest."""


class ManifestMissing(ManifestUnreadable):
    """The library finds none."""


def _holds_manifest(specimen: Specimen) -> bool:
    if specimen.metadata.manifest:
        return True
    return specimen.format in ELSEWHERE and b"c2pa" in _head(specimen.file)


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(SEARCHED_BYTES)


def read_manifest(specimen: Specimen) -> dict[str, Any]:
    """The library's report on the manifest; raises ManifestUnreadable."""
    import c2pa  # 0.2 s, and only few files need it

    trust = {"trust_anchors": specimen.trust_anchors} if specimen.trust_anchors else {}
    verify = {"verify_after_reading": True, "verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False}
    specimen.file.seek(0)
    try:
        context = c2pa.Context.from_dict({"verify": verify, "trust": trust} if trust else {"verify": verify})
        with c2pa.Reader(specimen.mime, specimen.file, context=context) as reader:
            report: dict[str, Any] = json.loads(reader.json())
    except c2pa.C2paError.ManifestNotFound as error:
        raise ManifestMissing("no manifest found") from error
    except (c2pa.C2paError, ValueError) as error:
        raise ManifestUnreadable(str(error).partition(":")[0][:80]) from error
    return report


def _of_report(report: dict[str, Any], specimen: Specimen) -> Iterator[Finding]:
    codes = _codes(report)
    manifests = report.get("manifests") or {}
    active = manifests.get(report.get("active_manifest"), {})
    signature = active.get("signature_info") or {}
    agents = [_agent(entry) for entry in active.get("claim_generator_info") or []]
    state = _state_of(report, codes, specimen)
    facts = {
        "signer": signature.get("issuer"),
        "signed_at": signature.get("time"),
        "claim_generator": [*agents, str(active.get("claim_generator") or "")][0],
        "manifests": len(manifests),
        "ingredients": len(active.get("ingredients") or []),
        "failures": sorted(codes["failure"]),
        "revocation": _revocation(report, codes),
    }
    yield _state(state, facts)
    yield from _made_how(
        manifests.values(),
        "C2PA manifest" if state not in ("tampered", "not_valid", "revoked") else "C2PA manifest that does not hold",
    )


def _agent(entry: Any) -> str:
    if isinstance(entry, dict):
        return f"{entry.get('name', '')} {entry.get('version') or ''}".strip()
    return str(entry or "")


def _codes(report: dict[str, Any]) -> dict[str, set[str]]:
    """Codes of the active manifest and of its ingredients, by success, informational and failure."""
    results = report.get("validation_results") or {}
    parts = [results.get("activeManifest") or {}]
    parts += [delta.get("validationDeltas") or {} for delta in results.get("ingredientDeltas") or []]
    return {
        kind: {str(status.get("code")) for part in parts for status in part.get(kind) or []}
        for kind in ("success", "informational", "failure")
    }


def _state_of(report: dict[str, Any], codes: dict[str, set[str]], specimen: Specimen) -> State:
    failed = codes["failure"] - UNTRUSTED_CODES
    if any(code in CHANGE_CODES or code.endswith(".mismatch") for code in failed):
        return "tampered"
    if failed == {REVOKED_CODE}:
        return "revoked"
    if failed or report.get("validation_state") == "Invalid":
        return "not_valid"
    if report.get("validation_state") != "Trusted" or UNTRUSTED_CODES & codes["failure"]:
        return "valid_untrusted"
    names_responder = OCSP_RESPONDER in (specimen.metadata.manifest or _head(specimen.file))
    return "revoked_unknown" if names_responder and _revocation(report, codes) != "good" else "trusted"


def _revocation(report: dict[str, Any], codes: dict[str, set[str]]) -> str:
    """Revoked where any signer is; good where the responder of the active manifest's own signer says so."""
    if REVOKED_CODE in codes["failure"]:
        return "revoked"
    own = _codes(
        {"validation_results": {"activeManifest": (report.get("validation_results") or {}).get("activeManifest")}}
    )
    return "good" if NOT_REVOKED_CODE in own["success"] | own["informational"] else "not asked"


def _state(state: State, facts: dict[str, Any]) -> Finding:
    severity, message = STATES[state]
    return finding(CODE, message, source="C2PA", severity=severity, facts={"state": state, **facts})


def _made_how(manifests: Any, source: str) -> Iterator[Finding]:
    """Declared source types, actions and software agents of all manifests."""
    assertions = [a for m in manifests for a in m.get("assertions") or [] if "actions" in str(a.get("label"))]
    actions = [
        step for a in assertions for step in (a.get("data") or {}).get("actions") or [] if isinstance(step, dict)
    ]
    for kind in dict.fromkeys(SOURCE_TYPE.findall(json.dumps(actions))):
        yield declared_source(kind, source)
    if actions:
        agents = list(dict.fromkeys(filter(None, (_agent(step.get("softwareAgent")) for step in actions))))
        names = [p.name for agent in agents for p in programs_in(agent) if p.trade == "generator"]
        yield finding(
            "content_credentials_actions",
            "The content credentials list what was done to the file.",
            source=source,
            severity="notice" if names else "info",
            facts={"actions": list(dict.fromkeys(str(step.get("action")) for step in actions)), "software": agents},
        )
