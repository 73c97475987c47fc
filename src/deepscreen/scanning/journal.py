"""What a scan has found and done, in an SQLite file beside its results: the one truth that lists are written from.

Rows are committed one by one, copies of what is there many at once: after ``kill -9`` all that was told is there, and
nothing twice. Any thread may use it.
See docs/adr/0017.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from deepscreen.errors import ConfigError, StorageFull, UnpackRefused
from deepscreen.record import Verdict
from deepscreen.report.wording import shown
from deepscreen.scanning.listing import Entry
from deepscreen.scanning.rows import MEMBER_MARK, PASSING, Outcome, Reason, Row

PAGE_ROWS = 500
COLUMNS = Row._fields
MOST_COLUMNS = len(COLUMNS) + 2  # of a table, listed size and time besides
ROWS_AT_ONCE = 999 // MOST_COLUMNS  # no build of SQLite takes fewer values in one statement
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
  way BLOB PRIMARY KEY, listed_bytes INTEGER, listed_mtime_ns INTEGER, container BLOB,
  {", ".join(name for name in COLUMNS if name not in ("way", "container"))}
) WITHOUT ROWID;
-- Of these none has copies or files that are only listed: they may be many, and each change of an index takes time.
CREATE INDEX IF NOT EXISTS firsts ON files (sha256) WHERE first_way IS NULL AND sha256 IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_container ON files (container) WHERE container IS NOT NULL;
CREATE TABLE IF NOT EXISTS fingerprints (sha256 TEXT PRIMARY KEY, kind TEXT NOT NULL, content BLOB NOT NULL);
CREATE TEMP TABLE lost (sha256 TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE present (way BLOB PRIMARY KEY, size INTEGER, mtime INTEGER) WITHOUT ROWID;
"""
PASSING_SQL = ", ".join(f"'{name}'" for name in sorted(PASSING))
IS_TOP, IS_DONE = "container IS NULL", "outcome IS NOT NULL"
IS_FIRST = f"{IS_DONE} AND first_way IS NULL"  # of its content
# What a container was refused for (how deep it lies, how much had come out before) holds there and nowhere else.
SPEAKS_FOR_COPIES = f"{IS_FIRST} AND error_type IS NOT '{UnpackRefused.__name__}'"
PUT_ROWS = f"INSERT INTO files ({', '.join(COLUMNS)})"
OVER_OLD = (
    f"ON CONFLICT (way) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS if name != 'way')}"
)


class Pending(NamedTuple):
    """A file of the folder that is not done, and its size in bytes when the folder was listed."""

    way: bytes
    listed_bytes: int


@dataclass(frozen=True, slots=True)
class Listed:
    """What listing the folder again has shown."""

    new: int
    gone: int
    gone_example: bytes | None


class Journal:
    """The journal in the file *path*, which is made where it is missing."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        try:
            # WAL with one sync a checkpoint: a killed process loses nothing, a lost machine its last moments.
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "temp_store = FILE", "cache_size = -16000"):
                self._database.execute(f"PRAGMA {pragma}")
            self._database.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"{shown(str(path))}: not the journal of a scan ({error}); choose another --out"
            ) from error
        self._database.row_factory = sqlite3.Row

    def close(self) -> None:
        """Closes the file; what is in it stays."""
        self._database.close()

    def check_facts(self, facts: Mapping[str, object], where: Path) -> None:
        """Notes what the scan is made with; raises ConfigError where an earlier one was made with something else."""
        told = {name: json.dumps(value, sort_keys=True) for name, value in facts.items()}
        with self._transaction() as database:
            before = dict(database.execute("SELECT name, value FROM facts").fetchall())
            differ = sorted(name for name, value in told.items() if before.get(name, value) != value)
            if differ:
                raise ConfigError(
                    f"{shown(str(where))}: holds results of another {', '.join(differ)}; choose another --out"
                )
            database.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?)", told.items())

    def facts(self) -> dict[str, Any]:
        """What the scan is made with, as it was noted."""
        return {row["name"]: json.loads(row["value"]) for row in self._rows("SELECT name, value FROM facts")}

    def list_entries(self, found: Iterable[Entry], *, may_miss: bool = False) -> Listed:
        """Notes the files that are there; one whose size or time has changed since is to be done again.

        Where files are gone that were there before, nothing is noted, unless it *may_miss* some.
        """
        with self._transaction() as database:
            database.execute("DELETE FROM present")
            rows = ((entry.way, entry.size_bytes, entry.mtime_ns) for entry in found)
            _insert(database, "INSERT OR IGNORE INTO present", rows)
            gone = database.execute(
                f"SELECT COUNT(*), MIN(way) FROM files WHERE {IS_TOP} AND way NOT IN (SELECT way FROM present)"
            ).fetchone()
            if gone[0] and not may_miss:
                return Listed(0, gone[0], gone[1])
            self._drop_changed(database)
            new = database.execute(
                "INSERT OR IGNORE INTO files (way, listed_bytes, listed_mtime_ns) SELECT way, size, mtime FROM present"
            ).rowcount
        return Listed(new, 0, None)

    def _drop_changed(self, database: sqlite3.Connection) -> None:
        changed = database.execute(
            "SELECT way FROM files JOIN present USING (way) "
            "WHERE listed_bytes IS NOT size OR listed_mtime_ns IS NOT mtime"
        ).fetchall()
        for (way,) in changed:
            own = "SELECT way FROM files WHERE way = ?1 OR container = ?1"
            self._reset(database, f"first_way IN ({own})", [way])
            database.execute("DELETE FROM files WHERE way = ?1 OR container = ?1", [way])

    def retry_passing(self) -> None:
        """What failed for a reason that may have passed is to be done again."""
        with self._transaction() as database:
            self._reset(database, f"error_type IN ({PASSING_SQL})")

    def forget_contents(self, contents: Iterable[str]) -> None:
        """The files of these contents are to be done again."""
        with self._transaction() as database:
            database.execute("DELETE FROM lost")
            _insert(database, "INSERT OR IGNORE INTO lost", ((sha256,) for sha256 in contents))
            if database.execute("SELECT 1 FROM lost").fetchone():
                self._reset(database, "sha256 IN (SELECT sha256 FROM lost)")

    def _reset(self, database: sqlite3.Connection, which: str, values: Sequence[object] = ()) -> None:
        """Files are to be done again, and with them the containers that they are reached through."""
        tops = f"(SELECT container FROM files WHERE {which})"
        database.execute(
            f"UPDATE files SET outcome = NULL WHERE reason = '{Reason.CONTAINER}' AND "
            f"(way IN {tops} OR container IN {tops})",
            values,
        )
        database.execute(f"UPDATE files SET outcome = NULL WHERE {which}", values)

    def pending(self) -> Iterator[list[Pending]]:
        """The files of the folder that are not done, in byte order, by pages; more may be noted meanwhile."""
        last = b""
        while page := self._rows(
            f"SELECT way, listed_bytes FROM files WHERE {IS_TOP} AND outcome IS NULL AND way > ? "
            f"ORDER BY way LIMIT {PAGE_ROWS}",
            last,
        ):
            yield [Pending(row["way"], row["listed_bytes"]) for row in page]
            last = page[-1]["way"]

    def pending_count(self) -> int:
        """How many files of the folder are not done."""
        return int(self._rows(f"SELECT COUNT(*) AS n FROM files WHERE {IS_TOP} AND outcome IS NULL")[0]["n"])

    def is_done(self, way: bytes) -> bool:
        """Whether something came of this file already."""
        return bool(self._rows(f"SELECT 1 FROM files WHERE way = ? AND {IS_DONE}", way))

    def find_content(self, sha256: str) -> Row | None:
        """The file in which this content was met first, once something came of it."""
        found = self._rows(f"SELECT * FROM files WHERE sha256 = ? AND {SPEAKS_FOR_COPIES} ORDER BY way LIMIT 1", sha256)
        return _row(found[0]) if found else None

    def find_contents(self, contents: Collection[str]) -> dict[str, Row]:
        """By sha256, the files that these contents were met in first; without those of which nothing has come yet."""
        found: dict[str, Row] = {}
        for group in _by(PAGE_ROWS, sorted(contents)):
            for row in self._rows(
                f"SELECT * FROM files WHERE sha256 IN ({', '.join('?' * len(group))}) AND {SPEAKS_FOR_COPIES} "
                "ORDER BY way DESC",
                *group,
            ):
                found[row["sha256"]] = _row(row)  # the first by its way comes last
        return found

    def put(self, rows: Sequence[Row], fingerprint: bytes | None = None) -> None:
        """Notes what came of files, at once and for good. ``fingerprint``: of the last."""
        with self._transaction() as database:
            _insert(database, PUT_ROWS, rows, OVER_OLD)
            if fingerprint is not None:
                content = (rows[-1].sha256, rows[-1].kind, fingerprint)
                database.execute("INSERT OR REPLACE INTO fingerprints VALUES (?, ?, ?)", content)

    def take_all(self, other: Journal, other_name: str) -> None:
        """Takes over every file and fingerprint of *other*; raises ConfigError where both have a file of one path."""
        with self._transaction() as database:
            try:
                for page in other._pages("files", "way", b""):
                    _insert(database, "INSERT INTO files", page)
            except sqlite3.IntegrityError as error:
                raise ConfigError(f"{other_name}: lists files that another of the folders lists too") from error
            for page in other._pages("fingerprints", "sha256", ""):
                _insert(database, "INSERT OR IGNORE INTO fingerprints", page)

    def join_contents(self) -> None:
        """Of contents that several files are the first of, as after ``take_all``: one stays, the others are its copies.

        It is the one that a scan of all would have come to first, and of which something came. A container that is a
        copy loses what is below it, once all copies are known.
        """
        is_first = f"{SPEAKS_FOR_COPIES} AND outcome <> '{Outcome.KNOWN}'"
        contents = self._rows(
            f"SELECT sha256 FROM files WHERE sha256 IS NOT NULL AND {is_first} GROUP BY sha256 HAVING COUNT(*) > 1"
        )
        by_turn = (
            f"SELECT * FROM files WHERE sha256 = ? AND {is_first} "
            f"ORDER BY outcome = '{Outcome.FAILED}', COALESCE(container, way), way"
        )
        self._rows("CREATE INDEX by_content ON files (sha256)")
        copied: list[Row] = []
        for content in contents:
            first, *others = (_row(found) for found in self._rows(by_turn, content["sha256"]))
            self._make_copies(first, others)
            copied += others if first.reason == Reason.CONTAINER else ()
        self._rows("DROP INDEX by_content")
        self._drop_below(copied)

    def _make_copies(self, first: Row, others: Sequence[Row]) -> None:
        """All files of the content, those too that were copies in their shard, get what came of *first*."""
        with self._transaction() as database:
            _insert(database, PUT_ROWS, map(first.copied_as, others), OVER_OLD)
            copies = database.execute(
                "SELECT * FROM files WHERE sha256 = ? AND first_way IS NOT NULL", [first.sha256]
            ).fetchall()
            _insert(database, PUT_ROWS, (first.copied_as(_row(copy)) for copy in copies), OVER_OLD)

    def _drop_below(self, containers: Sequence[Row]) -> None:
        with self._transaction() as database:
            for container in containers:
                below = container.way + MEMBER_MARK
                database.execute(
                    "DELETE FROM files WHERE container = ?1 AND substr(way, 1, ?2) = ?3",
                    [container.container or container.way, len(below), below],
                )

    def unpacked_bytes(self, container: bytes) -> int:
        """Of all files below a container of the folder that are done."""
        found = self._rows(
            f"SELECT COALESCE(SUM(size_bytes), 0) AS n FROM files WHERE container = ? AND {IS_DONE}", container
        )
        return int(found[0]["n"])

    def _pages(self, table: str, key: str, last: bytes | str) -> Iterator[list[sqlite3.Row]]:
        while page := self._rows(f"SELECT * FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT {PAGE_ROWS}", last):
            yield page
            last = page[-1][key]

    def rows(self) -> Iterator[Row]:
        """All files that are done, in byte order of their ways; holds a page of them at a time."""
        last = b""
        while page := self._rows(
            f"SELECT * FROM files WHERE {IS_DONE} AND way > ? ORDER BY way LIMIT {PAGE_ROWS}", last
        ):
            yield from map(_row, page)
            last = page[-1]["way"]

    def strongest(self, count: int) -> list[Row]:
        """The files that speak most for "synthetic or manipulated", each content once."""
        found = self._rows(
            f"SELECT * FROM files WHERE {IS_DONE} AND log10_lr IS NOT NULL AND first_way IS NULL "
            "ORDER BY log10_lr DESC, way LIMIT ?",
            count,
        )
        return [_row(row) for row in found]

    def contents(self) -> Iterator[str]:
        """Sha256 of every content that has a record."""
        last = ""
        while page := self._rows(
            f"SELECT DISTINCT sha256 FROM files WHERE verdict IS NOT NULL AND {IS_FIRST} AND sha256 > ? "
            f"ORDER BY sha256 LIMIT {PAGE_ROWS}",
            last,
        ):
            yield from (row["sha256"] for row in page)
            last = page[-1]["sha256"]

    def fingerprints(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """Sha256 and fingerprint of every content of this kind of fingerprint that is still among the files."""
        last = ""
        while page := self._rows(
            "SELECT sha256, content FROM fingerprints WHERE kind = ? AND sha256 > ? AND EXISTS (SELECT 1 FROM files "
            f"WHERE files.sha256 = fingerprints.sha256 AND {IS_FIRST}) ORDER BY sha256 LIMIT {PAGE_ROWS}",
            kind,
            last,
        ):
            yield from ((row["sha256"], row["content"]) for row in page)
            last = page[-1]["sha256"]

    def counts(self) -> list[tuple[Outcome, Reason, str, str, int]]:
        """Outcome, reason, kind of media, verdict and how many files that is of, for each that there are."""
        found = self._rows(
            f"SELECT outcome, reason, COALESCE(kind, '') AS kind, COALESCE(verdict, '') AS verdict, COUNT(*) AS n "
            f"FROM files WHERE {IS_DONE} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        )
        return [(Outcome(r["outcome"]), Reason(r["reason"]), r["kind"], r["verdict"], r["n"]) for r in found]

    def marked(self) -> tuple[int, int]:
        """How many files repeat another's content, and how many a list of known files names."""
        found = self._rows(
            f"SELECT COUNT(first_way) AS repeats, COALESCE(SUM(is_known), 0) AS known FROM files WHERE {IS_DONE}"
        )[0]
        return int(found["repeats"]), int(found["known"])

    def _rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
            except BaseException as error:
                if self._database.in_transaction:  # SQLite may have rolled back itself
                    self._database.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                    raise StorageFull("no space left for the journal of the scan") from error
                raise


def _insert(database: sqlite3.Connection, into: str, rows: Iterable[Iterable[object]], on_conflict: str = "") -> None:
    """Many rows with each statement: for every one Python gives up its lock and waits for it, beside other threads."""
    left = iter(rows)
    while part := [tuple(row) for row in islice(left, ROWS_AT_ONCE)]:
        marks = f"({', '.join('?' * len(part[0]))})"
        statement = f"{into} VALUES {', '.join([marks] * len(part))} {on_conflict}"
        database.execute(statement, list(chain.from_iterable(part)))


def _by(size: int, values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[at : at + size] for at in range(0, len(values), size))


def _row(found: sqlite3.Row) -> Row:
    values: dict[str, Any] = {name: found[name] for name in COLUMNS}
    values["outcome"], values["reason"] = Outcome(values["outcome"]), Reason(values["reason"])
    values["verdict"] = None if values["verdict"] is None else Verdict(values["verdict"])
    values["is_known"] = bool(values["is_known"])
    return Row(**values)
