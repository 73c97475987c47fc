"""The audit log: who did what to which evidence, each entry naming the hash of the one before it; signed now and then.

An entry is RFC 8785 JSON. Whoever changes, removes or slips in an entry breaks every hash after it; who recomputes them
all cannot recompute the checkpoints that were signed with a key that does not lie in the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection, Row, Select, func, insert, select

from deepscreen.errors import ConfigError
from deepscreen.store.acts import CHECKPOINT_TIMESTAMPED
from deepscreen.store.database import AUDIT_LOCK, Database
from deepscreen.store.tables import audit_checkpoints, audit_entries

Detail = str | int | bool | None
FIRST_PREVIOUS = "0" * 64
ROWS_AT_ONCE = 1000


class Entry(BaseModel):
    """One act."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seq: int
    at: str  # RFC 3339, UTC
    actor: str  # id of an API key, "local" without keys, "worker:..." or "service"
    act: str
    subject: str  # what it was done to: an id or a sha256
    details: dict[str, Detail]
    previous_sha256: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that does not hold, and where."""

    where: str
    message: str


def append(
    database: Database,
    connection: Connection,
    *,
    actor: str,
    act: str,
    subject: str,
    details: Mapping[str, Detail] | None = None,
) -> Entry:
    """Adds an entry in the transaction of *connection*: the act and its entry are kept together or not at all."""
    database.lock(connection, AUDIT_LOCK)
    last = connection.execute(
        select(audit_entries.c.seq, audit_entries.c.sha256).order_by(audit_entries.c.seq.desc()).limit(1)
    ).first()
    entry = Entry(
        seq=last.seq + 1 if last else 1,
        at=datetime.fromtimestamp(database.now(connection), UTC).isoformat(timespec="microseconds"),
        actor=actor,
        act=act,
        subject=subject,
        details=dict(details or {}),
        previous_sha256=last.sha256 if last else FIRST_PREVIOUS,
    )
    body = rfc8785.dumps(entry.model_dump())
    row = {"seq": entry.seq, "body": body, "sha256": hashlib.sha256(body).hexdigest(), "act": act, "subject": subject}
    connection.execute(insert(audit_entries).values(row))
    return entry


def sha256_of(entry: Entry) -> str:
    """The hash that the next entry names."""
    return hashlib.sha256(rfc8785.dumps(entry.model_dump())).hexdigest()


def entries(
    connection: Connection, *, after: int = 0, limit: int = ROWS_AT_ONCE, subject: str | None = None
) -> list[Entry]:
    """Entries in order, those with a number greater than *after*."""
    query = select(audit_entries.c.body).where(audit_entries.c.seq > after).order_by(audit_entries.c.seq).limit(limit)
    if subject is not None:
        query = query.where(audit_entries.c.subject == subject)
    return [Entry.model_validate_json(body) for body in connection.execute(query).scalars()]


def newest_entries(connection: Connection, subjects: Select[Any], *, limit: int) -> list[Entry]:
    """The newest entries about any of *subjects*, a query that gives their ids, in order."""
    query = select(audit_entries.c.body).where(audit_entries.c.subject.in_(subjects))
    bodies = connection.execute(query.order_by(audit_entries.c.seq.desc()).limit(limit)).scalars().all()
    return [Entry.model_validate_json(body) for body in reversed(bodies)]


class Signer:
    """The key that checkpoints are signed with: a file beside the data, made when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._key = _load_key(path) if path.exists() else _make_key(path)
        self.public_key = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def sign(self, content: bytes) -> str:
        """The signature (hex) of *content*; what is signed must say by its beginning what it is."""
        return self._key.sign(content).hex()

    def checkpoint(self, database: Database) -> int | None:
        """Signs the newest entry, unless that was done; gives its number, None where there was nothing to sign."""
        with database.write() as connection:
            database.lock(connection, AUDIT_LOCK)
            last = connection.execute(
                select(audit_entries.c.seq, audit_entries.c.sha256).order_by(audit_entries.c.seq.desc()).limit(1)
            ).first()
            signed = connection.execute(select(func.max(audit_checkpoints.c.seq))).scalar() or 0
            # A time stamp of a checkpoint is no reason for another checkpoint, or there would be no end of either.
            news = select(audit_entries.c.seq).where(
                audit_entries.c.seq > signed, audit_entries.c.act != CHECKPOINT_TIMESTAMPED
            )
            if last is None or connection.execute(news.limit(1)).first() is None:
                return None
            at = datetime.fromtimestamp(database.now(connection), UTC).isoformat(timespec="microseconds")
            body = rfc8785.dumps({"seq": last.seq, "sha256": last.sha256, "at": at})
            row = {
                "seq": last.seq,
                "body": body,
                "public_key": self.public_key,
                "signature": self._key.sign(body).hex(),
            }
            connection.execute(insert(audit_checkpoints).values(row))
            return int(last.seq)


def check_chain(connection: Connection, *, public_key: str | None = None) -> Iterator[Flaw]:
    """Every flaw of the chain and its checkpoints; nothing where all holds.

    With *public_key* (hex) checkpoints of any other key are flaws; without, only the signatures themselves are checked.
    """
    expected_seq, previous = 1, FIRST_PREVIOUS
    signed = {row.seq: row for row in connection.execute(select(audit_checkpoints))}
    rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(
        select(audit_entries).order_by(audit_entries.c.seq)
    )
    for row in rows:
        yield from _check_entry(row, expected_seq, previous)
        if row.seq in signed:
            yield from _check_checkpoint(signed.pop(row.seq), hashlib.sha256(row.body).hexdigest(), public_key)
        expected_seq, previous = row.seq + 1, row.sha256
    for seq in sorted(signed):
        yield Flaw(f"checkpoint {seq}", "signs an entry that is gone: the end of the log was cut off")


def _check_entry(row: Row[Any], expected_seq: int, previous: str) -> Iterator[Flaw]:
    where = f"audit entry {row.seq}"
    try:
        entry = Entry.model_validate_json(row.body)
    except ValidationError:
        yield Flaw(where, "is no audit entry")
        return
    if row.seq != expected_seq or entry.seq != row.seq:
        yield Flaw(where, f"number {entry.seq} where {expected_seq} was due: entries are missing or were moved")
    if hashlib.sha256(row.body).hexdigest() != row.sha256:
        yield Flaw(where, "its content is not what was hashed")
    if entry.previous_sha256 != previous:
        yield Flaw(where, "does not follow the entry before it")
    if (entry.act, entry.subject) != (row.act, row.subject):
        yield Flaw(where, "the columns to search by were changed")


def _check_checkpoint(row: Row[Any], sha256: str, public_key: str | None) -> Iterator[Flaw]:
    seq, body, signer = row.seq, bytes(row.body), row.public_key
    where = f"checkpoint {seq}"
    try:
        signature = bytes.fromhex(row.signature)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer)).verify(signature, body)
    except (InvalidSignature, ValueError):
        yield Flaw(where, "the signature is wrong")
    if public_key is not None and signer != public_key:
        yield Flaw(where, f"signed with key {signer[:16]}, not with {public_key[:16]}")
    if f'"sha256":"{sha256}"' not in body.decode("utf-8", "replace"):
        yield Flaw(where, "signs another entry than the one that is there")


def _make_key(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_bytes(pem)
    unfinished.replace(path)
    return key


def _load_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path}: no readable private key; put the right one back") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: not an Ed25519 key; put the right one back")
    return key
