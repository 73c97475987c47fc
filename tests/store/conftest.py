"""Stores on both databases."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from databases import PostgresServer, postgres_server
from deepscreen.settings import Settings
from deepscreen.store.store import Store


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests; each takes a database of its own."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def store_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings that name a fresh database and a fresh folder."""
    url = None
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").create_database(secrets.token_hex(8))
    return Settings(data_dir=tmp_path / "data", database_url=url)


@pytest.fixture
def store(store_settings: Settings) -> Iterator[Store]:
    """An open store."""
    assert store_settings.data_dir
    store = Store.open(store_settings, store_settings.data_dir)
    yield store
    store.close()
