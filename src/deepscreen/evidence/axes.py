"""Ticks of time and frequency axes."""

from __future__ import annotations

import math

NICE_STEPS_SECONDS = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0,
    7200.0,
)  # fmt: skip


def clock(seconds: float, *, decimals: int = 0) -> str:
    """``mm:ss``, or ``h:mm:ss`` from an hour on, with *decimals* of a second."""
    units = round(abs(seconds) * 10**decimals)
    whole, part = divmod(units, 10**decimals)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"
    sign = "-" if seconds < 0 and units else ""
    return f"{sign}{head}" + (f".{part:0{decimals}d}" if decimals else "")


def time_step_seconds(duration_seconds: float, *, max_ticks: int) -> float:
    """The least handy distance of ticks at which no more than *max_ticks* + 1 of them lie within the duration."""
    return next((s for s in NICE_STEPS_SECONDS if duration_seconds / s <= max_ticks), duration_seconds / max_ticks)


def time_ticks(start_seconds: float, end_seconds: float, *, max_ticks: int) -> tuple[tuple[float, str], ...]:
    """Ticks (seconds, label) at whole steps within [start, end]; labels have decimals only where steps need them."""
    step = time_step_seconds(end_seconds - start_seconds, max_ticks=max_ticks)
    decimals = 0 if step >= 1 else 1 if step >= 0.1 else 2
    first = math.ceil(start_seconds / step - 1e-9)
    last = math.floor(end_seconds / step + 1e-9)
    return tuple((k * step, clock(k * step, decimals=decimals)) for k in range(first, last + 1))
