"""``deepscreen weights`` with the installed manifest and an empty cache: exit codes and messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deepscreen.cli_errors import EXIT_CONFIG, EXIT_WEIGHTS
from deepscreen.cli_weights import app


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPSCREEN_WEIGHTS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_verify_fails_and_names_every_missing_file(cache: Path) -> None:
    result = CliRunner().invoke(app, ["verify"])
    assert result.exit_code == EXIT_WEIGHTS
    for name in ("clip-vit-b16-vision.safetensors", "whisper-base-encoder.safetensors", "yunet-2023mar.onnx"):
        assert str(cache / name) in result.stderr


def test_verify_fails_when_a_download_is_half_there(cache: Path) -> None:
    cache.mkdir()
    (cache / "yunet-2023mar.onnx").write_bytes(b"half")
    result = CliRunner().invoke(app, ["verify"])
    assert result.exit_code == EXIT_WEIGHTS
    assert "4 bytes instead of 232589" in result.stderr


def test_list_shows_rows_and_their_state(cache: Path) -> None:
    result = CliRunner().invoke(app, ["list"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "clip-vit-b16" in result.stdout
    assert "missing" in result.stdout
    assert str(cache) in result.stdout


def test_pull_fails_when_the_mirror_is_empty(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    result = CliRunner().invoke(app, ["pull", "--mirror", str(tmp_path / "mirror")])
    assert result.exit_code == EXIT_WEIGHTS
    assert "not in the mirror folder" in result.stderr


def test_import_fails_when_the_bundle_is_absent(cache: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["import", str(tmp_path / "none.tar")])
    assert result.exit_code == EXIT_WEIGHTS
    assert "none.tar" in result.stderr


def test_wrong_setting_has_its_own_exit_code(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSCREEN_NO_SUCH_THING", "1")
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == EXIT_CONFIG
