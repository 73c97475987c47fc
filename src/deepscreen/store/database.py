"""One way into the database: SQLite (write-ahead log) on one machine, Postgres for many; Alembic keeps the schema."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from deepscreen.errors import ConfigError, StorageFull, StoreUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
SQLITE_BUSY_SECONDS = 30.0
POSTGRES_CONNECT_SECONDS = 5
WRITES = "deepscreen_writes"  # execution option: this transaction will write, and how safe its commit is
# Postgres advisory locks; any constants that nobody else uses.
SCHEMA_LOCK, AUDIT_LOCK, REGISTER_LOCK = 0x64656570, 0x61756474, 0x72656769
FULL_MESSAGES = ("database or disk is full", "No space left on device")


class Database:
    """A pool of connections. Reading and writing transactions are told apart, for SQLite has one writer at a time."""

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(self._url) if self.is_sqlite else _postgres_engine(self._url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; raises StoreUnavailable where the database does not answer."""
        with _told_as_store_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction that reads everything as of one moment, however long it takes; nobody waits for it."""
        with _told_as_store_errors(), self._engine.connect() as connection:
            if not self.is_sqlite:  # SQLite's readers see one moment anyway
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def write(self, *, is_durable: bool = True) -> Iterator[Connection]:
        """A transaction that is committed at the end, or undone by any error.

        One that is not durable does not wait for the disk: it outlives the process, but perhaps not a power cut; any
        durable one after it takes it along. Raises StoreUnavailable, or StorageFull where the disk is full; nothing was
        written then.
        """
        with _told_as_store_errors(), self._engine.connect() as connection:
            connection = connection.execution_options(**{WRITES: "FULL" if is_durable else "NORMAL"})
            with connection.begin():
                if not (is_durable or self.is_sqlite):
                    connection.execute(text("SET LOCAL synchronous_commit TO off"))
                yield connection

    def now(self, connection: Connection) -> float:
        """Seconds since 1970 by the clock that all workers share: leases must not depend on theirs."""
        if self.is_sqlite:
            return time.time()
        return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def lock(self, connection: Connection, number: int) -> None:
        """Holds a lock until the transaction ends; SQLite's writing transactions exclude each other anyway."""
        if not self.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})

    def migrate(self) -> None:
        """Brings the schema to this version's; safe while others do the same. Raises ConfigError for a newer schema."""
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with self.write() as connection:
            self.lock(connection, SCHEMA_LOCK)
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise ConfigError(f"the database has a schema that this version does not know: {error}") from error

    def close(self) -> None:
        """Closes all connections."""
        self._engine.dispose()


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file."""
    return URL.create("sqlite+pysqlite", database=str(path)).render_as_string()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError("database_url is no URL of a database; want sqlite:///... or postgresql://...") from error
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed
    raise ConfigError(f"database_url names {backend}; only a file of sqlite, or postgresql, can be used")


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing on its own; _begin does
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A reader that turns writer may find that another came first; who will write says so at once, and waits.
        safety = connection.get_execution_options().get(WRITES)
        if safety is not None:
            connection.exec_driver_sql(f"PRAGMA synchronous={safety}")
        connection.exec_driver_sql("BEGIN" if safety is None else "BEGIN IMMEDIATE")

    return engine


def _postgres_engine(url: URL) -> Engine:
    # pool_pre_ping: a restart of Postgres leaves dead connections in the pool; they are replaced before they are used.
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=16,
        connect_args={"connect_timeout": POSTGRES_CONNECT_SECONDS, "application_name": "deepscreen"},
    )


@contextmanager
def _told_as_store_errors() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        reason = str(error.orig)
        if any(message in reason for message in FULL_MESSAGES):
            raise StorageFull(f"the database's disk is full: {reason}") from error
        if error.connection_invalidated or type(error).__name__ in {"OperationalError", "InterfaceError"}:
            raise StoreUnavailable(f"the database does not answer: {reason}") from error
        raise
