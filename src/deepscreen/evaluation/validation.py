"""How good likelihood ratios are, before and after a lab's calibration, every source judged by a fit on all the others.

Nothing is measured on what it was fitted on: the shipped calibration never saw the lab's media, and for the lab's own
each source in turn is left out of the whole fit, decided by it, and put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from deepscreen.evaluation.metrics import (
    Estimate,
    Metric,
    auc,
    bootstrap_interval,
    calibration_loss,
    cllr,
    cllr_min,
    ece,
)
from deepscreen.record import Verdict
from deepscreen.scoring.calibration import LN10
from deepscreen.scoring.fusion import Scale
from deepscreen.scoring.verdict import decide
from deepscreen.settings import VerdictPolicy
from deepscreen.training.lab_fit import ModalityFit, Subject, lab_scale
from deepscreen.training.lab_media import LabItem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
ALPHA = 0.05
FIGURE_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class JudgedItem:
    """One item's log10 LR under the shipped calibration, and under the lab's fitted without its source."""

    label: int
    cluster: str
    log10_before: float
    log10_after: float


@dataclass(frozen=True, slots=True)
class Rate:
    """``n_cases`` of ``n_items`` with a 95 % interval, at each end the wider of exact and resampled by source."""

    n_cases: int
    n_items: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Quality:
    """The figures of one set of likelihood ratios; ``calibration_loss`` is Cllr less Cllr_min."""

    cllr: Estimate
    cllr_min: Estimate
    calibration_loss: Estimate
    ece: Estimate
    auc: Estimate
    bona_fide_called_spoof: Rate
    spoof_called_bona_fide: Rate
    bona_fide_inconclusive: Rate
    spoof_inconclusive: Rate


@dataclass(frozen=True, slots=True)
class Comparison:
    """Before and after on the same items. ``cllr_change``: after less before, resampled in pairs; below 0 is better."""

    title: str
    n_bona_fide: int
    n_spoof: int
    n_bona_fide_sources: int
    n_spoof_sources: int
    before: Quality
    after: Quality
    cllr_change: Estimate


def cross_fitted(fit: ModalityFit, shipped: Scale) -> dict[str, list[JudgedItem]]:
    """Each scored item judged without its source: by the modality's name, and by the title of each fitted stratum."""
    judged: dict[str, list[JudgedItem]] = {}
    for cluster in sorted({item.cluster for item in fit.items}):
        rest = [item for item in fit.items if item.cluster != cluster]
        scale = lab_scale(rest, fit.fitted, shipped, n_rounds=1)
        for item in fit.items:
            if item.cluster == cluster:
                for title, one in _judge(item, scale, fit.fitted):
                    judged.setdefault(title, []).append(one)
    return judged


def _judge(item: LabItem, scale: Scale, fitted: Sequence[Subject]) -> Iterator[tuple[str, JudgedItem]]:
    if item.result.log10_lr is None:
        return
    lrs = {}
    for reading in item.result.readings:
        if reading.stratum is None or reading.log10_lr is None:
            continue
        lr = scale.reading_lr(reading.detector, reading.spoof_logit, reading.stratum)
        if lr is not None:
            lrs[reading.detector] = lr
            subject = Subject(reading.detector, reading.stratum)
            if subject in fitted:
                yield subject.title, JudgedItem(item.label, item.cluster, reading.log10_lr, lr.log10_lr)
    joint = scale.modality_lr(item.modality, lrs, {r.detector: r.spoof_logit for r in item.result.readings})
    yield item.modality, JudgedItem(item.label, item.cluster, item.result.log10_lr, joint.log10_lr)


def compare(title: str, judged: Sequence[JudgedItem], policy: VerdictPolicy) -> Comparison:
    """The figures of *judged*, which holds both labels."""
    labels = np.array([one.label for one in judged])
    clusters = np.array([one.cluster for one in judged])
    before, after = np.array([o.log10_before for o in judged]), np.array([o.log10_after for o in judged])

    def change(of: IntArray, rows: FloatArray) -> float:
        chosen = rows.astype(np.int64)
        return cllr(of, after[chosen] * LN10) - cllr(of, before[chosen] * LN10)

    return Comparison(
        title=title,
        n_bona_fide=int((labels == 0).sum()),
        n_spoof=int((labels == 1).sum()),
        n_bona_fide_sources=len(set(clusters[labels == 0])),
        n_spoof_sources=len(set(clusters[labels == 1])),
        before=quality(labels, before, clusters, policy),
        after=quality(labels, after, clusters, policy),
        cllr_change=_estimate(change, labels, np.arange(len(judged), dtype=np.float64), clusters),
    )


def quality(labels: IntArray, log10_lrs: FloatArray, clusters: NDArray[np.str_], policy: VerdictPolicy) -> Quality:
    """All figures, with intervals from resampling whole clusters of sources."""
    llrs = log10_lrs * LN10
    verdicts = np.array([decide(float(lr), policy).value for lr in log10_lrs])

    def rate(label: int, verdict: Verdict) -> Rate:
        of = labels == label
        return share(verdicts[of] == verdict.value, clusters[of])

    return Quality(
        cllr=_estimate(cllr, labels, llrs, clusters),
        cllr_min=_estimate(cllr_min, labels, llrs, clusters),
        calibration_loss=_estimate(calibration_loss, labels, llrs, clusters),
        ece=_estimate(ece, labels, llrs, clusters),
        auc=_estimate(auc, labels, llrs, clusters),
        bona_fide_called_spoof=rate(0, Verdict.SPOOF_SUPPORTED),
        spoof_called_bona_fide=rate(1, Verdict.BONA_FIDE_SUPPORTED),
        bona_fide_inconclusive=rate(0, Verdict.INCONCLUSIVE),
        spoof_inconclusive=rate(1, Verdict.INCONCLUSIVE),
    )


def share(is_case: NDArray[np.bool_], clusters: NDArray[np.str_]) -> Rate:
    """The share of cases, with the wider ends of two intervals.

    Clopper-Pearson takes items as independent; resampling sources does not, but is blind where no case was seen.
    """
    k, n = int(is_case.sum()), len(is_case)
    exact_low = 0.0 if k == 0 else float(beta.ppf(ALPHA / 2, k, n - k + 1))
    exact_high = 1.0 if k == n else float(beta.ppf(1 - ALPHA / 2, k + 1, n - k))
    low, high = _resampled_share(is_case, clusters)
    ends = (k / n, min(exact_low, low), max(exact_high, high))
    return Rate(k, n, *(round(end, FIGURE_DECIMALS) for end in ends))


def _resampled_share(is_case: NDArray[np.bool_], clusters: NDArray[np.str_]) -> tuple[float, float]:
    _, inverse = np.unique(clusters, return_inverse=True)
    cases, sizes = np.bincount(inverse, weights=is_case), np.bincount(inverse)
    drawn = np.random.default_rng(0).integers(0, len(sizes), (500, len(sizes)))
    low, high = np.percentile(cases[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _estimate(metric: Metric, labels: IntArray, scores: FloatArray, clusters: NDArray[np.str_]) -> Estimate:
    found = bootstrap_interval(metric, labels, scores, clusters)
    return Estimate(*(round(figure, FIGURE_DECIMALS) for figure in (found.value, found.low, found.high)))
