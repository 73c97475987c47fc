"""Figures of a set of scored rows, overall and by stratum, each with n and its interval, or with why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from deepscreen.evaluation import resampling
from deepscreen.evaluation.metrics import (
    INTERVAL,
    Metric,
    auc,
    brier,
    calibration_loss,
    cllr,
    cllr_min,
    ece,
    eer,
    tpr_at_fpr,
)
from deepscreen.evaluation.protocols import joined_clusters
from deepscreen.evaluation.resampling import ResampledMetric, tallies
from deepscreen.evaluation.score_rows import ScoreRow
from deepscreen.record import Verdict
from deepscreen.scoring.calibration import LN10

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
StratumKey = Literal["source", "generator", "kind", "quality"]
STRATUM_KEYS: tuple[StratumKey, ...] = ("source", "generator", "kind", "quality")
MIN_PER_CLASS = 5
MIN_FOR_SHAPE = 20  # a class's fewest items for figures that look at where scores lie, not only at their order
MIN_FOR_LOW_FPR = 100  # one bona fide item is then one per cent
MIN_FOR_FPR = 300  # below it the interval of a small rate says nothing
MIN_UNITS = 5
ROUNDS = 500
DECIMALS = 4
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A figure: its name, what it is computed from, and the fewest items of a class below which it is not shown."""

    name: str
    title: str
    metric: Metric
    resampled: ResampledMetric  # the same, for many resamples at once
    needs_lr: bool
    min_bona_fide: int = MIN_PER_CLASS
    min_spoof: int = MIN_PER_CLASS


def _tpr_at_one_percent(labels: IntArray, scores: FloatArray) -> float:
    return tpr_at_fpr(labels, scores, 0.01)


_LOW_FPR, _SHAPE = (MIN_FOR_LOW_FPR, MIN_PER_CLASS), (MIN_FOR_SHAPE, MIN_FOR_SHAPE)
METRICS = (
    MetricRow("auc", "AUC", auc, resampling.auc_of, False),
    MetricRow("eer", "EER", eer, resampling.eer_of, False),
    MetricRow(
        "tpr_at_1_percent_fpr",
        "TPR at 1 % FPR",
        _tpr_at_one_percent,
        resampling.tpr_at_one_percent_of,
        False,
        *_LOW_FPR,
    ),
    MetricRow("cllr", "Cllr", cllr, resampling.cllr_of, True),
    MetricRow("cllr_min", "Cllr_min", cllr_min, resampling.cllr_min_of, True, *_SHAPE),
    MetricRow("calibration_loss", "Cllr - Cllr_min", calibration_loss, resampling.calibration_loss_of, True, *_SHAPE),
    MetricRow("ece", "ECE", ece, resampling.ece_of, True, *_SHAPE),
    MetricRow("brier", "Brier", brier, resampling.brier_of, True),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure with its 95 % interval. Where ``value`` or the interval is None, ``why_not`` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of one stratum. ``against``: where the other class was taken from, if not from the stratum itself.

    ``resampled``: what was drawn for the intervals, sources or groups; ``n_units_*``: how many of them have items of
    the class.
    """

    stratum: str
    against: str
    n_bona_fide: int
    n_spoof: int
    resampled: str
    n_units_bona_fide: int
    n_units_spoof: int
    figures: Mapping[str, Shown]


@dataclass(frozen=True, slots=True)
class Rate:
    """``n_cases`` of ``n`` with the exact interval of Clopper and Pearson, which takes items as independent."""

    name: str
    n_cases: int
    n: int
    shown: Shown


@dataclass(frozen=True, slots=True, repr=False)
class Scores:
    """Scored rows as columns. ``ranks`` order them; ``llrs`` are natural logarithms, None where not all have one.

    ``sources``: what each belongs to, sources that a group ties being one. ``groups``: the same by group alone.
    """

    rows: tuple[ScoreRow, ...]
    labels: IntArray
    ranks: FloatArray
    llrs: FloatArray | None
    sources: NDArray[np.str_]
    groups: NDArray[np.str_]

    @classmethod
    def of(cls, rows: Sequence[ScoreRow]) -> Scores:
        """The columns of those *rows* that are scored."""
        scored = tuple(row for row in rows if row.is_scored)
        known = [row.log10_lr for row in scored if row.log10_lr is not None]
        llrs = np.array(known) * LN10 if len(known) == len(scored) else None
        logits = np.array([row.spoof_logit for row in scored], dtype=np.float64)
        groups = [row.group for row in scored]
        return cls(
            scored,
            np.array([row.label for row in scored], np.int64),
            ranks(llrs, logits),
            llrs,
            np.array(joined_clusters([row.source for row in scored], groups), dtype=np.str_),
            np.array(joined_clusters([row.path for row in scored], groups), dtype=np.str_),
        )

    def chosen(self, mask: NDArray[np.bool_]) -> Scores:
        """Those where *mask* is true, still tied as they were."""
        rows = tuple(row for row, keep in zip(self.rows, mask, strict=True) if keep)
        llrs = None if self.llrs is None else self.llrs[mask]
        return Scores(rows, self.labels[mask], self.ranks[mask], llrs, self.sources[mask], self.groups[mask])


def ranks(llrs: FloatArray | None, spoof_logits: FloatArray) -> FloatArray:
    """The order in which the method puts items: by LR, and where that stands at its limit for several, by logit."""
    if llrs is None:
        return spoof_logits
    order = np.lexsort((spoof_logits, llrs))
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (np.diff(llrs[order]) != 0) | (np.diff(spoof_logits[order]) != 0)
    result = np.empty(len(order))
    result[order] = np.cumsum(is_new)
    return result


@dataclass(frozen=True, slots=True)
class Units:
    """What is drawn as a whole for intervals, its name, and how many there are with items of each class."""

    names: NDArray[np.str_]
    called: str
    n_bona_fide: int
    n_spoof: int

    @property
    def are_enough(self) -> bool:
        """A class of one unit would be drawn whole or not at all, which says nothing of how it varies."""
        return min(self.n_bona_fide, self.n_spoof) >= MIN_UNITS


def units_of(scores: Scores) -> Units:
    """Sources where each class has enough of them; else groups, whose intervals say nothing of other sources."""
    by_source = _units(scores, scores.sources, "sources")
    return by_source if by_source.are_enough else _units(scores, scores.groups, "groups")


def _units(scores: Scores, names: NDArray[np.str_], called: str) -> Units:
    return Units(names, called, *(len(set(names[scores.labels == label].tolist())) for label in (0, 1)))


def measure(scores: Scores, stratum: str, against: str = "") -> Figures:
    """All figures of *scores*."""
    n_spoof = int(scores.labels.sum())
    units = units_of(scores)
    return Figures(
        stratum,
        against,
        len(scores.labels) - n_spoof,
        n_spoof,
        units.called,
        units.n_bona_fide,
        units.n_spoof,
        {row.name: _shown(row, scores, units) for row in METRICS},
    )


def by_stratum(scores: Scores, key: StratumKey) -> list[Figures]:
    """The figures of each value of *key*, lowest AUC first.

    A stratum that lacks one class (a generator has no bona fide files) is set against all files of that class.
    """
    values = [_value(row, key) for row in scores.rows]
    found = [_stratum(scores, np.array([v == value for v in values]), value) for value in sorted(set(values) - {""})]
    return sorted(found, key=lambda f: (f.figures["auc"].value is None, f.figures["auc"].value or 0.0, f.stratum))


def _value(row: ScoreRow, key: StratumKey) -> str:
    """A generator made spoofs only: a bona fide picture of a clip whose voice was cloned is none of its work."""
    return "" if key == "generator" and row.label == 0 else str(getattr(row, key))


def _stratum(scores: Scores, mask: NDArray[np.bool_], value: str) -> Figures:
    own = {label: int((scores.labels[mask] == label).sum()) for label in (0, 1)}
    against = ""
    if max(own.values()) >= MIN_PER_CLASS > min(own.values()):
        lacking = min(own, key=lambda label: own[label])
        mask = mask | (scores.labels == lacking)
        against = "all spoof" if lacking else "all bona fide"
    return measure(scores.chosen(mask), value, against)


def _shown(row: MetricRow, scores: Scores, units: Units) -> Shown:
    why_not = _why_not(row, scores)
    values = scores.llrs if row.needs_lr else scores.ranks
    if why_not or values is None:
        return Shown(None, why_not=why_not)
    value = row.metric(scores.labels, values)
    if not units.are_enough:
        return Shown(round(value, DECIMALS), why_not=f"interval not shown: fewer than {MIN_UNITS} groups of a class")
    found = [row.resampled(tally) for tally in tallies(scores.labels, values, units.names, rounds=ROUNDS)]
    low, high = np.percentile(np.concatenate(found), INTERVAL)
    return _rounded(value, float(low), float(high))


def _why_not(row: MetricRow, scores: Scores) -> str:
    n_spoof = int(scores.labels.sum())
    n_bona_fide = len(scores.labels) - n_spoof
    if row.needs_lr and scores.llrs is None:
        return "not calibrated"
    for n, least, name in ((n_bona_fide, row.min_bona_fide, "bona fide"), (n_spoof, row.min_spoof, "spoof")):
        if n < least:
            return f"too few: {n} {name}, at least {least}"
    return ""


def error_rates(rows: Sequence[ScoreRow]) -> list[Rate]:
    """What the verdicts were, by class, over all rows that have one."""
    verdicts = {label: [r.verdict for r in rows if r.label == label and r.is_scored] for label in (0, 1)}

    def rate(name: str, label: int, verdict: Verdict, least: int = 1) -> Rate:
        of = verdicts[label]
        return share(name, sum(v == verdict.value for v in of), len(of), least=least)

    return [
        rate("bona fide called spoof_supported (FPR)", 0, Verdict.SPOOF_SUPPORTED, MIN_FOR_FPR),
        rate("spoof called bona_fide_supported (FNR)", 1, Verdict.BONA_FIDE_SUPPORTED),
        rate("bona fide called bona_fide_supported", 0, Verdict.BONA_FIDE_SUPPORTED),
        rate("spoof called spoof_supported", 1, Verdict.SPOOF_SUPPORTED),
        rate("bona fide left inconclusive", 0, Verdict.INCONCLUSIVE),
        rate("spoof left inconclusive", 1, Verdict.INCONCLUSIVE),
    ]


def share(name: str, n_cases: int, n: int, *, least: int = 1) -> Rate:
    """A share with its exact 95 % interval; below *least* items it is not shown.

    Source: Clopper and Pearson, "The use of confidence or fiducial limits", 1934.
    """
    if n < least:
        return Rate(name, n_cases, n, Shown(None, why_not=f"not shown: {n} items, at least {least}"))
    low = 0.0 if n_cases == 0 else float(beta.ppf(ALPHA / 2, n_cases, n - n_cases + 1))
    high = 1.0 if n_cases == n else float(beta.ppf(1 - ALPHA / 2, n_cases + 1, n - n_cases))
    return Rate(name, n_cases, n, _rounded(n_cases / n, low, high))


def _rounded(value: float, low: float, high: float) -> Shown:
    return Shown(round(value, DECIMALS), round(low, DECIMALS), round(high, DECIMALS))
