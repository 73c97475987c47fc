"""Two methods side by side: what moved is counted and shown, and a trial makes more to compare and no screenings."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import update

from deepscreen.engine.about import DetectorInfo, MethodInfo, WeightInfo
from deepscreen.engine.differences import DETECTOR, LIMITS, MACHINE, POLICY, WEIGHTS, Difference, differences
from deepscreen.record import SCHEMA_VERSION
from deepscreen.settings import Limits, VerdictPolicy
from deepscreen.store import audit, comparison
from deepscreen.store.comparison import compare, known_methods, queue_trial
from deepscreen.store.computations import Outcome, Queue, State
from deepscreen.store.keys import Caller, Role
from deepscreen.store.screenings import Filters, Request, Screenings
from deepscreen.store.store import Store
from deepscreen.store.tables import computations

OLD, NEW = "a" * 64, "b" * 64
ADA = Caller("ada", Role.ADMIN)


@pytest.fixture
def queue(store: Store) -> Queue:
    return Queue(store.database, lease_seconds=60, max_deaths_alone=1)


@pytest.fixture
def asked(store: Store, queue: Queue) -> Screenings:
    return Screenings(store, queue)


def send(asked: Screenings, folder: Path, name: str, method: str = OLD) -> str:
    path = folder / f"{name}-{method[0]}"
    path.write_bytes(name.encode())
    request = Request(hashlib.sha256(name.encode()).hexdigest(), len(name), name, None, None)
    return asked.create(ADA, request, method_digest=method, original=path)[0].id


def finish(queue: Queue, method: str, verdict: str, lr: float | None) -> None:
    claim = queue.claim("worker", method, is_idle=True)
    assert claim
    lrs = {} if lr is None else {"image": lr}
    done = Outcome(State.DONE, record_sha256="c" * 64, kind="image", verdict=verdict, log10_lrs=lrs)
    queue.finish(claim, done, worker="worker")


def test_results_are_counted_and_those_that_moved_come_first(
    store: Store, queue: Queue, asked: Screenings, tmp_path: Path
) -> None:
    by_one = {
        "moved": ("spoof_supported", 1.2, 0.8),
        "weaker": ("inconclusive", 0.4, 0.1),
        "new": ("inconclusive", 0, 0),
    }
    for name, (verdict, before, after) in by_one.items():
        send(asked, tmp_path, name)
        finish(queue, OLD, verdict, before)
        if name != "new":
            send(asked, tmp_path, name, NEW)
            finish(queue, NEW, "inconclusive", after)
    found = compare(store.database, OLD, NEW)
    assert found.counted == {("spoof_supported", "inconclusive"): 1, ("inconclusive", "inconclusive"): 1}
    assert (found.both, found.moved, found.only_one) == (2, 1, 1)
    assert [(pair.filename, pair.log10_lrs, pair.has_moved) for pair in found.pairs] == [
        ("moved", ({"image": 1.2}, {"image": 0.8}), True),
        ("weaker", ({"image": 0.4}, {"image": 0.1}), False),
    ]
    assert compare(store.database, NEW, OLD).only_one == 0


def test_newest_attempt_counts_and_what_was_deleted_does_not(
    store: Store, queue: Queue, asked: Screenings, tmp_path: Path
) -> None:
    item = send(asked, tmp_path, "a")
    finish(queue, OLD, "inconclusive", None)
    asked.retry(item, ADA, method_digest=OLD)
    finish(queue, OLD, "spoof_supported", None)
    other = send(asked, tmp_path, "a", NEW)
    finish(queue, NEW, "spoof_supported", None)
    found = compare(store.database, OLD, NEW)
    assert found.counted == {("spoof_supported", "spoof_supported"): 1}
    assert found.pairs[0].screening_id == other
    for screening_id in (item, other):
        asked.delete(screening_id, ADA, reason="")
    assert compare(store.database, OLD, NEW).both == 0
    assert sum(method.screened for method in known_methods(store.database)) == 0


def test_trial_computes_the_newest_once_and_shows_nobody_anything(
    store: Store, queue: Queue, asked: Screenings, tmp_path: Path
) -> None:
    for name in ("first", "second", "third"):
        send(asked, tmp_path, name)
        finish(queue, OLD, "inconclusive", 0.2)
    gone = send(asked, tmp_path, "gone")
    finish(queue, OLD, "inconclusive", 0.2)
    asked.delete(gone, ADA, reason="")
    assert queue_trial(store.database, queue, ADA, one=OLD, other=NEW, most=2) == 2
    assert queue_trial(store.database, queue, ADA, one=OLD, other=NEW, most=2) == 1
    assert queue_trial(store.database, queue, ADA, one=OLD, other=NEW, most=2) == 0
    assert len(asked.page(ADA, Filters(), limit=10)) == 3
    for _ in range(3):
        finish(queue, NEW, "bona_fide_supported", -1.4)
    found = compare(store.database, OLD, NEW)
    assert (found.both, found.moved) == (3, 3)
    assert len(asked.page(ADA, Filters(), limit=10)) == 3
    with store.database.read() as connection:
        (entry, _) = audit.entries(connection, subject=NEW)
    assert (entry.act, entry.actor, entry.details) == ("trial-queued", "ada", {"compared_with": OLD, "contents": 2})


def test_what_a_trial_left_goes_with_the_last_screening(
    store: Store, queue: Queue, asked: Screenings, tmp_path: Path
) -> None:
    item = send(asked, tmp_path, "a")
    finish(queue, OLD, "inconclusive", 0.2)
    queue_trial(store.database, queue, ADA, one=OLD, other=NEW, most=1)
    claim = queue.claim("worker", NEW, is_idle=True)
    assert claim
    record = store.blobs.put(b"record")
    queue.reserve(claim, {record})
    queue.finish(claim, Outcome(State.DONE, record_sha256=record, verdict="inconclusive"), worker="worker")
    asked.delete(item, ADA, reason="")
    assert not store.blobs.has(record)


def test_methods_are_known_by_what_their_workers_told(store: Store, queue: Queue) -> None:
    queue.renew("one", OLD, {"software": "1"})
    queue.renew("two", OLD, {"software": "1.0"})
    queue.renew("three", NEW, {"software": "2"})
    queue.leave("three")
    found = {method.digest: (method.about, method.live_workers) for method in known_methods(store.database)}
    assert found == {OLD: ({"software": "1.0"}, 2), NEW: ({"software": "2"}, 0)}


def test_method_of_a_candidate_is_not_todays(store: Store, queue: Queue) -> None:
    queue.renew("old", OLD, {})
    queue.renew("new", NEW, {}, is_candidate=True)
    newest = queue.latest_worker()
    assert newest is not None
    assert newest.method_digest == OLD
    queue.renew("other", NEW, {})
    newest = queue.latest_worker()
    assert newest is not None
    assert newest.method_digest == NEW


def test_only_so_many_are_shown_one_by_one(
    store: Store, queue: Queue, asked: Screenings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        for method in (OLD, NEW):
            send(asked, tmp_path, name, method)
            finish(queue, method, "inconclusive", None)
    monkeypatch.setattr(comparison, "MOST_PAIRS", 1)
    found = compare(store.database, OLD, NEW)
    assert (found.both, [pair.filename for pair in found.pairs]) == (2, ["second"])


def method(**changes: object) -> MethodInfo:
    fields: dict[str, object] = {
        "software": "deepscreen 1", "schema_version": SCHEMA_VERSION, "method_digest": OLD, "settings_digest": OLD,
        "device_class": "cpu", "precision": "bf16", "profile": "default", "limits": Limits(), "policy": VerdictPolicy(),
        "weights": (WeightInfo(name="head", sha256="1" * 64), WeightInfo(name="tool", sha256="2" * 64)),
        "detectors": (DetectorInfo(name="image_clip", modality="image", version="4", weights=(), summary=""),),
    }  # fmt: skip
    return MethodInfo.model_validate(fields | changes)


def test_differences_name_every_part_that_is_not_the_same() -> None:
    other = method(
        precision="fp32",
        policy=VerdictPolicy(spoof_min_log10_lr=1.5),
        weights=(WeightInfo(name="head", sha256="3" * 64), WeightInfo(name="tool", sha256="2" * 64)),
        detectors=(
            DetectorInfo(name="image_clip", modality="image", version="5", weights=(), summary=""),
            DetectorInfo(name="face_clip", modality="image", version="1", weights=(), summary=""),
        ),
    )
    assert differences(method(), method()) == ()
    assert differences(method(), other) == (
        Difference(MACHINE, "precision", "bf16", "fp32"),
        Difference(DETECTOR, "face_clip", None, "version 1"),
        Difference(DETECTOR, "image_clip", "version 4", "version 5"),
        Difference(WEIGHTS, "head", "1" * 64, "3" * 64),
        Difference(POLICY, "spoof_min_log10_lr", "1.0", "1.5"),
    )


def test_limits_that_were_not_told_differ_by_their_digest() -> None:
    older = method(limits=None, policy=None, settings_digest=NEW)
    assert {(d.about, d.part) for d in differences(older, method())} == {
        (POLICY, "settings_digest"),
        (LIMITS, "settings_digest"),
    }


def test_a_trial_does_not_tell_a_stranger_that_somebody_has_the_file(
    store: Store, queue: Queue, asked: Screenings, tmp_path: Path
) -> None:
    send(asked, tmp_path, "a")
    finish(queue, OLD, "inconclusive", 0.2)
    queue_trial(store.database, queue, ADA, one=OLD, other=NEW, most=1)
    with store.database.write() as connection:  # it takes a minute
        is_trial = computations.c.method_digest == NEW
        connection.execute(update(computations).where(is_trial).values(state=State.DONE.value, record_sha256="c" * 64))
        connection.execute(update(computations).where(is_trial).values(started_at=1.0, ended_at=61.0))
    path = tmp_path / "again"
    path.write_bytes(b"a")
    request = Request(hashlib.sha256(b"a").hexdigest(), 1, "a", None, None)
    stranger = Caller("eve", Role.EXAMINER)
    assert asked.create(stranger, request, method_digest=NEW, original=path)[0].state is State.RUNNING
