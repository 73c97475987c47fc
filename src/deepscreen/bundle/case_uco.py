"""A case of the store as CASE/UCO: part of its bundle, or alone for tools that read nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from deepscreen.bundle.rows import log_export, review_row, rows_of_case
from deepscreen.errors import ConfigError
from deepscreen.record import Screening
from deepscreen.report.as_case_uco import CaseHead, CaseItem, ReviewedAs, case_uco_json
from deepscreen.store.store import Store
from deepscreen.store.tables import cases


def case_uco_of(store: Store, connection: Connection, case_id: str) -> bytes:
    """The document of all results of a case, as *connection* sees it.

    Raises ConfigError for a case that is not there, StoreError.
    """
    return case_uco_json(*_read(store, connection, case_id))


def write_case_uco(store: Store, case_id: str, target: Path, *, actor: str = "local") -> int:
    """Writes it to *target* and gives the number of results; the export stands in the audit log. Raises as above."""
    log_export(store, case_id, actor, what="case-uco")
    with store.database.read() as connection:
        head, items = _read(store, connection, case_id)
    target.write_bytes(case_uco_json(head, items))
    return len(items)


def _read(store: Store, connection: Connection, case_id: str) -> tuple[CaseHead, list[CaseItem]]:
    case = connection.execute(select(cases).where(cases.c.id == case_id)).first()
    if case is None:
        raise ConfigError(f"no case {case_id!r} in this store")
    rows = [row for row in rows_of_case(connection, case_id) if row.record_sha256 is not None]
    return CaseHead(case.id, case.name, _time(case.created_at)), [_item(store, connection, row) for row in rows]


def _item(store: Store, connection: Connection, row: Row[Any]) -> CaseItem:
    review = review_row(connection, row)
    return CaseItem(
        key=row.id,
        screening=Screening.model_validate_json(store.blobs.read(row.record_sha256)),
        file_name=row.filename or "",
        asked_for_by=row.created_by,
        started_at=_time(row.started_at),
        ended_at=_time(row.ended_at),
        review=None if review is None else ReviewedAs(review.reviewer, review.decision, review.verdict, review.reason),
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
