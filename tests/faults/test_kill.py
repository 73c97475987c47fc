"""Processes are killed with -9 while files come in: every item ends exactly once, as if nothing had happened."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from pathlib import Path

import pytest
from figures import Figures
from items import LIMITS, check_all, environment_of, send_all, wait_until_all_ended
from processes import Client, Part, Scale, kill_at_random

from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings


def run_and_kill(parts: list[Part], scale: Scale, longest_wait_seconds: float) -> dict[str, bytes]:
    """Sends everything while parts are killed; gives contents by id once all have ended."""
    client = Client(parts[0])
    failures: list[BaseException] = []

    def kill() -> None:
        try:
            kill_at_random(parts, kills=scale.kills, seed=7, longest_wait_seconds=longest_wait_seconds)
        except BaseException as error:
            failures.append(error)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        sent = send_all(client, scale.items)
        killer.join()
        assert failures == []
        wait_until_all_ended(client, list(sent))
    finally:
        killer.join()
        for part in parts:
            part.kill()
        client.close()
    return sent


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_service_is_killed(
    settings: Settings,
    environment: dict[str, str],
    scale: Scale,
    undisturbed: ScreeningDesk,
    figures: Figures,
    tmp_path: Path,
) -> None:
    parts = [Part("serve", environment, tmp_path / "log")]
    sent = run_and_kill(parts, scale, longest_wait_seconds=1.5)
    assert parts[0].starts == scale.kills + 1
    check_all(settings, sent, undisturbed, tmp_path)
    note(figures, "the service", settings, scale)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_api_workers_or_all_are_killed(
    settings: Settings,
    environment: dict[str, str],
    scale: Scale,
    undisturbed: ScreeningDesk,
    figures: Figures,
    tmp_path: Path,
) -> None:
    parts = [Part(kind, environment, tmp_path / f"log-{n}") for n, kind in enumerate(("api", "worker", "worker"))]
    sent = run_and_kill(parts, scale, longest_wait_seconds=1.5)
    check_all(settings, sent, undisturbed, tmp_path)
    note(figures, "API, workers or all", settings, scale)


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.skipif(
    os.environ.get("DEEPSCREEN_SOAK") != "1", reason="loads the real networks again and again; make soak"
)
def test_service_with_the_real_networks_is_killed(tmp_path: Path, figures: Figures) -> None:
    settings = Settings(device="cpu", data_dir=tmp_path / "data", limits=LIMITS)
    few = Scale(items=20, kills=5, mutations=0, uploads=0)
    parts = [Part("real-serve", environment_of(settings), tmp_path / "log")]
    sent = run_and_kill(parts, few, longest_wait_seconds=8.0)
    with closing(ScreeningDesk.build(settings)) as undisturbed:
        check_all(settings, sent, undisturbed, tmp_path)
    note(figures, "the service with its real networks", settings, few)


def note(figures: Figures, what: str, settings: Settings, scale: Scale) -> None:
    figures.add(
        f"kill -9 of {what} at {scale.kills} moments over {scale.items} items, "
        f"{'Postgres' if settings.database_url else 'SQLite'}",
        target="each item ends once, as undisturbed; the chain holds",
        reached="so it is",
    )
