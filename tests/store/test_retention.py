"""The retention policy lets go what is old, never what belongs to an open case, and certifies each deletion."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from deepscreen.cli import app
from deepscreen.store.acts import SCREENING_DELETED
from deepscreen.store.cases import Cases
from deepscreen.store.computations import Queue
from deepscreen.store.keys import Caller, Role
from deepscreen.store.retention import clean
from deepscreen.store.screenings import NotThere, Request, Screenings
from deepscreen.store.store import Store
from deepscreen.store.tables import cases, screenings
from deepscreen.store.verify import verify

ADA = Caller("ada", Role.ADMIN)
DAY_SECONDS = 86_400.0


def send(asked: Screenings, folder: Path, content: bytes, case_id: str | None) -> str:
    path = folder / content.decode()
    path.write_bytes(content)
    request = Request(hashlib.sha256(content).hexdigest(), len(content), None, case_id, None)
    return asked.create(ADA, request, method_digest="a" * 64, original=path)[0].id


def test_only_what_is_old_and_in_no_open_case_goes(store: Store, tmp_path: Path) -> None:
    asked = Screenings(store, Queue(store.database, lease_seconds=60, max_deaths_alone=1))
    made = {
        name: Cases(store.database).create(ADA, name=name, notes="").id for name in ("open", "just closed", "closed")
    }
    sent = {
        name: send(asked, tmp_path, name.encode(), made.get(name)) for name in ("loose", "new", *made)
    }  # fmt: skip
    with store.database.write() as connection:
        now = store.database.now(connection)
        old = update(screenings).where(screenings.c.id != sent["new"])
        connection.execute(old.values(created_at=now - 40 * DAY_SECONDS))
        for name, days in (("just closed", 2), ("closed", 35)):
            closed = update(cases).where(cases.c.id == made[name])
            connection.execute(closed.values(closed_at=now - days * DAY_SECONDS))
    certificates, _ = clean(store, asked, retention_days=30)
    assert {entry.subject for entry in certificates} == {sent["loose"], sent["closed"]}
    for entry in certificates:
        assert (entry.act, entry.actor) == (SCREENING_DELETED, "retention-policy")
        assert entry.details["reason"] == "retention policy: 30 days"
    for name, screening_id in sent.items():
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        if name in {"loose", "closed"}:
            assert not store.blobs.has(sha256)
            with pytest.raises(NotThere):
                asked.get(screening_id, ADA)
        else:
            assert store.blobs.has(sha256)
    assert clean(store, asked, retention_days=30) == ([], 0)
    assert list(verify(store)) == []


def test_case_that_is_opened_again_meanwhile_keeps_what_is_in_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Screenings(store, Queue(store.database, lease_seconds=60, max_deaths_alone=1))
    case = Cases(store.database).create(ADA, name="again", notes="")
    screening_id = send(asked, tmp_path, b"evidence", case.id)
    with store.database.write() as connection:
        then = store.database.now(connection) - 40 * DAY_SECONDS
        connection.execute(update(screenings).values(created_at=then))
        connection.execute(update(cases).values(closed_at=then))

    def listed_before(*_: object) -> list[str]:
        Cases(store.database).change(case.id, ADA, name=None, notes=None, closed=False)
        return [screening_id]

    monkeypatch.setattr("deepscreen.store.retention.expired", listed_before)
    assert clean(store, asked, retention_days=30) == ([], 0)
    assert asked.get(screening_id, ADA).case_id == case.id


def test_command_says_what_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["clean", "--data-dir", str(tmp_path / "data")]
    assert "0 screenings deleted" in CliRunner().invoke(app, words).output
    monkeypatch.setenv("DEEPSCREEN_RETENTION_DAYS", "-1")
    assert CliRunner().invoke(app, words).exit_code == 2
    monkeypatch.setenv("DEEPSCREEN_RETENTION_DAYS", "1")
    assert CliRunner().invoke(app, [*words, "--dry-run"]).output == ""
