"""A scan from its beginning to its lists. What is done stays done: begun again, it goes on where it was."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import ConfigError
from deepscreen.kept import KeptResults
from deepscreen.report.wording import shown
from deepscreen.scanning.arrivals import Arrivals
from deepscreen.scanning.journal import Journal
from deepscreen.scanning.known import KnownAction, KnownFiles
from deepscreen.scanning.listing import Entry, Shard, entries, folder_of
from deepscreen.scanning.lists import EVIDENCE_NAME, told_of_results, write_lists
from deepscreen.scanning.rows import Row
from deepscreen.scanning.similar import similar_groups
from deepscreen.scanning.summary import Summary, summary_of
from deepscreen.scanning.table import Table
from deepscreen.screening import ScreeningDesk

SHARD_FACT = "shard"  # of a journal: which part of the folder it has
JOURNAL_NAME, LOCK_NAME, UNPACKED_NAME, KNOWN_NAME = "scan.sqlite", "scan.lock", "unpacked", "known.sqlite"
QUIET_SECONDS = 2.0  # a file that has just changed may still be written to


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What a scan does besides screening every file."""

    known: Path | None = None
    known_action: KnownAction = "skip"
    shard: Shard | None = None
    watch_seconds: float | None = None  # between two looks at a folder that grows; None: one look
    with_parquet: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """Who is told how far it is. ``begun``: files of the folder that are to be done in this look."""

    begun: Callable[[int], None] = lambda _: None
    done: Callable[[Row], None] = lambda _: None
    waiting: Callable[[Summary], bool] = lambda _: True  # after each look at a watched folder; False: enough


def scan(source: Path, out_dir: Path, *, desk: ScreeningDesk, options: ScanOptions, progress: Progress) -> Summary:
    """Screens a folder, archive or disk image into *out_dir*; what is scanned is only read.

    Raises ConfigError where *out_dir* lies inside the folder (the scan would find its own pictures), is in use, or
    holds results of another method, of another folder's files, or of files that are not there any more; StorageFull.
    """
    folder = folder_of(source)
    _check_out_dir(source, out_dir)
    with ExitStack() as stack:
        stack.enter_context(only_one(out_dir))
        journal = stack.enter_context(closing(Journal(out_dir / JOURNAL_NAME)))
        kept = KeptResults(out_dir / EVIDENCE_NAME, desk.provenance)
        known = None
        if options.known is not None:
            known = stack.enter_context(closing(KnownFiles(options.known, out_dir / KNOWN_NAME)))
        journal.check_facts(_facts(desk, options, known), out_dir)
        looks = _Looks(source, out_dir, journal, options)
        looks.first()
        _forget_what_is_lost(journal, kept)
        arrivals = Arrivals(
            folder,
            out_dir / UNPACKED_NAME,
            desk=desk,
            journal=journal,
            kept=kept,
            known=known,
            known_action=options.known_action,
        )
        with closing(arrivals):
            table = Table(desk, journal, kept, out_dir, arrivals, progress.done)
            while True:
                progress.begun(journal.pending_count())
                table.work()
                summary = summary_of(journal, desk.provenance)
                with told_of_results():
                    write_lists(journal, out_dir, summary, similar_groups(journal), with_parquet=options.with_parquet)
                if options.watch_seconds is None or not progress.waiting(summary):
                    return summary
                looks.again()


class _Looks:
    """Lists the folder, once or again and again."""

    def __init__(self, source: Path, out_dir: Path, journal: Journal, options: ScanOptions) -> None:
        self._source, self._out_dir, self._journal, self._options = source, out_dir, journal, options

    def first(self) -> None:
        """Notes what is there; a list of files that are gone, or of another folder, must not be overwritten."""
        listed = self._journal.list_entries(self._quiet(), may_miss=self._options.watch_seconds is not None)
        if listed.gone:
            example = shown(os.fsdecode(listed.gone_example or b""))
            raise ConfigError(
                f"{shown(str(self._out_dir))}: lists {listed.gone} files that are not in the folder (such as "
                f"{example}); choose another --out"
            )
        self._journal.retry_passing()

    def again(self) -> None:
        """Waits, then notes what is new. Files that were moved away meanwhile keep their results."""
        time.sleep(self._options.watch_seconds or 0.0)
        self._journal.list_entries(self._quiet(), may_miss=True)

    def _quiet(self) -> Iterator[Entry]:
        for entry in entries(self._source, self._options.shard):
            age_seconds = time.time() - entry.mtime_ns / 1e9
            if self._options.watch_seconds is None or not 0 <= age_seconds < QUIET_SECONDS:
                yield entry


def _forget_what_is_lost(journal: Journal, kept: KeptResults) -> None:
    """What the journal has as screened must lie there, whole: record and pictures are read and proven."""
    journal.forget_contents([sha256 for sha256 in journal.contents() if kept.find(sha256) is None])


def _facts(desk: ScreeningDesk, options: ScanOptions, known: KnownFiles | None) -> dict[str, object]:
    """What decides the results. (The folder may have moved; its files are compared.)"""
    return {
        "method": desk.provenance.method_digest,
        "limits on containers": desk.settings.unpack.model_dump(mode="json"),
        "list of known files": [known.sha256, options.known_action] if known is not None else None,
        SHARD_FACT: [options.shard.number, options.shard.of] if options.shard is not None else None,
    }


def _check_out_dir(source: Path, out_dir: Path) -> None:
    scanned, target = source.resolve(), out_dir.resolve()
    if source.is_dir() and (target == scanned or scanned in target.parents):
        raise ConfigError(f"{shown(str(out_dir))}: lies inside the scanned folder; choose --out elsewhere")
    out_dir.mkdir(parents=True, exist_ok=True)


@contextmanager
def only_one(out_dir: Path) -> Iterator[None]:
    """One scan at a time in one folder; the lock goes with the process, however that ends."""
    with (out_dir / LOCK_NAME).open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"{shown(str(out_dir))}: another scan writes there") from error
        yield
