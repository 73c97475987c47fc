"""After an upgrade: old results stay readable, and what to screen again is listed and queued once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml
from sqlalchemy import update
from typer.testing import CliRunner

from deepscreen.cli import app
from deepscreen.settings import Settings
from deepscreen.store import audit
from deepscreen.store.computations import Outcome, Queue, State
from deepscreen.store.keys import Caller, Role
from deepscreen.store.methods import rescreen, stale
from deepscreen.store.reviews import Decision, review
from deepscreen.store.screenings import Filters, Request, Screenings
from deepscreen.store.store import Store
from deepscreen.store.tables import computations

OLD, NEW = "a" * 64, "b" * 64
ADA, BOB = Caller("ada", Role.EXAMINER), Caller("bob", Role.REVIEWER)
RECORD = b"record"


def screened(store: Store, queue: Queue, folder: Path, content: bytes) -> str:
    """The id of a screening that ended under the old method."""
    path = folder / content.decode()
    path.write_bytes(content)
    request = Request(hashlib.sha256(content).hexdigest(), len(content), path.name, None, None)
    item, _ = Screenings(store, queue).create(ADA, request, method_digest=OLD, original=path)
    held = queue.claim("worker", OLD, is_idle=True)
    assert held
    record = store.blobs.put(RECORD)
    queue.reserve(held, {record})
    queue.finish(held, Outcome(State.DONE, record_sha256=record, verdict="inconclusive"), worker="worker")
    return item.id


@pytest.fixture
def queue(store: Store) -> Queue:
    return Queue(store.database, lease_seconds=60, max_deaths_alone=1)


def test_page_of_results_is_full_though_a_newer_one_is_not_shown_yet(
    store: Store, queue: Queue, tmp_path: Path
) -> None:
    asked, content = Screenings(store, queue), b"slow"
    shown = screened(store, queue, tmp_path, content)
    with store.database.write() as connection:
        connection.execute(update(computations).values(started_at=store.database.now(connection) - 1000))
    request = Request(hashlib.sha256(content).hexdigest(), len(content), "a", None, None)
    joined, _ = asked.create(Caller("eve", Role.EXAMINER), request, method_digest=OLD, original=None)
    assert joined.record_sha256 is None
    page = asked.page(BOB, Filters(verdict="inconclusive"), limit=1)
    assert [item.id for item in page] == [shown]


def test_what_the_new_method_has_not_screened_is_listed_and_queued_once(
    store: Store, queue: Queue, tmp_path: Path
) -> None:
    asked = Screenings(store, queue)
    first, second = (screened(store, queue, tmp_path, content) for content in (b"one", b"two"))
    reviewed = asked.get(second, BOB)
    review(store.database, reviewed, BOB, decision=Decision.ACCEPT, verdict="inconclusive", reason="")
    assert [(old.id, old.is_final) for old in stale(store.database, NEW)] == [(first, False), (second, True)]
    assert stale(store.database, OLD) == []
    new = rescreen(asked, stale(store.database, NEW)[0], method_digest=NEW)
    assert new
    assert [old.id for old in stale(store.database, NEW)] == [second]
    assert asked.get(new, ADA).method_digest == NEW, "it is the owner's"
    with store.database.read() as connection:
        (entry,) = audit.entries(connection, subject=new)
    assert entry.actor == "command-line", "the log does not say that the owner did what the operator did"
    before = asked.get(first, ADA)
    assert (before.state, before.method_digest) == (State.DONE, OLD)


def test_command_lists_and_queues(tmp_path: Path) -> None:
    store = Store.open(Settings(), tmp_path / "data")
    queue = Queue(store.database, lease_seconds=60, max_deaths_alone=1)
    folder = ["rescreen", "--data-dir", str(tmp_path / "data")]
    assert CliRunner().invoke(app, folder).exit_code == 2, "no worker: today's method is not known"
    screening = screened(store, queue, tmp_path, b"one")
    queue.renew("new", NEW, {})
    listed = CliRunner().invoke(app, folder).output
    assert f"Today's method: {NEW}\n" in listed
    assert f"stale {screening} " in listed
    for count in ("1 of 1", "0 of 0"):
        assert f"{count} screenings queued" in CliRunner().invoke(app, [*folder, "--stale"]).output
    assert queue.depth() == (1, 0)
    store.close()


def test_autoscaler_asks_the_database_for_the_depth_of_the_queue(store: Store, queue: Queue, tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "deploy/kubernetes/worker-autoscaling.yaml"
    (scaled,) = (entry for entry in yaml.safe_load_all(path.read_text()) if entry["kind"] == "ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    screened(store, queue, tmp_path, b"ended")
    (tmp_path / "waits").write_bytes(b"waits")
    request = Request(hashlib.sha256(b"waits").hexdigest(), 5, None, None, None)
    Screenings(store, queue).create(ADA, request, method_digest=OLD, original=tmp_path / "waits")
    with store.database.read() as connection:
        assert connection.exec_driver_sql(trigger["metadata"]["query"]).scalar() == 1 == sum(queue.depth())
