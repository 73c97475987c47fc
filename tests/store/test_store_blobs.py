"""Blobs are written once, proven when read, and kept the same way in a folder and in an object store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from deepscreen.errors import BlobDamaged, ConfigError, StorageFull, StoreError, StoreUnavailable
from deepscreen.settings import Settings
from deepscreen.store.blobs import MARKER, BlobStore
from deepscreen.store.store import Store

CONTENT = b"evidence" * 1000


@pytest.fixture(params=["folder", "objects"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    """A folder, and fsspec's own object store in memory: the way that S3 takes."""
    return BlobStore(str(tmp_path / "blobs") if request.param == "folder" else f"memory://{tmp_path.name}")


def file_of(tmp_path: Path, sha256: str) -> Path:
    return tmp_path / "blobs" / sha256[:2] / sha256[2:4] / sha256


def test_content_comes_back_under_its_hash(blobs: BlobStore, tmp_path: Path) -> None:
    sha256 = blobs.put(CONTENT)
    assert sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert blobs.has(sha256)
    assert blobs.read(sha256) == CONTENT
    assert blobs.prove(sha256) == len(CONTENT)
    with blobs.as_file(sha256, tmp_path) as path:
        assert path.read_bytes() == CONTENT


def test_file_is_copied_in(blobs: BlobStore, tmp_path: Path) -> None:
    source = tmp_path / "upload"
    source.write_bytes(CONTENT)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    blobs.put_file(source, sha256)
    blobs.put_file(source, sha256)
    source.unlink()
    assert blobs.read(sha256) == CONTENT


def test_several_are_kept_at_once(blobs: BlobStore) -> None:
    contents = {hashlib.sha256(content).hexdigest(): content for content in (b"record", b"picture", CONTENT)}
    blobs.put(CONTENT)
    blobs.put_all(contents)
    blobs.put_all({})
    assert {sha256: blobs.read(sha256) for sha256 in contents} == contents


def test_missing_and_removed_blobs_are_told(blobs: BlobStore) -> None:
    sha256 = blobs.put(CONTENT)
    blobs.remove(sha256)
    blobs.remove(sha256)
    assert not blobs.has(sha256)
    for look in (blobs.read, blobs.prove):
        with pytest.raises(BlobDamaged, match="is gone"):
            look(sha256)


def test_changed_blob_is_never_given(tmp_path: Path) -> None:
    blobs = BlobStore(str(tmp_path / "blobs"))
    sha256 = blobs.put(CONTENT)
    path = file_of(tmp_path, sha256)
    path.chmod(0o600)
    path.write_bytes(CONTENT + b"!")
    for look in (blobs.read, blobs.prove, lambda s: blobs.as_file(s, tmp_path).__enter__()):
        with pytest.raises(BlobDamaged, match="not what was written"):
            look(sha256)


def test_blob_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    blobs = BlobStore(str(tmp_path / "blobs"))
    sha256 = blobs.put(CONTENT)
    before = file_of(tmp_path, sha256).stat()
    blobs.put(CONTENT)
    after = file_of(tmp_path, sha256).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert before.st_mode & 0o777 == 0o400
    assert (tmp_path / "blobs").stat().st_mode & 0o077 == 0


def test_interrupted_write_leaves_no_blob(tmp_path: Path) -> None:
    blobs = BlobStore(str(tmp_path / "blobs"))
    with pytest.raises(StoreUnavailable):
        blobs.put_file(tmp_path / "gone", "0" * 64)
    assert not blobs.has("0" * 64)
    assert [p.name for p in (tmp_path / "blobs").rglob("*") if p.is_file()] == [MARKER]


def test_folder_whose_disk_is_not_mounted_is_noticed_and_not_filled_anew(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "blobs", tmp_path / "unmounted"
    blobs = BlobStore(str(folder))
    sha256 = blobs.put(CONTENT)
    folder.rename(elsewhere)
    folder.mkdir()
    looks: list[Callable[[], object]] = [
        lambda: blobs.put(b"new"),
        lambda: blobs.read(sha256),
        lambda: blobs.remove(sha256),
        lambda: list(blobs.older_than(0)),
        lambda: BlobStore(str(folder), expected_empty=False),
    ]
    for look in looks:
        with pytest.raises(StoreUnavailable, match="mount its disk"):
            look()
    assert list(folder.iterdir()) == []
    folder.rmdir()
    elsewhere.rename(folder)
    assert blobs.read(sha256) == CONTENT
    (folder / MARKER).unlink()  # as an earlier version left it
    assert BlobStore(str(folder), expected_empty=False).read(sha256) == CONTENT


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_only_hashes_name_blobs(blobs: BlobStore, name: str) -> None:
    with pytest.raises(StoreError, match="no sha256"):
        blobs.has(name)


def test_unknown_kind_of_store_is_refused() -> None:
    with pytest.raises(ConfigError, match="blob_url"):
        BlobStore("nonsense://bucket")


def test_space_is_guarded(tmp_path: Path) -> None:
    store = Store.open(Settings(min_free_bytes=2**60), tmp_path)
    with pytest.raises(StorageFull, match="make room"):
        store.check_space(1)
    store.close()
