"""Space in use is what lies there, counted once in a while."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from deepscreen.store import usage
from deepscreen.store.computations import Queue
from deepscreen.store.keys import Caller, Role
from deepscreen.store.screenings import Request, Screenings
from deepscreen.store.store import Store
from deepscreen.store.usage import UsageCounter

ADA = Caller("ada", Role.ADMIN)
CONTENT = b"suspect" * 100


def test_each_original_counts_once_until_it_is_deleted(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = UsageCounter(store, retention_days=1.0)
    assert (counter.usage().originals, counter.usage().blobs) == (0, 0)
    asked = Screenings(store, Queue(store.database, lease_seconds=60, max_deaths_alone=1))
    original = tmp_path / "upload"
    original.write_bytes(CONTENT)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    request = Request(sha256, len(CONTENT), None, None, None)
    items = [asked.create(ADA, request, method_digest="a" * 64, original=original)[0] for _ in range(2)]
    store.blobs.put(b"record")
    assert counter.usage().originals == 0, "it was counted a moment ago"
    monkeypatch.setattr(usage, "FRESH_SECONDS", -1.0)
    found = counter.usage()
    assert (found.originals, found.original_bytes) == (1, len(CONTENT))
    assert (found.blobs, found.blob_bytes) == (2, len(CONTENT) + len(b"record"))
    assert found.database_bytes > 10_000
    assert found.free_bytes
    assert found.expired == 0
    for item in items:
        asked.delete(item.id, ADA, reason="")
    assert (counter.usage().originals, counter.usage().blobs) == (0, 1)
