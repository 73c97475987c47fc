"""Blobs go with the last reference to them and never sooner, also while the same file is screened or sent again."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from deepscreen.errors import StoreUnavailable
from deepscreen.store import audit
from deepscreen.store.acts import BLOB_REMOVED
from deepscreen.store.computations import Claim, End, Outcome, Queue, State
from deepscreen.store.keys import Caller, Role
from deepscreen.store.removal import sweep, unneeded
from deepscreen.store.screenings import Item, NotThere, Request, Screenings
from deepscreen.store.store import Store
from deepscreen.store.verify import verify

METHOD = "a" * 64
ADA = Caller("ada", Role.ADMIN)
CONTENT = b"suspect"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def queue(store: Store) -> Queue:
    return Queue(store.database, lease_seconds=60, max_deaths_alone=1)


@pytest.fixture
def asked(store: Store, queue: Queue) -> Screenings:
    return Screenings(store, queue)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "upload"
    path.write_bytes(CONTENT)
    return path


def create(asked: Screenings, original: Path | None) -> Item:
    request = Request(SHA256, len(CONTENT), "a.png", None, None)
    return asked.create(ADA, request, method_digest=METHOD, original=original)[0]


def claim(queue: Queue) -> Claim:
    found = queue.claim("worker", METHOD, is_idle=True)
    assert found
    return found


def keep(store: Store, queue: Queue, held: Claim, *contents: bytes) -> Outcome:
    """As a worker does: what it will write is reserved, then written."""
    blobs = frozenset(hashlib.sha256(content).hexdigest() for content in contents)
    assert queue.reserve(held, blobs)
    for content in contents:
        store.blobs.put(content)
    return Outcome(State.DONE, record_sha256=min(blobs), blobs=blobs)


def kept(store: Store) -> set[str]:
    return set(store.blobs.older_than(-10))


def test_result_of_a_file_that_was_deleted_meanwhile_is_not_kept(
    store: Store, queue: Queue, asked: Screenings, original: Path
) -> None:
    item = create(asked, original)
    held = claim(queue)
    _, is_gone = asked.delete(item.id, ADA, reason="")
    assert not is_gone, "a worker reads it at this moment"
    assert store.blobs.has(SHA256)
    outcome = keep(store, queue, held, b"record", b"heatmap")
    assert queue.finish(held, outcome, worker="worker") is End.UNWANTED
    assert sweep(store, grace_seconds=-10) == 3
    assert kept(store) == set()
    assert list(verify(store)) == []


def test_file_that_comes_back_while_it_runs_is_kept_with_its_result(
    store: Store, queue: Queue, asked: Screenings, original: Path
) -> None:
    item = create(asked, original)
    held = claim(queue)
    outcome = keep(store, queue, held, b"record", b"heatmap")
    asked.delete(item.id, ADA, reason="")
    again = create(asked, original)
    assert queue.finish(held, outcome, worker="worker") is End.WRITTEN
    assert sweep(store, grace_seconds=-10) == 0
    assert kept(store) == {SHA256, *outcome.blobs}
    assert asked.get(again.id, ADA).state is State.DONE


def test_picture_that_another_computation_is_about_to_use_stays(
    store: Store, queue: Queue, asked: Screenings, original: Path, tmp_path: Path
) -> None:
    first = create(asked, original)
    held = claim(queue)
    queue.finish(held, keep(store, queue, held, b"shared picture"), worker="worker")
    other = tmp_path / "other"
    other.write_bytes(b"other")
    other_sha256 = hashlib.sha256(b"other").hexdigest()
    asked.create(ADA, Request(other_sha256, 5, None, None, None), method_digest=METHOD, original=other)
    running = claim(queue)
    outcome = keep(store, queue, running, b"shared picture")
    asked.delete(first.id, ADA, reason="")
    assert outcome.blobs <= kept(store)
    assert queue.finish(running, outcome, worker="worker") is End.WRITTEN
    assert sweep(store, grace_seconds=-10) == 0


def test_dead_worker_leaves_nothing_behind_of_what_was_deleted(
    store: Store, queue: Queue, asked: Screenings, original: Path
) -> None:
    item = create(asked, original)
    keep(store, queue, claim(queue), b"record")
    asked.delete(item.id, ADA, reason="")
    assert len(queue.release_dead(known_dead="worker")) == 1
    assert queue.depth() == (0, 0)
    assert sweep(store, grace_seconds=-10) == 2
    assert kept(store) == set()


def test_original_that_a_sweep_took_before_it_was_referred_to_is_written_again(
    store: Store, asked: Screenings, original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file = store.blobs.put_file
    swept = []

    def put_and_sweep(path: Path, sha256: str) -> None:
        put_file(path, sha256)
        if not swept:
            swept.append(sweep(store, grace_seconds=-10))

    monkeypatch.setattr(store.blobs, "put_file", put_and_sweep)
    create(asked, original)
    assert swept == [1]
    assert kept(store) == {SHA256}


def test_sweep_never_takes_evidence_while_files_come_and_go(store: Store, asked: Screenings, original: Path) -> None:
    stop = threading.Event()

    def sweep_on() -> None:
        while not stop.is_set():
            sweep(store, grace_seconds=-10)

    sweeper = threading.Thread(target=sweep_on)
    sweeper.start()
    try:
        for _ in range(15):
            item = create(asked, original)
            assert store.blobs.read(SHA256) == CONTENT
            asked.delete(item.id, ADA, reason="")
    finally:
        stop.set()
        sweeper.join()
    assert list(verify(store)) == []


def test_young_blobs_are_left_alone_and_each_removal_is_an_entry(store: Store) -> None:
    sha256 = store.blobs.put(b"nobody's")
    assert sweep(store) == 0
    assert list(unneeded(store, grace_seconds=-10)) == [sha256]
    assert sweep(store, grace_seconds=-10) == 1
    with store.database.read() as connection:
        entries = audit.entries(connection, subject=sha256)
    assert [(entry.act, entry.actor) for entry in entries] == [(BLOB_REMOVED, "service")]


def test_what_went_before_the_store_refused_has_its_entry(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = sorted(store.blobs.put(content) for content in (b"one", b"two"))
    remove = store.blobs.remove

    def refuse_second(sha256: str) -> None:
        if sha256 == blobs[1]:
            raise StoreUnavailable("read-only")
        remove(sha256)

    monkeypatch.setattr(store.blobs, "remove", refuse_second)
    with pytest.raises(StoreUnavailable):
        sweep(store, grace_seconds=-10)
    with store.database.read() as connection:
        found = [entry.subject for entry in audit.entries(connection) if entry.act == BLOB_REMOVED]
    assert (found, kept(store)) == ([blobs[0]], {blobs[1]})


def test_deletion_stands_where_the_blob_store_refuses_and_the_sweep_makes_up_for_it(
    store: Store, asked: Screenings, original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = create(asked, original)

    def refuse(sha256: str) -> None:
        raise StoreUnavailable("read-only")

    with monkeypatch.context() as patch:
        patch.setattr(store.blobs, "remove", refuse)
        entry, is_gone = asked.delete(item.id, ADA, reason="")
    assert (entry.details["was_last"], is_gone) == (True, False)
    assert store.blobs.has(SHA256)
    assert sweep(store, grace_seconds=-10) == 1


def test_hostile_name_and_message_are_kept_by_both_databases(
    store: Store, asked: Screenings, queue: Queue, original: Path
) -> None:
    request = Request(SHA256, len(CONTENT), "a\0b.png", None, None)
    item, _ = asked.create(ADA, request, method_digest=METHOD, original=original)
    failed = Outcome(State.FAILED, error_type="UndecodableMedia", error_message="x\0y")
    assert queue.finish(claim(queue), failed, worker="worker") is End.WRITTEN
    found = asked.get(item.id, ADA)
    assert (found.filename, found.error_message) == ("a\ufffdb.png", "x\ufffdy")


@pytest.mark.parametrize("act", ["cancel", "retry", "delete"])
def test_who_comes_while_it_is_deleted_is_told_so_and_leaves_nothing_queued(
    store: Store, asked: Screenings, queue: Queue, original: Path, act: str
) -> None:
    acts: dict[str, Callable[[str], object]] = {
        "cancel": lambda screening_id: asked.cancel(screening_id, ADA),
        "retry": lambda screening_id: asked.retry(screening_id, ADA, method_digest=METHOD),
        "delete": lambda screening_id: asked.delete(screening_id, ADA, reason="too"),
    }
    unforeseen: list[Exception] = []

    def meanwhile(screening_id: str) -> None:
        together.wait()
        try:
            acts[act](screening_id)
        except NotThere:
            pass
        except Exception as error:
            unforeseen.append(error)

    for _ in range(8):
        item = create(asked, original)
        if act == "retry":
            queue.finish(claim(queue), Outcome(State.FAILED, error_type="UndecodableMedia"), worker="worker")
        together = threading.Barrier(2)
        other = threading.Thread(target=meanwhile, args=(item.id,))
        other.start()
        together.wait()
        with nullcontext() if act != "delete" else suppress(NotThere):  # then the other one may be first
            asked.delete(item.id, ADA, reason="")
        other.join()
        with pytest.raises(NotThere):
            asked.get(item.id, ADA)
        assert queue.depth() == (0, 0)
    assert unforeseen == []
    assert list(verify(store)) == []


def test_nothing_is_screened_again_that_is_gone(store: Store, asked: Screenings) -> None:
    with pytest.raises(NotThere):
        create(asked, None)
