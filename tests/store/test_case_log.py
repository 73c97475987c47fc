"""The extract of a case: the newest entries about it and what is or was in it, and about nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from deepscreen.store.cases import Cases
from deepscreen.store.computations import Queue
from deepscreen.store.keys import Caller, Role
from deepscreen.store.screenings import NotThere, Request, Screenings
from deepscreen.store.store import Store

ADA, EVE = Caller("ada", Role.ADMIN), Caller("eve", Role.EXAMINER)


def test_log_of_a_case_is_of_it_and_of_its_items(store: Store, tmp_path: Path) -> None:
    asked = Screenings(store, Queue(store.database, lease_seconds=60, max_deaths_alone=1))
    cases = Cases(store.database)
    mill, barn = (cases.create(ADA, name=name, notes="").id for name in ("mill", "barn"))

    def send(case_id: str | None, content: bytes) -> str:
        path = tmp_path / "upload"
        path.write_bytes(content)
        request = Request(hashlib.sha256(content).hexdigest(), len(content), None, case_id, None)
        return asked.create(ADA, request, method_digest="a" * 64, original=path)[0].id

    kept, gone = send(mill, b"kept"), send(mill, b"gone")
    send(barn, b"other")
    send(None, b"in no case")
    asked.delete(gone, ADA, reason="wrong case")
    cases.change(mill, ADA, name=None, notes="x", closed=None)
    found = [(entry.act, entry.subject) for entry in cases.log(mill, ADA, limit=50)]
    assert found == [
        ("case-created", mill), ("screening-created", kept), ("screening-created", gone),
        ("screening-deleted", gone), ("case-changed", mill),
    ]  # fmt: skip
    assert [(e.act, e.subject) for e in cases.log(mill, ADA, limit=2)] == found[-2:]
    with pytest.raises(NotThere):
        cases.log(mill, EVE, limit=2)
    assert cases.names(ADA, {mill, barn}) == {mill: "mill", barn: "barn"}
    assert cases.names(EVE, {mill}) == cases.names(ADA, set()) == {}
