"""How long starting takes: the import, the command line's help, and the service until it says that it is ready."""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from deepscreen.errors import ConfigError

READY_WITHIN_SECONDS = 120.0
STOP_WITHIN_SECONDS = 20.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Address:
    """Where the service under test listens."""

    host: str
    port: int


def import_seconds() -> float:
    """A fresh interpreter that imports deepscreen and ends; the interpreter's own start is counted."""
    return _program_seconds(["-c", "import deepscreen"])


def help_seconds() -> float:
    """``deepscreen --help`` from start to exit."""
    return _program_seconds(["-m", "deepscreen", "--help"])


def service_ready_seconds(precision: str) -> float:
    """From the start of ``deepscreen serve`` until ``/readyz`` says 200; the service is ended again.

    Raises ConfigError where it ends by itself or is not ready within two minutes.
    """
    command = [sys.executable, "-m", "deepscreen", "serve", "--port", "0", "--device", "cpu", "--precision", precision]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as service:
        try:
            address = _announced(service, start + READY_WITHIN_SECONDS)
            while not is_ready(address):
                if service.poll() is not None or time.perf_counter() - start > READY_WITHIN_SECONDS:
                    raise ConfigError(_why_not(service))
                time.sleep(POLL_SECONDS)
            return time.perf_counter() - start
        finally:
            _end(service)


def is_ready(address: Address) -> bool:
    """Whether ``GET /readyz`` is answered with 200. By hand: the package brings no HTTP client."""
    request = f"GET /readyz HTTP/1.1\r\nHost: {address.host}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((address.host, address.port), timeout=5) as connection:
            connection.sendall(request.encode())
            return connection.makefile("rb").readline().split()[1:2] == [b"200"]
    except OSError:
        return False


def _program_seconds(arguments: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _announced(service: subprocess.Popen[bytes], deadline: float) -> Address:
    """The address that the service writes to its standard output as a URL."""
    if service.stdout is None:
        raise ConfigError("the service has no standard output to announce its address on")
    with selectors.DefaultSelector() as selector:
        selector.register(service.stdout, selectors.EVENT_READ)
        is_heard = selector.select(max(0.0, deadline - time.perf_counter()))
    words = service.stdout.readline().decode().split() if is_heard else []
    urls = [urlsplit(word) for word in words if word.startswith("http://")]
    if not urls or urls[0].hostname is None or urls[0].port is None:
        raise ConfigError(_why_not(service))
    return Address(urls[0].hostname, urls[0].port)


def _why_not(service: subprocess.Popen[bytes]) -> str:
    ended = service.poll()
    how = f"ended with exit code {ended}" if ended is not None else f"was not ready within {READY_WITHIN_SECONDS:.0f} s"
    return f"the service {how}; run `deepscreen serve` to see why"


def _end(service: subprocess.Popen[bytes]) -> None:
    service.terminate()
    try:
        service.wait(STOP_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        service.kill()
