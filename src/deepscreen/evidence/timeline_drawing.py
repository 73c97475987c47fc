"""The parts of a timeline picture: shaded spans, axes, one line per track, legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.contract import TimelinePoint
from deepscreen.evidence.axes import time_ticks
from deepscreen.evidence.lettering import INK, MUTED, RULE, Rgb, Sheet, shortened, text_width
from deepscreen.evidence.png import encode_png
from deepscreen.evidence.scale import SCALE_UNIT
from deepscreen.media.samples import Pixels

WIDTH_PX, HEIGHT_PX = 1200, 320
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 66, 1164, 62, 282
LOGIT_LOW, LOGIT_HIGH, LOGIT_STEP = -6, 6, 2
SHADE: Rgb = (253, 226, 180)
SHADE_EDGE: Rgb = (214, 126, 20)
# Okabe and Ito's palette for colour-blind readers, without its yellow, which is too light for a line on white.
TRACK_COLOURS: tuple[Rgb, ...] = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (230, 159, 0),
)
OTHER_TRACKS: Rgb = (160, 165, 173)
# Points further apart than this many usual steps are not joined by a line: nothing was seen in between.
GAP_STEPS = 1.75
MAX_TIME_TICKS = 12
# From this many points in a track on, dots would merge and lines become thinner.
DENSE_POINTS = 90
SUBPIXEL_BITS = 4
Place = tuple[float, float]


class TimelineDrawing:
    """One timeline picture while it is drawn; call ``shade``, ``axes``, ``lines``, ``png`` in this order."""

    def __init__(self, points: Sequence[TimelinePoint], *, duration_seconds: float, untracked: str) -> None:
        ends = [p.end_seconds for p in points]
        numbers = [duration_seconds, *ends, *(p.start_seconds for p in points), *(p.spoof_logit for p in points)]
        if not all(map(math.isfinite, numbers)):
            raise ValueError("timeline: duration, times and log-odds must be finite numbers")
        self._end_seconds = max([duration_seconds, *ends, 0.01])
        self._tracks = _by_track(points)
        self._untracked = untracked
        self._sheet = Sheet(WIDTH_PX, HEIGHT_PX)
        self._has_spans = False

    def shade(self, spans: Sequence[TimelinePoint]) -> None:
        """The suspicious spans, as bands behind everything else."""
        self._has_spans = bool(spans)
        for span in spans:
            left = self._x(span.start_seconds)
            right = max(self._x(span.end_seconds), left + 2)
            self._sheet.box(left, TOP_PX, right, BOTTOM_PX, fill=SHADE)
        for span in spans:
            left = self._x(span.start_seconds)
            right = max(self._x(span.end_seconds), left + 2)
            self._sheet.box(left, TOP_PX - 5, right, TOP_PX - 2, fill=SHADE_EDGE)

    def axes(self, title: str) -> None:
        """Title, grid, both axes with their units, and the legend."""
        sheet = self._sheet
        sheet.text(LEFT_PX, 7, shortened(title, 17, RIGHT_PX - LEFT_PX), size_px=17)
        for logit in range(LOGIT_LOW, LOGIT_HIGH + 1, LOGIT_STEP):
            y = self._y(logit)
            sheet.line((LEFT_PX, y), (RIGHT_PX, y), ink=MUTED if logit == 0 else RULE)
            sheet.text(LEFT_PX - 8, y, f"{logit:+d}" if logit else "0", size_px=13, anchor="rm")
        for seconds, label in time_ticks(0.0, self._end_seconds, max_ticks=MAX_TIME_TICKS):
            x = self._x(seconds)
            sheet.line((x, BOTTOM_PX), (x, BOTTOM_PX + 5), ink=MUTED)
            sheet.text(x, BOTTOM_PX + 9, label, size_px=13, anchor="ma")
        sheet.line((LEFT_PX, BOTTOM_PX), (RIGHT_PX, BOTTOM_PX), ink=MUTED)
        sheet.upright(15, (TOP_PX + BOTTOM_PX) / 2, SCALE_UNIT, size_px=12)
        sheet.text(LEFT_PX, HEIGHT_PX - 3, "time, mm:ss", size_px=12, ink=MUTED, anchor="ls")
        self._legend()

    def lines(self) -> None:
        """The line of each track; faces under the whole frame, the named ones over the others."""
        canvas = self._sheet.pixels()
        named = self._named()
        unnamed = [track for track in self._tracks if track not in named]
        dense = max(map(len, self._tracks.values()), default=0) >= DENSE_POINTS
        for track in [*unnamed, *reversed(named)]:
            width_px = (3 if track is None else 2) - dense
            self._line(canvas, self._tracks[track], self._colour(track), width_px, dots=not dense)
        self._sheet = Sheet.of(canvas)

    def png(self) -> bytes:
        """The picture so far."""
        return encode_png(self._sheet.pixels())

    def _x(self, seconds: float) -> float:
        share = min(max(seconds / self._end_seconds, 0.0), 1.0)
        return LEFT_PX + share * (RIGHT_PX - LEFT_PX)

    def _y(self, logit: float) -> float:
        share = (min(max(logit, LOGIT_LOW), LOGIT_HIGH) - LOGIT_LOW) / (LOGIT_HIGH - LOGIT_LOW)
        return BOTTOM_PX - share * (BOTTOM_PX - TOP_PX)

    def _named(self) -> list[int | None]:
        """The tracks that the legend names: the whole frame, and the faces with the highest peaks."""
        peaks = {t: max(p.spoof_logit for p in ps) for t, ps in self._tracks.items() if t is not None}
        faces = sorted(sorted(peaks, key=lambda t: (-peaks[t], t))[: len(TRACK_COLOURS)])
        return [*([None] if None in self._tracks else []), *faces]

    def _colour(self, track: int | None) -> Rgb:
        if track is None:
            return INK
        faces = [t for t in self._named() if t is not None]
        return TRACK_COLOURS[faces.index(track)] if track in faces else OTHER_TRACKS

    def _line(self, canvas: Pixels, points: Sequence[TimelinePoint], colour: Rgb, width_px: int, *, dots: bool) -> None:
        for run in _runs(points):
            places = [(self._x((p.start_seconds + p.end_seconds) / 2), self._y(p.spoof_logit)) for p in run]
            if len(places) == 1:
                # A lone point has no neighbour to be joined to: its own stretch shows how long it lasts.
                y = places[0][1]
                places = [(self._x(run[0].start_seconds), y), (self._x(run[0].end_seconds), y)]
            cv2.polylines(canvas, [_fixed_point(places)], False, colour, width_px, cv2.LINE_AA, SUBPIXEL_BITS)
            for x, y in _fixed_point(places) if dots else ():
                radius = (width_px + 1) << SUBPIXEL_BITS
                cv2.circle(canvas, (int(x), int(y)), radius, colour, cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)

    def _legend(self) -> None:
        """From the right edge to the left, above the plot."""
        others = len(self._tracks) - len(self._named())
        entries = [(self._label(track), self._colour(track)) for track in self._named()]
        entries += [(f"{others} other faces", OTHER_TRACKS)] if others else []
        entries += [("suspicious span", SHADE_EDGE)] if self._has_spans else []
        x = float(RIGHT_PX)
        for label, colour in reversed(entries):
            x -= text_width(label, 13)
            self._sheet.text(x, 36, label, size_px=13)
            self._sheet.box(x - 20, 41, x - 6, 44, fill=colour)
            x -= 36

    def _label(self, track: int | None) -> str:
        return self._untracked if track is None else f"face {track + 1}"


def _by_track(points: Sequence[TimelinePoint]) -> dict[int | None, list[TimelinePoint]]:
    tracks: dict[int | None, list[TimelinePoint]] = {}
    for point in sorted(points, key=lambda p: (p.start_seconds, p.end_seconds)):
        tracks.setdefault(point.track_id, []).append(point)
    return tracks


def _runs(points: Sequence[TimelinePoint]) -> list[list[TimelinePoint]]:
    """*points* of one track cut where the next one is unusually far away."""
    pairs = list(pairwise(points))
    usual = median(b.start_seconds - a.start_seconds for a, b in pairs) if pairs else 0.0
    runs = [[points[0]]]
    for previous, point in pairs:
        far = point.start_seconds - previous.start_seconds > GAP_STEPS * usual
        if far and point.start_seconds > previous.end_seconds:
            runs.append([])
        runs[-1].append(point)
    return runs


def _fixed_point(places: Sequence[Place]) -> NDArray[np.int32]:
    return np.asarray(np.rint(np.array(places) * (1 << SUBPIXEL_BITS)), dtype=np.int32)
