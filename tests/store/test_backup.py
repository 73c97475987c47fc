"""A backup is whole, and comes back into any kind of store; what was changed in it is found."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from databases import PostgresServer
from deepscreen.cli import app
from deepscreen.errors import BlobDamaged, ConfigError
from deepscreen.settings import Settings
from deepscreen.store import audit
from deepscreen.store.backup import back_up, restore
from deepscreen.store.blobs import MARKER
from deepscreen.store.cases import Cases
from deepscreen.store.computations import Queue
from deepscreen.store.keys import Caller, KeyRing, Role, create_key
from deepscreen.store.screenings import Filters, Request, Screenings
from deepscreen.store.store import Store
from deepscreen.store.tables import metadata
from deepscreen.store.verify import verify

ADA = Caller("ada", Role.ADMIN)
CONTENT = b"suspect"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def fill(store: Store, folder: Path) -> str:
    """Something of everything; gives the token of a key."""
    (folder / "upload").write_bytes(CONTENT)
    case = Cases(store.database).create(ADA, name="Case Ü", notes="")
    asked = Screenings(store, Queue(store.database, lease_seconds=60, max_deaths_alone=1))
    request = Request(SHA256, len(CONTENT), "bild ä.png", case.id, None)
    asked.create(ADA, request, method_digest="a" * 64, original=folder / "upload")
    _, token = create_key(store.database, name="x", role=Role.ADMIN, lifetime_seconds=None, actor="test")
    store.signer().checkpoint(store.database)
    store.blobs.put(b"nobody's")
    return token


def rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.database.read() as connection:
        found = {table.name: connection.execute(select(table)).all() for table in metadata.sorted_tables}
    return {name: sorted((tuple(row) for row in some), key=repr) for name, some in found.items()}


@pytest.fixture(params=["sqlite", "postgres"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """An empty store of either kind, with sealed blobs."""
    key = tmp_path / "key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o400)
    url = None
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create_database(secrets.token_hex(8))
    return Settings(data_dir=tmp_path / "other", database_url=url, blob_key_file=key)


def test_backup_comes_back_into_any_store(store: Store, other: Settings, tmp_path: Path) -> None:
    token = fill(store, tmp_path)
    about = back_up(store, tmp_path / "backup", with_key=True)
    assert (about.blobs, about.rows["screenings"], about.has_signing_key) == (1, 1, True)
    assert other.data_dir
    restored = Store.open(other, other.data_dir)
    try:
        restore(restored, tmp_path / "backup")
        assert rows(restored) == rows(store)
        assert restored.blobs.read(SHA256) == CONTENT
        public_key = store.signer().public_key
        assert restored.signer().public_key == public_key
        assert list(verify(restored, public_key=public_key)) == []
        assert KeyRing(restored.database).find(token)
        with restored.database.write() as connection:
            audit.append(restored.database, connection, actor="x", act="y", subject="z")
        assert list(verify(restored)) == [], "the chain goes on"
        with pytest.raises(ConfigError, match="not empty"):
            restore(restored, tmp_path / "backup")
    finally:
        restored.close()


def test_second_backup_copies_what_is_new(store: Store, tmp_path: Path) -> None:
    fill(store, tmp_path)
    back_up(store, tmp_path / "backup", with_key=False)
    (kept,) = [path for path in (tmp_path / "backup/blobs").rglob("*") if path.is_file() and path.name != MARKER]
    before = kept.stat().st_mtime_ns
    assert not back_up(store, tmp_path / "backup", with_key=False).has_signing_key
    assert not (tmp_path / "backup/signing-key.pem").exists()
    assert kept.stat().st_mtime_ns == before


def test_what_was_deleted_leaves_the_backup_too(store: Store, tmp_path: Path) -> None:
    fill(store, tmp_path)
    back_up(store, tmp_path / "backup", with_key=False)
    asked = Screenings(store, Queue(store.database, lease_seconds=60, max_deaths_alone=1))
    (item,) = asked.page(ADA, Filters(), limit=10)
    asked.delete(item.id, ADA, reason="")
    assert back_up(store, tmp_path / "backup", with_key=False).blobs == 0
    assert CONTENT not in [path.read_bytes() for path in (tmp_path / "backup").rglob("*") if path.is_file()]


def test_backup_that_fails_leaves_the_one_before_whole(store: Store, tmp_path: Path, other: Settings) -> None:
    fill(store, tmp_path)
    folder = tmp_path / "backup"
    back_up(store, folder, with_key=True)
    assert back_up(store, folder, with_key=True).has_signing_key, "a key that was kept before is no hindrance"
    assert (folder / "database.jsonl").stat().st_mode & 0o077 == 0
    store.blobs.remove(SHA256)
    (folder / "blobs" / SHA256[:2] / SHA256[2:4] / SHA256).rename(tmp_path / "kept")
    with pytest.raises(BlobDamaged):
        back_up(store, folder, with_key=True)
    (tmp_path / "kept").rename(folder / "blobs" / SHA256[:2] / SHA256[2:4] / SHA256)
    assert other.data_dir
    restored = Store.open(other, other.data_dir)
    try:
        restore(restored, folder)
        assert list(verify(restored)) == []
    finally:
        restored.close()


def test_copy_that_a_killed_process_left_is_removed_a_day_later(store: Store) -> None:
    left, used = (store.scratch() / name for name in ("left", "used"))
    left.write_bytes(CONTENT)
    used.write_bytes(CONTENT)
    os.utime(left, (1, 1))
    assert list(store.scratch().iterdir()) == [used]


def test_damaged_blob_is_not_backed_up(tmp_path: Path) -> None:
    store = Store.open(Settings(), tmp_path / "data")
    fill(store, tmp_path)
    path = tmp_path / "data/blobs" / SHA256[:2] / SHA256[2:4] / SHA256
    path.chmod(0o600)
    path.write_bytes(b"changed")
    with pytest.raises(BlobDamaged):
        back_up(store, tmp_path / "backup", with_key=True)
    store.close()
    assert (
        CliRunner().invoke(app, ["restore", str(tmp_path / "backup"), "--data-dir", str(tmp_path / "b")]).exit_code == 2
    )


def test_commands_notice_what_was_changed_in_a_backup(tmp_path: Path) -> None:
    store = Store.open(Settings(), tmp_path / "data")
    fill(store, tmp_path)
    store.close()
    folder = tmp_path / "backup"
    made = CliRunner().invoke(app, ["backup", str(folder), "--data-dir", str(tmp_path / "data")])
    assert "1 blobs are in" in made.output
    whole = CliRunner().invoke(app, ["restore", str(folder), "--data-dir", str(tmp_path / "one")])
    assert (whole.exit_code, "all holds" in whole.output) == (0, True)
    blob = folder / "blobs" / SHA256[:2] / SHA256[2:4] / SHA256
    content = blob.read_bytes()
    blob.unlink()
    missing = CliRunner().invoke(app, ["restore", str(folder), "--data-dir", str(tmp_path / "two")])
    assert missing.exit_code == 1
    assert f"original {SHA256}: blob {SHA256} is gone" in missing.output
    blob.write_bytes(content + b"!")
    assert CliRunner().invoke(app, ["restore", str(folder), "--data-dir", str(tmp_path / "three")]).exit_code == 1
    with (folder / "database.jsonl").open("a") as file:
        file.write("\n")
    forged = CliRunner().invoke(app, ["restore", str(folder), "--data-dir", str(tmp_path / "four")])
    assert forged.exit_code == 2
    assert "is not what was written" in forged.output
