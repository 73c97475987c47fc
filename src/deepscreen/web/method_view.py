"""Two methods side by side, as their page shows them: names, what differs, and how results moved, drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deepscreen.api.routes_methods import about_of
from deepscreen.engine.about import MethodInfo
from deepscreen.engine.differences import WEIGHTS, Difference, differences
from deepscreen.record import Verdict
from deepscreen.store.comparison import Comparison, KnownMethod, Pair

SIDE = 100.0  # of the drawing
LOW, HIGH = -4.0, 4.0  # log10 likelihood ratios at its edges
VERDICTS = tuple(str(verdict) for verdict in Verdict)


@dataclass(frozen=True, slots=True)
class Choice:
    """A method in the choice of methods. ``is_todays``: new files are screened by it."""

    method: KnownMethod
    about: MethodInfo | None
    is_todays: bool


@dataclass(frozen=True, slots=True)
class Dot:
    """A modality of a file: ``x`` by the one method, ``y`` by the other, on a drawing whose y goes down."""

    pair: Pair
    modality: str
    x: float
    y: float
    log10_lrs: tuple[float, float]


@dataclass(frozen=True, slots=True)
class MethodsView:
    """The comparison. ``differences``: None where it is not known what both consist of."""

    one: Choice
    other: Choice
    comparison: Comparison
    differences: tuple[Difference, ...] | None
    parts_alike: int
    dots: tuple[Dot, ...]
    verdicts: tuple[str, ...]  # that either gave

    @property
    def moved(self) -> list[Pair]:
        """Files whose verdict is another."""
        return [pair for pair in self.comparison.pairs if pair.has_moved]


def choices(methods: list[KnownMethod], todays_digest: str | None) -> list[Choice]:
    """All methods, today's first."""
    made = [Choice(method, about_of(method), method.digest == todays_digest) for method in methods]
    return sorted(made, key=lambda choice: not choice.is_todays)


def methods_view(one: Choice, other: Choice, comparison: Comparison) -> MethodsView:
    """What is shown of *one* method against the *other*."""
    found, alike = None, 0
    if one.about is not None and other.about is not None:
        found = differences(one.about, other.about)
        alike = len({weight.name for weight in one.about.weights} & {weight.name for weight in other.about.weights})
        alike -= sum(d.about == WEIGHTS and None not in (d.one, d.other) for d in found)
    given = {verdict for verdicts in comparison.counted for verdict in verdicts}
    return MethodsView(
        one, other, comparison, found, alike,
        tuple(dot for pair in comparison.pairs for dot in _dots(pair)),
        tuple(verdict for verdict in VERDICTS if verdict in given),
    )  # fmt: skip


def place(log10_lr: float) -> float:
    """Where on the drawing's axis a ratio lies; beyond the ends at them."""
    return round(SIDE * (min(max(log10_lr, LOW), HIGH) - LOW) / (HIGH - LOW), 2)


def told(log10_lrs: Mapping[str, float]) -> list[tuple[str, float]]:
    """Ratios by modality, in the order of reports."""
    return [(name, log10_lrs[name]) for name in ("image", "video", "audio") if name in log10_lrs]


def _dots(pair: Pair) -> list[Dot]:
    before, after = pair.log10_lrs
    return [
        Dot(pair, modality, place(value), SIDE - place(after[modality]), (value, after[modality]))
        for modality, value in told(before)
        if modality in after
    ]
