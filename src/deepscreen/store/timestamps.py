"""Time stamps by an outside authority: from then on nobody, the operator included, can make a log of an earlier day.

A token is a blob, and an entry of the audit log names it beside the checkpoint that it stamps. Checkpoints that the
authority could not be asked about are asked about later, the oldest first: the audit log itself is the queue.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from cryptography.x509 import Certificate
from sqlalchemy import Connection, Row, select

from deepscreen.errors import BlobDamaged
from deepscreen.store import audit
from deepscreen.store.acts import CHECKPOINT_TIMESTAMPED
from deepscreen.store.authority import Authority, TokenRefused, check_token
from deepscreen.store.computations import EVIDENCE_LOCK
from deepscreen.store.store import Store
from deepscreen.store.tables import audit_checkpoints, audit_entries

SERVICE = "service"


def pending(store: Store, *, every_minutes: float) -> list[Row[Any]]:
    """The checkpoints that are to be stamped, the oldest first: one for each while, and each covers all before it."""
    with store.database.read() as connection:
        # The last one has the newest checkpoint: the oldest are stamped first. Asked at each look at the figures, so
        # that not all tokens of years are read.
        last = max((int(entry.details["checkpoint"] or 0) for entry in _stamps(connection, newest=1)), default=0)
        rows = connection.execute(
            select(audit_checkpoints).where(audit_checkpoints.c.seq >= last).order_by(audit_checkpoints.c.seq)
        ).all()
    found: list[Row[Any]] = []
    due: datetime | None = None
    for row in rows:
        at = datetime.fromisoformat(json.loads(row.body)["at"])
        if row.seq != last and (due is None or at >= due):
            found.append(row)
        if row.seq == last or (found and found[-1] is row):
            due = at + timedelta(minutes=every_minutes)
    return found


def stamp_pending(store: Store, authority: Authority, *, every_minutes: float) -> int:
    """Has what is pending stamped; gives how many were. Raises StoreError where that ends early."""
    rows = pending(store, every_minutes=every_minutes)
    for row in rows:
        token, at = authority.stamp(bytes(row.body))
        details: dict[str, audit.Detail] = {"checkpoint": row.seq, "time": at.isoformat()}
        with store.database.write() as connection:
            store.database.lock(connection, EVIDENCE_LOCK)  # the token is a blob, and no sweep takes it meanwhile
            subject = store.blobs.put(token)
            audit.append(
                store.database, connection, actor=SERVICE, act=CHECKPOINT_TIMESTAMPED, subject=subject, details=details
            )
    return len(rows)


def stamp_blobs(connection: Connection) -> set[str]:
    """The tokens' blobs."""
    return {entry.subject for entry in _stamps(connection)}


def check_stamps(store: Store, roots: tuple[Certificate, ...]) -> Iterator[audit.Flaw]:
    """Every flaw of the tokens; without *roots* there must be none."""
    with store.database.read() as connection:
        stamps = _stamps(connection)
        bodies = {row.seq: bytes(row.body) for row in connection.execute(select(audit_checkpoints))}
    if stamps and not roots:
        yield audit.Flaw("time stamps", f"{len(stamps)} cannot be proven without timestamp_ca_file")
        return
    for entry in stamps:
        where = f"time stamp of checkpoint {entry.details['checkpoint']}"
        try:
            body = bodies[int(entry.details["checkpoint"] or 0)]
            at = check_token(store.blobs.read(entry.subject), body, roots)
        except KeyError:
            yield audit.Flaw(where, "the checkpoint is gone")
        except (TokenRefused, BlobDamaged) as error:
            yield audit.Flaw(where, str(error))
        else:
            if at.isoformat() != entry.details["time"]:
                yield audit.Flaw(where, "the audit log names another time")


def _stamps(connection: Connection, *, newest: int | None = None) -> list[audit.Entry]:
    """The entries of tokens, all of them in order, or the *newest* ones."""
    query = select(audit_entries.c.body).where(audit_entries.c.act == CHECKPOINT_TIMESTAMPED)
    if newest is None:
        query = query.order_by(audit_entries.c.seq)
    else:
        query = query.order_by(audit_entries.c.seq.desc()).limit(newest)
    return [audit.Entry.model_validate_json(body) for body in connection.execute(query).scalars()]
