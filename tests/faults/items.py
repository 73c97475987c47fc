"""What is sent to a service that is disturbed, and the check that nothing of it was lost, doubled or changed."""

from __future__ import annotations

import hashlib
import io
import random
import time
import wave
from pathlib import Path

import numpy as np
from PIL import Image
from processes import Client
from sqlalchemy import func, select

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


def environment_of(settings: Settings) -> dict[str, str]:
    """What processes are told. A death from outside is no item's fault: none is to be given up for it."""
    told = {
        "DEEPSCREEN_DATA_DIR": str(settings.data_dir),
        "DEEPSCREEN_DEVICE": "cpu",
        "DEEPSCREEN_LIMITS__MAX_BYTES": str(LIMITS.max_bytes),
        "DEEPSCREEN_WORKER_LEASE_SECONDS": str(LEASE_SECONDS),
        "DEEPSCREEN_MAX_DEATHS_ALONE": "1000",
        "DEEPSCREEN_REQUESTS_PER_MINUTE": "1000000",
        "DEEPSCREEN_MIN_FREE_BYTES": str(settings.min_free_bytes),
    }
    optional = {"DEEPSCREEN_DATABASE_URL": settings.database_url, "DEEPSCREEN_BLOB_URL": settings.blob_url}
    return told | {name: value for name, value in optional.items() if value}


def expected(desk: ScreeningDesk, folder: Path, content: bytes) -> bytes | str:
    """The record of a run that nothing disturbs, or the kind of its failure."""
    path = folder / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    try:
        return desk.screen(take_in(path, limits=LIMITS)).screening.canonical_json()
    except MediaError as error:
        return type(error).__name__


def send_all(client: Client, count: int) -> dict[str, bytes]:
    """Sends *count* files; gives contents by the ids of their screenings."""
    sent = {}
    for number in range(count):
        sent[client.send(f"item-{number}", media(number))] = media(number)
        time.sleep(LONGEST_PAUSE_SECONDS * random.random())
    return sent


def wait_until_all_ended(client: Client, ids: list[str]) -> None:
    """Returns when none is queued or runs any more."""
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
