"""Encryption at rest: nothing legible on the disk, nothing that was changed is read, large files in little memory."""

from __future__ import annotations

import io
import secrets
import tracemalloc
from pathlib import Path

import pytest

from deepscreen.errors import BlobDamaged, ConfigError, StoreError
from deepscreen.settings import Settings
from deepscreen.store.blobs import MARKER, BlobStore, sha256_of
from deepscreen.store.sealing import PIECE_BYTES, TAG_BYTES, Sealer
from deepscreen.store.store import Store

KEY = secrets.token_bytes(32)
HEADER_BYTES = 24
SIZES = [0, 1, 1000, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 2 * PIECE_BYTES + 7]


def sealed(content: bytes, name: str = "n") -> bytes:
    target = io.BytesIO()
    Sealer(KEY).seal(io.BytesIO(content), target, name)
    return target.getvalue()


def opened(content: bytes, name: str = "n", key: bytes = KEY) -> bytes:
    return Sealer(key).open(io.BytesIO(content), name).read()


@pytest.mark.parametrize("size", SIZES)
def test_content_comes_back(size: int) -> None:
    content = secrets.token_bytes(size)
    found = sealed(content)
    assert opened(found) == content
    assert content[:32] not in found or size == 1 or size == 0
    assert sealed(content) != found, "no two files are sealed alike"


def test_whatever_is_changed_is_noticed() -> None:
    content = secrets.token_bytes(2 * PIECE_BYTES + 7)
    whole, piece = sealed(content), PIECE_BYTES + TAG_BYTES
    first, second = whole[HEADER_BYTES : HEADER_BYTES + piece], whole[HEADER_BYTES + piece : HEADER_BYTES + 2 * piece]
    head, tail = whole[:HEADER_BYTES], whole[HEADER_BYTES + 2 * piece :]
    changed = {
        "magic": b"x" + whole[1:],
        "salt": whole[:10] + bytes([whole[10] ^ 1]) + whole[11:],
        "piece": whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
        "order": head + second + first + tail,
        "last piece gone": head + first + second,
        "first piece gone": head + second + tail,
        "cut": whole[:-1],
        "longer": whole + b"x",
        "empty": b"",
    }
    for what, content in changed.items():
        with pytest.raises(BlobDamaged):
            opened(content)
        assert what
    with pytest.raises(BlobDamaged, match="another key"):
        opened(whole, key=secrets.token_bytes(32))
    with pytest.raises(BlobDamaged):
        opened(whole, name="another blob")


def test_large_files_take_little_memory(tmp_path: Path) -> None:
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(64 * PIECE_BYTES)
    tracemalloc.start()
    with source.open("rb") as content, (tmp_path / "sealed").open("wb") as target:
        Sealer(KEY).seal(content, target, "n")
    with (tmp_path / "sealed").open("rb") as file:
        opened_file = Sealer(KEY).open(file, "n")
        while opened_file.read(PIECE_BYTES):
            pass
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 10 * PIECE_BYTES


def test_short_text_is_sealed_for_one_name_alone() -> None:
    kept = Sealer(KEY).seal_text("whsec_abc", "webhook:1")
    assert "whsec" not in kept
    assert Sealer(KEY).open_text(kept, "webhook:1") == "whsec_abc"
    for sealer, name, text in ((Sealer(KEY), "webhook:2", kept), (Sealer(bytes(32)), "webhook:1", kept)):
        with pytest.raises(BlobDamaged):
            sealer.open_text(text, name)
    with pytest.raises(BlobDamaged, match="not sealed as it should be"):
        Sealer(KEY).open_text("whsec_abc", "webhook:1")


def test_store_seals_what_is_new_and_reads_what_is_old(tmp_path: Path) -> None:
    url = str(tmp_path / "blobs")
    old = BlobStore(url).put(b"from before")
    blobs = BlobStore(url, Sealer(KEY))
    upload = tmp_path / "upload"
    upload.write_bytes(b"suspect picture")
    new = sha256_of(b"suspect picture")
    blobs.put_file(upload, new)
    blobs.put(b"suspect picture")
    assert [blobs.read(old), blobs.read(new)] == [b"from before", b"suspect picture"]
    assert blobs.prove(new) == 15
    with blobs.as_file(new, tmp_path) as path:
        assert path.read_bytes() == b"suspect picture"
    assert not path.exists()
    on_disk = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file() and path.name != MARKER]
    assert len(on_disk) == 2
    assert not any(b"suspect" in path.read_bytes() for path in on_disk)
    assert set(blobs.older_than(-10)) == {old, new}
    with pytest.raises(StoreError, match="no blob_key_file"):
        BlobStore(url).read(new)
    blobs.remove(new)
    assert not blobs.has(new)


def test_key_file_is_private_whole_and_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "key"
    for content, mode, words in (
        (b"no key", 0o400, "64 hex"),
        (KEY.hex().encode(), 0o644, "chmod"),
        (b"\xff", 0o400, "cannot be read"),
    ):
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        with pytest.raises(ConfigError, match=words) as caught:
            Sealer.from_file(path)
        assert KEY.hex() not in str(caught.value)
    with pytest.raises(ConfigError, match="openssl rand"):
        Sealer.from_file(tmp_path / "none")
    path.unlink()
    path.write_text(KEY.hex() + "\n")
    path.chmod(0o400)
    caplog.set_level("DEBUG")
    store = Store.open(Settings(blob_key_file=path), tmp_path / "data")
    assert store.blobs.read(store.blobs.put(b"x")) == b"x"
    store.close()
    assert KEY.hex() not in caplog.text + repr(store) + repr(store.blobs.__dict__)
