"""From readings to the result of one modality: calibrated, fused, put into words, decided. No threshold elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deepscreen.absence import Absence, NotScored
from deepscreen.detectors.contract import MOMENT_STRATUM, DetectorCard, Scored, TimelinePoint
from deepscreen.evidence.timeline import suspicious_spans
from deepscreen.record import (
    CalibratedReading,
    Caveat,
    Evidence,
    ModalityName,
    ModalityResult,
    Overall,
    TimelineSpan,
    Unscored,
    Verdict,
)
from deepscreen.scoring.calibration import LN10, CalibratedLr
from deepscreen.scoring.fusion import Scale
from deepscreen.scoring.verdict import authenticity_score, combine_verdicts, decide, verbal_term
from deepscreen.settings import VerdictPolicy

Outcome = tuple[DetectorCard, Scored | NotScored]
NOTHING_SCORED = "not screened"


def judge(
    modality: str,
    outcomes: Sequence[Outcome],
    *,
    scale: Scale,
    policy: VerdictPolicy,
    evidence: Sequence[Evidence],
    caveats: Sequence[Caveat],
) -> ModalityResult:
    """The result for *modality* from what each of its detectors gave.

    Where one says that the item is not of the kind that the method was made for, the readings of the others stand in
    the record but decide nothing. Readings of plug-ins never do.
    """
    scored = _scored(outcomes)
    lrs = _reading_lrs(scored, scale)
    joint = joint_lr(modality, outcomes, scale)
    counts = any(not card.is_plugin for card, _ in scored) and not _is_beyond(outcomes)
    return ModalityResult(
        verdict=_verdict(joint, counts, policy),
        authenticity_score=authenticity_score(joint.log10_lr, policy) if joint else None,
        prior_spoof=policy.prior_spoof,
        log10_lr=joint.log10_lr if joint else None,
        log10_lr_low=joint.low if joint else None,
        log10_lr_high=joint.high if joint else None,
        log10_lr_limit=joint.limit if joint else None,
        verbal=verbal_term(joint.log10_lr) if joint else NOTHING_SCORED,
        readings=tuple(_reading(card, outcome, lrs.get(card.name)) for card, outcome in scored),
        timeline=tuple(_span(card, p) for card, outcome in scored for p in outcome.timeline),
        suspicious_spans=tuple(
            _span(card, p) for card, outcome in scored for p in spans_of(card, outcome, scale, policy)
        ),
        evidence=tuple(evidence),
        not_scored=tuple(_unscored(outcome) for _, outcome in outcomes if isinstance(outcome, NotScored)),
        caveats=(*_failures(outcomes), *caveats, *_not_calibrated(scored, lrs)),
    )


def joint_lr(modality: str, outcomes: Sequence[Outcome], scale: Scale) -> CalibratedLr | None:
    """What the detectors say together; None where no reading that counts has a likelihood ratio."""
    scored = _scored(outcomes)
    lrs = _reading_lrs(scored, scale)
    if not lrs or _is_beyond(outcomes):
        return None
    return scale.modality_lr(modality, lrs, {card.name: outcome.reading.spoof_logit for card, outcome in scored})


def _scored(outcomes: Sequence[Outcome]) -> list[tuple[DetectorCard, Scored]]:
    return [(card, outcome) for card, outcome in outcomes if isinstance(outcome, Scored)]


def _is_beyond(outcomes: Sequence[Outcome]) -> bool:
    """Whether a detector says that the item is not of the kind that the method was made for."""
    return any(isinstance(o, NotScored) and o.absence is Absence.OUT_OF_DOMAIN for _, o in outcomes)


def spans_of(card: DetectorCard, outcome: Scored, scale: Scale, policy: VerdictPolicy) -> tuple[TimelinePoint, ...]:
    """Stretches whose local log-odds reach the threshold for spoof.

    Of a clip that is a spoof as a whole, and of sound, those of the timeline, on the calibration of the whole. Of any
    other clip those that stand out from what is around them, on a calibration of their own.
    """
    calibration = scale.calibrations.get(card.name)
    if calibration is None or not outcome.timeline:
        return ()
    stratum, points = outcome.reading.stratum, outcome.timeline
    whole = calibration.apply(outcome.reading.spoof_logit, stratum)
    if MOMENT_STRATUM in calibration.strata and whole.log10_lr < policy.spoof_min_log10_lr:
        stratum, points = MOMENT_STRATUM, outcome.moments
    fit = calibration.strata[stratum]
    if fit.slope <= 0:
        return ()
    threshold = (policy.spoof_min_log10_lr * LN10 - fit.offset) / fit.slope
    return suspicious_spans(points, threshold_logit=threshold)


def overall(results: Mapping[ModalityName, ModalityResult]) -> Overall:
    """The verdict over all modalities and the sentence that explains it."""
    verdict = combine_verdicts([r.verdict for r in results.values()])
    parts = [f"{name}: {_in_words(result)}" for name, result in results.items()]
    return Overall(verdict=verdict, explanation=f"{_OPENING[verdict]} {'; '.join(parts)}.")


_OPENING = {
    Verdict.SPOOF_SUPPORTED: "At least one modality supports that the file is synthetic or manipulated.",
    Verdict.BONA_FIDE_SUPPORTED: "Every modality that could be screened supports that the file is authentic.",
    Verdict.INCONCLUSIVE: "The evidence does not decide between authentic and synthetic or manipulated.",
    Verdict.NOT_SCREENED: "Nothing in the file could be screened.",
}


def _in_words(result: ModalityResult) -> str:
    if result.log10_lr is None:
        reasons = ", ".join(sorted({u.absence.value.replace("_", " ") for u in result.not_scored}))
        return f"not screened ({reasons or 'no detector'})"
    interval = f"95 % {result.log10_lr_low:+.2f} to {result.log10_lr_high:+.2f}"
    held = "" if result.stability is None or result.stability.is_stable else "; did not stand when re-encoded"
    return f"{result.verbal} (log10 LR {result.log10_lr:+.2f}, {interval}{held})"


def _verdict(joint: CalibratedLr | None, any_scored: bool, policy: VerdictPolicy) -> Verdict:
    if joint is not None:
        return decide(joint.log10_lr, policy)
    return Verdict.INCONCLUSIVE if any_scored else Verdict.NOT_SCREENED


def _reading_lrs(scored: Sequence[tuple[DetectorCard, Scored]], scale: Scale) -> dict[str, CalibratedLr]:
    lrs = {}
    for card, outcome in scored:
        lr = scale.reading_lr(card.name, outcome.reading.spoof_logit, outcome.reading.stratum)
        if lr is not None:
            lrs[card.name] = lr
    return lrs


def _reading(card: DetectorCard, outcome: Scored, lr: CalibratedLr | None) -> CalibratedReading:
    return CalibratedReading(
        detector=card.name,
        detector_version=card.version,
        spoof_logit=outcome.reading.spoof_logit,
        n_samples=outcome.reading.n_samples,
        log10_lr=lr.log10_lr if lr else None,
        log10_lr_low=lr.low if lr else None,
        log10_lr_high=lr.high if lr else None,
        stratum=outcome.reading.stratum if lr else None,
    )


def _failures(outcomes: Sequence[Outcome]) -> list[Caveat]:
    failed = {Absence.DETECTOR_FAILED, Absence.UNDECODABLE}
    return [
        Caveat(code=outcome.absence.value, message=f"{outcome.detector}: {outcome.detail}")
        for _, outcome in outcomes
        if isinstance(outcome, NotScored) and outcome.absence in failed
    ]


def _not_calibrated(scored: Sequence[tuple[DetectorCard, Scored]], lrs: Mapping[str, CalibratedLr]) -> list[Caveat]:
    """A reading that stands in the record without a likelihood ratio must not be taken for one."""
    return [
        Caveat(
            code=Absence.NOT_CALIBRATED.value,
            message=f"{card.name}: not calibrated; its log-odds are shown, and count for nothing in the result.",
        )
        for card, _ in scored
        if card.name not in lrs
    ]


def _span(card: DetectorCard, point: TimelinePoint) -> TimelineSpan:
    return TimelineSpan(
        detector=card.name,
        start_seconds=point.start_seconds,
        end_seconds=point.end_seconds,
        spoof_logit=point.spoof_logit,
        track_id=point.track_id,
    )


def _unscored(outcome: NotScored) -> Unscored:
    return Unscored(detector=outcome.detector, absence=outcome.absence, detail=outcome.detail)
