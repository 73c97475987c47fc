"""Files on their way to be screened: taken in, hashed, taken apart where they hold others.

What it gives is in the order of the ways of the folder's files, and within a container in the container's own: the same
each time.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from deepscreen.errors import MediaError, UnpackRefused, UnsupportedMedia
from deepscreen.kept import KeptResults
from deepscreen.media.containers.kinds import ContainerKind, container_kind, ewf_segment
from deepscreen.media.intake import Intake, take_in
from deepscreen.media.members import Member, Members
from deepscreen.scanning.hashing import with_hashes
from deepscreen.scanning.journal import Journal, Pending
from deepscreen.scanning.known import KnownAction, KnownFiles
from deepscreen.scanning.listing import read_head
from deepscreen.scanning.rows import Outcome, Reason, Row, error_row, screened_row
from deepscreen.scanning.unpacking import Budget, Names, further_segments, size_problem, write_member
from deepscreen.screening import Examination, ScreeningDesk


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that is done, or nearly: ``row`` says all, unless it ``is_to_do``.

    Else a row of outcome SCREENED without a verdict is of a content that was met before; what came of that is in the
    journal by the time this is noted. ``examination``: where the file was looked over already, to see whether it is
    media or a container. ``unpacked``: where a member of a container lies for now.
    """

    row: Row
    is_to_do: bool = False
    examination: Examination | None = None
    fingerprint: bytes | None = None
    intake: Intake | None = None
    unpacked: Path | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file lies: its way, the file of the folder that it lies in, and the containers around it."""

    way: bytes
    container: bytes | None = None
    around: frozenset[str] = frozenset()  # sha256 of the containers
    budget: Budget | None = None

    def row(self, outcome: Outcome, reason: Reason = Reason.NONE) -> Row:
        return Row(self.way, self.container, outcome, reason)


class Arrivals:
    """Goes through the files that the journal has as pending."""

    def __init__(
        self,
        folder: Path,
        unpacked_dir: Path,
        *,
        desk: ScreeningDesk,
        journal: Journal,
        kept: KeptResults,
        known: KnownFiles | None,
        known_action: KnownAction,
    ) -> None:
        """``unpacked_dir``: a private folder, made here; ``close`` removes it."""
        self._folder, self._unpacked_dir = folder, unpacked_dir
        self._desk, self._journal, self._kept = desk, journal, kept
        self._known, self._known_action = known, known_action
        self._numbers = count()
        self._met: set[str] = set()  # contents that were given and are not in the journal yet
        shutil.rmtree(unpacked_dir, ignore_errors=True)
        unpacked_dir.mkdir(mode=0o700)

    def close(self) -> None:
        """Removes what was unpacked."""
        shutil.rmtree(self._unpacked_dir, ignore_errors=True)

    def all(self) -> Generator[list[Arrival]]:
        """Every pending file of the folder with all that it holds; a container comes after its members.

        Copies of small files that were met before come many at once, all else comes alone.
        """
        if self._known is not None:  # a list may ask for MD5 sums too: then each file is read on its own
            for page in self._journal.pending():
                yield from self._page(page, {})
            return
        folder, max_bytes = os.fsencode(self._folder), self._desk.settings.limits.max_bytes
        with closing(with_hashes(folder, self._journal.pending(), max_bytes=max_bytes)) as pages:
            for page, hashed in pages:
                yield from self._page(page, hashed)

    def settle(self, arrival: Arrival) -> None:
        """The file is in the journal: forgets and removes what was kept for it."""
        if arrival.intake is not None:
            self._met.discard(arrival.intake.sha256)
        if arrival.unpacked is not None:
            arrival.unpacked.unlink(missing_ok=True)

    def _page(self, page: list[Pending], hashed: dict[bytes, str]) -> Iterator[list[Arrival]]:
        """``hashed``: by way, the sha256 of those that are small and no containers."""
        asked = set(hashed.values())
        met = set(self._journal.find_contents(asked))
        copies: list[Arrival] = []
        for way, size_bytes in page:
            sha256 = hashed.get(way)
            if sha256 is not None and sha256 in met:
                row = Row(way, None, Outcome.SCREENED, sha256=sha256, size_bytes=size_bytes)
                copies.append(Arrival(row))
                continue
            if copies:
                yield copies
                copies = []
            for arrival in self._top(_Place(way)):
                yield [arrival]
                if arrival.row.sha256 in asked:
                    met.add(arrival.row.sha256)
        if copies:
            yield copies

    def _top(self, place: _Place) -> Iterator[Arrival]:
        start = time.perf_counter()
        path = self._folder / os.fsdecode(place.way)
        try:
            kind = container_kind(head := read_head(path))
            if kind == "ewf" and ewf_segment(head) > 1:
                yield Arrival(place.row(Outcome.NOT_SCREENED, Reason.SEGMENT))
                return
            limits = self._desk.settings.limits
            if kind is not None:  # what is within is bounded, not the whole
                limits = limits.model_copy(update={"max_bytes": self._desk.settings.unpack.max_bytes})
            intake = take_in(path, limits=limits)
        except MediaError as error:
            yield Arrival(_timed(error_row(place.way, None, error), start))
            return
        yield from self._file(place, intake, kind, start)

    def _file(
        self, place: _Place, intake: Intake, kind: ContainerKind | None, start: float, unpacked: Path | None = None
    ) -> Iterator[Arrival]:
        """A file whose content is at hand. *unpacked* is removed by whoever settles its arrival."""
        is_known = self._known is not None and self._known.names(intake)

        def arrival(row: Row) -> Arrival:
            row = row._replace(sha256=intake.sha256, size_bytes=intake.size_bytes, is_known=is_known)
            return Arrival(_timed(row, start), intake=intake, unpacked=unpacked)

        found = self._at_hand(place, intake, is_known)
        if found is not None:
            yield arrival(found)
            return
        kept = self._kept.find(intake.sha256)
        if kept is not None:  # a record without an entry in the journal: the scan was killed between the two
            row = screened_row(place.way, place.container, kept.screening)
            yield replace(arrival(row), fingerprint=kept.fingerprint)
            return
        to_do = replace(arrival(place.row(Outcome.SCREENED)), is_to_do=True)
        if kind is None:
            yield to_do
            return
        try:
            examination = self._desk.examine(intake)
        except UnsupportedMedia:
            yield from self._container(place, intake, kind, start, unpacked)
        except MediaError as error:
            yield arrival(error_row(place.way, place.container, error))
        else:
            yield replace(to_do, examination=examination)

    def _at_hand(self, place: _Place, intake: Intake, is_known: bool) -> Row | None:
        """What comes of a file that need not be looked at; None where it must be."""
        if is_known and self._known_action == "skip":
            return place.row(Outcome.KNOWN)
        if intake.sha256 in place.around:
            return error_row(place.way, place.container, UnpackRefused("the container holds itself"))
        if intake.sha256 in self._met or self._journal.find_content(intake.sha256) is not None:
            return place.row(Outcome.SCREENED)
        self._met.add(intake.sha256)
        return None

    def _container(
        self, place: _Place, intake: Intake, kind: ContainerKind, start: float, unpacked: Path | None
    ) -> Iterator[Arrival]:
        row = place.row(Outcome.NOT_SCREENED, Reason.CONTAINER)
        unpack = self._desk.settings.unpack
        budget = place.budget or Budget(unpack, intake.size_bytes, spent_bytes=self._journal.unpacked_bytes(place.way))
        within = replace(
            place, container=place.container or place.way, around=place.around | {intake.sha256}, budget=budget
        )
        try:
            if len(place.around) >= unpack.max_depth:
                raise UnpackRefused(f"containers lie deeper than {unpack.max_depth} in each other (unpack.max_depth)")
            further = further_segments(intake.path, kind)
            with self._desk.decoder.members(intake, kind, further=further, max_members=unpack.max_members) as members:
                yield from self._members(within, members, budget)
        except MediaError as error:
            if isinstance(error, UnpackRefused):
                self._met.discard(intake.sha256)  # the same container may be opened where it lies otherwise
            row = error_row(place.way, place.container, error)
            row = row._replace(outcome=Outcome.FAILED, reason=Reason.CONTAINER)
        row = row._replace(sha256=intake.sha256, size_bytes=intake.size_bytes)
        yield Arrival(_timed(row, start), intake=intake, unpacked=unpacked)

    def _members(self, within: _Place, members: Members, budget: Budget) -> Iterator[Arrival]:
        names = Names(within.way)
        for member in members:
            budget.count()
            place = replace(within, way=names.way(member.name))
            if not self._journal.is_done(place.way):
                yield from self._member(place, member, members, budget)

    def _member(self, place: _Place, member: Member, members: Members, budget: Budget) -> Iterator[Arrival]:
        start = time.perf_counter()
        target = self._unpacked_dir / str(next(self._numbers))
        try:
            if member.problem is not None:
                raise member.problem
            size_problem(member.size_bytes, self._desk.settings.limits)
            intake = write_member(members.content(), target, budget)
            kind = container_kind(read_head(target))
        except MediaError as error:
            target.unlink(missing_ok=True)
            yield Arrival(_timed(error_row(place.way, place.container, error), start))
            if budget.is_spent:
                raise  # the rest of the member was not read: the container ends here
            return
        yield from self._file(place, intake, kind, start, target)


def _timed(row: Row, start: float) -> Row:
    return row._replace(seconds=time.perf_counter() - start)
