"""The validation report of a lab's calibration, in the manner of ISO/IEC 17025, 7.2.2.

What was done, on what, with what result, and what it does not show. It holds no time and no name of a person: those are
fields that the lab fills in.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deepscreen.evaluation.validation import Comparison, compare, cross_fitted
from deepscreen.method import Method
from deepscreen.record import LabCalibrationUsed, Provenance
from deepscreen.scoring.fusion import fusion_name
from deepscreen.settings import VerdictPolicy
from deepscreen.training.lab_fit import MIN_ITEMS_PER_LABEL, MIN_SOURCES_PER_LABEL, Enough, ModalityFit, Subject
from deepscreen.training.lab_media import LabMedia

MAX_CALIBRATION_LOSS = 0.1
TO_BE_FILLED_IN = (
    "Laboratory and accreditation number",
    "Intended use and requirements that it sets",
    "The laboratory's own acceptance criteria",
    "Origin of the media, and how their labels were established",
    "Prepared by, date, signature",
    "Reviewed by, date, signature",
    "Authorised for use by, date, signature",
    "Date of the next review",
)
HOW_SPLIT = (
    "The unit of the split is the source, as the manifest names it; sources that a common group ties together count as "
    "one. Each source in turn was left out: all calibrations were fitted on the other sources only, and the items of "
    'the source that was left out were judged with them. Every figure under "after" is of likelihood ratios that '
    "were made so: no item was judged by a fit that its own source was part of. The calibration that is handed over "
    'was then fitted on all sources together. Figures under "before" are of the shipped calibration on the same items.'
)
HOW_INTERVALS = (
    "Intervals are 95 %. Those of Cllr, Cllr_min, calibration loss, ECE and AUC come from resampling whole sources "
    "(500 rounds). Those of error rates are, end by end, the wider of that and of Clopper and Pearson's exact interval."
)


@dataclass(frozen=True, slots=True)
class SourceCount:
    """What one source gave to one modality."""

    modality: str
    source: str
    n_bona_fide: int
    n_spoof: int


@dataclass(frozen=True, slots=True)
class MediaAccount:
    """Every row of the manifest: used, or left out for a reason."""

    manifest_sha256: str
    n_listed: int
    n_screened: int
    left_out: dict[str, int]
    not_scored: dict[str, int]
    sources: tuple[SourceCount, ...]


@dataclass(frozen=True, slots=True)
class FittedStratum:
    """A stratum that the lab's calibration holds: natural-log LLR = slope * spoof_logit + offset, within the limit."""

    title: str
    head_sha256: str
    slope: float
    offset: float
    shipped_slope: float
    shipped_offset: float
    limit_log10_lr: float
    n_bona_fide: int
    n_spoof: int
    n_sources: int


@dataclass(frozen=True, slots=True)
class Criterion:
    """A requirement that was set beforehand, and whether the figures meet it."""

    requirement: str
    found: str
    is_met: bool


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """All that the page and the JSON file show, in their order."""

    schema_version: int
    calibration: dict[str, Any]
    method_digest: str
    shipped_method: dict[str, Any]
    detectors: dict[str, str]
    scope: tuple[str, ...]
    media: MediaAccount
    how_split: str
    how_intervals: str
    fitted: tuple[FittedStratum, ...]
    results: tuple[Comparison, ...]
    criteria: tuple[Criterion, ...]
    decision_rule: tuple[str, ...]
    limits: tuple[str, ...]
    not_validated: tuple[str, ...]
    to_be_filled_in: tuple[str, ...]

    def as_json(self) -> str:
        """``validation.json``."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def validate(
    media: LabMedia,
    fits: Sequence[ModalityFit],
    refused: dict[str, str],
    *,
    shipped: Method,
    lab: Method,
    policy: VerdictPolicy,
) -> ValidationReport:
    """Measures *fits* and says what was found. ``refused``: modalities without a fit, with what they lacked."""
    results = tuple(one for fit in fits for one in _results(fit, shipped, policy))
    used = _used(lab.provenance)
    return ValidationReport(
        schema_version=1,
        calibration=used.model_dump(mode="json"),
        method_digest=lab.provenance.method_digest,
        shipped_method=shipped.provenance.model_dump(mode="json", exclude={"lab_calibration"}),
        detectors={d.card.name: d.card.version for d in lab.detectors},
        scope=tuple(_scope(fits)),
        media=account(media),
        how_split=HOW_SPLIT,
        how_intervals=HOW_INTERVALS,
        fitted=tuple(_fitted(fit, subject, shipped) for fit in fits for subject in fit.fitted),
        results=results,
        criteria=tuple(_criteria(results, {fit.modality for fit in fits})),
        decision_rule=tuple(_decision_rule(policy)),
        limits=tuple(_limits(fits, policy)),
        not_validated=tuple(_not_validated(fits, refused)),
        to_be_filled_in=TO_BE_FILLED_IN,
    )


def account(media: LabMedia) -> MediaAccount:
    """Counts by source and label, and of what was not scored."""
    absent = Counter(f"{u.detector}: {u.absence.value}" for item in media.items for u in item.result.not_scored)
    keys = sorted({(item.modality, item.source) for item in media.items})
    found = Counter((item.modality, item.source, item.label) for item in media.items)
    return MediaAccount(
        manifest_sha256=media.manifest_sha256,
        n_listed=media.n_listed,
        n_screened=len(media.items),
        left_out=dict(media.left_out),
        not_scored=dict(sorted(absent.items())),
        sources=tuple(SourceCount(m, source, found[m, source, 0], found[m, source, 1]) for m, source in keys),
    )


def _results(fit: ModalityFit, shipped: Method, policy: VerdictPolicy) -> Iterator[Comparison]:
    """The modality first, then its fitted strata where they are more than that."""
    judged = cross_fitted(fit, shipped.scale)
    yield compare(fit.modality, judged[fit.modality], policy)
    for subject in fit.fitted:
        if subject.title in judged and judged[subject.title] != judged[fit.modality]:
            yield compare(subject.title, judged[subject.title], policy)


def _used(provenance: Provenance) -> LabCalibrationUsed:
    if provenance.lab_calibration is None:
        raise ValueError("validate: want the method with the lab's calibration in place, got the shipped one")
    return provenance.lab_calibration


def _fitted(fit: ModalityFit, subject: Subject, shipped: Method) -> FittedStratum:
    calibration = fit.scale.calibrations[subject.calibration]
    stratum = calibration.strata[subject.stratum]
    before = shipped.scale.calibrations[subject.calibration].strata[subject.stratum]
    return FittedStratum(
        title=subject.title,
        head_sha256=calibration.head_sha256,
        slope=stratum.slope,
        offset=stratum.offset,
        shipped_slope=before.slope,
        shipped_offset=before.offset,
        limit_log10_lr=round(stratum.limit_log10, 3),
        n_bona_fide=stratum.n_bona_fide,
        n_spoof=stratum.n_spoof,
        n_sources=stratum.n_sources,
    )


def _scope(fits: Sequence[ModalityFit]) -> Iterator[str]:
    kinds = ", ".join(fit.modality for fit in fits)
    yield (
        f"The method gives, for {kinds} files, a likelihood ratio of two hypotheses: the material is bona fide, or it "
        "is synthetic or manipulated; and a verdict that follows from it by the decision rule below."
    )
    yield (
        "Validated is the whole chain from the file to the likelihood ratio, with the shipped detectors and heads as "
        "they are and with the laboratory's own calibration, on media like those that are counted below."
    )


def _criteria(results: Sequence[Comparison], modalities: set[str]) -> Iterator[Criterion]:
    for one in results:
        if one.title not in modalities:
            continue
        cost, loss = one.after.cllr, one.after.calibration_loss
        yield Criterion(
            f"{one.title}: the likelihood ratios carry information (Cllr below 1, upper end of its interval included)",
            f"{cost.value:.3f} ({cost.low:.3f} to {cost.high:.3f})",
            cost.high < 1,
        )
        yield Criterion(
            f"{one.title}: Cllr is not higher than with the shipped calibration",
            f"{cost.value:.3f} after, {one.before.cllr.value:.3f} before",
            cost.value <= one.before.cllr.value,
        )
        yield Criterion(
            f"{one.title}: calibration loss (Cllr less Cllr_min) of at most {MAX_CALIBRATION_LOSS}",
            f"{loss.value:.3f}",
            loss.value <= MAX_CALIBRATION_LOSS,
        )


def _decision_rule(policy: VerdictPolicy) -> Iterator[str]:
    yield f"spoof_supported: log10 LR of at least {policy.spoof_min_log10_lr:+g}."
    yield f"bona_fide_supported: log10 LR of at most {policy.bona_fide_max_log10_lr:+g}."
    yield "inconclusive: between the two. not_screened: no detector gave a reading."
    yield "The rule compares the point estimate; its interval and its limit are given beside it and do not move it."
    yield f"authenticity_score is stated under a prior of {policy.prior_spoof:g} for synthetic or manipulated."


def _limits(fits: Sequence[ModalityFit], policy: VerdictPolicy) -> Iterator[str]:
    for fit in fits:
        for subject in fit.fitted:
            limit = fit.scale.calibrations[subject.calibration].strata[subject.stratum].limit_log10
            yield (
                f"{subject.title}: |log10 LR| never exceeds {limit:.2f}, which is what the number of sources supports."
                + _out_of_reach(limit, policy)
            )
    yield (
        "The figures hold for media like those listed. A generator, device, platform or compression that is not among "
        "the sources can give other error rates, in both directions."
    )
    yield "ECE of few items is biased upwards: part of it is chance. Cllr_min is biased downwards."


def _out_of_reach(limit: float, policy: VerdictPolicy) -> str:
    least = max(policy.spoof_min_log10_lr, -policy.bona_fide_max_log10_lr)
    return " A verdict other than inconclusive cannot always be reached: add sources." if limit < least else ""


def _not_validated(fits: Sequence[ModalityFit], refused: dict[str, str]) -> Iterator[str]:
    for modality, lacked in sorted(refused.items()):
        yield f"{modality}: calibrated as shipped; the media had {lacked}."
    for fit in fits:
        for subject, enough in sorted(fit.lacking.items()):
            yield f"{subject.title}: {_in_place_of(fit, subject)}; the media had {_few(enough)}."
    absent = {"image", "video", "audio"} - {fit.modality for fit in fits} - set(refused)
    if absent:
        yield f"{', '.join(sorted(absent))}: no file of this kind was in the manifest; calibrated as shipped."
    yield "Sound tracks of videos: a label is taken to speak of the pictures of a video only."
    yield (
        "Heatmaps, timelines and suspicious spans; robustness against re-encoding, resizing, screen recording and "
        "deliberate attack; error rates by age, sex or skin tone of the people shown."
    )
    yield (
        "Whether any of the media was among what the shipped heads were fitted on: if so, the figures are too good. "
        "The detector cards name what those were."
    )


def _in_place_of(fit: ModalityFit, subject: Subject) -> str:
    if subject.calibration == fusion_name(fit.modality):
        return f"put aside, so that {fit.scale.fusions[fit.modality].lead} decides"
    return "calibrated as shipped"


def _few(enough: Enough) -> str:
    return f"{enough.missing} (least: {MIN_ITEMS_PER_LABEL} items from {MIN_SOURCES_PER_LABEL} sources of each label)"
