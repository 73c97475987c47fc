"""Whatever is done to the audit log afterwards is found."""

from __future__ import annotations

import hashlib
import threading

import pytest
import rfc8785
from sqlalchemy import delete, select, text, update

from deepscreen.errors import ConfigError
from deepscreen.store import audit
from deepscreen.store.store import SIGNING_KEY_NAME, Store
from deepscreen.store.tables import audit_checkpoints, audit_entries


def fill(store: Store, count: int = 5, actor: str = "examiner") -> None:
    for number in range(count):
        with store.database.write() as connection:
            audit.append(store.database, connection, actor=actor, act="viewed", subject=f"item-{number}")


def flaws(store: Store, public_key: str | None = None) -> list[str]:
    with store.database.read() as connection:
        return [f"{flaw.where}: {flaw.message}" for flaw in audit.check_chain(connection, public_key=public_key)]


def test_untouched_chain_holds(store: Store) -> None:
    fill(store)
    assert store.signer().checkpoint(store.database) == 5
    assert store.signer().checkpoint(store.database) is None
    fill(store)
    assert flaws(store, store.signer().public_key) == []


def test_entry_is_canonical_json_that_names_its_predecessor(store: Store) -> None:
    fill(store, 2)
    with store.database.read() as connection:
        first, second = connection.execute(select(audit_entries).order_by(audit_entries.c.seq)).all()
        entry = audit.entries(connection, after=1)[0]
    assert bytes(second.body) == rfc8785.dumps(entry.model_dump())
    assert entry.previous_sha256 == first.sha256 == hashlib.sha256(bytes(first.body)).hexdigest()


def test_concurrent_writers_make_one_chain(store: Store) -> None:
    threads = [threading.Thread(target=fill, args=(store, 10, f"actor-{n}")) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert flaws(store) == []
    with store.database.read() as connection:
        assert [entry.seq for entry in audit.entries(connection)] == list(range(1, 41))


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (delete(audit_entries).where(audit_entries.c.seq == 3), "audit entry 4: number 4 where 3 was due"),
        (update(audit_entries).where(audit_entries.c.seq == 2).values(subject="other"), "columns to search by"),
        (update(audit_entries).where(audit_entries.c.seq == 2).values(body=b"{}"), "audit entry 2: is no audit entry"),
        (delete(audit_entries).where(audit_entries.c.seq == 5), "the end of the log was cut off"),
        (update(audit_checkpoints).values(signature="00" * 64), "the signature is wrong"),
        (update(audit_checkpoints).values(public_key="zz"), "the signature is wrong"),
    ],
)
def test_tampering_is_found(store: Store, statement, found: str) -> None:
    fill(store)
    store.signer().checkpoint(store.database)
    with store.database.write() as connection:
        connection.execute(statement)
    assert any(found in flaw for flaw in flaws(store))


def test_chain_that_is_recomputed_breaks_its_checkpoints(store: Store) -> None:
    fill(store)
    store.signer().checkpoint(store.database)
    previous = audit.FIRST_PREVIOUS
    with store.database.write() as connection:
        for entry in audit.entries(connection):
            forged = entry.model_copy(update={"actor": "somebody else", "previous_sha256": previous})
            body = rfc8785.dumps(forged.model_dump())
            previous = hashlib.sha256(body).hexdigest()
            values = {"body": body, "sha256": previous}
            connection.execute(update(audit_entries).where(audit_entries.c.seq == entry.seq).values(values))
    assert flaws(store) == ["checkpoint 5: signs another entry than the one that is there"]


def test_checkpoint_of_another_key_is_found_where_the_right_one_is_known(store: Store) -> None:
    fill(store)
    right = store.signer().public_key
    (store.data_dir / SIGNING_KEY_NAME).unlink()
    store.signer().checkpoint(store.database)
    assert flaws(store) == []
    assert "not with" in flaws(store, right)[0]


def test_signing_key_is_the_owners_alone_and_stays_the_same(store: Store) -> None:
    key = store.signer().public_key
    path = store.data_dir / SIGNING_KEY_NAME
    assert path.stat().st_mode & 0o077 == 0
    assert store.signer().public_key == key
    path.write_text("broken")
    with pytest.raises(ConfigError, match="no readable private key"):
        store.signer()


def test_database_never_holds_the_signing_key(store: Store) -> None:
    fill(store)
    signer = store.signer()
    signer.checkpoint(store.database)
    with store.database.read() as connection:
        row = connection.execute(text("SELECT * FROM audit_checkpoints")).one()
    assert set(row._fields) == {"seq", "body", "public_key", "signature"}
