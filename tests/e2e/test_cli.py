"""The command line in processes of its own: what it prints, writes, and exits with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepscreen.record import Screening
from deepscreen.report.as_json import envelope_line
from deepscreen.screening import ScreeningDesk, screen
from deepscreen.settings import load_settings
from media_factory import picture, save_picture

ROOT = Path(__file__).parents[2]
PORTRAIT = ROOT / "sample_media/bona_fide/portrait_hopper.jpg"
SILENCE = ROOT / "sample_media/edge_cases/silence.wav"
EXIT_FAILED_FILES, EXIT_CONFIG, EXIT_WEIGHTS = 1, 2, 3
# Targets on a quiet machine; a machine that runs other tests beside this one may take three times as long.
IMPORT_SECONDS, HELP_SECONDS, BUSY = 0.5, 1.0, 3
COMMANDS = ("screen", "scan", "serve", "info", "detectors", "weights", "fit", "calibrate", "evaluate")


def run(*arguments: str | Path | bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """``python -m deepscreen`` with a wide, plain terminal."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DEEPSCREEN_")}
    return subprocess.run(
        [sys.executable, "-m", "deepscreen", *arguments],
        capture_output=True,
        env={**clean, "COLUMNS": "200", "NO_COLOR": "1", **environment},
        timeout=280,
        check=False,
    )


def best_seconds(command: list[str], rounds: int = 5) -> float:
    """The quickest of some runs: what the program costs, not what its neighbours do."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True, timeout=60)
        times.append(time.perf_counter() - start)
    return min(times)


def test_help_names_every_command_and_the_exit_codes() -> None:
    done = run("--help")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in text] == []
    assert "Exit codes: 0 all files screened, 1 at least one could not be, 2 wrong option" in " ".join(text.split())


def test_help_is_quick() -> None:
    assert best_seconds(["-m", "deepscreen", "--help"]) < HELP_SECONDS * BUSY


def test_import_is_quick() -> None:
    assert best_seconds(["-c", "import deepscreen"]) < IMPORT_SECONDS * BUSY


@pytest.mark.parametrize("arguments", [["scren"], ["screen"], ["screen", "--jsn", "a.jpg"], ["scan", "/"]])
def test_wrong_command_or_option_exits_with_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == EXIT_CONFIG
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["info"], {"DEEPSCREEN_DEVISE": "cpu"}, "unknown setting DEEPSCREEN_DEVISE"),
        (["info"], {"DEEPSCREEN_PORT": "x"}, "wrong settings: port"),
        (["screen", "a.jpg", "--precision", "fp8"], {}, "wrong settings: precision"),
        (["scan", "/nowhere/at/all", "--out", "/tmp/never"], {}, "not a folder"),
    ],
)
def test_wrong_setting_exits_with_2_and_names_it(
    arguments: list[str], environment: dict[str, str], message: str
) -> None:
    done = run(*arguments, **environment)
    assert (done.returncode, done.stdout) == (EXIT_CONFIG, b"")
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_missing_weights_exit_with_3_and_say_what_to_do(tmp_path: Path) -> None:
    done = run("screen", PORTRAIT, DEEPSCREEN_WEIGHTS_CACHE=str(tmp_path))
    assert (done.returncode, done.stdout) == (EXIT_WEIGHTS, b"")
    assert "deepscreen weights pull" in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_info_shows_every_setting_and_its_value() -> None:
    done = run("info", DEEPSCREEN_LIMITS__MAX_FRAMES="17")
    assert done.returncode == 0
    assert any("DEEPSCREEN_LIMITS__MAX_FRAMES" in line and "17" in line for line in done.stdout.decode().splitlines())


def test_detectors_shows_every_detector() -> None:
    done = run("detectors")
    assert done.returncode == 0
    assert all(name in done.stdout.decode() for name in ("image_clip", "face_clip", "video_clip", "audio_whisper"))


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real portrait, silence, text, and a drawn picture, which is no photograph, whose name is not UTF-8."""
    folder = tmp_path_factory.mktemp("case")
    (folder / "below").mkdir()
    (folder / "below" / "portrait.jpg").write_bytes(PORTRAIT.read_bytes())
    (folder / "silence.wav").write_bytes(SILENCE.read_bytes())
    (folder / "letter.jpg").write_text("Dear Sir or Madam")
    save_picture(folder / "x.png", "PNG", picture(200, 150)).rename(os.fsdecode(os.fsencode(folder) + b"/\xff\n.png"))
    return folder


@pytest.mark.weights
def test_screen_json_is_the_librarys_record(case: Path) -> None:
    done = run("screen", "--json", PORTRAIT, case / "letter.jpg")
    assert done.returncode == EXIT_FAILED_FILES, done.stderr.decode()
    first, second = done.stdout.splitlines(keepends=True)
    desk = ScreeningDesk.build(load_settings())
    try:
        record = screen(PORTRAIT, desk=desk)
    finally:
        desk.close()
    assert first == envelope_line(os.fsencode(PORTRAIT), screening=record)
    assert json.loads(second)["error"]["type"] == "UnsupportedMedia"


@pytest.mark.weights
def test_screen_prints_a_table_and_writes_evidence(tmp_path: Path) -> None:
    done = run("screen", PORTRAIT, "--evidence", tmp_path / "evidence")
    table = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    assert "portrait_hopper.jpg" in table
    assert all(title in table for title in ("modality", "log10 LR", "verdict", "seconds"))
    assert list((tmp_path / "evidence").rglob("*.png"))


@pytest.mark.weights
def test_scan_accounts_for_every_file(case: Path, tmp_path: Path) -> None:
    done = run("scan", case, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr.decode()
    counts = "4 files: 1 screened, 3 not screened (1 no media, 2 nothing in them could be scored), 0 failed."
    assert counts in " ".join(done.stdout.decode().split())
    envelopes = [json.loads(line) for line in (tmp_path / "out/records.jsonl").read_bytes().splitlines()]
    assert [e["path"] for e in envelopes] == ["below/portrait.jpg", "letter.jpg", "silence.wav", "\ufffd\n.png"]
    assert [("screening" in e) for e in envelopes] == [True, False, True, True]
    records = [Screening.model_validate(e["screening"]) for e in envelopes if "screening" in e]
    assert records[1].overall.verdict == "not_screened"
    names = {path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith("scan.")}
    assert names == {"records.jsonl", "records.csv", "summary.json", "index.html", "triage", "evidence"}


@pytest.mark.weights
def test_scan_with_a_file_that_failed_exits_with_1(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(PORTRAIT.read_bytes()[:500])
    assert run("scan", tmp_path / "in", "--out", tmp_path / "out").returncode == EXIT_FAILED_FILES


@pytest.mark.weights
def test_results_within_the_scanned_folder_exit_with_2(case: Path) -> None:
    done = run("scan", case, "--out", case / "out")
    assert done.returncode == EXIT_CONFIG
    assert not (case / "out").exists()
