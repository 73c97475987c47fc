"""Asks a peer that runs in a process and a Python of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from deepscreen.errors import DetectorError
from deepscreen.evaluation.peers import child
from deepscreen.evaluation.peers.environment import last_lines

SCRIPT = Path(child.__file__)
MAX_ANSWER_CHARS = 16 * 2**20
# One thread: the same bytes give the same score on each run, and others may compute beside it.
SETTINGS = {"ORT_INTRA_THREADS": "1", "OMP_NUM_THREADS": "1"}


def ask(python: Path, job: str, version: str, paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """The answer to each path in turn. Raises DetectorError for another version, or where the process ends early."""
    with (
        TemporaryDirectory(prefix="deepscreen-peer-") as folder,
        (Path(folder) / "log").open("w+") as log,
        _running(python, job, Path(folder), log) as (questions, answers),
    ):
        found = _next(answers, job, log).get("version")
        if found != version:
            raise DetectorError(f"{job}: {python} has version {found}; want {version}")
        for path in paths:
            _put(questions, path)
            yield _next(answers, job, log)


@contextmanager
def _running(python: Path, job: str, folder: Path, log: IO[str]) -> Iterator[tuple[IO[str], IO[str]]]:
    """The process with its stdin and stdout. It works in *folder*, where no settings file of anybody lies."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | SETTINGS
    try:
        process = subprocess.Popen(
            [str(python.absolute()), "-I", str(SCRIPT), job],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=environment,
            encoding="utf-8",
        )
    except OSError as error:
        raise DetectorError(f"{job}: {python} does not run ({error.strerror}); want a Python that has {job}") from error
    with process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            yield process.stdin, process.stdout
        finally:
            process.kill()


def _put(questions: IO[str], path: Path) -> None:
    try:
        questions.write(json.dumps(str(path.absolute())) + "\n")
        questions.flush()
    except BrokenPipeError:
        return  # it is gone: reading its answer says so


def _next(answers: IO[str], job: str, log: IO[str]) -> dict[str, Any]:
    line = answers.readline(MAX_ANSWER_CHARS)
    if not line.endswith("\n"):
        log.seek(0)
        raise DetectorError(f"{job}: its process ended early: {last_lines(log.read()) or 'it said nothing'}")
    answer: dict[str, Any] = json.loads(line)
    return answer
