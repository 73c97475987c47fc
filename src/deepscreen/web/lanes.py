"""Score timelines as vector drawings in one clock: x is time in 1000ths of the duration, y the fixed scale."""

from __future__ import annotations

from dataclasses import dataclass

from deepscreen.evidence.timeline_drawing import LOGIT_HIGH, LOGIT_LOW
from deepscreen.record import ModalityName, Screening, TimelineSpan
from deepscreen.report import wording

WIDTH, HEIGHT = 1000.0, 100.0
LINES = 6  # as many as there are colours that colour-blind readers tell apart; further tracks share the last


@dataclass(frozen=True, slots=True)
class Line:
    """One detector's log-odds of one face track, of the whole frame, or of the sound. ``path``: of an SVG."""

    detector: str
    track_id: int | None
    path: str
    number: int


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch that stands out; ``x`` and ``width`` on the drawing."""

    modality: ModalityName
    span: TimelineSpan
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Lane:
    """What is drawn of one modality."""

    modality: ModalityName
    lines: tuple[Line, ...]
    spans: tuple[Span, ...]
    zero_y: float


def duration_of(screening: Screening) -> float:
    """The length of the clock in seconds: as measured, and no shorter than what was scored."""
    measured = [s.duration_seconds_measured or s.duration_seconds_claimed or 0.0 for s in screening.media.streams]
    ends = [p.end_seconds for result in screening.modalities.values() for p in result.suspicious_spans]
    starts = [p.start_seconds for result in screening.modalities.values() for p in result.timeline]
    return max([*measured, *ends, *starts, 0.01])


def lanes_of(screening: Screening) -> tuple[Lane, ...]:
    """One lane for each modality that has a score over time."""
    duration = duration_of(screening)
    return tuple(
        Lane(
            modality,
            _lines(result.timeline, duration),
            tuple(_span(modality, span, duration) for span in result.suspicious_spans),
            _y(0.0),
        )
        for modality, result in wording.in_order(screening)
        if result.timeline
    )


def _lines(points: tuple[TimelineSpan, ...], duration: float) -> tuple[Line, ...]:
    tracks: dict[tuple[str, int | None], list[TimelineSpan]] = {}
    for point in points:
        tracks.setdefault((point.detector or "", point.track_id), []).append(point)
    return tuple(
        Line(detector, track_id, _path(track, duration), min(number, LINES - 1))
        for number, ((detector, track_id), track) in enumerate(tracks.items())
    )


def _path(track: list[TimelineSpan], duration: float) -> str:
    """Each stretch as a level line, joined where the next one begins before this one has ended."""
    parts, last_end = [], -1.0
    for point in sorted(track, key=lambda p: p.start_seconds):
        x0, x1, y = _x(point.start_seconds, duration), _x(point.end_seconds, duration), _y(point.spoof_logit)
        is_joined = point.start_seconds <= last_end + 1e-3
        parts.append(f"H{x0:.2f}V{y:.2f}H{x1:.2f}" if is_joined else f"M{x0:.2f} {y:.2f}H{x1:.2f}")
        last_end = point.end_seconds
    return "".join(parts)


def _span(modality: ModalityName, span: TimelineSpan, duration: float) -> Span:
    x0, x1 = _x(span.start_seconds, duration), _x(span.end_seconds, duration)
    return Span(modality, span, round(x0, 2), round(max(x1 - x0, 1.0), 2))


def _x(seconds: float, duration: float) -> float:
    return WIDTH * min(max(seconds / duration, 0.0), 1.0)


def _y(logit: float) -> float:
    within = min(max(logit, LOGIT_LOW), LOGIT_HIGH)
    return round(HEIGHT * (LOGIT_HIGH - within) / (LOGIT_HIGH - LOGIT_LOW), 2)
