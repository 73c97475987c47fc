"""Forest plots of the differences to peers, as marks in the pixels of a drawing; a template makes SVG of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deepscreen.evaluation.peers.duel import HIGHER_IS_BETTER, is_better
from deepscreen.evaluation.peers.peers_report import Family
from deepscreen.evaluation.plots import Tick
from deepscreen.evaluation.strata import METRICS, Shown

WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 680, 250, 190, 26, 20, 26
STEP = 0.1  # of the axis; its ends lie on whole steps
TITLES = {row.name: row.title for row in METRICS}


@dataclass(frozen=True, slots=True)
class Mark:
    """One line of the plot; a heading where ``x_px`` is None. ``style``: better, worse or open."""

    y_px: float
    label: str
    x_px: float | None = None
    low_px: float | None = None
    high_px: float | None = None
    text: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class Forest:
    """A drawing of ``WIDTH`` by ``height_px``. ``better``: the side on which ours is the better one."""

    title: str
    better: str
    height_px: float
    zero_px: float
    ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]


def forest(families: Sequence[Family], metric: str, titles: Mapping[str, str]) -> Forest:
    """All differences in *metric* that there are. ``titles``: of the peers, by name."""
    shown = [one for family in families for duel in family.duels if (one := duel.differences[metric]).value is not None]
    reach = _reach(shown)
    marks = tuple(_marks(families, metric, titles, reach))
    n_steps = round(reach / STEP)
    every = max(1, math.ceil(n_steps / 4))
    values = [k * STEP for k in range(-n_steps, n_steps + 1) if k % every == 0]
    return Forest(
        title=f"{TITLES[metric]}, ours less the peer's",
        better="right" if HIGHER_IS_BETTER[metric] else "left",
        height_px=TOP + ROW * len(marks) + BOTTOM,
        zero_px=_x(0.0, reach),
        ticks=tuple(Tick(_x(value, reach), f"{value:+.1f}" if value else "0") for value in values),
        marks=marks,
    )


def _reach(shown: Sequence[Shown]) -> float:
    ends = [abs(v) for one in shown for v in (one.value, one.low, one.high) if v is not None]
    return STEP * max(1, math.ceil(max(ends, default=0.0) / STEP - 1e-9))


def _x(value: float, reach: float) -> float:
    return round(LEFT + (value + reach) / (2 * reach) * (WIDTH - LEFT - RIGHT), 1)


def _marks(families: Sequence[Family], metric: str, titles: Mapping[str, str], reach: float) -> Iterator[Mark]:
    y = TOP + ROW / 2
    for family in families:
        yield Mark(y, family.name)
        for duel in family.duels:
            y += ROW
            yield _mark(y, titles[duel.peer], duel.differences[metric], metric, reach)
        y += ROW


def _mark(y: float, label: str, one: Shown, metric: str, reach: float) -> Mark:
    if one.value is None:
        return Mark(y, label, text=one.why_not, style="open")
    if one.low is None or one.high is None:
        return Mark(y, label, _x(one.value, reach), text=f"{one.value:+.3f}", style="open")
    style = {True: "better", False: "worse", None: "open"}[is_better(metric, one)]
    text = f"{one.value:+.3f} ({one.low:+.3f} to {one.high:+.3f})"
    return Mark(y, label, _x(one.value, reach), _x(one.low, reach), _x(one.high, reach), text, style)
