"""An upload whose line breaks again and again, and whose service is killed, ends with the right hash."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from figures import Figures
from processes import PATIENCE_SECONDS, Part

MIB = 1024 * 1024
BREAKS = 5
MOST_MEMORY_BYTES = 300_000_000
TUS = {"Tus-Resumable": "1.0.0"}


def piece(number: int) -> bytes:
    """The number-th MiB of the file."""
    return random.Random(number).randbytes(1024) * 1024


def insist(part: Part, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(httpx.TransportError):
            response = httpx.request(method, part.url + path, headers=headers, timeout=60)
            if response.status_code not in {423, 429, 503}:
                return response
        assert time.monotonic() < deadline
        time.sleep(0.2)


def send_until_it_breaks(part: Part, path: str, offset: int, *, whole_mib: int, most_mib: int) -> int:
    """Sends the rest, and hangs up after *most_mib* in the middle of a piece; the status, 0 where it hung up."""
    url = urlsplit(part.url)
    with socket.create_connection((url.hostname, url.port), timeout=PATIENCE_SECONDS) as line:
        left = whole_mib * MIB - offset
        head = (
            f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n"
            f"Content-Type: application/offset+octet-stream\r\nContent-Length: {left}\r\nConnection: close\r\n\r\n"
        )
        line.sendall(head.encode())
        first = offset // MIB
        for number in range(first, whole_mib):
            content = piece(number)[offset % MIB if number == first else 0 :]
            if number - first >= most_mib:
                line.sendall(content[: len(content) // 3])
                return 0
            line.sendall(content)
        return int(line.recv(100).split()[1])


def most_memory_bytes(part: Part) -> int:
    """What the process had resident at most."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{part.pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_broken_upload_ends_with_the_right_hash(tmp_path: Path, figures: Figures) -> None:
    whole_mib = 5 * 1024 if os.environ.get("DEEPSCREEN_SOAK") == "1" else 48
    environment = {
        "DEEPSCREEN_DATA_DIR": str(tmp_path / "data"),
        "DEEPSCREEN_DEVICE": "cpu",
    }
    parts = [Part(kind, environment, tmp_path / f"log-{kind}") for kind in ("api", "worker")]
    part = parts[0]
    try:
        part.wait_until_ready()
        path = insist(part, "POST", "/v1/uploads", TUS | {"Upload-Length": str(whole_mib * MIB)}).headers["location"]
        status, breaks, most_bytes = 0, 0, 0
        while status == 0:
            if breaks == BREAKS // 2:
                most_bytes = most_memory_bytes(part)
                part.kill()
                part.start()
                part.wait_until_ready()
            offset = int(insist(part, "HEAD", path, TUS).headers["upload-offset"])
            most_mib = whole_mib if breaks == BREAKS else whole_mib // (BREAKS + 1)
            status = send_until_it_breaks(part, path, offset, whole_mib=whole_mib, most_mib=most_mib)
            breaks += status == 0
        assert (status, breaks) == (204, BREAKS)
        found = insist(part, "GET", "/v1/screenings", {}).json()["items"]
        digest = hashlib.sha256()
        for number in range(whole_mib):
            digest.update(piece(number))
        assert [item["media_sha256"] for item in found] == [digest.hexdigest()]
        most_bytes = max(most_bytes, most_memory_bytes(part))
        figures.add(
            f"resumable upload of {whole_mib} MiB, its line broken {BREAKS} times and its service killed once",
            target=f"the right hash; < {MOST_MEMORY_BYTES // 10**6} MB resident",
            reached=f"the right hash; {most_bytes / 1e6:.0f} MB",
        )
        assert most_bytes < MOST_MEMORY_BYTES
    finally:
        for each in parts:
            each.kill()
