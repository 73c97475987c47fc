"""A scan is killed with -9 at random moments: its results are those of an undisturbed one, its inputs untouched.

And what it costs beside the networks: memory, and time beside ``sha256sum``.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from figures import Figures
from items import media

RUN_SCAN = Path(__file__).with_name("run_scan.py")
IS_LONG = os.environ.get("DEEPSCREEN_SOAK") == "1"
FILES, KILLS = (500, 20) if IS_LONG else (24, 3)
MANY = 100_000 if IS_LONG else 1_500
CONTENTS, CONTENT_BYTES = 20, 512 * 1024
MOST_BYTES = 3 * 1024**3


def start(source: Path, out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, str(RUN_SCAN), str(source), str(out)], stdout=subprocess.PIPE, text=True)


def run(source: Path, out: Path) -> int:
    """A scan that nobody disturbs; its largest resident memory in bytes."""
    with start(source, out) as process:
        assert process.stdout is not None
        *_, last = process.stdout
    assert last.startswith("ended "), last
    return int(last.split()[1])


def states(folder: Path) -> dict[str, tuple[int, int, str]]:
    """What must not change of each file: time of change, mode, content."""
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def results(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.name.startswith("scan.")
    }


def case(folder: Path) -> Path:
    """Pictures, sounds, animations, texts, copies of them, and archives of the like."""
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number:03}").write_bytes(media(number - number % 10 if number % 7 == 0 else number))
    for number in range(2):
        with zipfile.ZipFile(folder / f"{number}.zip", "w") as archive:
            for member in range(6):
                archive.writestr(f"in/{member}", media(1000 + 10 * number + member))
    return folder


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_scan_is_killed(tmp_path: Path, figures: Figures) -> None:
    source, dice = case(tmp_path / "in"), random.Random(11)
    before = states(source)
    for kill in range(KILLS):
        with start(source, tmp_path / "killed") as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("begun ")
            for _ in range(dice.randrange(1 + 2 * FILES // KILLS)):
                if not process.stdout.readline():
                    break
            time.sleep(dice.uniform(0, 0.2))
            process.kill()
        assert process.returncode == -9 or kill > 0
    run(source, tmp_path / "killed")
    run(source, tmp_path / "whole")
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    assert states(source) == before
    figures.add(
        f"kill -9 of a scan at {KILLS} moments over {FILES} files and two archives",
        target="every list and picture as undisturbed; no input changed",
        reached="so it is",
    )


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_files_cost_little_beside_their_hashing(tmp_path: Path, figures: Figures) -> None:
    """Files of a few contents, by hard links: each is hashed, and found to be there already."""
    source = tmp_path / "in"
    source.mkdir()
    for number in range(CONTENTS):
        (source / f"first {number}").write_bytes(random.Random(number).randbytes(CONTENT_BYTES))
    for number in range(MANY - CONTENTS):
        folder = source / str(number % 100)
        folder.mkdir(exist_ok=True)
        (folder / str(number)).hardlink_to(source / f"first {number % CONTENTS}")
    began = time.perf_counter()
    subprocess.run(["find", source, "-type", "f", "-exec", "sha256sum", "{}", "+"], check=True, capture_output=True)
    plain_seconds = time.perf_counter() - began
    with start(source, tmp_path / "out") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("begun ")
        began, lines = time.perf_counter(), 0
        for line in process.stdout:
            lines += not line.startswith("ended")
            if lines == MANY:
                seconds = time.perf_counter() - began
        most_bytes = int(line.split()[1])
    assert lines == MANY
    assert most_bytes < MOST_BYTES
    figures.add(
        f"{MANY:,} listed files of {CONTENT_BYTES // 1024} KiB hashed and found to be copies, beside sha256sum",
        target=">= 0.7 of its rate; < 3 GB",
        reached=f"{plain_seconds / seconds:.2f} of its rate; {most_bytes / 1e9:.2f} GB",
    )
