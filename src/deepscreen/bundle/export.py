"""Makes the bundle of a case: records, evidence pictures, reports, the audit log, and a signature over all of it.

The originals stay where they are: a bundle names them by their hashes. The audit log goes in whole, since its chain can
only be proven whole; it names other cases by their ids, and holds no media and no file names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785
from sqlalchemy import Connection, Row, select

from deepscreen.bundle.case_uco import case_uco_of
from deepscreen.bundle.rows import log_export, review_row, rows_of_case
from deepscreen.bundle.verify import (
    CHECKPOINTS,
    COMPUTATION_ENDED,
    ENTRIES,
    MANIFEST,
    SIGNATURE,
    SIGNED_PREFIX,
    STAMPED,
    STAMPS,
    container,
    verify,
)
from deepscreen.errors import BlobDamaged, ReportFailed
from deepscreen.record import Evidence, Screening
from deepscreen.report.as_pdf import render_pdf
from deepscreen.report.court import CourtCase, court_html
from deepscreen.report.validation_figures import error_rates
from deepscreen.store import audit
from deepscreen.store.store import Store
from deepscreen.store.tables import audit_checkpoints, audit_entries

BUNDLE_VERSION = 1
CASE_UCO = "case-uco.jsonld"
EXPORTER = "local"  # who has the data folder and not a key, as in the audit log
README = """\
A case of Deepscreen, as exported.

manifest.json    every file with its sha256, the items, and what was left out
signature.json   Ed25519 signature over the manifest
case-uco.jsonld  the case as CASE/UCO, for other tools of digital investigation
items/           by sha256 of the examined file: record.json (the result), evidence pictures, reports
audit/           the audit log and its signed checkpoints
audit/stamps/    where an authority was asked: N.json, a checkpoint as it was stamped, and N.tsr, the answer (RFC 3161);
                 openssl ts -verify -data N.json -in N.tsr -CAfile the-authority.pem
verify.py        proves all of it: python verify.py BUNDLE.zip --public-key KEY

Ask the laboratory for its public key; a key that only stands in this bundle proves nothing.
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export gave."""

    items: int
    left_out: int
    public_key: str  # hex; what the receiver must compare with


def export_case(
    store: Store, case_id: str, target: Path, *, language: str, with_pdf: bool, actor: str = EXPORTER
) -> Exported:
    """Writes the bundle to *target*, proven before it is there; the export itself stands in the audit log.

    Raises ConfigError for a case that is not there, StoreError, ReportFailed.
    """
    signer = store.signer()
    log_export(store, case_id, actor, what="bundle")
    signer.checkpoint(store.database)
    files: dict[str, bytes] = {"README.txt": README.encode()}
    items: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    with store.database.read() as connection:
        for row in rows_of_case(connection, case_id):
            if row.record_sha256 is None:
                left_out.append({"screening": row.id, "state": row.state, "media_sha256": row.media_sha256})
                continue
            items.append(_item(connection, row))
            if items[-1]["record"] not in files:
                files |= dict(_item_files(store, row, language=language, with_pdf=with_pdf))
        files[CASE_UCO] = case_uco_of(store, connection, case_id)
        files[ENTRIES], files[CHECKPOINTS] = _entries(connection), _checkpoints(connection)
        files |= dict(_stamps(store, connection, {item["record_sha256"] for item in items}))
    files["verify.py"] = Path(verify.__code__.co_filename).read_bytes()
    manifest = _manifest(case_id, items, left_out, files)
    try:
        content = container({MANIFEST: manifest, SIGNATURE: _signature(signer, manifest), **files})
    except ValueError as error:
        raise ReportFailed(f"the case does not fit into a bundle: {error}") from error
    if flaws := verify(content, signer.public_key):
        raise ReportFailed(f"the bundle does not hold and was not written: {flaws[0]}")
    target.write_bytes(content)
    return Exported(len(items), len(left_out), signer.public_key)


def _folder(row: Row[Any]) -> str:
    return f"items/{row.media_sha256}-{row.record_sha256[:12]}"


def _item(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    """What the manifest says of a screening; its file name is the case's and not the record's."""
    review = review_row(connection, row)
    return {
        "screening": row.id,
        "filename": row.filename,
        "media_sha256": row.media_sha256,
        "record": f"{_folder(row)}/record.json",
        "record_sha256": row.record_sha256,
        "asked_for_by": row.created_by,
        "review": None
        if review is None
        else {name: getattr(review, name) for name in ("reviewer", "decision", "verdict", "reason")},
    }


def _item_files(store: Store, row: Row[Any], *, language: str, with_pdf: bool) -> Iterator[tuple[str, bytes]]:
    folder = _folder(row)
    record = store.blobs.read(row.record_sha256)
    yield f"{folder}/record.json", record
    screening = Screening.model_validate_json(record)
    pictures = {
        entry.name: _picture(store, entry) for result in screening.modalities.values() for entry in result.evidence
    }
    yield from ((f"{folder}/{name}", png) for name, png in pictures.items())
    page = court_html(CourtCase(screening, pictures, error_rates(screening), row.filename or ""), language)
    yield f"{folder}/report.html", page.encode("utf-8")
    if with_pdf:
        yield f"{folder}/report.pdf", render_pdf(page)


def _picture(store: Store, entry: Evidence) -> bytes:
    content = store.blobs.read(entry.sha256)
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise BlobDamaged(f"{entry.name}: not what was written")
    return content


def _entries(connection: Connection) -> bytes:
    bodies = connection.execute(select(audit_entries.c.body).order_by(audit_entries.c.seq)).scalars()
    return b"".join(bytes(body) + b"\n" for body in bodies)


def _checkpoints(connection: Connection) -> bytes:
    rows = connection.execute(select(audit_checkpoints).order_by(audit_checkpoints.c.seq))
    parts = ({"body": bytes(r.body).decode(), "public_key": r.public_key, "signature": r.signature} for r in rows)
    return b"".join(rfc8785.dumps(part) + b"\n" for part in parts)


def _stamps(store: Store, connection: Connection, record_sha256s: set[str]) -> Iterator[tuple[str, bytes]]:
    """For each record the first time stamp of a log that names it, and the newest of all."""
    stamped: dict[int, str] = {}
    named: list[int] = []
    for body in connection.execute(select(audit_entries.c.body).order_by(audit_entries.c.seq)).scalars():
        entry = json.loads(body)
        if entry["act"] == STAMPED:
            stamped[entry["details"]["checkpoint"]] = entry["subject"]
        elif entry["act"] == COMPUTATION_ENDED and entry["details"].get("record_sha256") in record_sha256s:
            named.append(entry["seq"])
    firsts = {min((seq for seq in stamped if seq >= first), default=0) for first in named}
    for seq in sorted((firsts | {max(stamped, default=0)}) - {0}):
        body = connection.execute(select(audit_checkpoints.c.body).where(audit_checkpoints.c.seq == seq)).scalar_one()
        yield f"{STAMPS}{seq}.json", bytes(body)
        yield f"{STAMPS}{seq}.tsr", store.blobs.read(stamped[seq])


def _manifest(case_id: str, items: list[Any], left_out: list[Any], files: dict[str, bytes]) -> bytes:
    listed = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} for name, content in files.items()
    }
    content: dict[str, Any] = {
        "bundle_version": BUNDLE_VERSION,
        "case": case_id,
        "items": items,
        "left_out": left_out,
        "files": listed,
    }
    return rfc8785.dumps(content)


def _signature(signer: audit.Signer, manifest: bytes) -> bytes:
    digest = hashlib.sha256(manifest).hexdigest()
    signature = signer.sign(SIGNED_PREFIX + digest.encode("ascii"))
    content = {"manifest_sha256": digest, "public_key": signer.public_key, "signature": signature}
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
