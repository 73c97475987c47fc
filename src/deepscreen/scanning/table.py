"""Where files that arrive are screened and noted: three at a time, each at another step.

While the networks work on a file, a thread of its own takes in and decodes the next, and another draws the pictures of
the one before, writes them and notes it. What comes out does not depend on which was quicker: each file's numbers are
its own, and the journal is written in the order of arrival.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from deepscreen.errors import MediaError
from deepscreen.kept import KeptResults
from deepscreen.media.prefetch import prefetched
from deepscreen.scanning.arrivals import Arrival, Arrivals
from deepscreen.scanning.journal import Journal
from deepscreen.scanning.lists import write_page
from deepscreen.scanning.rows import Outcome, Row, error_row, screened_row
from deepscreen.screening import Detected, ScreeningDesk
from deepscreen.store.disk_errors import told_as_store_errors

# Of the files that wait for the networks; each may hold a decoded picture.
FILES_AHEAD = 1
# A larger picture leaves before the next is begun: memory holds three of the largest at most, not four.
LARGE_PIXELS = 24_000_000


class Table:
    """Screens what arrives and notes it, in the order of arrival."""

    def __init__(
        self,
        desk: ScreeningDesk,
        journal: Journal,
        kept: KeptResults,
        out_dir: Path,
        arrivals: Arrivals,
        on_done: Callable[[Row], None],
    ) -> None:
        """``on_done``: is told of each file once it is noted, on another thread, one at a time."""
        self._desk, self._journal, self._kept, self._out_dir = desk, journal, kept, out_dir
        self._arrivals, self._on_done = arrivals, on_done

    def work(self) -> None:
        """Screens all that is pending."""
        with (
            ThreadPoolExecutor(1, thread_name_prefix="finishing") as finishing,
            closing(prefetched(self._arrivals.all(), ahead=FILES_AHEAD)) as arriving,
        ):
            last: Future[None] | None = None
            for arrivals in arriving:
                start = time.perf_counter()
                detected = self._detected(arrivals[-1])
                seconds = time.perf_counter() - start
                if last is not None:
                    last.result()
                last = finishing.submit(self._finish, arrivals, detected, seconds)
                if _is_large(arrivals[-1]):
                    last.result()
            if last is not None:
                last.result()

    def _detected(self, arrival: Arrival) -> Detected | MediaError | None:
        """What the networks say; None where they are not asked."""
        if arrival.examination is None:
            return None
        try:
            return self._desk.detect(arrival.examination)
        except MediaError as error:
            return error

    def _finish(self, arrivals: Sequence[Arrival], detected: Detected | MediaError | None, seconds: float) -> None:
        if detected is not None:
            (arrival,) = arrivals
            rows = [self._screened(arrival.row, detected, seconds)]
        else:
            rows = self._with_copies([arrival.row for arrival in arrivals])
        self._journal.put(rows, arrivals[-1].fingerprint)
        for arrival, row in zip(arrivals, rows, strict=True):
            self._arrivals.settle(arrival)
            self._on_done(row)

    def _screened(self, row: Row, detected: Detected | MediaError, seconds: float) -> Row:
        start = time.perf_counter()
        try:
            if isinstance(detected, MediaError):
                raise detected
            screened = self._desk.finish(detected)
        except MediaError as error:
            done = error_row(row.way, row.container, error)
        else:
            with told_as_store_errors(full="no space left for results", refused="results cannot be written"):
                write_page(self._out_dir, row.way, screened.screening, screened.thumbnail_jpeg)
                self._kept.keep(screened)
            done = screened_row(row.way, row.container, screened.screening)
        seconds += row.seconds + time.perf_counter() - start
        return replace(done, sha256=row.sha256, size_bytes=row.size_bytes, is_known=row.is_known, seconds=seconds)

    def _with_copies(self, rows: Sequence[Row]) -> list[Row]:
        """The rows, those of contents that were met before with what came of them."""
        firsts = self._journal.find_contents({row.sha256 for row in rows if row.sha256 and _is_copy(row)})
        return [_copied(row, firsts) if _is_copy(row) else row for row in rows]


def _is_copy(row: Row) -> bool:
    return row.outcome == Outcome.SCREENED and not row.has_record


def _copied(row: Row, firsts: dict[str, Row]) -> Row:
    first = firsts.get(row.sha256 or "")
    if first is None:
        raise ValueError(f"{row.sha256}: was met before, but is not in the journal")
    return first.copied_as(row)


def _is_large(arrival: Arrival) -> bool:
    still = None if arrival.examination is None else arrival.examination.examined.still
    return still is not None and still.width_px * still.height_px > LARGE_PIXELS
