"""Processes are killed with -9 while files come in: every item ends exactly once, as if nothing had happened."""

from __future__ import annotations

import hashlib
import io
import random
import secrets
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import Client, Part, Scale, kill_at_random
from sqlalchemy import func, select

from databases import PostgresServer
from deepscreen.errors import MediaError
from deepscreen.media.intake import take_in
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Limits, Settings
from deepscreen.store.acts import COMPUTATION_ENDED
from deepscreen.store.store import Store
from deepscreen.store.tables import audit_entries, computations, screenings
from deepscreen.store.verify import verify

LEASE_SECONDS = 3
LIMITS = Limits(max_bytes=2_000_000)
ENDED_WITHIN_SECONDS = 1200.0
LONGEST_PAUSE_SECONDS = 0.3  # between two files, so that they come in while there is killing


def media(number: int) -> bytes:
    """Pictures, sounds, animations and files that cannot be screened, all different."""
    rng, file = np.random.default_rng(number), io.BytesIO()
    match number % 4:
        case 0:
            Image.fromarray(rng.integers(0, 255, (64, 80, 3), np.uint8)).save(file, "PNG")
        case 1:
            with wave.open(file, "wb") as writer:
                writer.setnchannels(1)
                writer.setsampwidth(2)
                writer.setframerate(16_000)
                writer.writeframes(rng.integers(-9000, 9000, 48_000, np.int16).tobytes())
        case 2:
            frames = [Image.fromarray(rng.integers(0, 255, (48, 48), np.uint8)) for _ in range(6)]
            frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=200)
        case _:
            return b"no media at all " + str(number).encode()
    return file.getvalue()


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = None
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create_database(secrets.token_hex(8))
    return Settings(data_dir=tmp_path / "data", database_url=url, limits=LIMITS)


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """What the processes are told. Killing from outside is no item's fault: none is to be given up for it."""
    told = {
        "DEEPSCREEN_DATA_DIR": str(settings.data_dir),
        "DEEPSCREEN_DEVICE": "cpu",
        "DEEPSCREEN_LIMITS__MAX_BYTES": str(LIMITS.max_bytes),
        "DEEPSCREEN_WORKER_LEASE_SECONDS": str(LEASE_SECONDS),
        "DEEPSCREEN_MAX_DEATHS_ALONE": "1000",
    }
    return told | ({"DEEPSCREEN_DATABASE_URL": settings.database_url} if settings.database_url else {})


@pytest.fixture
def undisturbed(tmp_path: Path) -> Iterator[ScreeningDesk]:
    desk = ScreeningDesk.with_fake_detectors(Settings(device="cpu", limits=LIMITS))
    yield desk
    desk.close()


def expected(desk: ScreeningDesk, folder: Path, content: bytes) -> bytes | str:
    """The record of a run that nothing disturbs, or the kind of its failure."""
    path = folder / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    try:
        return desk.screen(take_in(path, limits=LIMITS)).screening.canonical_json()
    except MediaError as error:
        return type(error).__name__


def send_all(client: Client, count: int) -> dict[str, bytes]:
    sent = {}
    for number in range(count):
        sent[client.send(f"item-{number}", media(number))] = media(number)
        time.sleep(LONGEST_PAUSE_SECONDS * random.random())
    return sent


def wait_until_all_ended(client: Client, ids: list[str]) -> None:
    deadline = time.monotonic() + ENDED_WITHIN_SECONDS
    for screening_id in ids:
        while client.get(f"/v1/screenings/{screening_id}").json()["state"] in {"queued", "running"}:
            assert time.monotonic() < deadline, f"{screening_id} never ended"
            time.sleep(0.1)


def check_all(settings: Settings, sent: dict[str, bytes], desk: ScreeningDesk, folder: Path) -> None:
    """Each item once, its end once, its record as undisturbed, and the chain whole."""
    assert settings.data_dir
    store = Store.open(settings, settings.data_dir)
    try:
        assert list(verify(store)) == []
        with store.database.read() as connection:
            rows = connection.execute(
                select(screenings.c.id, computations).join(
                    computations, screenings.c.computation_id == computations.c.id
                )
            ).all()
            ends = select(func.count()).where(audit_entries.c.act == COMPUTATION_ENDED)
            assert connection.execute(ends).scalar() == len(sent)
        assert {row.id for row in rows} == set(sent)
        for row in rows:
            want = expected(desk, folder, sent[row.id])
            got = store.blobs.read(row.record_sha256) if row.record_sha256 else row.error_type
            assert got == want
    finally:
        store.close()


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
    settings: Settings, environment: dict[str, str], scale: Scale, undisturbed: ScreeningDesk, tmp_path: Path
) -> None:
    parts = [Part("serve", environment, tmp_path / "log")]
    sent = run_and_kill(parts, scale, longest_wait_seconds=1.5)
    assert parts[0].starts == scale.kills + 1
    check_all(settings, sent, undisturbed, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_api_workers_or_all_are_killed(
    settings: Settings, environment: dict[str, str], scale: Scale, undisturbed: ScreeningDesk, tmp_path: Path
) -> None:
    parts = [Part(kind, environment, tmp_path / f"log-{n}") for n, kind in enumerate(("api", "worker", "worker"))]
    sent = run_and_kill(parts, scale, longest_wait_seconds=1.5)
    check_all(settings, sent, undisturbed, tmp_path)
