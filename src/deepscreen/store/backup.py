"""Backup into a folder and back, whatever database and blob store are in use: also the way from SQLite to Postgres.

Layout: ``database.jsonl`` (one row a line, after a line that names its table), ``blobs/``, ``signing-key.pem`` unless
it was left out, and ``backup.json`` with the schema and the sha256 of the rest. The folder may be used again: blobs
that it has are not copied twice, and those of screenings that were deleted since are removed. A store that seals blobs
seals them there too, with the same key, which is not copied.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection, LargeBinary, Table, func, insert, select, text

from deepscreen.errors import BlobDamaged, ConfigError
from deepscreen.store.blobs import BlobStore
from deepscreen.store.store import BLOBS_NAME, SIGNING_KEY_NAME, Store
from deepscreen.store.tables import blob_uses, metadata, screenings
from deepscreen.store.timestamps import stamp_blobs

ROWS_NAME, ABOUT_NAME = "database.jsonl", "backup.json"
ROWS_AT_ONCE = 500
EVER = -1e9  # seconds: also what was written by a clock that is ahead
TRIES = 5  # a blob that is deleted while it is copied makes the copy of the database old


class About(BaseModel):
    """What a backup holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    schema_revision: str
    rows: dict[str, int]  # by table
    blobs: int
    database_sha256: str
    has_signing_key: bool


def back_up(store: Store, folder: Path, *, with_key: bool) -> About:
    """Writes *folder*: a consistent copy of the database, and every blob that it refers to, each proven.

    The service may go on meanwhile. Raises StoreError; BlobDamaged names a blob that is not what was written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    blobs = BlobStore(str(folder / BLOBS_NAME), store.blobs.sealer)
    rows = folder / f"{ROWS_NAME}.new"  # the backup that was there before is one until this one is whole
    rows.unlink(missing_ok=True)
    rows.touch(mode=0o600)
    for attempt in range(1, TRIES + 1):
        counts, revision, wanted = _write_rows(store, rows)
        try:
            # Beside the data: on its way a sealed blob lies open, and not on the medium of the backup.
            for sha256 in wanted:
                _copy_blob(store.blobs, blobs, sha256, store.scratch())
            break
        except BlobDamaged:
            if attempt == TRIES:
                raise
    (folder / ABOUT_NAME).unlink(missing_ok=True)  # without it, it is no backup
    rows.replace(folder / ROWS_NAME)
    key, has_key = store.data_dir / SIGNING_KEY_NAME, False
    if with_key and key.exists():
        _copy_key(key, folder / SIGNING_KEY_NAME, mode=0o400)
        has_key = True
    about = About(
        schema_revision=revision,
        rows=counts,
        blobs=len(wanted),
        database_sha256=_file_sha256(folder / ROWS_NAME),
        has_signing_key=has_key,
    )
    (folder / ABOUT_NAME).write_text(about.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for sha256 in set(blobs.older_than(EVER)) - set(wanted):  # what was deleted is not kept here instead
        blobs.remove(sha256)
    return about


def restore(store: Store, folder: Path) -> About:
    """Fills an empty *store* from a backup; ``verify`` proves it afterwards.

    Raises ConfigError where the store holds anything, or *folder* is no whole backup of this schema.
    """
    about = _read_about(folder)
    with store.database.read() as connection:
        revision = _revision(connection)
        is_empty = all(
            connection.execute(select(func.count()).select_from(table)).scalar() == 0
            for table in metadata.sorted_tables
        )
    if not is_empty:
        raise ConfigError("this store is not empty; restore into a fresh data_dir and database")
    if about.schema_revision != revision:
        raise ConfigError(f"the backup has schema {about.schema_revision}, this version has {revision}")
    blobs = BlobStore(str(folder / BLOBS_NAME), store.blobs.sealer)
    for sha256 in blobs.older_than(EVER):
        _copy_blob(blobs, store.blobs, sha256, store.scratch())
    with store.database.write() as connection:
        for name, rows in _grouped(folder / ROWS_NAME):
            connection.execute(insert(metadata.tables[name]), rows)
    key = store.data_dir / SIGNING_KEY_NAME
    if about.has_signing_key and not key.exists():
        _copy_key(folder / SIGNING_KEY_NAME, key, mode=0o600)
    return about


def _read_about(folder: Path) -> About:
    try:
        about = About.model_validate_json((folder / ABOUT_NAME).read_bytes())
        found = _file_sha256(folder / ROWS_NAME)
    except (OSError, ValidationError) as error:
        raise ConfigError(f"{folder} is no whole backup: {ABOUT_NAME} or {ROWS_NAME} cannot be read") from error
    if found != about.database_sha256:
        raise ConfigError(f"{folder / ROWS_NAME} is not what was written")
    return about


def _write_rows(store: Store, path: Path) -> tuple[dict[str, int], str, list[str]]:
    """The rows of all tables as of one moment; gives their numbers, the schema, and the blobs that they refer to."""
    with store.database.snapshot() as connection, path.open("w", encoding="utf-8") as file:
        counts = {}
        for table in metadata.sorted_tables:
            file.write(json.dumps({"table": table.name}) + "\n")
            counts[table.name] = 0
            for row in connection.execution_options(yield_per=ROWS_AT_ONCE).execute(select(table)):
                file.write(json.dumps(_plain(table, row._mapping)) + "\n")
                counts[table.name] += 1
        originals = select(screenings.c.media_sha256).where(screenings.c.deleted_at.is_(None)).distinct()
        uses = select(blob_uses.c.sha256).distinct()
        wanted = {sha256 for query in (originals, uses) for sha256 in connection.execute(query).scalars()}
        return counts, _revision(connection), sorted(wanted | stamp_blobs(connection))


def _plain(table: Table, row: Any) -> dict[str, Any]:
    binary = {column.name for column in table.columns if isinstance(column.type, LargeBinary)}
    return {
        name: base64.b64encode(value).decode() if name in binary and value is not None else value
        for name, value in row.items()
    }


def _grouped(path: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The rows of a backup in order, some at a time, with the table that they belong to."""
    table: Table | None = None
    rows: list[dict[str, Any]] = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            found = json.loads(line)
            if found.keys() == {"table"}:
                if table is not None and rows:
                    yield table.name, rows
                table, rows = metadata.tables[found["table"]], []
                continue
            assert table is not None
            rows.append(_typed(table, found))
            if len(rows) == ROWS_AT_ONCE:
                yield table.name, rows
                rows = []
    if table is not None and rows:
        yield table.name, rows


def _typed(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    binary = {column.name for column in table.columns if isinstance(column.type, LargeBinary)}
    return {
        name: base64.b64decode(row[name]) if name in binary and row[name] is not None else row[name] for name in row
    }


def _copy_blob(source: BlobStore, target: BlobStore, sha256: str, scratch: Path) -> None:
    if target.has(sha256):
        return
    with source.as_file(sha256, scratch) as path:
        target.put_file(path, sha256)


def _copy_key(source: Path, target: Path, *, mode: int) -> None:
    """At no moment can others read it; what an earlier backup left is replaced, though it is not to be written to."""
    target.unlink(missing_ok=True)
    target.touch(mode=0o600, exist_ok=False)
    shutil.copyfile(source, target)
    target.chmod(mode)


def _revision(connection: Connection) -> str:
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
