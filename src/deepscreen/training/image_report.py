"""The figures of a picture detector's card: how well it orders pictures, and what its likelihood ratios are worth.

All of them on pictures of sources that no head saw, and likelihood ratios by calibrations fitted without their fold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepscreen.detectors.linear_head import FloatArray
from deepscreen.evaluation.cross_calibration import cross_calibrated
from deepscreen.evaluation.figures import FIGURE_DECIMALS, figure
from deepscreen.evaluation.metrics import auc
from deepscreen.evaluation.score_rows import ScoreRow
from deepscreen.evaluation.strata import Figures, Scores, Shown, error_rates, measure
from deepscreen.scoring.calibration import DEFAULT_STRATUM, LN10, Calibration
from deepscreen.scoring.verdict import decide
from deepscreen.settings import VerdictPolicy
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.view_fit import HeldOut

GENERATED = frozenset(
    {
        "gan_face",
        "gan_general",
        "diffusion_face",
        "diffusion_general",
        "diffusion_video_frame",
        "autoregressive_general",
        "reenactment_talking_head",
    }
)
FACE_MANIPULATION = frozenset({"faceswap", "reenactment", "face_edit", "face_morph"})
LOCAL_EDITS = frozenset({"splice", "copy-move", "inpaint", "diffusion_edit"})
FAMILIES: Mapping[str, frozenset[str] | None] = {
    "all": None,
    "generated": GENERATED,
    "face manipulated": FACE_MANIPULATION,
    "edited locally": LOCAL_EDITS,
}
LR_METRICS = ("cllr", "cllr_min", "calibration_loss", "ece", "brier", "tpr_at_1_percent_fpr")
MIN_OF_A_SOURCE = 15  # for an AUC of its own
LOW_PERCENTILE = 10


@dataclass(frozen=True, slots=True, repr=False)
class Folds:
    """The fold of each development picture by its key: of whole sources, and of whole generators."""

    by_source: Mapping[str, int]
    by_generator: Mapping[str, int]


@dataclass(frozen=True, slots=True, repr=False)
class Calibrated:
    """Pictures with the log10 LR that each got from a calibration fitted without it."""

    files: Sequence[LabelledFile]
    spoof_logits: FloatArray
    log10_lrs: FloatArray

    @classmethod
    def of(cls, files: Sequence[LabelledFile], spoof_logits: FloatArray, fold_by_key: Mapping[str, int]) -> Calibrated:
        """Held-out logits, calibrated on those of the other folds."""
        labels, sources = np.array([f.label for f in files]), [f.source for f in files]
        folds = np.array([fold_by_key[f.key] for f in files])
        return cls(files, spoof_logits, cross_calibrated(spoof_logits, labels, sources, folds))

    def rows(self, family: str) -> list[ScoreRow]:
        """All bona fide pictures and the spoofs of *family*, with the verdicts of the default policy."""
        kinds, policy = FAMILIES[family], VerdictPolicy()
        return [
            _row(file, float(logit), float(log10_lr), policy)
            for file, logit, log10_lr in zip(self.files, self.spoof_logits, self.log10_lrs, strict=True)
            if _belongs(file, kinds)
        ]


def detector_report(
    name: str,
    development: Sequence[LabelledFile],
    held: HeldOut,
    folds: Folds,
    released: HeldOut,
    calibration: Calibration,
) -> dict[str, Any]:
    """The figures of a detector's card."""
    calibrated = Calibrated.of(held.files, held.spoof_logits, folds.by_source)
    across = Calibrated.of(held.files, held.spoof_logits, folds.by_generator)
    return {
        "detector": name,
        "command": "deepscreen fit image --manifest MANIFEST",
        "fitted_on": {
            "n_files": len(development),
            "n_sources": len({f.source for f in development}),
            "n_scored": len(held.files),
        },
        "protocols": _protocols(held, calibrated, released, calibration),
        "after_laundering": {
            stress: _after(held, logits)
            for stress, logits in held.stressed_logits.items()
            if len(np.unique(held.labels[~np.isnan(logits)])) > 1
        },
        "by_kind": {kind: _against_all_bona_fide(held, frozenset({kind}), held.spoof_logits) for kind in _kinds(held)},
        **lr_tables(calibrated),
        "calibration_fitted_on": {
            "other sources": lr_figures(calibrated, "all"),
            "other generators": lr_figures(across, "all"),
        },
    }


def lr_tables(calibrated: Calibrated) -> dict[str, dict[str, dict[str, Any]]]:
    """By family: what the LRs are worth, what the verdicts were, and how AUC varies over sources."""
    return {
        "likelihood_ratios": {family: lr_figures(calibrated, family) for family in FAMILIES},
        "verdicts": {family: verdict_figures(calibrated, family) for family in FAMILIES},
        "auc_over_sources": {family: source_figures(calibrated, family) for family in FAMILIES},
    }


def lr_figures(calibrated: Calibrated, family: str) -> dict[str, Any]:
    """Cllr and its kin with 95 % intervals over sources; AUC is that of the LRs."""
    found = measure(Scores.of(calibrated.rows(family)), family)
    return {**_counts(found), **_flat({name: found.figures[name] for name in ("auc", *LR_METRICS)})}


def verdict_figures(calibrated: Calibrated, family: str) -> dict[str, Any]:
    """Shares of wrong and right verdicts with Clopper-Pearson intervals; the FPR is that of all bona fide pictures."""
    rates = {rate.name: rate for rate in error_rates(calibrated.rows(family))}
    wanted = {
        "fpr": "bona fide called spoof_supported (FPR)",
        "fnr": "spoof called bona_fide_supported (FNR)",
        "spoofs_found": "spoof called spoof_supported",
        "bona_fide_confirmed": "bona fide called bona_fide_supported",
    }
    return {
        "n_spoof": rates[wanted["fnr"]].n,
        "n_bona_fide": rates[wanted["fpr"]].n,
        **_flat({key: rates[name].shown for key, name in wanted.items()}),
    }


def source_figures(calibrated: Calibrated, family: str) -> dict[str, Any]:
    """AUC pooled, and its tenth percentile and lowest over sources with at least ``MIN_OF_A_SOURCE`` pictures.

    A source's spoofs are set against all bona fide pictures of the same content (faces or not), its bona fide pictures
    against all spoofs of the family of that content.
    """
    aucs = dict(_auc_by_source(calibrated.rows(family)))
    scores = Scores.of(calibrated.rows(family))
    values: dict[str, float] = {"auc_pooled": auc(scores.labels, scores.ranks)}
    if aucs:
        values["auc_10th_percentile"] = float(np.percentile(list(aucs.values()), LOW_PERCENTILE))
        values["auc_lowest"] = min(aucs.values())
    return {**{k: round(v, FIGURE_DECIMALS) for k, v in values.items()}, "n_sources": len(aucs)}


def is_of_faces(kind: str) -> bool:
    """Whether pictures of this kind show a face as their content."""
    return "face" in kind or kind.startswith("reenactment")


def _auc_by_source(rows: Sequence[ScoreRow]) -> Iterator[tuple[str, float]]:
    for of_faces in (True, False):
        scores = Scores.of([row for row in rows if is_of_faces(row.kind) == of_faces])
        sources = np.array([row.source for row in scores.rows])
        for label in (0, 1):
            own_class, other = scores.labels == label, scores.labels != label
            for source in np.unique(sources[own_class]) if other.sum() >= MIN_OF_A_SOURCE else ():
                own = own_class & (sources == source)
                if own.sum() >= MIN_OF_A_SOURCE:
                    chosen = own | other
                    yield f"{source}, {label}, {of_faces}", auc(scores.labels[chosen], scores.ranks[chosen])


def _row(file: LabelledFile, logit: float, log10_lr: float, policy: VerdictPolicy) -> ScoreRow:
    about = (file.source, file.generator, file.kind, file.group, "")
    return ScoreRow(file.key, "image", file.label, *about, logit, log10_lr, decide(log10_lr, policy).value, "")


def _belongs(file: LabelledFile, kinds: frozenset[str] | None) -> bool:
    return file.label == 0 or kinds is None or file.kind in kinds


def _counts(found: Figures) -> dict[str, int]:
    return {"n_spoof": found.n_spoof, "n_bona_fide": found.n_bona_fide}


def _flat(figures: Mapping[str, Shown]) -> dict[str, Any]:
    """Plain keys: a figure with its interval, or the words that say why there is none."""
    flat: dict[str, Any] = {}
    for name, shown in figures.items():
        if shown.value is None:
            flat[name] = shown.why_not
            continue
        ends = {name: shown.value, f"{name}_low": shown.low, f"{name}_high": shown.high}
        flat |= {key: round(value, FIGURE_DECIMALS) for key, value in ends.items() if value is not None}
    return flat


def _protocols(
    held: HeldOut, calibrated: Calibrated, released: HeldOut, calibration: Calibration
) -> dict[str, dict[str, Any]]:
    stratum = calibration.strata[DEFAULT_STRATUM]
    llrs = {
        "source-held-out": (held, calibrated.log10_lrs * LN10),
        "release split": (released, stratum.slope * released.spoof_logits + stratum.offset),
    }
    protocols: dict[str, dict[str, Any]] = {}
    for title, (result, spoof_llrs) in llrs.items():
        sources = [file.source for file in result.files]
        protocols[f"{title}, all"] = figure(result.labels, result.spoof_logits, sources, spoof_llrs=spoof_llrs)
        for family, kinds in FAMILIES.items():
            if kinds is not None:
                protocols[f"{title}, {family}"] = _against_all_bona_fide(result, kinds, result.spoof_logits)
    for family, kinds in FAMILIES.items():
        name = f"last-block probe, source-held-out, {family}"
        protocols[name] = _against_all_bona_fide(held, kinds, held.probe_logits)
    return protocols


def _against_all_bona_fide(held: HeldOut, kinds: frozenset[str] | None, logits: FloatArray) -> dict[str, Any]:
    """Spoofs of *kinds* against every bona fide item."""
    chosen = np.array([_belongs(f, kinds) for f in held.files])
    sources = [f.source for f, c in zip(held.files, chosen, strict=True) if c]
    return figure(held.labels[chosen], logits[chosen], sources)


def _after(held: HeldOut, stressed_logits: FloatArray) -> dict[str, Any]:
    """AUC before and after, both on the files that still had a view."""
    left = ~np.isnan(stressed_logits)
    labels = held.labels[left]
    before, after = auc(labels, held.spoof_logits[left]), auc(labels, stressed_logits[left])
    figures = {"auc_before": before, "auc_after": after, "auc_lost": before - after}
    return {name: round(value, FIGURE_DECIMALS) for name, value in figures.items()} | {
        "n": int(left.sum()),
        "n_untested_or_without_view": int((~left).sum()),
    }


def _kinds(held: HeldOut) -> list[str]:
    return sorted({file.kind for file in held.files if file.label == 1})
