"""Many clients at once: only 429 refuses, /livez stays quick, memory stays flat, the service itself costs little."""

from __future__ import annotations

import functools
import io
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from figures import Figures
from PIL import Image
from processes import Part, Scale, resident_bytes

PROBE = Path(__file__).with_name("probe.py")
PICTURE_BYTES = 2_000_000
CLIENTS = 64
# Clients stand for 64 other machines: as such they leave the processors to the service where it wants them. Beside it
# they take from it what they want, more than it does itself.
CLIENTS_NICENESS = {"elsewhere": 10, "beside it": 0}
LONGEST_PAUSE_SECONDS = 5.0  # a client that is told to come back later than that comes back sooner
MEMORY_FLAT_BYTES = 50_000_000
LIVEZ_SECONDS, OVERHEAD_SECONDS = 0.1, 0.06
pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


@functools.cache
def small_picture() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)).save(file, "JPEG")
    return file.getvalue()


def picture(number: int, size_bytes: int = PICTURE_BYTES) -> bytes:
    """A small picture in a large file, each another one: what follows a JPEG's end is ignored by decoders."""
    return small_picture() + Random(number).randbytes(size_bytes)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Part]:
    told = {
        "DEEPSCREEN_DATA_DIR": str(tmp_path / "data"),
        "DEEPSCREEN_DEVICE": "cpu",
        "DEEPSCREEN_REQUESTS_PER_MINUTE": "1000000",
    }
    part = Part("serve", told, tmp_path / "log")
    part.wait_until_ready()
    yield part
    part.kill()


def upload(service: Part, number: int, tally: Counter[int]) -> None:
    """Sends a picture until it is taken, as often as it is told to; counts every answer."""
    content = picture(number)
    while True:
        files = {"file": ("x.jpg", content)}
        answer = httpx.post(service.url + "/v1/screenings", files=files, headers={"Prefer": "wait=0"}, timeout=600)
        tally[answer.status_code] += 1
        if answer.status_code != 429:
            return
        assert int(answer.headers["Retry-After"]) >= 1
        time.sleep(min(float(answer.headers["Retry-After"]), LONGEST_PAUSE_SECONDS))


@contextmanager
def probed(service: Part, milliseconds: list[float]) -> Iterator[None]:
    """Asks for /livez all the while, and adds how long the answers took."""
    url = urlsplit(service.url)
    command = [sys.executable, str(PROBE), str(url.hostname), str(url.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as probe:
        assert probe.stdout
        assert probe.stdin
        assert probe.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            probe.stdin.close()
            told = probe.stdout.read()
    assert probe.returncode == 0
    milliseconds += json.loads(told)


def be_nicer(niceness: int) -> None:
    """To be called by each thread of a client: Linux keeps it by thread."""
    own = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + niceness)


@pytest.mark.parametrize("where", CLIENTS_NICENESS)
def test_many_clients_at_once(where: str, service: Part, scale: Scale, figures: Figures) -> None:
    tally: Counter[int] = Counter()
    livez_milliseconds: list[float] = []
    for number in range(8):  # what is allocated once
        upload(service, 1_000_000 + number, tally)
    before_bytes = resident_bytes(service.pid)
    clients = ThreadPoolExecutor(CLIENTS, initializer=be_nicer, initargs=(CLIENTS_NICENESS[where],))
    with probed(service, livez_milliseconds), clients as pool:
        list(pool.map(lambda number: upload(service, number, tally), range(scale.uploads)))
    growth_bytes = resident_bytes(service.pid) - before_bytes
    p99 = statistics.quantiles(livez_milliseconds, n=100)[98]
    figures.add(
        f"{CLIENTS} clients {where}, {scale.uploads} uploads of 2 MB: answers",
        target="201, 202 and 429 with Retry-After only",
        reached=", ".join(f"{count} x {status}" for status, count in sorted(tally.items())),
    )
    figures.add(
        f"{CLIENTS} clients {where}, {scale.uploads} uploads of 2 MB: /livez, p99",
        target=f"< {1000 * LIVEZ_SECONDS:g} ms",
        reached=f"{p99:.0f} ms",
    )
    figures.add(
        f"{CLIENTS} clients {where}, {scale.uploads} uploads of 2 MB: memory of the service",
        target=f"+- {MEMORY_FLAT_BYTES // 10**6} MB",
        reached=f"{growth_bytes / 1e6:+.0f} MB",
    )
    assert set(tally) <= {201, 202, 429}
    assert tally[201] + tally[202] == scale.uploads + 8
    assert abs(growth_bytes) < MEMORY_FLAT_BYTES
    assert p99 < 10_000 * LIVEZ_SECONDS, "times are for the page of figures; this is an order of magnitude too long"


def test_service_adds_little_to_a_screening(service: Part, scale: Scale, figures: Figures) -> None:
    extra_seconds = []
    with httpx.Client() as client:
        for number in range(max(20, scale.items)):
            files = {"file": ("x.jpg", picture(number, 50_000))}
            start = time.monotonic()
            answer = client.post(service.url + "/v1/screenings", files=files, timeout=600)
            took = time.monotonic() - start
            assert answer.status_code == 201
            extra_seconds.append(took - sum(answer.json()["stage_milliseconds"].values()) / 1000)
    p50_seconds = statistics.median(extra_seconds)
    figures.add(
        "what HTTP, store and audit log add to a screening, p50",
        target=f"<= {1000 * OVERHEAD_SECONDS:g} ms",
        reached=f"{1000 * p50_seconds:.0f} ms",
    )
    assert p50_seconds < 50 * OVERHEAD_SECONDS, (
        "times are for the page of figures; this is an order of magnitude too long"
    )
