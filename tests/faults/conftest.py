"""Databases for the faults, and how long they last: short as a rule, long with DEEPSCREEN_SOAK=1 (`make soak`)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from figures import Figures
from processes import Scale

from databases import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def scale() -> Scale:
    """The figures of the issue with DEEPSCREEN_SOAK=1, else a few of each."""
    if os.environ.get("DEEPSCREEN_SOAK") == "1":
        return Scale(items=200, kills=50, mutations=1000, uploads=2000)
    return Scale(items=24, kills=4, mutations=60, uploads=60)


@pytest.fixture(scope="session")
def figures() -> Figures:
    """Keeps the figures of the long runs."""
    return Figures(is_kept=os.environ.get("DEEPSCREEN_SOAK") == "1")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests."""
    with postgres_server() as server:
        yield server
