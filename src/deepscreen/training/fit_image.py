"""Fits ``image_clip`` and ``face_clip``, their calibrations and their fusion from a labelled manifest.

Split by source and group, never by file. A fixed fifth of the sources (``is_release_split``) is never fitted, chosen
or calibrated on; it is scored once by the finished heads, and its figures stand in the report beside the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deepscreen.detectors.image_clip import GATE_PREFIX
from deepscreen.detectors.linear_head import FloatArray, LinearHead
from deepscreen.detectors.view_head import ViewHead
from deepscreen.evaluation.figures import figure
from deepscreen.evaluation.metrics import auc, cllr
from deepscreen.evaluation.protocols import generator_folds, is_release_split, source_folds, source_weights
from deepscreen.scoring.calibration import DEFAULT_STRATUM, Calibration
from deepscreen.scoring.calibration_fit import fit_stratum
from deepscreen.scoring.fusion import Fusion
from deepscreen.training.artefacts import Artefacts
from deepscreen.training.fit_gate import DRAWN_HERE, GATE_KINDS, fit_gate
from deepscreen.training.image_features import FeatureCache, ViewFeatures
from deepscreen.training.labelled import LabelledFile, read_manifest
from deepscreen.training.view_fit import (
    WHOLLY_SYNTHETIC,
    HeldOut,
    ReadViews,
    collect,
    cross_fitted,
    fit_view_head,
    gather_moments,
    view_parts,
)
from deepscreen.training.weighted_logistic import fit_logistic

N_FOLDS = 6
FACE_MANIPULATION = frozenset({"faceswap", "reenactment", "face_edit", "face_morph"})
LOCAL_EDITS = frozenset({"splice", "copy-move", "inpaint", "diffusion_edit"})
SUBJECTS = {"image_clip": "whole", "face_clip": "face"}
HEAD_NAMES = {"image_clip": "head-image", "face_clip": "head-face"}
FUSION_L2 = 1.0
HoldOut = Literal["source", "generator"]


@dataclass(frozen=True, slots=True, repr=False)
class Fitted:
    """One detector's head with its held-out results."""

    head: ViewHead
    held_out: HeldOut


def fit_image(manifest: Path, artefacts: Artefacts, cache: FeatureCache, *, seed: int) -> None:
    """Writes heads, calibrations, fusion and reports of both picture detectors into *artefacts*."""
    files = read_manifest(manifest)
    usable = [file for file in files if file.kind not in GATE_KINDS]
    development = [file for file in usable if not is_release_split(file.source)]
    release = [file for file in usable if is_release_split(file.source)]
    fitted = {name: fit_subject(development, subject, cache, seed=seed) for name, subject in SUBJECTS.items()}
    gate, gate_figures = fit_gate(files, cache.features, cache.drawn(DRAWN_HERE))
    beside: dict[str, dict[str, FloatArray]] = {"image_clip": gate.arrays(GATE_PREFIX)}
    figures = {"image_clip": {"applicability_gate": gate_figures}}
    for name, result in fitted.items():
        sha256 = artefacts.write_head(HEAD_NAMES[name], result.head.arrays("view") | beside.get(name, {}))
        calibration = calibrate(name, sha256, result.held_out)
        artefacts.write_calibration(calibration)
        released = score(result.head, release, SUBJECTS[name], cache.features)
        own = report(name, development, result.held_out, released, calibration)
        artefacts.write_report(name, own | figures.get(name, {}))
    _write_fusion(artefacts, fitted)


def fit_subject(files: Sequence[LabelledFile], subject: str, cache: FeatureCache, *, seed: int) -> Fitted:
    """The head on the views of *subject* of all *files*, and their source-held-out logits."""
    return fit_on_folds(files, fold_of(files), subject, cache.features, stressed=cache.stressed, seed=seed)


def fit_on_folds(
    files: Sequence[LabelledFile],
    folds: NDArray[np.int64],
    subject: str,
    read: ReadViews,
    *,
    stressed: ReadViews,
    seed: int,
) -> Fitted:
    """The head on all *files*, and the logits that each fold got from a head fitted on the others."""
    rows = collect(files, folds, subject, read)
    moments = gather_moments(files, folds, rows, subject, read, seed=seed)
    return Fitted(*fit_view_head(rows, moments, subject, read, stressed=stressed))


def fold_of(files: Sequence[LabelledFile], *, hold_out: HoldOut = "source") -> NDArray[np.int64]:
    """The fold of each file; a group is never in two, nor a source, or with "generator" a generator of spoofs."""
    sources, groups = [f.source for f in files], [f.group for f in files]
    if hold_out == "generator":
        generators, labels = [f.generator for f in files], [f.label for f in files]
        members_of = generator_folds(generators, sources, labels, groups, N_FOLDS)
    else:
        members_of = source_folds(sources, groups, N_FOLDS)
    folds = np.zeros(len(files), dtype=np.int64)
    for number, members in enumerate(members_of):
        folds[members] = number
    return folds


def calibrate(detector: str, head_sha256: str, held: HeldOut) -> Calibration:
    """One stratum from held-out logits."""
    sources = [file.source for file in held.files]
    weights = source_weights(sources, held.labels.tolist())
    return Calibration(
        detector, head_sha256, {DEFAULT_STRATUM: fit_stratum(held.spoof_logits, held.labels, sources, weights)}
    )


def score(head: ViewHead, files: Sequence[LabelledFile], subject: str, read: ReadViews) -> HeldOut:
    """The finished head on files that it never saw."""
    views = [(file, view) for file in files if (view := _base(read(file), subject)) is not None]
    logits = [float(head.pool.logit(view_parts(view, head))) for _, view in views]
    labels = np.array([file.label for file, _ in views])
    return HeldOut([file for file, _ in views], labels, np.array(logits), np.zeros(len(views)))


def _base(views: Iterable[ViewFeatures], subject: str) -> ViewFeatures | None:
    return next((v for v in views if v.subject == subject and v.variant == "base"), None)


def report(
    name: str, development: Sequence[LabelledFile], held: HeldOut, released: HeldOut, calibration: Calibration
) -> dict[str, Any]:
    """The figures of a detector's card."""
    stratum = calibration.strata[DEFAULT_STRATUM]
    families: Mapping[str, frozenset[str] | None] = {
        "generated": WHOLLY_SYNTHETIC,
        "face manipulated": FACE_MANIPULATION,
        "edited locally": LOCAL_EDITS,
    }
    protocols: dict[str, Any] = {}
    for title, result in (("source-held-out", held), ("release split", released)):
        llrs = stratum.slope * result.spoof_logits + stratum.offset
        protocols[f"{title}, all"] = figure(result.labels, result.spoof_logits, _sources(result), spoof_llrs=llrs)
        for family, kinds in families.items():
            protocols[f"{title}, {family}"] = _against_all_bona_fide(result, kinds, result.spoof_logits)
    for family, kinds in {"all": None, **families}.items():
        protocols[f"last-block probe, source-held-out, {family}"] = _against_all_bona_fide(
            held, kinds, held.probe_logits
        )
    kinds_seen = sorted({file.kind for file in held.files if file.label == 1})
    return {
        "detector": name,
        "command": "deepscreen fit image --manifest MANIFEST",
        "fitted_on": {
            "n_files": len(development),
            "n_sources": len({f.source for f in development}),
            "n_scored": len(held.files),
        },
        "protocols": protocols,
        "after_laundering": {
            name: _after(held, logits)
            for name, logits in held.stressed_logits.items()
            if len(np.unique(held.labels[~np.isnan(logits)])) > 1
        },
        "by_kind": {kind: _against_all_bona_fide(held, frozenset({kind}), held.spoof_logits) for kind in kinds_seen},
    }


def _against_all_bona_fide(held: HeldOut, kinds: frozenset[str] | None, logits: FloatArray) -> dict[str, Any]:
    """Spoofs of *kinds* against every bona fide item."""
    chosen = np.array([f.label == 0 or kinds is None or f.kind in kinds for f in held.files])
    sources = [s for s, c in zip(_sources(held), chosen, strict=True) if c]
    return figure(held.labels[chosen], logits[chosen], sources)


def _after(held: HeldOut, stressed_logits: FloatArray) -> dict[str, Any]:
    """AUC before and after, both on the files that still had a view."""
    left = ~np.isnan(stressed_logits)
    labels = held.labels[left]
    before, after = auc(labels, held.spoof_logits[left]), auc(labels, stressed_logits[left])
    figures = {"auc_before": before, "auc_after": after, "auc_lost": before - after}
    return {name: round(value, 3) for name, value in figures.items()} | {
        "n": int(left.sum()),
        "n_untested_or_without_view": int((~left).sum()),
    }


def _sources(held: HeldOut) -> list[str]:
    return [file.source for file in held.files]


def _write_fusion(artefacts: Artefacts, fitted: dict[str, Fitted]) -> None:
    """Ships a fusion only if it beats its best member in AUC and Cllr on held-out sources with both readings."""
    members = tuple(fitted)
    by_key = [
        {f.key: (f, v) for f, v in zip(fit.held_out.files, fit.held_out.spoof_logits, strict=True)}
        for fit in fitted.values()
    ]
    keys = sorted(set.intersection(*(set(m) for m in by_key)))
    files = [by_key[0][key][0] for key in keys]
    parts = np.array([[member[key][1] for member in by_key] for key in keys])
    labels, sources = np.array([f.label for f in files]), [f.source for f in files]
    weights = source_weights(sources, labels.tolist())
    logits = cross_fitted(parts, labels, fold_of(files), weights, l2=FUSION_L2)
    contenders = {name: parts[:, k] for k, name in enumerate(members)}
    scores = {
        name: _quality(column, labels, sources, weights) for name, column in {**contenders, "fusion": logits}.items()
    }
    lead = max(members, key=lambda name: scores[name]["auc"])
    best = scores[lead]
    wins = scores["fusion"]["auc"] > best["auc"] and scores["fusion"]["cllr"] < best["cllr"]
    head = fit_logistic(parts, labels, weights, l2=FUSION_L2)
    artefacts.write_fusion(_fusion("image", members, lead, head if wins else None))
    if wins:
        shas = "+".join(artefacts.head_sha256(HEAD_NAMES[name]) for name in members)
        stratum = fit_stratum(logits, labels, sources, weights)
        artefacts.write_calibration(Calibration("image_fusion", shas, {DEFAULT_STRATUM: stratum}))
    artefacts.write_report(
        "image_fusion",
        {
            "detector": "image_fusion",
            "command": "deepscreen fit image --manifest MANIFEST",
            "fitted_on": {"n_files": len(files), "n_sources": len(set(sources))},
            "members_on_pictures_with_a_face": scores,
            "notes": [f"shipped: {'yes' if wins else 'no'}; lead: {lead}"],
        },
    )


def _quality(
    logits: FloatArray, labels: NDArray[np.int64], sources: Sequence[str], weights: FloatArray
) -> dict[str, float]:
    stratum = fit_stratum(logits, labels, sources, weights)
    llrs = stratum.slope * logits + stratum.offset
    return {"auc": round(auc(labels, logits), 3), "cllr": round(cllr(labels, llrs), 3)}


def _fusion(modality: str, members: tuple[str, ...], lead: str, head: LinearHead | None) -> Fusion:
    """Folds the head's standardisation into plain coefficients."""
    if head is None:
        return Fusion(modality, members, lead, (), 0.0)
    coefficients = head.coef / head.scale
    intercept = head.intercept - float(coefficients @ head.mean)
    return Fusion(modality, members, lead, tuple(round(float(c), 9) for c in coefficients), round(intercept, 9))
