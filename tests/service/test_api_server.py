"""The service as a process of its own: real sockets, real signals, real memory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from serving import build_fake_desk

from deepscreen.api.server import check_bind, serve
from deepscreen.errors import ConfigError, WeightsMissing
from deepscreen.settings import Settings

START_WITHIN_SECONDS = 60.0
MIB = 1024 * 1024
BIG_UPLOAD_BYTES = 300 * MIB
MAX_UPLOAD_BYTES = 301 * MIB
MAX_MEMORY_GROWTH_BYTES = 60 * MIB
FORM = "multipart/form-data; boundary=b"
FILE_HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
FILE_TAIL = b"\r\n--b--\r\n"


@dataclass(frozen=True)
class Running:
    """A service process, the client to ask it, and the folder that it keeps its data in."""

    process: subprocess.Popen[str]
    client: httpx.Client
    data_dir: Path

    def memory_bytes(self, field: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found
        return int(found[1]) * 1024

    def places(self) -> tuple[int, int]:
        places = self.client.get("/info").json()["places"]
        return places["running"], places["waiting"]

    def open_upload(self) -> socket.socket:
        """A connection that has sent the head of an upload, and not its end."""
        url = urlsplit(str(self.client.base_url))
        connection = socket.create_connection((url.hostname, url.port), timeout=10)
        head = (
            f"POST /v1/screenings HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\nContent-Length: 5000\r\n\r\n"
        )
        connection.sendall(head.encode() + FILE_HEAD)
        return connection


def until(condition, within_seconds: float = 10.0) -> None:
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextlib.contextmanager
def start(data_dir: Path, **variables: str) -> Iterator[Running]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DEEPSCREEN_")}
    given = {"DEEPSCREEN_DATA_DIR": str(data_dir), "DEEPSCREEN_DEVICE": "cpu", **variables}
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("run_service.py"))],
        env=environment | given,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert select.select([process.stdout], [], [], START_WITHIN_SECONDS)[0], "the service said nothing"
        with httpx.Client(base_url=process.stdout.readline().strip(), timeout=60) as client:
            until(lambda: client.get("/readyz").status_code == 200, START_WITHIN_SECONDS)
            yield Running(process, client, data_dir)
    finally:
        process.terminate()
        assert process.wait(30) is not None
        assert process.stdout
        process.stdout.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    variables = {
        "DEEPSCREEN_MAX_CONCURRENT": "1",
        "DEEPSCREEN_MAX_WAITING": "2",
        "DEEPSCREEN_LIMITS__MAX_BYTES": str(MAX_UPLOAD_BYTES),
    }
    with start(tmp_path_factory.mktemp("service") / "data", **variables) as running:
        yield running


def test_real_port_is_announced(running: Running) -> None:
    assert running.client.base_url.port not in {None, 0}
    assert running.client.get("/livez").json() == {"status": "alive"}


def test_answers_do_not_wait_for_receipts(running: Running) -> None:
    """On a connection that is kept, the second piece of an answer waited 40 ms for the receipt of the first."""
    took_seconds = []
    for _ in range(20):
        start = time.monotonic()
        running.client.get("/livez")
        took_seconds.append(time.monotonic() - start)
    assert min(took_seconds[1:]) < 0.03


def test_screening_works_over_a_real_socket(running: Running, png: bytes) -> None:
    response = running.client.post("/v1/screenings", files={"file": ("a.png", png)})
    assert response.status_code == 201
    assert running.client.get(response.json()["evidence"][0]["href"]).status_code == 200


def test_overload_is_refused_at_once_and_places_of_leavers_are_free_again(running: Running, png: bytes) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(running.open_upload())
        until(lambda: running.places() == (0, 3))

        response = running.client.post("/v1/screenings", files={"file": ("a.png", png + bytes(8 * MIB))})

        assert response.status_code == 429
        assert response.json()["type"] == "urn:deepscreen:problem:overloaded"
        assert int(response.headers["retry-after"]) >= 1
        start_seconds = time.monotonic()
        assert running.client.get("/livez").status_code == 200
        assert time.monotonic() - start_seconds < 1
    until(lambda: running.places() == (0, 0))
    until(lambda: not list((running.data_dir / "uploads").iterdir()))
    assert running.client.post("/v1/screenings", files={"file": ("a.png", png)}).status_code == 201


def test_overload_is_told_before_the_body_is_asked_for(running: Running) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(running.open_upload())
        until(lambda: running.places() == (0, 3))
        url = urlsplit(str(running.client.base_url))
        late = stack.enter_context(socket.create_connection((url.hostname, url.port), timeout=10))
        late.sendall(
            f"POST /v1/screenings HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
            "Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert late.recv(100).startswith(b"HTTP/1.1 429 ")
    until(lambda: running.places() == (0, 0))


def test_client_that_leaves_in_the_middle_of_its_upload_leaves_nothing(running: Running) -> None:
    before = running.client.get("/v1/screenings").json()
    with running.open_upload() as connection:
        connection.sendall(b"x" * 1000)
        until(lambda: running.places() == (0, 1))
        until(lambda: len(list((running.data_dir / "uploads").iterdir())) == 1)
    until(lambda: running.places() == (0, 0))
    until(lambda: not list((running.data_dir / "uploads").iterdir()))
    assert running.client.get("/v1/screenings").json() == before


def test_memory_stays_flat_during_a_large_upload(running: Running) -> None:
    def body() -> Iterator[bytes]:
        yield FILE_HEAD
        for _ in range(BIG_UPLOAD_BYTES // MIB):
            yield bytes(MIB)
        yield FILE_TAIL

    Path(f"/proc/{running.process.pid}/clear_refs").write_text("5")  # the peak starts anew
    before_bytes = running.memory_bytes("VmHWM")

    response = running.client.post("/v1/screenings", content=body(), headers={"Content-Type": FORM})

    assert response.status_code == 415, response.text
    assert running.memory_bytes("VmHWM") - before_bytes < MAX_MEMORY_GROWTH_BYTES


def test_excess_is_refused_while_it_arrives(running: Running) -> None:
    url = urlsplit(str(running.client.base_url))
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        head = f"POST /v1/screenings HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
        connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        for piece in (FILE_HEAD, *[bytes(MIB)] * (MAX_UPLOAD_BYTES // MIB + 1)):
            connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        # The body has no end yet, and is answered all the same.
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    until(lambda: running.places() == (0, 0))
    assert not list((running.data_dir / "uploads").iterdir())


def test_service_ends_gracefully_on_a_signal(running: Running) -> None:
    running.process.send_signal(signal.SIGTERM)  # the last test that needs it
    assert running.process.wait(30) == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback_may_be_bound(host: str) -> None:
    check_bind(host, has_keys=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "10.0.0.1", "2001:db8::1", "example.org", ""])
def test_anything_but_loopback_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1"):
        check_bind(host, has_keys=False)


def test_network_may_be_served_once_there_is_a_key() -> None:
    check_bind("0.0.0.0", has_keys=True)


def test_network_needs_an_explicit_word_and_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    check_bind("0.0.0.0", has_keys=False, allow_unauthenticated_network=True)
    assert "WITHOUT AUTHENTICATION" in caplog.text


def test_serve_refuses_a_network_address() -> None:
    with pytest.raises(ConfigError, match="other machines"):
        serve(Settings(host="0.0.0.0", port=0), desk_factory=build_fake_desk)


def test_serve_says_that_its_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
            serve(Settings(port=port), desk_factory=build_fake_desk)


def test_serve_ends_with_the_reason_when_detectors_cannot_be_loaded(tmp_path: Path) -> None:
    def build(settings: Settings) -> object:
        raise WeightsMissing("clip.safetensors is not there; run `deepscreen weights pull`")

    with pytest.raises(WeightsMissing, match="weights pull"):
        serve(Settings(port=0, data_dir=tmp_path / "data"), desk_factory=build)  # type: ignore[arg-type]


def test_data_dir_of_another_service_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another service"):
            serve(Settings(port=0, data_dir=tmp_path), desk_factory=build_fake_desk)
