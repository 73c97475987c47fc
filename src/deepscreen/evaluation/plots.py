"""DET, Tippett and reliability plots as lines and ticks in the pixels of a drawing; a template makes SVG of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from deepscreen.evaluation.curves import Curves, Points

WIDTH, HEIGHT = 360, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 46
DET_TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95)
DET_RANGE = (0.0005, 0.98)
SHARE_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
TIPPETT_REACH_LOG10 = 3.0
Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis, at a pixel."""

    at_px: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A polyline; ``points`` as SVG wants them. ``style`` is the class in the page's own style sheet."""

    style: str
    points: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Dot:
    """A marked point with its own words."""

    x_px: float
    y_px: float
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One drawing of ``WIDTH`` by ``HEIGHT`` pixels."""

    title: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    dots: tuple[Dot, ...] = ()
    note: str = ""


def plots_of(curves: Curves) -> tuple[Plot, ...]:
    """The plots that there are points for."""
    plots = [det_plot(curves.det)]
    if curves.reliability:
        plots += [tippett_plot(curves), reliability_plot(curves)]
    return tuple(plots)


def det_plot(points: Points) -> Plot:
    """Both error rates on normal deviate scales, on which normally distributed scores give a straight line."""
    x, y = _axes(_deviate)
    ticks = [(_deviate(rate), f"{rate * 100:g} %") for rate in DET_TICKS]
    curve = _line("spoof", [(_deviate(fpr), _deviate(fnr)) for fpr, fnr in points], x, y)
    diagonal = _line("guide", [(d, d) for d in map(_deviate, DET_RANGE)], x, y)
    return Plot(
        "DET",
        "bona fide taken for spoof",
        "spoof missed",
        tuple(Tick(x(value), text) for value, text in ticks),
        tuple(Tick(y(value), text) for value, text in ticks),
        (diagonal, curve),
        note="dotted: equal error rates",
    )


def tippett_plot(curves: Curves) -> Plot:
    """For each class the share of files whose log10 LR is at least what stands below."""
    x = _scale(-TIPPETT_REACH_LOG10, TIPPETT_REACH_LOG10, LEFT, WIDTH - RIGHT)
    y = _scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    reach = int(TIPPETT_REACH_LOG10)
    return Plot(
        "Tippett",
        "log10 LR",
        "share of files with at least this LR",
        tuple(Tick(x(value), f"{value:+d}" if value else "0") for value in range(-reach, reach + 1)),
        _share_ticks(y),
        (
            _line("guide", [(0.0, 0.0), (0.0, 1.0)], x, y),
            _line("bona", _steps(curves.tippett_bona_fide), x, y, "bona fide"),
            _line("spoof", _steps(curves.tippett_spoof), x, y, "spoof"),
        ),
        note="dotted: no support for either",
    )


def reliability_plot(curves: Curves) -> Plot:
    """P(spoof) under prior 0.5 against the share of spoofs, both classes weighing half; on the diagonal both agree."""
    x, y = _scale(0.0, 1.0, LEFT, WIDTH - RIGHT), _scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    bins = curves.reliability
    return Plot(
        "Reliability",
        "P(spoof) under prior 0.5",
        "share of spoofs",
        tuple(Tick(x(value), f"{value:g}") for value in SHARE_TICKS),
        _share_ticks(y),
        (
            _line("guide", [(0.0, 0.0), (1.0, 1.0)], x, y),
            _line("spoof", [(b.predicted, b.observed) for b in bins], x, y),
        ),
        tuple(Dot(x(b.predicted), y(b.observed), f"{b.n} files: {b.predicted:.2f}, {b.observed:.2f}") for b in bins),
        note="dotted: calibrated; classes weigh half each",
    )


def _axes(transform: Scale) -> tuple[Scale, Scale]:
    low, high = (transform(limit) for limit in DET_RANGE)
    return _scale(low, high, LEFT, WIDTH - RIGHT), _scale(low, high, HEIGHT - BOTTOM, TOP)


def _deviate(rate: float) -> float:
    low, high = DET_RANGE
    return NormalDist().inv_cdf(min(max(rate, low), high))


def _scale(low: float, high: float, low_px: float, high_px: float) -> Scale:
    def at_px(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return round(low_px + share * (high_px - low_px), 1)

    return at_px


def _share_ticks(y: Scale) -> tuple[Tick, ...]:
    return tuple(Tick(y(value), f"{value * 100:g} %") for value in SHARE_TICKS)


def _steps(points: Points) -> list[tuple[float, float]]:
    """From "all of them" at the left end, down at each value, to "none" at the right end."""
    steps = [(-TIPPETT_REACH_LOG10, 1.0)]
    for value, share in points:
        steps.append((value, share))
    last = steps[-1][0]
    return [*steps, (last, 0.0), (TIPPETT_REACH_LOG10, 0.0)]


def _line(style: str, points: Sequence[tuple[float, float]], x: Scale, y: Scale, legend: str = "") -> Line:
    return Line(style, " ".join(f"{x(a)},{y(b)}" for a, b in points), legend)
