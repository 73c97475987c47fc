"""Locating and proving: a changed byte, a missing file and half a file stop with a message that helps."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from weights_fakes import CONTENT, make_store, make_wheel, manifest_text, sha256

from deepscreen.errors import WeightsMismatch, WeightsMissing
from deepscreen.settings import Settings
from deepscreen.weights.convert import write_safetensors
from deepscreen.weights.store import WeightsStore, cache_dir, load_tensors, shipped_dir


@pytest.fixture
def store(tmp_path: Path) -> WeightsStore:
    store = make_store(tmp_path, manifest_text(make_wheel(tmp_path)))
    store.cache_dir.mkdir()
    return store


def test_locate_gives_path_and_digest_when_the_file_is_right(store: WeightsStore) -> None:
    (store.cache_dir / "tiny.bin").write_bytes(CONTENT)
    verified = store.locate("tiny")
    assert (verified.path, verified.sha256) == (store.cache_dir / "tiny.bin", sha256(CONTENT))
    assert verified.read_bytes() == CONTENT


def test_missing_file_error_names_file_hash_and_remedy(store: WeightsStore) -> None:
    with pytest.raises(WeightsMissing) as caught:
        store.locate("tiny")
    for part in (str(store.cache_dir / "tiny.bin"), sha256(CONTENT), "deepscreen weights pull"):
        assert part in str(caught.value)


@pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT[:100] + b"!" + CONTENT[101:], b""])
def test_changed_file_error_names_file_and_both_hashes(store: WeightsStore, damaged: bytes) -> None:
    (store.cache_dir / "tiny.bin").write_bytes(damaged)
    with pytest.raises(WeightsMismatch) as caught:
        store.locate("tiny")
    for part in (str(store.cache_dir / "tiny.bin"), sha256(CONTENT), sha256(damaged), "deepscreen weights pull"):
        assert part in str(caught.value)


def test_change_is_seen_when_the_file_was_proven_before(store: WeightsStore) -> None:
    path = store.cache_dir / "tiny.bin"
    path.write_bytes(CONTENT)
    store.locate("tiny")
    changed = b"T" + CONTENT[1:]
    path.write_bytes(changed)
    os.utime(path, ns=(1, 1))
    with pytest.raises(WeightsMismatch):
        store.locate("tiny")


def test_swap_between_check_and_use_is_seen(store: WeightsStore) -> None:
    path = store.cache_dir / "tiny.bin"
    path.write_bytes(CONTENT)
    verified = store.locate("tiny")
    path.write_bytes(b"T" + CONTENT[1:])
    with pytest.raises(WeightsMismatch, match="changed while it was in use"):
        verified.read_bytes()


def test_load_tensors_gives_what_was_written(tmp_path: Path) -> None:
    tensors = {"b": np.arange(6, dtype=np.float16).reshape(2, 3), "a": np.array([1.5], dtype=np.float32)}
    path = tmp_path / "t.safetensors"
    write_safetensors(path, tensors)
    content = path.read_bytes()
    store = make_store(tmp_path, manifest_text(make_wheel(tmp_path), content))
    store.cache_dir.mkdir()
    (store.cache_dir / "tiny.bin").write_bytes(content)
    loaded = load_tensors(store.locate("tiny"))
    assert {name: tensor.numpy().tolist() for name, tensor in loaded.items()} == {
        name: array.tolist() for name, array in tensors.items()
    }


def test_cache_folder_is_the_setting_when_it_is_set(tmp_path: Path) -> None:
    assert cache_dir(Settings(weights_cache=tmp_path)) == tmp_path


def test_folders_lie_in_the_checkout_when_run_from_one() -> None:
    root = Path(__file__).resolve().parents[2]
    assert shipped_dir() == root / "weights"
