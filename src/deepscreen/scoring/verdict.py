"""What a likelihood ratio means in words and as a verdict."""

from __future__ import annotations

import math

from deepscreen.record import Verdict
from deepscreen.settings import VerdictPolicy

# ENFSI Guideline for Evaluative Reporting in Forensic Science (2015), table of verbal equivalents, by log10 LR.
_VERBAL_TERMS = (
    (math.log10(2), "no support for one hypothesis over the other"),
    (1.0, "weak support"),
    (2.0, "moderate support"),
    (3.0, "moderately strong support"),
    (4.0, "strong support"),
    (6.0, "very strong support"),
    (math.inf, "extremely strong support"),
)
SPOOF_HYPOTHESIS = "synthetic or manipulated"
BONA_FIDE_HYPOTHESIS = "authentic"


def verbal_term(log10_lr: float) -> str:
    """The ENFSI verbal equivalent, with the hypothesis that it supports."""
    strength = abs(log10_lr)
    term = next(words for bound, words in _VERBAL_TERMS if strength < bound)
    if term == _VERBAL_TERMS[0][1]:
        return term
    side = SPOOF_HYPOTHESIS if log10_lr > 0 else BONA_FIDE_HYPOTHESIS
    return f"{term} for {side}"


def decide(log10_lr: float, policy: VerdictPolicy) -> Verdict:
    """The verdict for one modality; between the policy's two thresholds nothing is claimed."""
    if log10_lr >= policy.spoof_min_log10_lr:
        return Verdict.SPOOF_SUPPORTED
    if log10_lr <= policy.bona_fide_max_log10_lr:
        return Verdict.BONA_FIDE_SUPPORTED
    return Verdict.INCONCLUSIVE


def authenticity_score(log10_lr: float, policy: VerdictPolicy) -> float:
    """P(bona fide) in [0, 1] under the policy's stated prior, to 4 decimals."""
    prior_log_odds = math.log(policy.prior_spoof / (1 - policy.prior_spoof))
    spoof_log_odds = log10_lr * math.log(10) + prior_log_odds
    return round(1 / (1 + math.exp(spoof_log_odds)), 4)


def combine_verdicts(verdicts: list[Verdict]) -> Verdict:
    """Over modalities: any support for spoof stands; bona fide only if all that was screened supports it."""
    screened = [v for v in verdicts if v is not Verdict.NOT_SCREENED]
    if not screened:
        return Verdict.NOT_SCREENED
    if Verdict.SPOOF_SUPPORTED in screened:
        return Verdict.SPOOF_SUPPORTED
    if all(v is Verdict.BONA_FIDE_SUPPORTED for v in screened):
        return Verdict.BONA_FIDE_SUPPORTED
    return Verdict.INCONCLUSIVE
