"""What a modality's result becomes in CASE/UCO. UCO knows a class and a confidence; a likelihood ratio is neither."""

from __future__ import annotations

from deepscreen.record import ModalityName, ModalityResult, Verdict
from deepscreen.report.case_uco_nodes import Node, decimal


def classification(result: ModalityResult) -> Node:
    """The verdict as a class, and the figures that it rests on in terms of our own.

    ``classificationConfidence`` is there for decided verdicts only: the probability that the class is right under the
    prior that stands beside it. Undecided is not a confidence of one half.
    """
    return {
        "analysis:class": result.verdict.value,
        "analysis:classificationConfidence": decimal(_confidence(result)),
        "deepscreen:priorProbabilitySpoof": decimal(result.prior_spoof),
        "deepscreen:log10LikelihoodRatio": decimal(result.log10_lr),
        "deepscreen:log10LikelihoodRatioLow": decimal(result.log10_lr_low),
        "deepscreen:log10LikelihoodRatioHigh": decimal(result.log10_lr_high),
        "deepscreen:log10LikelihoodRatioLimit": decimal(result.log10_lr_limit),
        "deepscreen:verbalEquivalent": result.verbal,
    }


def result_sentence(name: ModalityName, result: ModalityResult) -> str:
    """The result in one sentence for readers of tools that show nothing else."""
    if result.log10_lr is None:
        reasons = "; ".join(sorted({unscored.detail for unscored in result.not_scored})) or "no calibrated reading"
        return f"{name}: {result.verdict.value.replace('_', ' ')} ({reasons})."
    interval = f"95 % interval {result.log10_lr_low:+.2f} to {result.log10_lr_high:+.2f}"
    return (
        f"{name}: {result.verdict.value.replace('_', ' ')}; {result.verbal}; log10 likelihood ratio, synthetic or "
        f"manipulated over authentic, {result.log10_lr:+.2f} ({interval})."
    )


def _confidence(result: ModalityResult) -> float | None:
    if result.authenticity_score is None:
        return None
    if result.verdict is Verdict.SPOOF_SUPPORTED:
        return 1.0 - result.authenticity_score
    return result.authenticity_score if result.verdict is Verdict.BONA_FIDE_SUPPORTED else None
