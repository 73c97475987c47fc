"""What the service stands on fails for a while: nothing is lost, clients are told, and it recovers without hands."""

from __future__ import annotations

import os
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from figures import Figures
from items import LIMITS, check_all, environment_of, media, send_all, wait_until_all_ended
from processes import Client, Part, Scale

from databases import PostgresServer
from deepscreen.api.resumable import ResumableUploads
from deepscreen.api.room import Room
from deepscreen.api.uploads import HashingFile
from deepscreen.errors import StorageFull
from deepscreen.screening import ScreeningDesk
from deepscreen.settings import Settings
from deepscreen.store.store import Store

OUTAGE_SECONDS = 3.0
TMPFS_BYTES = 64 * 1024 * 1024
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
may_mount = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


def run_disturbed(parts: list[Part], count: int, disturb: Callable[[], object]) -> dict[str, bytes]:
    """Sends *count* files, disturbs when a third was sent, and gives contents by id once all have ended."""
    client, sent = Client(parts[0]), {}
    parts[0].wait_until_ready()
    sent |= send_all(client, count // 3)
    trouble = threading.Thread(target=disturb)
    trouble.start()
    try:
        for number in range(count // 3, count):
            sent[client.send(f"item-{number}", media(number))] = media(number)
        trouble.join()
        wait_until_all_ended(client, list(sent))
    finally:
        trouble.join()
        for part in parts:
            part.kill()
        client.close()
    return sent


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system in memory of TMPFS_BYTES."""
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=0700", "tmpfs", folder], check=True, timeout=30
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, timeout=30)


def answer_to(part: Part, number: int) -> httpx.Response:
    files = {"file": ("x", media(number))}
    return httpx.post(part.url + "/v1/screenings", files=files, headers={"Prefer": "respond-async"}, timeout=60)


def problem_within(part: Part, status: int, seconds: float = 30.0) -> str:
    """The type of the first problem of this status that an upload is answered with."""
    deadline = time.monotonic() + seconds
    number = 4_000_000  # pictures that nobody sent before
    while (answer := answer_to(part, number)).status_code != status:
        assert time.monotonic() < deadline, f"{answer.status_code} {answer.text}"
        number += 4
    return str(answer.json()["type"]).rpartition(":")[2]


def test_postgres_is_restarted(
    postgres: PostgresServer, scale: Scale, undisturbed: ScreeningDesk, figures: Figures, tmp_path: Path
) -> None:
    url = postgres.create_database(secrets.token_hex(8))
    settings = Settings(data_dir=tmp_path / "data", database_url=url, limits=LIMITS)
    parts = [Part(kind, environment_of(settings), tmp_path / f"log-{kind}") for kind in ("api", "worker")]

    def restart() -> None:
        postgres.stop()
        time.sleep(OUTAGE_SECONDS)
        postgres.start()

    sent = run_disturbed(parts, scale.items, restart)
    check_all(settings, sent, undisturbed, tmp_path)
    note(figures, f"Postgres is away for {OUTAGE_SECONDS:g} s", scale)


def test_one_of_three_workers_is_killed_for_good(
    postgres: PostgresServer, scale: Scale, undisturbed: ScreeningDesk, figures: Figures, tmp_path: Path
) -> None:
    url = postgres.create_database(secrets.token_hex(8))
    settings = Settings(data_dir=tmp_path / "data", database_url=url, limits=LIMITS)
    kinds = ("api", "worker", "worker", "worker")
    parts = [Part(kind, environment_of(settings), tmp_path / f"log-{n}") for n, kind in enumerate(kinds)]
    sent = run_disturbed(parts, scale.items, lambda: parts[1].kill())
    check_all(settings, sent, undisturbed, tmp_path)
    note(figures, "one of three workers on one Postgres is killed", scale)


@may_mount
def test_disk_is_full_for_a_while(scale: Scale, undisturbed: ScreeningDesk, figures: Figures, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        settings = Settings(data_dir=disk / "data", limits=LIMITS, min_free_bytes=0)
        parts = [Part("serve", environment_of(settings), tmp_path / "log")]
        told: list[str] = []

        def fill() -> None:
            ballast = disk / "ballast"
            with ballast.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(64 * 1024))
                except OSError:
                    pass
            told.append(problem_within(parts[0], 507))
            time.sleep(OUTAGE_SECONDS)
            ballast.unlink()

        sent = run_disturbed(parts, scale.items, fill)
        assert told == ["storage-full"]
        check_all(settings, sent, undisturbed, tmp_path)
    note(figures, "the disk of database and blobs is full for a while", scale)


@may_mount
def test_uploads_are_refused_before_the_disk_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        settings = Settings(data_dir=disk / "data", limits=LIMITS, min_free_bytes=2 * TMPFS_BYTES)
        part = Part("serve", environment_of(settings), tmp_path / "log")
        part.wait_until_ready()
        assert problem_within(part, 507) == "storage-full"
        assert httpx.get(part.url + "/readyz", timeout=60).status_code == 200
        part.kill()


@may_mount
def test_upload_whose_disk_fills_while_it_is_written_is_told_so(tmp_path: Path) -> None:
    """What ``check_space`` finds free may be gone a moment later; here it looks at another disk."""
    store = Store.open(Settings(limits=LIMITS), tmp_path / "data")
    room = Room(store, ResumableUploads(store.data_dir, lifetime_seconds=60))
    with small_disk(tmp_path / "disk") as disk, closing(store), room.promise(2 * TMPFS_BYTES) as promise:
        file = HashingFile(disk / "upload", promise)
        with pytest.raises(StorageFull):
            file.write([bytes(2 * TMPFS_BYTES)])
        file.close()


@may_mount
def test_blob_store_is_read_only_for_a_while(
    scale: Scale, undisturbed: ScreeningDesk, figures: Figures, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        settings = Settings(data_dir=tmp_path / "data", blob_url=str(disk / "blobs"), limits=LIMITS, min_free_bytes=0)
        parts = [Part("serve", environment_of(settings), tmp_path / "log")]
        told: list[str] = []

        def remount(how: str) -> bool:
            done = subprocess.run(["mount", "-o", f"remount,{how}", disk], check=False, capture_output=True, timeout=30)
            return done.returncode == 0

        def forbid() -> None:
            while not remount("ro"):  # busy while a file is being written
                time.sleep(0.05)
            told.append(problem_within(parts[0], 503))
            time.sleep(OUTAGE_SECONDS)
            assert remount("rw")

        sent = run_disturbed(parts, scale.items, forbid)
        assert told == ["store-unavailable"]
        check_all(settings, sent, undisturbed, tmp_path)
    note(figures, "the blob store is read-only for a while", scale)


def note(figures: Figures, what: str, scale: Scale) -> None:
    figures.add(
        f"{what}, {scale.items} items",
        target="each item ends once, as undisturbed; the chain holds",
        reached="so it is, and clients are told why they wait",
    )
