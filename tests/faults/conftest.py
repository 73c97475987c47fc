"""Databases for the faults, and how long they last: short as a rule, long with DEEPSCREEN_SOAK=1 (`make soak`)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from figures import Figures
from items import LIMITS, environment_of
from processes import Scale

from databases import PostgresServer, postgres_server
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings


@pytest.fixture(scope="session")
def scale() -> Scale:
    """The figures of the issue with DEEPSCREEN_SOAK=1, else a few of each."""
    if os.environ.get("DEEPSCREEN_SOAK") == "1":
        return Scale(items=200, kills=50, mutations=1000, uploads=2000)
    return Scale(items=12, kills=3, mutations=36, uploads=72)


@pytest.fixture(scope="session")
def figures() -> Figures:
    """Keeps the figures of long runs, and of short ones with DEEPSCREEN_SOAK=figures."""
    return Figures(is_kept=os.environ.get("DEEPSCREEN_SOAK") in {"1", "figures"})


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = None
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create_database(secrets.token_hex(8))
    return Settings(data_dir=tmp_path / "data", database_url=url, limits=LIMITS)


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """What the processes are told."""
    return environment_of(settings)


@pytest.fixture
def undisturbed(tmp_path: Path) -> Iterator[ScreeningDesk]:
    desk = ScreeningDesk.with_fake_detectors(Settings(device="cpu", limits=LIMITS))
    yield desk
    desk.close()
