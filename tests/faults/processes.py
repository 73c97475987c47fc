"""Parts of the service as processes of their own, to be killed and started again while a client sends files."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

RUN_SERVICE = Path(__file__).resolve().parents[1] / "service" / "run_service.py"
PATIENCE_SECONDS = 1200.0  # a process of this kind takes minutes to start on a machine that is busy with other things


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is sent, and how often something is killed."""

    items: int
    kills: int
    mutations: int
    uploads: int


class Part:
    """One process: ``serve``, ``api`` or ``worker``, on fake networks; ``real-serve`` or ``real-worker``."""

    def __init__(self, part: str, environment: dict[str, str], log: Path) -> None:
        self._part, self._log = part, log
        self._environment = {**os.environ, **environment}
        self.url = ""
        self.starts = 0
        self.start()

    def start(self) -> None:
        """Starts it; an API is up when this returns, though perhaps not ready."""
        self.starts += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(RUN_SERVICE), self._part],
                env=self._environment, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        if not self._part.endswith("worker"):
            assert self._process.stdout
            self.url = self._process.stdout.readline().strip()
            assert self.url.startswith("http"), self._log.read_text()[-3000:]

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._process.pid

    def kill(self) -> None:
        """As the out-of-memory killer would."""
        self._process.kill()
        self._process.wait(30)
        if self._process.stdout:
            self._process.stdout.close()

    def pause(self, *, goes_on: bool = False) -> None:
        """Stops it where it is, or lets it go on."""
        self._process.send_signal(signal.SIGCONT if goes_on else signal.SIGSTOP)

    def wait_until_ready(self) -> None:
        """Returns when an API takes files; at once for a worker."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._part.endswith("worker"):
            try:
                if httpx.get(self.url + "/readyz", timeout=20).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, self._log.read_text()[-3000:]
            time.sleep(0.1)


class Client:
    """Sends files until each was taken, whatever happens to the service meanwhile."""

    def __init__(self, api: Part) -> None:
        self._api = api
        self._http = httpx.Client(timeout=20)

    def send(self, name: str, content: bytes) -> str:
        """The id of the screening; the idempotency key makes a second try the same one."""
        headers = {"Idempotency-Key": name, "Prefer": "respond-async"}
        response = self._insist("POST", "/v1/screenings", files={"file": (name, content)}, headers=headers)
        assert "id" in response.json() or "location" in response.headers, response.text
        found: str = response.json()["id"] if "id" in response.json() else response.headers["location"].split("/")[-1]
        return found

    def get(self, path: str) -> httpx.Response:
        """An answer, whenever it comes."""
        return self._insist("GET", path)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _insist(self, method: str, path: str, **options: object) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                response = self._http.request(method, self._api.url + path, **options)  # type: ignore[arg-type]
                if response.status_code not in {429, 503, 507}:
                    return response
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, f"{method} {path} never came through"
            time.sleep(0.1)


def kill_at_random(parts: list[Part], *, kills: int, seed: int, longest_wait_seconds: float) -> None:
    """Kills and restarts one part or all of them, *kills* times: mostly at work, now and then while they start."""
    dice = random.Random(seed)
    for _ in range(kills):
        if dice.random() < 0.8:
            parts[0].wait_until_ready()
        time.sleep(dice.uniform(0.05, longest_wait_seconds))
        victims = [dice.choice(parts)] if dice.random() < 0.7 else parts
        for victim in victims:
            victim.kill()
        for victim in victims:
            victim.start()


def descendants(pid: int) -> list[int]:
    """The processes that *pid* started, and that these started, as they are now."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, left = [], [pid]
    while left:
        some = children.get(left.pop(), [])
        found += some
        left += some
    return found


def resident_bytes(pid: int) -> int:
    """Memory that is the process's own: what it shares with others is not counted; 0 where it is gone."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
    return 0
