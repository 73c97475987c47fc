"""A scan of many files: several at once, copies many at a time, and the same bytes as one after the other."""

from __future__ import annotations

import os
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from deepscreen.media.containers.kinds import container_kind
from deepscreen.scanning import table
from deepscreen.scanning.hashing import with_hashes
from deepscreen.scanning.journal import PAGE_ROWS, Pending
from deepscreen.scanning.rows import Outcome, Row
from deepscreen.scanning.run import JOURNAL_NAME, LOCK_NAME, Progress, ScanOptions, scan
from deepscreen.scanning.small import SMALL_BYTES, hash_small
from deepscreen.screening import Detected, Examination, ScreeningDesk
from deepscreen.settings import Settings
from media_factory import picture, save_picture

FILES = 12


@pytest.fixture(scope="module")
def desk() -> Iterator[ScreeningDesk]:
    desk = ScreeningDesk.with_fake_detectors(Settings(device="cpu"))
    yield desk
    desk.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures, each of them twice, and texts."""
    root = tmp_path / "in"
    root.mkdir()
    for number in range(FILES):
        save_picture(root / f"{number % (FILES // 2):02}{number}.png", "PNG", picture(40 + number % (FILES // 2), 30))
        (root / f"{number}.txt").write_text(f"text {number % 3}")
    return root


def scanned(source: Path, out: Path, desk: ScreeningDesk) -> list[Row]:
    told: list[Row] = []
    scan(source, out, desk=desk, options=ScanOptions(), progress=Progress(done=told.append))
    return told


def results(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.name.startswith((JOURNAL_NAME, LOCK_NAME))
    }


class Hindered:
    """Lets the networks have a file only once ``others`` more wait beside it: the first ends last."""

    def __init__(self, desk: ScreeningDesk, others: int) -> None:
        self._detect, self._others = desk.detect, others
        self._changed = threading.Condition()
        self._begun, self.most_at_once, self._now = 0, 0, 0

    def __call__(self, examination: Examination) -> Detected:
        with self._changed:
            self._begun += 1
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            self._changed.notify_all()
            if self._begun == 1:
                assert self._changed.wait_for(lambda: self._begun > self._others, timeout=20)
        try:
            return self._detect(examination)
        finally:
            with self._changed:
                self._now -= 1


def test_files_that_overtake_others_change_neither_order_nor_bytes(
    folder: Path, tmp_path: Path, desk: ScreeningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = scanned(folder, tmp_path / "one by one", desk)
    hindered = Hindered(desk, others=3)
    monkeypatch.setattr(desk, "detect", hindered)
    monkeypatch.setitem(table.NETWORKS_AT_ONCE, "cpu", 4)
    told = scanned(folder, tmp_path / "at once", desk)
    assert [row.way for row in told] == [row.way for row in expected] == sorted(row.way for row in told)
    assert results(tmp_path / "at once") == results(tmp_path / "one by one")
    assert 1 < hindered.most_at_once <= 4


def test_on_a_processor_the_networks_have_one_file_at_a_time(
    folder: Path, tmp_path: Path, desk: ScreeningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Hindered(desk, others=0)
    monkeypatch.setattr(desk, "detect", watched)
    scanned(folder, tmp_path / "out", desk)
    assert watched.most_at_once == 1


def test_of_large_pictures_one_is_in_memory_at_a_time(
    folder: Path, tmp_path: Path, desk: ScreeningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Hindered(desk, others=0)
    monkeypatch.setattr(desk, "detect", watched)
    monkeypatch.setitem(table.NETWORKS_AT_ONCE, "cpu", 4)
    monkeypatch.setattr(table, "LARGE_PIXELS", 30 * 40 - 1)  # all are larger
    assert len(scanned(folder, tmp_path / "out", desk)) == 2 * FILES
    assert watched.most_at_once == 1


def test_an_error_of_the_program_ends_the_scan_and_what_was_noted_stays(
    folder: Path, tmp_path: Path, desk: ScreeningDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = desk.detect, []

    def failing(examination: Examination) -> Detected:
        calls.append(examination)
        if len(calls) == 4:
            raise RuntimeError("a fault of the program")
        return real(examination)

    monkeypatch.setattr(desk, "detect", failing)
    with pytest.raises(RuntimeError, match="a fault"):
        scanned(folder, tmp_path / "out", desk)
    monkeypatch.setattr(desk, "detect", real)
    again = scanned(folder, tmp_path / "out", desk)
    assert 0 < len(again) < 2 * FILES
    scanned(folder, tmp_path / "whole", desk)
    assert results(tmp_path / "out") == results(tmp_path / "whole")


def test_copies_name_the_first_and_are_noted_with_what_came_of_it(
    folder: Path, tmp_path: Path, desk: ScreeningDesk
) -> None:
    rows = {row.way: row for row in scanned(folder, tmp_path / "out", desk)}
    for row in rows.values():
        same = sorted(way for way, other in rows.items() if other.sha256 == row.sha256)
        assert row.first_way == (None if row.way == same[0] else same[0])
        assert row.outcome == rows[same[0]].outcome
        assert row.size_bytes == (folder / os.fsdecode(row.way)).stat().st_size
    assert sum(row.outcome == Outcome.SCREENED for row in rows.values()) == FILES


def test_only_plain_small_files_are_hashed_many_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"plain")
    (tmp_path / "grown").write_bytes(b"longer than it was")
    (tmp_path / "shrunk").write_bytes(b"short")
    (tmp_path / "large").write_bytes(bytes(SMALL_BYTES + 1))
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        archive.writestr("a", "a")
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()} | {"gone": 5, "grown": 5, "shrunk": 9}
    listed = [Pending(name.encode(), size) for name, size in sizes.items()]
    found = hash_small(os.fsencode(tmp_path), listed, max_bytes=1_000_000)
    plain = bytes.fromhex("a116c9ed46d6207734a43317d30fd88f52ac8634c37d904bbf4e41d865f90475")
    assert found == [plain if name == b"plain" else None for name, _ in listed]
    assert hash_small(os.fsencode(tmp_path), listed, max_bytes=4) == [None] * len(listed)


def pages_of_files(folder: Path, count: int) -> list[list[Pending]]:
    """Small files with names of all kinds, in pages as the journal gives them."""
    files = []
    for number in range(count):
        way = f"{number:05}".encode() + (b"", b" \n", b"\xff", "ä".encode())[number % 4]
        (folder / os.fsdecode(way)).write_bytes(b"%d" % (number % 7))
        files.append(Pending(way, 1))
    return [files[at : at + PAGE_ROWS] for at in range(0, count, PAGE_ROWS)]


@pytest.mark.parametrize("count", [0, 3, PAGE_ROWS, 2 * PAGE_ROWS + 1])
def test_pages_come_with_their_hashes_from_whichever_process(tmp_path: Path, count: int) -> None:
    pages = pages_of_files(tmp_path, count)
    given = [found for found in with_hashes(os.fsencode(tmp_path), iter(pages), max_bytes=1000) if found[0]]
    assert [page for page, _ in given] == pages
    for page, hashed in given:
        assert hashed == {way: sha256((tmp_path / os.fsdecode(way)).read_bytes()).hexdigest() for way, _ in page}


def test_files_are_read_on_their_own_where_the_hashing_process_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def noted(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **options))  # type: ignore[call-overload]
        return started[-1]

    popen = subprocess.Popen
    monkeypatch.setattr("deepscreen.scanning.hashing.subprocess.Popen", noted)
    pages = pages_of_files(tmp_path, 4 * PAGE_ROWS)
    given = with_hashes(os.fsencode(tmp_path), iter(pages), max_bytes=1000)
    assert len(next(given)[1]) == PAGE_ROWS
    started[0].kill()
    started[0].wait()
    rest = list(given)
    assert [page for page, _ in rest] == pages[1:]
    assert rest[-1][1] == {}


@pytest.mark.parametrize("program", ["/bin/false", "/no/such/program"])
def test_scan_without_a_hashing_process_is_the_same(
    program: str, tmp_path: Path, desk: ScreeningDesk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in").mkdir()
    pages_of_files(tmp_path / "in", PAGE_ROWS + 3)
    scanned(tmp_path / "in", tmp_path / "out", desk)
    assert "one by one" not in caplog.text
    monkeypatch.setattr("deepscreen.scanning.hashing.sys.executable", program)
    scanned(tmp_path / "in", tmp_path / "alone", desk)
    assert results(tmp_path / "alone") == results(tmp_path / "out")
    assert caplog.text.count("one by one") == 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_messages_are_told_by_their_first_lines(end: str) -> None:
    fields = ["From: a", "Date: b", "To: c"]
    assert container_kind(end.join([*fields, "", "text"]).encode()) == "mail"
    assert container_kind(end.join(["From a b", *fields]).encode()) == "mail"
    assert container_kind(b"\xef\xbb\xbf" + end.join(fields).encode()) == "mail"
    assert container_kind(end.join([" folded", *fields]).encode()) == "mail"
    assert container_kind(end.join(["no field", *fields]).encode()) is None
    assert container_kind(end.join(["", *fields]).encode()) is None
