"""Two workers get through a queue faster than one: with fake networks here, with the real ones under `make soak`."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

import httpx
import pytest
from figures import Figures
from items import LIMITS, environment_of, media
from processes import PATIENCE_SECONDS, Client, Part, Scale
from sqlalchemy import func, select

from databases import PostgresServer
from deepscreen.settings import Settings
from deepscreen.store import audit
from deepscreen.store.acts import COMPUTATION_ENDED
from deepscreen.store.store import Store
from deepscreen.store.tables import computations

IS_SOAK = os.environ.get("DEEPSCREEN_SOAK") == "1"
LEAST_GAIN = 1.7
QUIET_LOAD = 1.0  # beside the workers: a busy machine has no second processor for a second worker
ONE_THREAD = {"OMP_NUM_THREADS": "1", "DEEPSCREEN_MAX_CONCURRENT": "1", "DEEPSCREEN_WORKER_LEASE_SECONDS": "3600"}


def live_workers(api: Part) -> int:
    lines = httpx.get(api.url + "/metrics", timeout=60).text.splitlines()
    return int(float(next(line for line in lines if line.startswith("deepscreen_workers ")).split()[1]))


def items_per_second(folder: Path, url: str, kind: str, workers: int, count: int) -> tuple[float, int]:
    """How fast *workers* get through a queue of pictures, and how many of them had a share in it.

    They are loaded before and stopped while the queue is filled: neither counts.
    """
    settings = Settings(data_dir=folder, database_url=url, limits=LIMITS)
    told = environment_of(settings) | ONE_THREAD
    api = Part("api", told, folder.with_suffix(".api-log"))
    parts = [Part(kind, told, folder.with_suffix(f".log-{n}")) for n in range(workers)]
    client = Client(api)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while live_workers(api) < workers:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        for part in parts:
            part.pause()
        sent = [client.send(f"item-{n}", media(4 * n)) for n in range(count)]  # pictures, of one size
        started_at = time.time()
        for part in parts:
            part.pause(goes_on=True)
        for screening_id in sent:
            while client.get(f"/v1/screenings/{screening_id}").json()["state"] != "done":
                assert time.monotonic() < deadline
                time.sleep(0.5)
    finally:
        for part in (api, *parts):
            part.kill()
        client.close()
    last_ended_at, ended_by = _ends(settings)
    return count / (last_ended_at - started_at), len(ended_by)


def _ends(settings: Settings) -> tuple[float, set[str]]:
    """When the last item ended, and the workers that ended any, by the audit log."""
    assert settings.data_dir
    store = Store.open(settings, settings.data_dir)
    try:
        with store.database.read() as connection:
            last = connection.execute(select(func.max(computations.c.ended_at))).scalar_one()
            ended = [e for e in audit.entries(connection, limit=100_000) if e.act == COMPUTATION_ENDED]
    finally:
        store.close()
    return float(last), {entry.actor for entry in ended}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_workers_share_a_queue(postgres: PostgresServer, scale: Scale, figures: Figures, tmp_path: Path) -> None:
    kind, count = ("real-worker", 24) if IS_SOAK else ("worker", 2 * scale.items)
    rates = {}
    for workers in (1, 2):
        url = postgres.create_database(secrets.token_hex(8))
        rates[workers], actors = items_per_second(tmp_path / f"data-{workers}", url, kind, workers, count)
        assert actors == workers
    gain = rates[2] / rates[1]
    networks = "the real" if IS_SOAK else "fake"
    figures.add(
        f"two workers against one, one thread each, {networks} networks",
        target=f">= {LEAST_GAIN:g} x",
        reached=f"{gain:.2f} x ({rates[1]:.2f} and {rates[2]:.2f} pictures a second)",
    )
    if IS_SOAK and figures.load < QUIET_LOAD:
        assert gain >= LEAST_GAIN
