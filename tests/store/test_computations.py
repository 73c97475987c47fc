"""The queue on both databases: one owner at a time, one end each; the dead are replaced, the innocent not charged."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import func, insert, select, update

from deepscreen.store.audit import check_chain
from deepscreen.store.computations import Claim, End, Outcome, Queue, State, computation_id
from deepscreen.store.methods import MethodLoad, method_loads, move_waiting
from deepscreen.store.store import Store
from deepscreen.store.tables import audit_entries, computations, screenings, workers

METHOD, OTHER_METHOD = "a" * 64, "b" * 64
DONE = Outcome(State.DONE, record_sha256="c" * 64, blobs=frozenset({"c" * 64}))


@pytest.fixture
def queue(store: Store) -> Iterator[Queue]:
    return Queue(store.database, lease_seconds=60, max_deaths_alone=1)


def put(store: Store, queue: Queue, number: int, method: str = METHOD, attempt: int = 1) -> str:
    """Queues a computation that a screening wants."""
    media_sha256 = f"{number:064x}"
    with store.database.write() as connection:
        found = queue.put(connection, media=(media_sha256, 10), method_digest=method, attempt=attempt)
        row = {"computation_id": found, "media_sha256": media_sha256, "created_at": 1.0, "created_by": "ada"}
        connection.execute(insert(screenings).values(id=secrets.token_hex(16), **row))
    return found


def claim(queue: Queue, worker: str = "one", *, is_idle: bool = True) -> Claim:
    found = queue.claim(worker, METHOD, is_idle=is_idle)
    assert found is not None
    return found


def row_of(store: Store, computation: str):
    with store.database.read() as connection:
        return connection.execute(select(computations).where(computations.c.id == computation)).one()


def now(store: Store) -> float:
    with store.database.read() as connection:
        return store.database.now(connection)


def expire_all(store: Store) -> None:
    with store.database.write() as connection:
        connection.execute(update(computations).values(lease_expires_at=1.0))
        connection.execute(update(workers).values(lease_expires_at=1.0))


def test_same_content_and_method_is_one_computation(store: Store, queue: Queue) -> None:
    assert put(store, queue, 1) == put(store, queue, 1) == computation_id(f"{1:064x}", METHOD, 1)
    assert put(store, queue, 1, attempt=2) != put(store, queue, 1)
    assert queue.depth() == (2, 0)


def test_oldest_is_handed_out_first_and_each_once(store: Store, queue: Queue) -> None:
    ids = [put(store, queue, n) for n in range(3)]
    claims = [claim(queue) for _ in ids]
    assert [c.id for c in claims] == ids
    assert queue.claim("two", METHOD, is_idle=True) is None
    assert queue.depth() == (0, 3)


def test_other_methods_are_left_to_their_workers(store: Store, queue: Queue) -> None:
    put(store, queue, 1, OTHER_METHOD)
    assert queue.claim("one", METHOD, is_idle=True) is None


def test_many_workers_at_once_get_each_item_once(store: Store, queue: Queue) -> None:
    for number in range(40):
        put(store, queue, number)
    taken: list[str] = []

    def work(worker: str) -> None:
        while (found := queue.claim(worker, METHOD, is_idle=True)) is not None:
            taken.append(found.id)
            assert queue.finish(found, DONE, worker=worker) is End.WRITTEN

    threads = [threading.Thread(target=work, args=(f"worker-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while (found := queue.claim("last", METHOD, is_idle=True)) is not None:  # skipped while another held its row
        taken.append(found.id)
        queue.finish(found, DONE, worker="last")
    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 40
    with store.database.read() as connection:
        assert list(check_chain(connection)) == []
        assert connection.execute(select(func.count()).select_from(audit_entries)).scalar() == 40


def test_worker_that_lost_its_lease_cannot_write(store: Store, queue: Queue) -> None:
    put(store, queue, 1)
    first = claim(queue)
    expire_all(store)
    assert queue.release_dead() == [first.id]
    second = claim(queue, "two")
    assert not queue.reserve(first, DONE.blobs)
    assert queue.finish(first, DONE, worker="one") is End.LOST
    queue.postpone(first)
    assert row_of(store, first.id).state == "running"
    assert queue.reserve(second, DONE.blobs)
    assert queue.finish(second, DONE, worker="two") is End.WRITTEN
    assert queue.finish(second, DONE, worker="two") is End.LOST
    assert row_of(store, first.id).state == "done"


def test_living_worker_keeps_what_it_holds(store: Store, queue: Queue) -> None:
    put(store, queue, 1)
    claim(queue)
    expire_all(store)
    queue.renew("one", METHOD, {})
    assert queue.release_dead() == []


def test_start_takes_back_what_the_same_worker_held_before(store: Store, queue: Queue) -> None:
    put(store, queue, 1)
    put(store, queue, 2)
    mine, others = claim(queue, "one"), claim(queue, "two")
    assert queue.release_dead(known_dead="one") == [mine.id]
    assert row_of(store, others.id).state == "running"


def test_item_that_kills_its_worker_is_tried_alone_and_then_failed(store: Store, queue: Queue) -> None:
    killer = put(store, queue, 1)
    neighbour = put(store, queue, 2)
    for _ in range(2):
        claim(queue)
    expire_all(store)
    queue.release_dead()
    assert queue.claim("two", METHOD, is_idle=False) is None, "it waits until the worker has nothing else in hand"
    alone = claim(queue, "two")
    assert (alone.id, alone.is_alone) == (killer, True)
    expire_all(store)
    queue.release_dead()
    failed = row_of(store, killer)
    assert (failed.state, failed.error_type) == ("failed", "WorkerDied")
    innocent = claim(queue, "three")
    assert innocent.id == neighbour
    assert queue.finish(innocent, DONE, worker="three") is End.WRITTEN
    assert row_of(store, neighbour).deaths_alone == 0


def test_worker_that_leaves_in_peace_charges_nothing(store: Store, queue: Queue) -> None:
    put(store, queue, 1)
    queue.renew("one", METHOD, {})
    held = claim(queue)
    queue.leave("one")
    row = row_of(store, held.id)
    assert (row.state, row.is_alone, row.lease_holder) == ("queued", False, None)


def test_postponed_item_waits_longer_each_time(store: Store, queue: Queue) -> None:
    computation = put(store, queue, 1)
    for delay_seconds in (1, 2, 4):
        held = claim(queue)
        before = now(store)
        queue.postpone(held)
        assert before + delay_seconds <= row_of(store, computation).not_before <= now(store) + delay_seconds
        assert queue.claim("one", METHOD, is_idle=True) is None or now(store) > before + delay_seconds
        with store.database.write() as connection:
            again = {"not_before": 1.0, "state": State.QUEUED.value}
            connection.execute(update(computations).values(**again))


def test_what_no_living_worker_can_do_moves_when_told_to(store: Store, queue: Queue) -> None:
    put(store, queue, 1, OTHER_METHOD)
    queue.renew("old", OTHER_METHOD, {})
    assert method_loads(store.database) == [MethodLoad(OTHER_METHOD, 1, 1)]
    assert move_waiting(store.database, queue, METHOD) == 0
    expire_all(store)
    assert queue.claim("new", METHOD, is_idle=True) is None, "it waits until somebody says that it shall move"
    assert method_loads(store.database) == [MethodLoad(OTHER_METHOD, 1, 0)]
    assert move_waiting(store.database, queue, METHOD) == 1
    assert claim(queue).id == computation_id(f"{1:064x}", METHOD, 1)
