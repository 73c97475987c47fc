"""Proves a store: audit chain, signatures and time stamps, each blob by its hash, each result by what the log says."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.x509 import Certificate
from pydantic import ValidationError
from sqlalchemy import Connection, select

from deepscreen.errors import BlobDamaged
from deepscreen.record import Screening
from deepscreen.store.acts import COMPUTATION_ENDED
from deepscreen.store.audit import Entry, Flaw, check_chain
from deepscreen.store.store import Store
from deepscreen.store.tables import audit_entries, blob_uses, computations, screenings
from deepscreen.store.timestamps import check_stamps


def verify(
    store: Store, *, public_key: str | None = None, timestamp_roots: tuple[Certificate, ...] = ()
) -> Iterator[Flaw]:
    """Every flaw that is found; nothing where all holds. *public_key* as in ``check_chain``."""
    with store.database.read() as connection:
        yield from check_chain(connection, public_key=public_key)
        yield from _check_originals(store, connection)
        yield from _check_results(store, connection)
    yield from check_stamps(store, timestamp_roots)


def _check_originals(store: Store, connection: Connection) -> Iterator[Flaw]:
    wanted = select(screenings.c.media_sha256).where(screenings.c.deleted_at.is_(None)).distinct()
    for sha256 in connection.execute(wanted).scalars().all():
        yield from _check_blob(store, sha256, f"original {sha256}")


def _check_results(store: Store, connection: Connection) -> Iterator[Flaw]:
    done = connection.execute(
        select(computations.c.id, computations.c.media_sha256, computations.c.record_sha256).where(
            computations.c.record_sha256.is_not(None)
        )
    ).all()
    for row in done:
        where = f"result {row.id}"
        if _logged_record(connection, row.id) != row.record_sha256:
            yield Flaw(where, "the audit log names another record than the database")
        uses = connection.execute(select(blob_uses.c.sha256).where(blob_uses.c.computation_id == row.id)).scalars()
        used = set(uses)
        flaws = [flaw for sha256 in sorted(used) for flaw in _check_blob(store, sha256, where)]
        yield from flaws
        if not flaws:
            yield from _check_record(store, row.record_sha256, row.media_sha256, used, where)


def _check_record(store: Store, record_sha256: str, media_sha256: str, used: set[str], where: str) -> Iterator[Flaw]:
    try:
        screening = Screening.model_validate_json(store.blobs.read(record_sha256))
    except (ValidationError, BlobDamaged) as error:
        yield Flaw(where, f"its record cannot be read: {error}")
        return
    if screening.media.sha256 != media_sha256:
        yield Flaw(where, "its record is about another file")
    named = {evidence.sha256 for result in screening.modalities.values() for evidence in result.evidence}
    if not named <= used:
        yield Flaw(where, "evidence that its record names is not kept")


def _logged_record(connection: Connection, computation_id: str) -> object:
    bodies = connection.execute(
        select(audit_entries.c.body)
        .where(audit_entries.c.subject == computation_id, audit_entries.c.act == COMPUTATION_ENDED)
        .order_by(audit_entries.c.seq.desc())
        .limit(1)
    ).scalar()
    return Entry.model_validate_json(bodies).details.get("record_sha256") if bodies is not None else None


def _check_blob(store: Store, sha256: str, where: str) -> Iterator[Flaw]:
    try:
        store.blobs.prove(sha256)
    except BlobDamaged as error:
        yield Flaw(where, str(error))
