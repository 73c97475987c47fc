"""What is known of one file of a scan: where it was met, and what came of it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from deepscreen.errors import (
    DecoderCrashed,
    DecodeTimeout,
    EmptyMedia,
    MediaError,
    UnreadableMedia,
    UnsupportedMedia,
)
from deepscreen.record import ModalityName, Screening, Verdict

# Between a container's way and a member's name: ``case.zip!photos/a.jpg``.
MEMBER_MARK = b"!"
# What may go well another time, when the machine is less busy or the disk is there; all else stays as it is.
PASSING = frozenset(kind.__name__ for kind in (UnreadableMedia, DecodeTimeout, DecoderCrashed))


class Outcome(StrEnum):
    """What came of a file; each file has one, so their counts add up to the files seen."""

    SCREENED = "screened"
    NOT_SCREENED = "not_screened"
    FAILED = "failed"
    KNOWN = "known"


class Reason(StrEnum):
    """Why a file was not screened although nothing went wrong. (A container that failed has its reason too.)"""

    NONE = ""
    NOTHING_SCORED = "nothing_scored"  # it has a record, whose verdict is not_screened
    NO_MEDIA = "no_media"  # empty, or no image, video or audio
    CONTAINER = "container"  # its files are listed on their own
    SEGMENT = "segment"  # a further part of a disk image


class Row(NamedTuple):
    """One file. ``way``: its path below the scanned folder, as bytes; through containers with ``!`` between.

    ``container``: the way of the file of the folder that it lies in, None where it is one itself.
    ``first_way``: where the same content was met before. ``log10_lr``: of the modality that speaks most for "synthetic
    or manipulated". A tuple, since a folder may have a hundred thousand.
    """

    way: bytes
    container: bytes | None
    outcome: Outcome
    reason: Reason = Reason.NONE
    sha256: str | None = None
    size_bytes: int | None = None
    kind: ModalityName | None = None
    verdict: Verdict | None = None
    log10_lr: float | None = None
    error_type: str | None = None
    error_message: str | None = None
    first_way: bytes | None = None
    is_known: bool = False
    seconds: float = 0.0

    @property
    def has_record(self) -> bool:
        """Whether there is a screening record of its content."""
        return self.verdict is not None

    def copied_as(self, other: Row) -> Row:
        """The row of *other*, which holds the same content: what came of this one came of it too."""
        return self._replace(
            way=other.way,
            container=other.container,
            first_way=self.way,
            is_known=other.is_known,
            seconds=other.seconds,
        )

    @property
    def error_text(self) -> str | None:
        """``UndecodableMedia: the JPEG ends early``, or None."""
        return None if self.error_type is None else f"{self.error_type}: {self.error_message}"


def screened_row(way: bytes, container: bytes | None, screening: Screening) -> Row:
    """The row of a file that has a record."""
    verdict = screening.overall.verdict
    is_open = verdict == Verdict.NOT_SCREENED
    return Row(
        way,
        container,
        Outcome.NOT_SCREENED if is_open else Outcome.SCREENED,
        Reason.NOTHING_SCORED if is_open else Reason.NONE,
        sha256=screening.media.sha256,
        size_bytes=screening.media.size_bytes,
        kind=screening.media.kind,
        verdict=verdict,
        log10_lr=strongest_log10_lr(screening),
    )


def error_row(way: bytes, container: bytes | None, error: MediaError) -> Row:
    """The row of a file without a record: what is no media was not screened, all else failed."""
    is_other = isinstance(error, UnsupportedMedia | EmptyMedia)
    return Row(
        way,
        container,
        Outcome.NOT_SCREENED if is_other else Outcome.FAILED,
        Reason.NO_MEDIA if is_other else Reason.NONE,
        error_type=type(error).__name__,
        error_message=str(error),
    )


def strongest_log10_lr(screening: Screening) -> float | None:
    """The greatest log10 LR among the modalities; None where nothing was calibrated."""
    return max((r.log10_lr for r in screening.modalities.values() if r.log10_lr is not None), default=None)
