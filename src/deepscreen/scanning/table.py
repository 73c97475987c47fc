"""Where files that arrive are screened and noted: several at a time, each at another step.

While the networks work on a file, others are decoded and looked over, and the pictures of those before are drawn and
written. On a GPU the networks have several files at once, whose views share batches. What comes out does not depend on
which was quicker: each file's numbers are its own, and the journal is written in the order of arrival.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from deepscreen.errors import MediaError
from deepscreen.kept import KeptResults
from deepscreen.scanning.arrivals import Arrival, Arrivals
from deepscreen.scanning.journal import Journal
from deepscreen.scanning.lists import told_of_results, write_page
from deepscreen.scanning.rows import Outcome, Row, error_row, screened_row
from deepscreen.screening import Detected, Examination, ScreeningDesk

# By class of device, the files that the networks have at once. On a processor one file's pass uses all cores.
NETWORKS_AT_ONCE = {"cpu": 1, "cuda": 8}
# Beside those: one that is decoded, one that is drawn and written. Each may hold a decoded picture.
FILES_BESIDE = 2
LARGE_PIXELS = 24_000_000  # of larger pictures only one is in memory at a time, whatever a folder holds
MOST_WAITING = 64  # runs of files that are done and wait for those before them


@dataclass(frozen=True, slots=True)
class _Worked:
    """What came of a file that was screened; ``fingerprint`` is None where it has none."""

    row: Row
    fingerprint: bytes | None


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
        """``on_done``: is told of each file once it is noted."""
        self._desk, self._journal, self._kept, self._out_dir = desk, journal, kept, out_dir
        self._arrivals, self._on_done = arrivals, on_done
        self._networks_at_once = NETWORKS_AT_ONCE.get(desk.provenance.device_class, 1)
        self._files_at_once = self._networks_at_once + FILES_BESIDE
        self._large_picture = threading.Lock()

    def work(self) -> None:
        """Screens all that is pending."""
        with (
            # Threads of their own: what torch keeps for each thread that calls it stays warm (5 % of processor time).
            ThreadPoolExecutor(self._networks_at_once, "networks") as networks,
            ThreadPoolExecutor(self._files_at_once, "screening") as workers,
            closing(self._arrivals.all()) as arriving,
        ):
            try:
                self._work(arriving, workers, networks)
            except BaseException:
                networks.shutdown(wait=False, cancel_futures=True)  # only what is with them now is waited for
                raise

    def _work(self, arriving: Iterator[Sequence[Arrival]], workers: Executor, networks: Executor) -> None:
        in_hand: deque[tuple[Sequence[Arrival], Future[_Worked] | None]] = deque()
        for arrivals in arriving:
            if arrivals[-1].is_to_do:
                while sum(work is not None for _, work in in_hand) >= self._files_at_once:
                    self._note(*in_hand.popleft())
                in_hand.append((arrivals, workers.submit(self._screen, arrivals[-1], networks)))
            else:
                if (unpacked := arrivals[-1].unpacked) is not None:
                    unpacked.unlink(missing_ok=True)  # nobody reads it any more; those before may take long
                in_hand.append((arrivals, None))
            while len(in_hand) > MOST_WAITING or (in_hand and _is_done(in_hand[0][1])):
                self._note(*in_hand.popleft())
        while in_hand:
            self._note(*in_hand.popleft())

    def _note(self, arrivals: Sequence[Arrival], work: Future[_Worked] | None) -> None:
        """Writes what came of the files into the journal; waits for it."""
        if work is None:
            rows, fingerprint = self._with_copies([arrival.row for arrival in arrivals]), arrivals[-1].fingerprint
        else:
            rows, fingerprint = [work.result().row], work.result().fingerprint
        self._journal.put(rows, fingerprint)
        for arrival, row in zip(arrivals, rows, strict=True):
            self._arrivals.settle(arrival)
            self._on_done(row)

    def _screen(self, arrival: Arrival, networks: Executor) -> _Worked:
        with ExitStack() as room:
            return self._screen_in(room, arrival, networks)

    def _screen_in(self, room: ExitStack, arrival: Arrival, networks: Executor) -> _Worked:
        row, start = arrival.row, time.perf_counter()
        fingerprint, waited_seconds = None, 0.0
        try:
            examination = self._examined(arrival, room)
            asked = time.perf_counter()
            begun, detected = networks.submit(self._detected, examination).result()
            waited_seconds = begun - asked  # for the networks: that is no work on this file
            screened = self._desk.finish(detected)
        except MediaError as error:
            done = error_row(row.way, row.container, error)
        else:
            with told_of_results():
                write_page(self._out_dir, row.way, screened.screening, screened.thumbnail_jpeg)
                self._kept.keep(screened)
            done, fingerprint = screened_row(row.way, row.container, screened.screening), screened.fingerprint
        seconds = row.seconds + time.perf_counter() - start - waited_seconds
        done = done._replace(sha256=row.sha256, size_bytes=row.size_bytes, is_known=row.is_known, seconds=seconds)
        return _Worked(done, fingerprint)

    def _detected(self, examination: Examination) -> tuple[float, Detected]:
        return time.perf_counter(), self._desk.detect(examination)

    def _examined(self, arrival: Arrival, room: ExitStack) -> Examination:
        """The file decoded and looked over; a large picture waits until there is no other, and keeps the room."""

        def before_room(pixels: int) -> None:
            if pixels > LARGE_PIXELS:
                room.enter_context(self._large_picture)

        if arrival.examination is not None:
            return arrival.examination
        if arrival.intake is None:
            raise ValueError("a file that is to be screened was not taken in")
        return self._desk.examine(arrival.intake, before_room=before_room)

    def _with_copies(self, rows: Sequence[Row]) -> list[Row]:
        """The rows, those of contents that were met before with what came of them."""
        firsts = self._journal.find_contents({row.sha256 for row in rows if row.sha256 and _is_copy(row)})
        return [_copied(row, firsts) if _is_copy(row) else row for row in rows]


def _is_done(work: Future[_Worked] | None) -> bool:
    return work is None or work.done()


def _is_copy(row: Row) -> bool:
    return row.outcome == Outcome.SCREENED and not row.has_record


def _copied(row: Row, firsts: dict[str, Row]) -> Row:
    first = firsts.get(row.sha256 or "")
    if first is None:
        raise ValueError(f"{row.sha256}: was met before, but is not in the journal")
    return first.copied_as(row)
