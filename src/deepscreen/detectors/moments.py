"""Moments of a clip that stand out from what lies around them, and where to look closer for them.

A manipulated second in a minute of honest video moves no mean. What tells it is a contrast: log-odds above those before
*and* those after, so that neither a clip that leans one way as a whole nor a cut to another scene counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepscreen.detectors.linear_head import FloatArray

# What lies nearer may belong to the moment; what lies further is another scene.
AROUND_FROM_SECONDS, AROUND_TO_SECONDS = 1.0, 6.0
MIN_AROUND = 2  # frames on a side
TOGETHER_SECONDS = 0.3
PLACES = 3
CLOSER_AT = (-0.5, -0.25, 0.25, 0.5)  # of the step between frames
FINEST_STEP_SECONDS = 0.5  # nothing is gained by looking closer than a span is long


def stand_out(times_seconds: Sequence[float], spoof_logits: FloatArray) -> FloatArray:
    """By how much the log-odds of each moment (n,) are above both sides of it; 0 where nothing is around it.

    Neighbours within 0.3 s speak together, and with them one that says 0: a frame by itself counts half.
    """
    times = np.asarray(times_seconds, dtype=np.float64)
    together = np.abs(times[:, None] - times[None, :]) <= TOGETHER_SECONDS
    return np.asarray(together @ contrasts(times, spoof_logits) / (together.sum(axis=1) + 1), dtype=np.float64)


def contrasts(times_seconds: FloatArray, spoof_logits: FloatArray) -> FloatArray:
    """How much each log-odds (n,) is above the higher of the medians before and after it; 0 where nothing is around."""
    return np.array([_contrast(times_seconds - t, spoof_logits, k) for k, t in enumerate(times_seconds)])


def _contrast(offsets: FloatArray, spoof_logits: FloatArray, k: int) -> float:
    sides = [(low <= offsets) & (offsets <= high) for low, high in _SIDES]
    around = [float(np.median(spoof_logits[side])) for side in sides if side.sum() >= MIN_AROUND]
    return float(spoof_logits[k]) - max(around) if around else 0.0


_SIDES = ((-AROUND_TO_SECONDS, -AROUND_FROM_SECONDS), (AROUND_FROM_SECONDS, AROUND_TO_SECONDS))


def closer_times(times_seconds: Sequence[float], outstanding: FloatArray, duration_seconds: float) -> tuple[float, ...]:
    """Ascending times around the few most outstanding moments; none where frames lie dense enough already."""
    if len(times_seconds) < 2:
        return ()
    step = float(np.median(np.diff(times_seconds)))
    if step <= FINEST_STEP_SECONDS:
        return ()
    places: list[float] = []
    for k in np.argsort(-outstanding, kind="stable"):
        if len(places) < PLACES and all(abs(times_seconds[k] - place) >= step * 1.5 for place in places):
            places.append(times_seconds[k])
    found = {round(place + share * step, 6) for place in places for share in CLOSER_AT}
    return tuple(sorted(t for t in found if 0 <= t < duration_seconds))
