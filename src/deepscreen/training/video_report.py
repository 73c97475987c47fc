"""The figures of the card of ``video_clip``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.linear_head import FloatArray
from deepscreen.detectors.video_head import NO_FACE, WITH_FACE
from deepscreen.evaluation.cross_calibration import cross_calibrated
from deepscreen.evaluation.figures import FIGURE_DECIMALS, figure
from deepscreen.evaluation.metrics import auc, calibration_loss, cllr_min, ece
from deepscreen.evaluation.protocols import source_weights
from deepscreen.scoring.calibration import LN10, Calibration
from deepscreen.training.labelled import LabelledFile
from deepscreen.training.view_fit import fold_pools

FACE_KINDS = frozenset({"faceswap", "reenactment", "talking_head"})
GENERATED_KINDS = frozenset({"t2v", "i2v", "video_edit"})
FAMILIES: Mapping[str, frozenset[str] | None] = {"all": None, "faces": FACE_KINDS, "generated": GENERATED_KINDS}
PROBE_L2 = 100.0


@dataclass(frozen=True, slots=True, repr=False)
class ScoredClips:
    """Clips with their log-odds, and what those would be without faces; ``has_face``: which were voted on with them."""

    files: list[LabelledFile]
    logits: FloatArray
    frame_logits: FloatArray
    has_face: NDArray[np.bool_]
    folds: NDArray[np.int64]

    @property
    def labels(self) -> NDArray[np.int64]:
        """1 = spoof."""
        return np.array([file.label for file in self.files])

    @property
    def sources(self) -> list[str]:
        """The source of each clip."""
        return [file.source for file in self.files]


@dataclass(frozen=True, slots=True, repr=False)
class Stressed:
    """Log-odds of the clips ``rows`` after a laundering."""

    name: str
    rows: NDArray[np.int64]
    logits: FloatArray


def report(
    held: ScoredClips,
    stressed: Sequence[Stressed],
    last_block: NDArray[np.float32],
    released: ScoredClips,
    calibration: Calibration,
    n_pictures: int,
) -> dict[str, Any]:
    """All figures; likelihood ratios of held-out clips are by calibrations that were fitted without their fold."""
    llrs = cross_calibrated_llrs(held)
    protocols: dict[str, Any] = {}
    for family, kinds in FAMILIES.items():
        protocols[f"source-held-out, {family}"] = _figures(held, held.logits, kinds, llrs)
        protocols[f"release split, {family}"] = _figures(released, released.logits, kinds, _llrs(released, calibration))
        probe = _probe(held, last_block)
        protocols[f"last-block probe, source-held-out, {family}"] = _figures(held, probe, kinds, None)
    spoof_kinds = sorted({file.kind for file in held.files if file.label == 1})
    return {
        "detector": "video_clip",
        "command": "deepscreen fit video --manifest CLIPS --pictures PICTURES",
        "fitted_on": {
            "n_clips": len(held.files),
            "n_sources": len(set(held.sources)),
            "n_pictures": n_pictures,
        },
        "protocols": protocols,
        "after_laundering": {one.name: _after(held, one) for one in stressed},
        "by_kind": {kind: _figures(held, held.logits, frozenset({kind}), None) for kind in spoof_kinds},
    }


def cross_calibrated_llrs(held: ScoredClips) -> FloatArray:
    """Natural-log LRs; clips with a face are calibrated on such, others on all clips as if they had none."""
    faced, sources = held.has_face, np.array(held.sources)
    log10_lrs = cross_calibrated(held.frame_logits, held.labels, held.sources, held.folds)
    if faced.any():
        log10_lrs[faced] = cross_calibrated(
            held.logits[faced], held.labels[faced], sources[faced].tolist(), held.folds[faced]
        )
    return np.asarray(log10_lrs * LN10, dtype=np.float64)


def _llrs(scored: ScoredClips, calibration: Calibration) -> FloatArray:
    strata = [calibration.strata[WITH_FACE if faced else NO_FACE] for faced in scored.has_face]
    return np.array([s.slope * logit + s.offset for s, logit in zip(strata, scored.logits, strict=True)])


def _probe(held: ScoredClips, last_block: NDArray[np.float32]) -> FloatArray:
    """The bare baseline: logistic regression on the last block's class token of whole frames."""
    weights = source_weights(held.sources, held.labels.tolist())
    wide = np.asarray(last_block, dtype=np.float64)
    logits = np.zeros(len(wide))
    for fold, head in fold_pools(wide, held.labels, held.folds, weights, l2=PROBE_L2).items():
        logits[held.folds == fold] = head.logit(wide[held.folds == fold])
    return logits


def _figures(
    scored: ScoredClips, logits: FloatArray, kinds: frozenset[str] | None, llrs: FloatArray | None
) -> dict[str, Any]:
    """Spoofs of *kinds* against every bona fide clip."""
    chosen = np.array([f.label == 0 or kinds is None or f.kind in kinds for f in scored.files])
    labels = scored.labels[chosen]
    sources = np.array(scored.sources)[chosen].tolist()
    figures = figure(labels, logits[chosen], sources, spoof_llrs=None if llrs is None else llrs[chosen])
    if llrs is not None and "auc" in figures:
        figures |= _calibration_figures(labels, llrs[chosen])
    return figures


def _calibration_figures(labels: NDArray[np.int64], llrs: FloatArray) -> dict[str, float]:
    values = {
        "cllr_min": cllr_min(labels, llrs),
        "calibration_loss": calibration_loss(labels, llrs),
        "ece": ece(labels, llrs),
    }
    return {name: round(value, FIGURE_DECIMALS) for name, value in values.items()}


def _after(held: ScoredClips, stressed: Stressed) -> dict[str, Any]:
    """AUC before and after, on the same clips."""
    labels = held.labels[stressed.rows]
    before, after = auc(labels, held.logits[stressed.rows]), auc(labels, stressed.logits)
    figures = {"auc_before": before, "auc_after": after, "auc_lost": before - after}
    counts = {"n": len(labels), "n_untested_or_without_view": len(held.files) - len(labels)}
    return {name: round(value, FIGURE_DECIMALS) for name, value in figures.items()} | counts
