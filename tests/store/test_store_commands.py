"""``deepscreen keys`` and ``deepscreen verify`` from the outside."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from deepscreen.cli import app
from deepscreen.settings import Settings
from deepscreen.store.keys import KeyRing
from deepscreen.store.store import Store


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.output


def test_key_is_made_shown_once_listed_and_revoked(tmp_path: Path) -> None:
    folder = ("--data-dir", str(tmp_path))
    code, output = run("keys", "create", "Ada", "--role", "examiner", *folder)
    token = next(line for line in output.splitlines() if line.startswith("dsk_"))
    assert code == 0
    store = Store.open(Settings(), tmp_path)
    key = KeyRing(store.database).find(token)
    assert key
    listed = run("keys", "list", *folder)[1]
    assert key.id in listed
    assert token not in listed
    assert run("keys", "revoke", key.id, *folder)[0] == 0
    assert KeyRing(store.database).find(token) is None
    assert run("keys", "revoke", key.id, *folder)[0] == 2
    store.close()
    assert run("verify", *folder) == (0, "All holds: audit chain, signatures, originals, records and evidence.\n")


def test_wrong_role_or_missing_folder_is_refused(tmp_path: Path) -> None:
    assert run("keys", "create", "Ada", "--role", "king", "--data-dir", str(tmp_path))[0] == 2
    assert run("keys", "list")[0] == 2


def test_verify_names_what_was_changed(tmp_path: Path) -> None:
    run("keys", "create", "Ada", "--role", "admin", "--data-dir", str(tmp_path))
    store = Store.open(Settings(), tmp_path)
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE audit_entries SET act = 'key-revoked'")
    store.close()
    code, output = run("verify", "--data-dir", str(tmp_path))
    assert code == 1
    assert "audit entry 1: the columns to search by were changed" in output
