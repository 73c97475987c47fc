"""Real databases for tests: SQLite files, and a Postgres server that lives as long as the test session."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

UNPRIVILEGED = "nobody"  # Postgres refuses to run as root
START_SECONDS = 30.0


def _binary(name: str) -> str:
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    assert found, f"{name} is missing: `make dev` installs postgresql"
    return found


class PostgresServer:
    """A server on a free port of 127.0.0.1, its data in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        if self._user:
            entry = pwd.getpwnam(self._user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        self._run(_binary("initdb"), "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = (
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-k",
            str(self._folder),
            "-c",
            "max_connections=200",
            "-c",
            "fsync=off",
        )
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_binary("postgres"), "-D", str(self._data), *options],
                user=self._user, cwd=self._folder, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self._dsn("postgres")).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self._folder / "log").read_text()[-2000:]
                time.sleep(0.05)

    def stop(self) -> None:
        """Ends the server and all connections to it."""
        self._process.send_signal(signal.SIGINT)  # "fast" shutdown
        self._process.wait(60)

    def create_database(self, name: str) -> str:
        """A new, empty database; gives its URL."""
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self._dsn(name)

    def _dsn(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def _run(self, *command: str) -> None:
        subprocess.run(command, user=self._user, cwd=self._folder, check=True, capture_output=True, timeout=120)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A running server, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="deepscreen-postgres-") as folder:
        Path(folder).chmod(0o755)
        server = PostgresServer(Path(folder))
        try:
            yield server
        finally:
            server.stop()
