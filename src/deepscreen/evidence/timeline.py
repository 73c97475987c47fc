"""When: the log-odds of a clip or a sound track over time, and the stretches that stand out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from deepscreen.detectors.contract import TimelinePoint
from deepscreen.evidence.timeline_drawing import TimelineDrawing

# Two stretches touch when less than this lies between them: times are rounded on their way here.
TOUCH_SECONDS = 1e-3


def suspicious_spans(points: Sequence[TimelinePoint], *, threshold_logit: float) -> tuple[TimelinePoint, ...]:
    """The stretches over *threshold_logit*, per track, each with its peak, in order of start and track.

    A span is a maximal run of points over the threshold whose stretches touch or overlap; nothing is said about time
    between points that do not touch (a face that was away, silence between two phrases).
    """
    spans: list[TimelinePoint] = []
    for _, track in groupby(sorted(points, key=_by_track), key=lambda p: p.track_id):
        spans.extend(_joined([p for p in track if p.spoof_logit > threshold_logit]))
    return tuple(sorted(spans, key=lambda s: (s.start_seconds, s.end_seconds, _track_order(s))))


def _track_order(point: TimelinePoint) -> int:
    """The whole frame before the faces."""
    return -1 if point.track_id is None else point.track_id


def _by_track(point: TimelinePoint) -> tuple[int, float, float]:
    return _track_order(point), point.start_seconds, point.end_seconds


def _joined(hot: Sequence[TimelinePoint]) -> list[TimelinePoint]:
    """*hot* points of one track, in order of time, joined where they touch."""
    spans: list[TimelinePoint] = []
    for point in hot:
        if spans and point.start_seconds <= spans[-1].end_seconds + TOUCH_SECONDS:
            last = spans.pop()
            end = max(last.end_seconds, point.end_seconds)
            peak = max(last.spoof_logit, point.spoof_logit)
            spans.append(TimelinePoint(last.start_seconds, end, peak, last.track_id))
        else:
            spans.append(point)
    return spans


def render_timeline(
    points: Sequence[TimelinePoint],
    spans: Sequence[TimelinePoint],
    *,
    duration_seconds: float,
    title: str,
    untracked: str = "whole frame",
) -> bytes:
    """PNG, 1200 x 320 px: one line per track over time on a fixed scale of log-odds, *spans* shaded.

    *untracked* names the line of points without a track: ``"whole frame"``, or ``"sound"`` for a sound track. Values
    outside the scale are drawn at its edge. Raises ValueError for times or values that are not finite.
    """
    drawing = TimelineDrawing(points, duration_seconds=duration_seconds, untracked=untracked)
    drawing.shade(spans)
    drawing.axes(title)
    drawing.lines()
    return drawing.png()
