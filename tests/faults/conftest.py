"""Databases for the faults, and how long they last: short as a rule, long with DEEPSCREEN_SOAK=1 (`make soak`)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from processes import Scale

from databases import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def scale() -> Scale:
    """The figures of the issue with DEEPSCREEN_SOAK=1, else a few of each."""
    return Scale(items=200, kills=50) if os.environ.get("DEEPSCREEN_SOAK") == "1" else Scale(items=24, kills=4)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests."""
    with postgres_server() as server:
        yield server
