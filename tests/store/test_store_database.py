"""The schema is what the tables say, migrations may race, and transactions are whole or nothing, on both databases."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, insert, select, text

from databases import PostgresServer
from deepscreen.errors import ConfigError, StoreUnavailable
from deepscreen.settings import Settings
from deepscreen.store import audit
from deepscreen.store.database import Database, sqlite_url
from deepscreen.store.store import Store
from deepscreen.store.tables import audit_entries, cases, metadata


def test_migrations_make_the_schema_that_the_tables_describe(store: Store) -> None:
    with store.database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_processes_that_start_together_migrate_once(store_settings: Settings) -> None:
    assert store_settings.data_dir
    data_dir, errors = store_settings.data_dir, []

    def start() -> None:
        try:
            Store.open(store_settings, data_dir).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_newer_schema_is_refused(store_settings: Settings, store: Store) -> None:
    assert store_settings.data_dir
    with store.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="schema that this version does not know"):
        Store.open(store_settings, store_settings.data_dir)


def test_failed_transaction_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.database.write() as connection:
            audit.append(store.database, connection, actor="local", act="tried", subject="x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(audit_entries)).scalar() == 0


def test_commit_that_need_not_be_durable_does_not_wait_for_the_disk(store: Store) -> None:
    def told(is_durable: bool) -> str:
        with store.database.write(is_durable=is_durable) as connection:
            row = {"id": str(is_durable), "name": "", "notes": "", "created_at": 0.0, "created_by": "x"}
            connection.execute(insert(cases).values(row))
            asked = "PRAGMA synchronous" if store.database.is_sqlite else "SHOW synchronous_commit"
            return str(connection.execute(text(asked)).scalar())

    assert [told(True), told(False)] == (["2", "1"] if store.database.is_sqlite else ["on", "off"])
    with store.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(cases)).scalar() == 2


def test_writers_wait_for_each_other(store: Store) -> None:
    def write(number: int) -> None:
        for index in range(10):
            with store.database.write() as connection:
                last = connection.execute(select(func.count()).select_from(cases)).scalar_one()
                row = {"id": f"{number}-{index}", "name": str(last), "notes": "", "created_at": 0.0, "created_by": "x"}
                connection.execute(insert(cases).values(row))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(cases)).scalar() == 40


def test_foreign_keys_are_kept(store: Store) -> None:
    from sqlalchemy.exc import IntegrityError

    with pytest.raises(IntegrityError), store.database.write() as connection:
        connection.execute(text("INSERT INTO case_members (case_id, key_id) VALUES ('nowhere', 'nobody')"))


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="database_url"):
        Database(url)


def test_database_that_is_not_there_is_told_as_unavailable(tmp_path: Path) -> None:
    for url in ("postgresql://nobody@127.0.0.1:1/none", sqlite_url(tmp_path / "missing" / "x.db")):
        database = Database(url)
        with pytest.raises(StoreUnavailable):
            database.migrate()
        database.close()


def test_restart_of_postgres_is_survived(postgres: PostgresServer) -> None:
    database = Database(postgres.create_database("restarted"))
    database.migrate()
    postgres.stop()
    try:
        with pytest.raises(StoreUnavailable), database.write() as connection:
            connection.execute(text("SELECT 1"))
    finally:
        postgres.start()
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(cases)).scalar() == 0
    database.close()
