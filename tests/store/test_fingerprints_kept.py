"""Fingerprints are kept with what was screened, and go with the last screening of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from deepscreen.store import fingerprints
from deepscreen.store.computations import End, Outcome, Queue, State
from deepscreen.store.keys import Caller, Role
from deepscreen.store.screenings import Item, Request, Screenings
from deepscreen.store.store import Store

METHOD = "a" * 64
ADA, BOB = Caller("ada", Role.ADMIN), Caller("bob", Role.ADMIN)
CONTENT = b"suspect"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FOUND = {"video": b"\0frames", "audio": b"words"}
DONE = Outcome(State.DONE, record_sha256="c" * 64, fingerprints=FOUND)


@pytest.fixture
def queue(store: Store) -> Queue:
    return Queue(store.database, lease_seconds=60, max_deaths_alone=1)


@pytest.fixture
def asked(store: Store, queue: Queue) -> Screenings:
    return Screenings(store, queue)


def create(asked: Screenings, tmp_path: Path, caller: Caller = ADA) -> Item:
    original = tmp_path / "upload"
    original.write_bytes(CONTENT)
    return asked.create(caller, Request(SHA256, 7, None, None, None), method_digest=METHOD, original=original)[0]


def finish(queue: Queue, outcome: Outcome) -> End:
    claim = queue.claim("worker", METHOD, is_idle=True)
    assert claim
    return queue.finish(claim, outcome, worker="worker")


def kept(store: Store) -> dict[str, bytes]:
    with store.database.read() as connection:
        return fingerprints.kept_of(connection, SHA256)


def test_last_screening_takes_them_along(store: Store, queue: Queue, asked: Screenings, tmp_path: Path) -> None:
    one, other = create(asked, tmp_path), create(asked, tmp_path, BOB)
    finish(queue, DONE)
    assert kept(store) == FOUND
    asked.delete(one.id, ADA, reason="")
    assert kept(store) == FOUND
    asked.delete(other.id, BOB, reason="")
    assert kept(store) == {}


def test_newest_screening_says_what_is_kept_and_takes_no_other_kind_away(
    store: Store, queue: Queue, asked: Screenings, tmp_path: Path
) -> None:
    item = create(asked, tmp_path)
    finish(queue, DONE)
    asked.retry(item.id, ADA, method_digest=METHOD)
    finish(queue, Outcome(State.DONE, record_sha256="d" * 64, fingerprints={"video": b"other"}))
    assert kept(store) == FOUND | {"video": b"other"}
    asked.retry(item.id, ADA, method_digest=METHOD)
    finish(queue, Outcome(State.FAILED, error_type="UndecodableMedia"))
    assert kept(store) == FOUND | {"video": b"other"}


def test_nothing_is_kept_of_a_file_that_was_deleted_meanwhile(
    store: Store, queue: Queue, asked: Screenings, tmp_path: Path
) -> None:
    item = create(asked, tmp_path)
    claim = queue.claim("worker", METHOD, is_idle=True)
    assert claim
    asked.delete(item.id, ADA, reason="")
    assert queue.finish(claim, DONE, worker="worker") is End.UNWANTED
    assert kept(store) == {}
