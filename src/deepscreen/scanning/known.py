"""A filter of known files: hashes, one a line, as NSRL and hash sets of laboratories give them.

Lists may name tens of millions of files: they are kept in an SQLite file beside the results, never in memory.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from deepscreen.errors import ConfigError
from deepscreen.media.intake import Intake
from deepscreen.report.wording import shown

KnownAction = Literal["skip", "flag"]
# Sha256 or MD5 anywhere in a line: bare, quoted, or a column of a table. Other lengths (SHA-1, CRC) are passed over.
DIGEST = re.compile(rb"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{32})(?![0-9A-Fa-f])")
MD5_BYTES = 16


class KnownFiles:
    """The hashes of a list, looked up on disk."""

    def __init__(self, hashes: Path, kept: Path) -> None:
        """``hashes``: the list. ``kept``: where it is kept in a form to look up; used again while the list is the same.

        Raises ConfigError where the list cannot be read or names no hash.
        """
        try:
            self.sha256 = _sha256_of(hashes)
        except OSError as error:
            raise ConfigError(f"{shown(str(hashes))}: cannot be read ({error.strerror})") from error
        self._database = sqlite3.connect(kept, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")  # it can be made again
        if not self._is_of(self.sha256):
            self._fill(hashes)
        (self._has_md5,) = self._database.execute("SELECT has_md5 FROM list").fetchone()

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def names(self, intake: Intake) -> bool:
        """Whether the list names this content; read once more where the list has MD5 sums."""
        if self._has(bytes.fromhex(intake.sha256)):
            return True
        return bool(self._has_md5) and self._has(_md5_of(intake.path))

    def _has(self, digest: bytes) -> bool:
        return self._database.execute("SELECT 1 FROM known WHERE digest = ?", [digest]).fetchone() is not None

    def _is_of(self, sha256: str) -> bool:
        try:
            return bool(self._database.execute("SELECT sha256 FROM list").fetchone() == (sha256,))
        except sqlite3.DatabaseError:
            return False

    def _fill(self, hashes: Path) -> None:
        self._database.executescript(
            "DROP TABLE IF EXISTS list; DROP TABLE IF EXISTS known;"
            "CREATE TABLE known (digest BLOB PRIMARY KEY) WITHOUT ROWID; BEGIN"
        )
        self._database.executemany("INSERT OR IGNORE INTO known VALUES (?)", ((d,) for d in _digests(hashes)))
        count, has_md5 = self._database.execute(
            "SELECT COUNT(*), COALESCE(MAX(LENGTH(digest) = ?), 0) FROM known", [MD5_BYTES]
        ).fetchone()
        if not count:
            self._database.execute("ROLLBACK")
            raise ConfigError(f"{shown(str(hashes))}: names no sha256 and no MD5")
        self._database.execute("CREATE TABLE list AS SELECT ? AS sha256, ? AS has_md5", [self.sha256, has_md5])
        self._database.execute("COMMIT")


def _digests(hashes: Path) -> Iterator[bytes]:
    with hashes.open("rb") as lines:
        for line in lines:
            for found in DIGEST.findall(line):
                yield bytes.fromhex(found.decode("ascii"))


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _md5_of(path: Path) -> bytes:
    """MD5 because that is what lists give: a name for known content, no proof against who makes two of one sum."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
