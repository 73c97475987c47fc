"""Near-duplicates are found in the item's own case, by whom the case is open to, and nothing of other cases is told."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import pytest
from sqlalchemy import update

from deepscreen.fingerprints.kinds import PICTURE
from deepscreen.store import duplicates
from deepscreen.store.cases import Cases
from deepscreen.store.computations import Outcome, Queue, State
from deepscreen.store.duplicates import kinds_alike, near_duplicates
from deepscreen.store.keys import Caller, Role
from deepscreen.store.screenings import Item, Request, Screenings
from deepscreen.store.store import Store
from deepscreen.store.tables import computations, screenings

METHOD = "a" * 64
ADA, BOB = Caller("ada", Role.EXAMINER), Caller("bob", Role.EXAMINER)
AUDITOR = Caller("carl", Role.AUDITOR)
# Hashes that differ in so many bits of 256; 31 is near.
ORIGINAL = bytes(32)
NEAR = b"\xff\xff" + bytes(30)
NEAR_TO_NEAR = b"\xff\xff\xff\xff" + bytes(28)
FAR = b"\xff" * 32


class Desk:
    """A store with what is sent and screened at once."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self._folder = store, folder
        self.queue = Queue(store.database, lease_seconds=60, max_deaths_alone=1)
        self.asked = Screenings(store, self.queue)
        self.cases = Cases(store.database)

    def send(self, content: bytes, hash_: bytes = b"", *, by: Caller = ADA, case_id: str | None = None) -> Item:
        """An item whose picture has this hash; screened unless the content was."""
        path = self._folder / secrets.token_hex(4)
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        request = Request(sha256, len(content), content.decode(), case_id, None)
        item, _ = self.asked.create(by, request, method_digest=METHOD, original=path)
        claim = self.queue.claim("worker", METHOD, is_idle=True)
        if claim is not None:
            found = {PICTURE: hash_} if hash_ else {}
            outcome = Outcome(State.DONE, record_sha256="c" * 64, kind=PICTURE, fingerprints=found)
            self.queue.finish(claim, outcome, worker="worker")
        return self.asked.get(item.id, by)

    def case(self, name: str, by: Caller = ADA) -> str:
        return self.cases.create(by, name=name, notes="").id

    def beside(self, item: Item, caller: Caller = ADA) -> list[str]:
        """Names of what is found to be a copy, the oldest first."""
        found = near_duplicates(self.store.database, item, caller).others
        return [str(one.item.filename) for one in reversed(found)]


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Desk:
    return Desk(store, tmp_path)


def test_cluster_holds_what_is_near_one_of_it(desk: Desk) -> None:
    item = desk.send(b"original", ORIGINAL)
    for content, found in ((b"copy", NEAR), (b"copy of copy", NEAR_TO_NEAR), (b"other", FAR), (b"plain", b"")):
        desk.send(content, found)
    desk.send(b"original")
    cluster = near_duplicates(desk.store.database, item, ADA)
    kinds = {one.item.filename: one.kinds for one in cluster.others}
    assert kinds == {"copy": ("image",), "copy of copy": ("image",), "original": ()}
    assert cluster.is_whole
    assert cluster.kinds_compared == ("image",)


def test_other_cases_and_other_owners_are_not_told(desk: Desk) -> None:
    mill, barn = desk.case("mill"), desk.case("barn")
    item = desk.send(b"in the mill", ORIGINAL, case_id=mill)
    desk.send(b"too", NEAR, case_id=mill)
    desk.send(b"in the barn", NEAR_TO_NEAR, case_id=barn)
    desk.send(b"in no case", ORIGINAL)
    desk.send(b"in the mill", by=BOB)  # the very same file, of somebody else
    assert desk.beside(item) == desk.beside(item, AUDITOR) == ["too"]


def test_outside_of_cases_only_the_senders_own_are_compared(desk: Desk) -> None:
    own, others = desk.send(b"mine", ORIGINAL), desk.send(b"his", NEAR, by=BOB)
    desk.send(b"in a case", NEAR, case_id=desk.case("mill"))
    assert desk.beside(own) == []
    assert desk.beside(others, BOB) == desk.beside(others, AUDITOR) == []
    desk.send(b"mine too", NEAR_TO_NEAR[:3] + bytes(29))
    assert desk.beside(own) == ["mine too"]


def test_copy_whose_result_is_not_shown_yet_is_not_told(desk: Desk) -> None:
    mill = desk.case("mill")
    item = desk.send(b"original", ORIGINAL, case_id=mill)
    desk.send(b"copy", NEAR, by=BOB)
    with desk.store.database.write() as connection:  # it took an hour
        connection.execute(update(computations).values(started_at=computations.c.ended_at - 3600))
    desk.send(b"copy", case_id=mill)  # it was computed for Bob, and is to look as if it were computed anew
    assert desk.beside(item) == []
    with desk.store.database.write() as connection:
        connection.execute(update(screenings).values(joined_at=None))
    assert desk.beside(item) == ["copy"]


def test_what_was_deleted_or_taken_back_is_not_told(desk: Desk) -> None:
    item = desk.send(b"original", ORIGINAL)
    desk.asked.delete(desk.send(b"copy", NEAR).id, ADA, reason="")
    assert desk.beside(item) == []


def test_more_than_is_listed_or_compared_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [desk.send(f"copy {k}".encode(), bytes([k]) + bytes(31)) for k in range(6)]
    monkeypatch.setattr(duplicates, "MOST_FOUND", 3)
    cluster = near_duplicates(desk.store.database, items[0], ADA)
    assert [one.item.filename for one in cluster.others] == ["copy 5", "copy 4", "copy 3"]
    assert not cluster.is_whole
    monkeypatch.setattr(duplicates, "MOST_FOUND", 50)
    monkeypatch.setitem(duplicates.MOST_COMPARED, PICTURE, 3)
    cluster = near_duplicates(desk.store.database, items[0], ADA)
    assert [one.item.filename for one in cluster.others] == ["copy 5", "copy 4", "copy 3"]
    assert not cluster.is_whole


def test_item_without_a_fingerprint_says_so(desk: Desk) -> None:
    item = desk.send(b"plain")
    desk.send(b"other", ORIGINAL)
    cluster = near_duplicates(desk.store.database, item, ADA)
    assert (cluster.others, cluster.kinds_compared) == ((), ())


def test_two_items_are_compared_wherever_they_belong(desk: Desk) -> None:
    one, other, far = (
        desk.send(b"1", ORIGINAL, case_id=desk.case("a")),
        desk.send(b"2", NEAR, case_id=desk.case("b")),
        desk.send(b"3", FAR),
    )
    assert kinds_alike(desk.store.database, one, other) == ("image",)
    assert kinds_alike(desk.store.database, one, far) == ()
