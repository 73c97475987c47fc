"""Ours against one peer on the files that both scored: each one's figures, and the paired difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepscreen.evaluation.metrics import INTERVAL
from deepscreen.evaluation.peers.contenders import Contender
from deepscreen.evaluation.resampling import FloatArray, tallies
from deepscreen.evaluation.strata import (
    DECIMALS,
    METRICS,
    MIN_UNITS,
    ROUNDS,
    Figures,
    MetricRow,
    Scores,
    Shown,
    Units,
    measure,
    units_of,
)

COMPARED = ("auc", "eer", "cllr")
HIGHER_IS_BETTER = {"auc": True, "eer": False, "cllr": False}


@dataclass(frozen=True, slots=True)
class Duel:
    """On the same files. ``differences``: ours less the peer's, by name of metric.

    ``n_left_bona_fide``, ``n_left_spoof``: files that we scored and the peer did not: in none of these figures.
    """

    peer: str
    ours: Figures
    theirs: Figures
    differences: Mapping[str, Shown]
    n_left_bona_fide: int
    n_left_spoof: int


def duel(ours: Contender, peer: Contender, kinds: frozenset[str] | None, family: str) -> Duel:
    """Spoofs of *kinds* (None: all) against all bona fide files."""
    our_scores, their_scores = of_kinds(ours.scores, kinds), of_kinds(peer.scores, kinds)
    common = {row.path for row in their_scores.rows}
    is_common = np.array([row.path in common for row in our_scores.rows], dtype=bool)
    left = our_scores.labels[~is_common]
    both = our_scores.chosen(is_common)
    our_figures, their_figures = measure(both, family), measure(their_scores, family)
    return Duel(
        peer.name,
        our_figures,
        their_figures,
        {
            row.name: _difference(row, both, their_scores, our_figures, their_figures)
            for row in METRICS
            if row.name in COMPARED
        },
        int((left == 0).sum()),
        int((left == 1).sum()),
    )


def of_kinds(scores: Scores, kinds: frozenset[str] | None) -> Scores:
    """Spoofs of *kinds* and all bona fide files."""
    return scores.chosen(np.array([r.label == 0 or kinds is None or r.kind in kinds for r in scores.rows], dtype=bool))


def _difference(row: MetricRow, ours: Scores, theirs: Scores, our_figures: Figures, their_figures: Figures) -> Shown:
    """With the interval of a paired bootstrap: each resample draws the same units for both."""
    a, b = our_figures.figures[row.name], their_figures.figures[row.name]
    ours_values, their_values = (s.llrs if row.needs_lr else s.ranks for s in (ours, theirs))
    if a.value is None or b.value is None or ours_values is None or their_values is None:
        return Shown(None, why_not=a.why_not or b.why_not)
    value = row.metric(ours.labels, ours_values) - row.metric(theirs.labels, their_values)
    units = units_of(ours)
    if not units.are_enough:
        return Shown(round(value, DECIMALS), why_not=f"interval not shown: fewer than {MIN_UNITS} groups of a class")
    rounds = _resampled(row, ours, ours_values, units) - _resampled(row, theirs, their_values, units)
    low, high = np.percentile(rounds, INTERVAL)
    return Shown(round(value, DECIMALS), round(float(low), DECIMALS), round(float(high), DECIMALS))


def _resampled(row: MetricRow, scores: Scores, values: FloatArray, units: Units) -> FloatArray:
    """The draws hang on labels, units and seed, not on the values: they are the same for two sets of scores."""
    found = [row.resampled(tally) for tally in tallies(scores.labels, values, units.names, rounds=ROUNDS)]
    return np.concatenate(found)


def is_better(metric: str, difference: Shown) -> bool | None:
    """Whether ours is better with an interval that excludes 0; None where it holds 0 or there is none."""
    if difference.low is None or difference.high is None or difference.low <= 0 <= difference.high:
        return None
    return (difference.low > 0) == HIGHER_IS_BETTER[metric]
